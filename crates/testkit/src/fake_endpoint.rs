//! A chat endpoint on this machine that answers well, badly, slowly, half or not at all, as a script says. For tests of whoever asks one.

use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The largest request body that is taken.
const MAX_BODY_BYTES: usize = 64 << 20;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    /// How many came before it.
    pub number: u64,
    /// How many came before it with the same `Idempotency-Key`.
    pub repetition: u64,
    /// The path, e.g. `/v1/chat/completions`.
    pub path: String,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The value of `Idempotency-Key`.
    pub idempotency_key: Option<String>,
    /// The body.
    pub body: Value,
}

impl Received {
    /// The text of all messages, pictures left out.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for message in self.body["messages"].as_array().into_iter().flatten() {
            match &message["content"] {
                Value::String(content) => text += content,
                parts => parts
                    .as_array()
                    .into_iter()
                    .flatten()
                    .for_each(|part| text += part["text"].as_str().unwrap_or_default()),
            }
            text.push('\n');
        }
        text
    }
}

/// What the endpoint does with a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reaction {
    /// Answers with this text.
    Answer(String),
    /// Begins to answer with this text and breaks off half-way.
    Torn(String),
    /// Does the rest after a while.
    Late(Duration, Box<Reaction>),
    /// Refuses.
    Status {
        /// The HTTP status.
        status: u16,
        /// The value of `Retry-After`, in seconds.
        retry_after: Option<u32>,
        /// The body.
        body: String,
    },
    /// Answers status 200 with this body, whatever it is.
    Raw(String),
    /// Sends spaces for ever.
    Endless,
    /// Sends elsewhere.
    Redirect(String),
}

/// Decides on a reaction.
type Script = dyn Fn(&Received) -> Reaction + Send + Sync;

#[derive(Default)]
struct Counts {
    received: AtomicU64,
    charged: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
}

struct Shared {
    script: Box<Script>,
    counts: Counts,
    stopped: AtomicBool,
    knows_keys: bool,
    seen: Mutex<HashMap<String, u64>>,
    charged_keys: Mutex<HashMap<String, Reaction>>,
}

/// The running endpoint; it ends when dropped.
pub struct FakeEndpoint {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<std::thread::JoinHandle<()>>,
}

impl FakeEndpoint {
    /// Starts one that charges for every answer it writes, lost or not.
    pub fn start(script: impl Fn(&Received) -> Reaction + Send + Sync + 'static) -> std::io::Result<FakeEndpoint> {
        FakeEndpoint::begin(Box::new(script), false)
    }

    /// Starts one that knows `Idempotency-Key`: a request whose key was answered before gets the same answer and is not charged again.
    pub fn start_idempotent(
        script: impl Fn(&Received) -> Reaction + Send + Sync + 'static,
    ) -> std::io::Result<FakeEndpoint> {
        FakeEndpoint::begin(Box::new(script), true)
    }

    fn begin(script: Box<Script>, knows_keys: bool) -> std::io::Result<FakeEndpoint> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            script,
            counts: Counts::default(),
            stopped: AtomicBool::new(false),
            knows_keys,
            seen: Mutex::default(),
            charged_keys: Mutex::default(),
        });
        let accepting = shared.clone();
        let listener = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepting.stopped.load(Ordering::SeqCst) {
                    break;
                }
                let Ok(stream) = stream else { continue };
                let shared = accepting.clone();
                std::thread::spawn(move || {
                    let _ = shared.serve(stream); // A caller that leaves is part of the play.
                });
            }
        });
        Ok(FakeEndpoint { address, shared, listener: Some(listener) })
    }

    /// The address for a config: `http://127.0.0.1:PORT/v1`.
    pub fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Requests that arrived whole.
    pub fn num_received(&self) -> u64 {
        self.shared.counts.received.load(Ordering::SeqCst)
    }

    /// Answers that were written and charged for.
    pub fn num_charged(&self) -> u64 {
        self.shared.counts.charged.load(Ordering::SeqCst)
    }

    /// The most requests that waited for an answer at once.
    pub fn most_under_way(&self) -> u64 {
        self.shared.counts.most_under_way.load(Ordering::SeqCst)
    }
}

