//! Tells what happens between a shop and the server: each request as the curl line that a person would
//! type, and the answer.

use bytes::Bytes;
use hyper::Method;
use serde_json::Value;

use crate::cli::ExampleError;
use crate::client::{Client, ClientRequest, Server, ServerArgs};
use crate::server::{self, RunningServer};

/// A connection to a server, whose requests are printed.
pub(crate) struct Transcript {
    server: Server,
    client: Client,
    running: Option<RunningServer>,
}

impl Transcript {
    /// Talks to the server that was named, or starts one.
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

    /// Asks and shows the answer's body. Anything but a success ends the story.
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

    /// The same with a body, and perhaps with a key that makes it happen once.
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
        ask: ClientRequest<'_>,
    ) -> Result<Value, ExampleError> {
        println!("# {sentence}\n{}", self.curl(&ask));
        let answer = self.client.send(ask).await?;
        println!("{}\n", String::from_utf8_lossy(&answer.body));
        answer.parse()
    }

    /// The request as a line for a shell that has the key in `$KEY`.
    fn curl(&self, ask: &ClientRequest<'_>) -> String {
        let (authority, path) = (self.server.authority(), ask.path);
        let mut words = vec!["curl".to_owned()];
        if ask.method != Method::GET {
            words.push(format!("-X {}", ask.method));
        }
        words.push(format!("http://{authority}{path} -H \"Authorization: Bearer $KEY\""));
        if let Some(key) = ask.idempotency_key {
            words.push(format!("\\\n  -H 'Idempotency-Key: {key}'"));
        }
        if !ask.body.is_empty() {
            let body = String::from_utf8_lossy(&ask.body).replace('\'', "'\\''");
            words.push(format!("\\\n  -H 'Content-Type: application/json' -d '{body}'"));
        }
        words.join(" ")
    }

    /// Ends the connection, and the server where it was started for this.
    pub(crate) async fn finish(self) -> Result<(), ExampleError> {
        let Self { client, running, .. } = self;
        drop(client);
        match running {
            Some(running) => running.stop().await,
            None => Ok(()),
        }
    }
}
