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

/// The server to use.
#[derive(Args)]
pub(crate) struct ServerArgs {
    #[arg(long, help = "A running server, such as http://127.0.0.1:8080", value_name = "URL", requires = "key", value_parser = authority)]
    server: Option<Authority>,
    /// The key of a shop there (lk_…)
    #[arg(long, requires = "server")]
    key: Option<String>,
}

impl ServerArgs {
    /// The server, or `None` without `--server`.
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

/// A server's address and an API key for it.
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

    /// Host and port.
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
        // It ends with the sender. An error of the connection is returned by the request
        // it breaks.
        tokio::spawn(connection);
        Ok(Client { server: self.clone(), sender })
    }
}

/// A request to send.
pub(crate) struct ClientRequest<'a> {
    /// The method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: &'a str,
    /// Idempotency key: repeated sends of one key take effect once.
    pub(crate) idempotency_key: Option<&'a str>,
    /// A JSON body, or no bytes.
    pub(crate) body: Bytes,
}

/// An open connection.
pub(crate) struct Client {
    server: Server,
    sender: SendRequest<Full<Bytes>>,
}

/// A response, read whole.
pub(crate) struct ClientResponse {
    /// The status.
    pub(crate) status: StatusCode,
    /// The body.
    pub(crate) body: Bytes,
}

impl Client {
    /// Sends a request and waits for its response.
    pub(crate) async fn send(
        &mut self,
        request: ClientRequest<'_>,
    ) -> Result<ClientResponse, ExampleError> {
        let mut message = Request::builder()
            .method(request.method)
            .uri(request.path)
            .header(HOST, self.server.authority.as_str())
            .header(AUTHORIZATION, &self.server.bearer);

        if let Some(key) = request.idempotency_key {
            message = message.header("idempotency-key", key);
        }
        if !request.body.is_empty() {
            message = message.header(CONTENT_TYPE, "application/json");
        }
        let message = message.body(Full::new(request.body))?;

        self.sender.ready().await?;
        let (head, body) = self.sender.send_request(message).await?.into_parts();
        Ok(ClientResponse { status: head.status, body: body.collect().await?.to_bytes() })
    }
}

impl ClientResponse {
    /// Parses the body of a success. Any other status is an error with the server's
    /// message.
    pub(crate) fn parse<T: DeserializeOwned>(&self) -> Result<T, ExampleError> {
        if self.status.is_success() {
            return Ok(serde_json::from_slice(&self.body)?);
        }
        Err(format!("{}: {}", self.status, String::from_utf8_lossy(&self.body)).into())
    }
}
