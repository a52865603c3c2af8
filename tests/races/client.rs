//! A plain HTTP client on one connection, which may be cut at any byte.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A request to send.
#[derive(Clone, Debug)]
pub(crate) struct ClientRequest {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) idempotency_key: Option<String>,
    pub(crate) body: String,
}

impl ClientRequest {
    pub(crate) fn new(method: &'static str, path: impl Into<String>, body: String) -> Self {
        Self { method, path: path.into(), idempotency_key: None, body }
    }

    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path, String::new())
    }

    pub(crate) fn post(path: impl Into<String>, body: String) -> Self {
        Self::new("POST", path, body)
    }

    /// The same request under an idempotency key.
    pub(crate) fn with_idempotency_key(self, key: &str) -> Self {
        Self { idempotency_key: Some(key.to_owned()), ..self }
    }
}

/// A fault of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ConnectionFault {
    /// No fault.
    None,
    /// Cut after this number of bytes of the request, which is never sent whole.
    CutRequest(usize),
    /// Cut after at most this number of bytes of the response are read.
    CutResponse(usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientResponse {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl ClientResponse {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub(crate) fn number(&self, member: &str) -> i64 {
        self.json()[member]
            .as_i64()
            .unwrap_or_else(|| panic!("{member}: {}", self.body))
    }

    pub(crate) fn text(&self, member: &str) -> String {
        self.json()[member]
            .as_str()
            .unwrap_or_else(|| panic!("{member}: {}", self.body))
            .to_owned()
    }
}

pub(crate) struct Client {
    address: SocketAddr,
    key: String,
    stream: Option<BufReader<TcpStream>>,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, key: &str) -> Self {
        Self { address, key: key.to_owned(), stream: None }
    }

    /// Sends a request. `None` if the connection was cut.
    pub(crate) fn send(
        &mut self,
        request: &ClientRequest,
        fault: ConnectionFault,
    ) -> Option<ClientResponse> {
        let bytes = self.bytes(request);
        let (address, mut stream) = (self.address, self.stream.take());
        let mut stream = stream.take().unwrap_or_else(|| connect(address));

        let response = match fault {
            ConnectionFault::CutRequest(sent) => {
                let _ = stream.get_mut().write_all(&bytes[..sent.min(bytes.len() - 1)]);
                return None;
            }
            ConnectionFault::CutResponse(read) => {
                let _ = stream.get_mut().write_all(&bytes);
                let _ = stream.read(&mut vec![0; read]);
                return None;
            }
            ConnectionFault::None => {
                stream.get_mut().write_all(&bytes).unwrap();
                read_response(&mut stream)
            }
        };

        self.stream = Some(stream);
        Some(response)
    }

    /// Sends a request on an intact connection and asserts the status.
    #[track_caller]
    pub(crate) fn send_expecting(
        &mut self,
        status: u16,
        request: &ClientRequest,
    ) -> ClientResponse {
        let response = self.send(request, ConnectionFault::None).unwrap();
        assert_eq!(response.status, status, "{request:?}: {}", response.body);
        response
    }

    fn bytes(&self, request: &ClientRequest) -> Vec<u8> {
        let ClientRequest { method, path, idempotency_key, body } = request;
        let key_header = idempotency_key
            .as_ref()
            .map_or(String::new(), |key| format!("idempotency-key: {key}\r\n"));

        let length = body.len();
        format!(
            "{method} {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\n{key_header}\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}",
            self.key
        )
        .into_bytes()
    }
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
    BufReader::new(stream)
}

fn read_response(stream: &mut BufReader<TcpStream>) -> ClientResponse {
    let mut line = || {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the server closed the connection");
        line.trim_end().to_owned()
    };

    let status = line()[9..12].parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line();
        let Some((name, value)) = line.split_once(": ") else { break };
        headers.push((name.to_ascii_lowercase(), value.to_owned()));
    }

    let mut response = ClientResponse { status, headers, body: String::new() };
    let length: u64 = response.header("content-length").unwrap().parse().unwrap();
    assert_eq!(
        u64::try_from(stream.take(length).read_to_string(&mut response.body).unwrap()).unwrap(),
        length
    );
    response
}