impl Drop for FakeEndpoint {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address); // Wakes the listener.
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let Some(mut received) = read_request(&stream)? else { return Ok(()) };
        received.number = self.counts.received.fetch_add(1, Ordering::SeqCst);
        if let (Some(key), Ok(mut seen)) = (&received.idempotency_key, self.seen.lock()) {
            let count = seen.entry(key.clone()).or_default();
            received.repetition = *count;
            *count += 1;
        }
        let now = self.counts.under_way.fetch_add(1, Ordering::SeqCst) + 1;
        self.counts.most_under_way.fetch_max(now, Ordering::SeqCst);
        let mut reaction = self.reaction(&received);
        while let Reaction::Late(wait, then) = reaction {
            std::thread::sleep(wait);
            reaction = *then;
        }
        // Before the answer goes out: whoever has it may ask again before this thread runs on.
        self.counts.under_way.fetch_sub(1, Ordering::SeqCst);
        self.react(&mut stream, &received, reaction)
    }

    /// What to do; a request whose key was answered before is answered the same.
    fn reaction(&self, received: &Received) -> Reaction {
        let key = received.idempotency_key.as_ref().filter(|_| self.knows_keys);
        if let (Some(key), Ok(charged)) = (key, self.charged_keys.lock())
            && let Some(answer) = charged.get(key)
        {
            return answer.clone();
        }
        (self.script)(received)
    }

    /// Counts an answer, once for each key where keys are known.
    fn charge(&self, received: &Received, text: &str) {
        let key = received.idempotency_key.as_ref().filter(|_| self.knows_keys);
        if let (Some(key), Ok(mut charged)) = (key, self.charged_keys.lock())
            && charged.insert(key.clone(), Reaction::Answer(text.to_string())).is_some()
        {
            return;
        }
        self.counts.charged.fetch_add(1, Ordering::SeqCst);
    }

    fn react(&self, stream: &mut TcpStream, received: &Received, reaction: Reaction) -> std::io::Result<()> {
        match reaction {
            Reaction::Late(_, then) => self.react(stream, received, *then),
            Reaction::Answer(text) => {
                self.charge(received, &text);
                let (kind, body) = whole(received, &text);
                respond(stream, "200 OK", kind, "", &body)
            }
            Reaction::Torn(text) => {
                self.charge(received, &text);
                let (kind, body) = whole(received, &text);
                let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes())?;
                stream.write_all(&body.as_bytes()[..body.len() / 2])
            }
            Reaction::Status { status, retry_after, body } => {
                let wait = retry_after.map_or(String::new(), |seconds| format!("Retry-After: {seconds}\r\n"));
                respond(stream, &format!("{status} Scripted"), "application/json", &wait, &body)
            }
            Reaction::Raw(body) => {
                self.charge(received, &body);
                respond(stream, "200 OK", "application/json", "", &body)
            }
            Reaction::Redirect(to) => {
                respond(stream, "307 Elsewhere", "text/plain", &format!("Location: {to}\r\n"), "")
            }
            Reaction::Endless => {
                self.charge(received, "");
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")?;
                while !self.stopped.load(Ordering::SeqCst) {
                    stream.write_all(&[b' '; 4096])?;
                }
                Ok(())
            }
        }
    }
}

/// Reads a request with a body; `None` when the caller only knocked.
fn read_request(stream: &TcpStream) -> std::io::Result<Option<Received>> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let Some(path) = line.split_whitespace().nth(1).map(str::to_string) else { return Ok(None) };
    let (mut length, mut authorization, mut idempotency_key) = (0, None, None);
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(':') else { break };
        let value = value.trim().to_string();
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().unwrap_or(0),
            "authorization" => authorization = Some(value),
            "idempotency-key" => idempotency_key = Some(value),
            _ => {}
        }
    }
    let mut body = vec![0; usize::min(length, MAX_BODY_BYTES)];
    reader.read_exact(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Ok(Some(Received { number: 0, repetition: 0, path, authorization, idempotency_key, body }))
}

fn respond(stream: &mut TcpStream, status: &str, kind: &str, headers: &str, body: &str) -> std::io::Result<()> {
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// Content type and body of an answer, in pieces where the request asks for them. Usage is four bytes of text a token.
fn whole(received: &Received, text: &str) -> (&'static str, String) {
    let usage =
        json!({"prompt_tokens": received.text().len().div_ceil(4), "completion_tokens": text.len().div_ceil(4)});
    let model = received.body["model"].clone();
    if received.body["stream"] != Value::Bool(true) {
        let message = json!({"role": "assistant", "content": text});
        let choices = json!([{"index": 0, "message": message, "finish_reason": "stop"}]);
        let body =
            json!({"id": "fake", "object": "chat.completion", "model": model, "choices": choices, "usage": usage});
        return ("application/json", body.to_string());
    }
    let mut body = String::new();
    let letters: Vec<char> = text.chars().collect();
    for piece in letters.chunks(7) {
        let choices = json!([{"index": 0, "delta": {"content": piece.iter().collect::<String>()}}]);
        body += &format!("data: {}\n\n", json!({"model": model, "choices": choices}));
    }
    let end = json!({"model": model, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]});
    body += &format!("data: {end}\n\ndata: {}\n\ndata: [DONE]\n\n", json!({"choices": [], "usage": usage}));
    ("text/event-stream", body)
}
