//! A client of the server in a few lines of hyper: one keep-alive connection, one request at a time.

use bytes::Bytes;
use clap::Args;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::http::uri::{Authority, Scheme};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde::de::DeserializeOwned;
use tokio::net::TcpStream;

use crate::cli::ExampleError;

/// Which server to talk to.
#[derive(Args)]
pub(crate) struct ServerArgs {
    #[arg(long, help = "A running server, such as http://127.0.0.1:8080", value_name = "URL", requires = "key", value_parser = authority)]
    server: Option<Authority>,
    /// The key of a shop there (lk_…)
    #[arg(long, requires = "server")]
    key: Option<String>,
}

impl ServerArgs {
    /// The server, where one is named.
    pub(crate) fn server(self) -> Result<Option<Server>, ExampleError> {
        let (Some(authority), Some(key)) = (self.server, self.key) else {
            return Ok(None);
        };
        Server::new(authority, &key).map(Some)
    }
}

fn authority(url: &str) -> Result<Authority, &'static str> {
    let parts = url.parse::<Uri>().unwrap_or_default().into_parts();
    let bare = parts.path_and_query.is_none_or(|path| path == "/");
    let plain = parts.scheme == Some(Scheme::HTTP);
    parts
        .authority
        .filter(|_| bare && plain)
        .ok_or("must be like http://127.0.0.1:8080")
}

/// A server and the key to it.
#[derive(Clone)]
pub(crate) struct Server {
    authority: Authority,
    bearer: HeaderValue,
}

impl Server {
    /// A server at `host:port`.
    pub(crate) fn new(authority: Authority, key: &str) -> Result<Self, ExampleError> {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}"))?;
        bearer.set_sensitive(true);
        Ok(Self { authority, bearer })
    }

    /// Where it is.
    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Opens a connection.
    pub(crate) async fn connect(&self) -> Result<Client, ExampleError> {
        let address = (
            self.authority.host().trim_matches(['[', ']']),
            self.authority.port_u16().unwrap_or(80),
        );
        let stream = TcpStream::connect(address).await;
        let stream =
            stream.map_err(|error| format!("cannot connect to {}: {error}", self.authority))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Ends with the sender; what goes wrong shows at the request that it goes wrong for.
        tokio::spawn(connection);
        Ok(Client { server: self.clone(), sender })
    }
}

/// A request, before it is on its way.
pub(crate) struct ClientRequest<'a> {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: &'a str,
    /// What makes it happen once, however often it is sent.
    pub(crate) idempotency_key: Option<&'a str>,
    /// A JSON body, or nothing.
    pub(crate) body: Bytes,
}

/// An open connection.
pub(crate) struct Client {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
}

/// What came back.
pub(crate) struct ClientResponse {
    /// The status.
    pub(crate) status: StatusCode,
    /// The body.
    pub(crate) body: Bytes,
}

impl Client {
    /// Sends a request and waits for its answer.
    pub(crate) async fn send(
        &mut self,
        ask: ClientRequest<'_>,
    ) -> Result<ClientResponse, ExampleError> {
        let mut request = Request::builder()
            .method(ask.method)
            .uri(ask.path)
            .header(HOST, self.server.authority.as_str())
            .header(AUTHORIZATION, &self.server.bearer);
        if let Some(key) = ask.idempotency_key {
            request = request.header("idempotency-key", key);
        }
        if !ask.body.is_empty() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        let request = request.body(Full::new(ask.body))?;
        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(request).await?.into_parts();
        Ok(ClientResponse { status: head.status, body: body.collect().await?.to_bytes() })
    }
}

impl ClientResponse {
    /// The body of a success; anything else is trouble, in the server's words.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ExampleError> {
        if self.status.is_success() {
            return Ok(serde_json::from_slice(&self.body)?);
        }
        Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}
