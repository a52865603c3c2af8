//! Prints each request of an example as the curl command for it, with its response.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::cli::ExampleError;
use crate::client::{Client, ClientRequest, Server, ServerArgs};
use crate::server::{self, RunningServer};

/// A connection to a server that prints requests and responses.
pub(crate) struct Transcript {
    server: Server,
    client: Client,
    running: Option<RunningServer>,
}

impl Transcript {
    /// Connects to the server of the arguments, or starts one.
    pub(crate) async fn start(arguments: ServerArgs) -> Result<Self, ExampleError> {
        let (running, server) = match arguments.server()? {
            Some(server) => (None, server),
            None => server::start()
                .await
                .map(|(running, server)| (Some(running), server))?,
        };
        let client = server.connect().await?;
        Ok(Self { server, client, running })
    }

    /// Sends a GET request. Anything but a success is an error and ends the example.
    pub(crate) async fn get(&mut self, sentence: &str, path: &str) -> Result<Value, ExampleError> {
        self.send_and_print(
            sentence,
            ClientRequest {
                method: Method::GET,
                path,
                idempotency_key: None,
                body: Bytes::new(),
            },
        )
        .await
    }

    /// Sends a request with a JSON body. Repeated sends of one idempotency key take
    /// effect once.
    pub(crate) async fn send(
        &mut self,
        sentence: &str,
        (method, path): (Method, &str),
        idempotency_key: Option<&str>,
        body: &Value,
    ) -> Result<Value, ExampleError> {
        let body = Bytes::from(body.to_string());
        self.send_and_print(sentence, ClientRequest { method, path, idempotency_key, body })
            .await
    }

    async fn send_and_print(
        &mut self,
        sentence: &str,
        request: ClientRequest<'_>,
    ) -> Result<Value, ExampleError> {
        println!("# {sentence}\n{}", self.curl(&request));
        let response = self.client.send(request).await?;
        println!("{}\n", String::from_utf8_lossy(&response.body));
        response.parse()
    }

    /// The request as a shell command that reads the key from `$KEY`.
    fn curl(&self, request: &ClientRequest<'_>) -> String {
        let (authority, path) = (self.server.authority(), request.path);
        let mut words = vec!["curl".to_owned()];
        if request.method != Method::GET {
            words.push(format!("-X {}", request.method));
        }
        words.push(format!("http://{authority}{path} -H \"Authorization: Bearer $KEY\""));

        if let Some(key) = request.idempotency_key {
            words.push(format!("\\\n  -H 'Idempotency-Key: {key}'"));
        }

        if !request.body.is_empty() {
            let body = String::from_utf8_lossy(&request.body).replace('\'', "'\\''");
            words.push(format!("\\\n  -H 'Content-Type: application/json' -d '{body}'"));
        }

        words.join(" ")
    }

    /// Closes the connection, and stops the server if this started it.
    pub(crate) async fn finish(self) -> Result<(), ExampleError> {
        let Self { client, running, .. } = self;
        drop(client);
        match running {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    }
}
