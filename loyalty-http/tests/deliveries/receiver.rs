//! A receiver of webhooks on this machine that answers as a test says.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

/// A message as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: String,
    pub(crate) timestamp: String,
    pub(crate) signature: String,
    pub(crate) text: Vec<u8>,
    pub(crate) at: Instant,
    /// True if it was answered with success.
    pub(crate) accepted: bool,
}

impl Message {
    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.text).unwrap()
    }

    pub(crate) fn account(&self) -> String {
        let body = self.body();
        body["data"]["account_id"].as_str().unwrap_or_default().to_owned()
    }

    pub(crate) fn sequence(&self) -> i64 {
        self.body()["data"]["sequence"].as_i64().unwrap()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// With headers and a body.
    Full(u16, &'static str, String),
    /// Nothing, for so long.
    Hang(Duration),
    /// Half of an answer.
    Break,
}

type Behaviour = dyn Fn(&Message, usize) -> Answer + Send + Sync;

pub(crate) struct Receiver {
    pub(crate) url: String,
    messages: Arc<Mutex<Vec<Message>>>,
    behaviour: Arc<Mutex<Arc<Behaviour>>>,
}

impl Receiver {
    /// A receiver with an answer for each message, by its number from 0.
    pub(crate) fn new(behave: impl Fn(&Message, usize) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let (messages, behaviour): (Arc<Mutex<Vec<Message>>>, _) =
            (Arc::default(), Arc::new(behave));
        let behaviour: Arc<Mutex<Arc<Behaviour>>> = Arc::new(Mutex::new(behaviour));
        let receiver = Self {
            url,
            messages: messages.clone(),
            behaviour: behaviour.clone(),
        };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (messages, behaviour) = (messages.clone(), behaviour.clone());
                std::thread::spawn(move || serve(&stream.unwrap(), &messages, &behaviour));
            }
        });
        receiver
    }

    pub(crate) fn behave(
        &self,
        behave: impl Fn(&Message, usize) -> Answer + Send + Sync + 'static,
    ) {
        *self.behaviour.lock().unwrap() = Arc::new(behave);
    }

    pub(crate) fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    pub(crate) fn accepted(&self) -> Vec<Message> {
        self.messages()
            .into_iter()
            .filter(|message| message.accepted)
            .collect()
    }

    /// Waits until so many messages were accepted.
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Message> {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let accepted = self.accepted();
            if accepted.len() >= count {
                return accepted;
            }
            assert!(Instant::now() < end, "{} of {count} have arrived", accepted.len());
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn serve(stream: &TcpStream, messages: &Mutex<Vec<Message>>, behaviour: &Mutex<Arc<Behaviour>>) {
    stream.set_nodelay(true).unwrap();
    let (mut reader, mut writer) = (BufReader::new(stream), stream);
    while let Some(mut message) = read(&mut reader) {
        let behave = Arc::clone(&behaviour.lock().unwrap());
        let number = messages.lock().unwrap().len();
        let answer = behave(&message, number);
        message.accepted = matches!(answer, Answer::Status(200..300) | Answer::Full(200..300, ..));
        messages.lock().unwrap().push(message);
        let text = match answer {
            Answer::Status(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
            Answer::Full(status, head, body) => {
                let length = body.len();
                format!("HTTP/1.1 {status} X\r\ncontent-length: {length}\r\n{head}\r\n{body}")
            }
            Answer::Hang(time) => {
                std::thread::sleep(time);
                return;
            }
            Answer::Break => {
                let _ = writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal");
                return;
            }
        };
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut impl BufRead) -> Option<Message> {
    let (mut line, mut length) = (String::new(), 0);
    let mut message = Message {
        id: String::new(),
        timestamp: String::new(),
        signature: String::new(),
        text: Vec::new(),
        at: Instant::now(),
        accepted: false,
    };
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line == "\r\n" {
            break;
        }
        let Some((name, value)) = line.trim().split_once(": ") else {
            continue;
        };
        match name {
            "content-length" => length = value.parse().unwrap(),
            "webhook-id" => value.clone_into(&mut message.id),
            "webhook-timestamp" => value.clone_into(&mut message.timestamp),
            "webhook-signature" => value.clone_into(&mut message.signature),
            _ => {}
        }
    }
    message.text = vec![0; length];
    reader.read_exact(&mut message.text).ok()?;
    message.at = Instant::now();
    Some(message)
}
