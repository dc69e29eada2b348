use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use serde_json::{Value, json};

/// Where agents have their cards.
const CARD: &str = "/.well-known/agent-card.json";

/// A request as an origin got it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Method and target, such as `POST /`.
    pub line: String,
    /// The header lines.
    pub headers: Vec<(String, String)>,
    /// The body, without chunks.
    pub body: Vec<u8>,
}

impl Asked {
    /// The values of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(found, _)| found.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }
}

/// What an origin does with a request.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A status, the content type, more header lines that each end in CR LF, and a body.
    Reply(u16, &'static str, String, Vec<u8>),
    /// Nothing, until the origin ends.
    Never,
    /// So many bytes, as fast as they are taken; it counts those that were, and ends at one that is not.
    Flood(u64, Arc<Flood>),
}

/// How an [`Answer::Flood`] goes.
#[derive(Debug, Default)]
pub struct Flood {
    /// Bytes that were taken.
    pub taken: AtomicU64,
    /// Whether it was broken off.
    pub broken: AtomicBool,
}

impl Answer {
    /// JSON.
    #[must_use]
    pub fn json(value: &Value) -> Self {
        Self::Reply(200, "application/json", String::new(), value.to_string().into_bytes())
    }

    /// A page for people.
    #[must_use]
    pub fn html(status: u16) -> Self {
        Self::Reply(status, "text/html", String::new(), b"<html><body>It works!</body></html>".to_vec())
    }
}

type Answering = dyn Fn(&Asked, SocketAddr) -> Answer + Send + Sync;

/// An HTTP server in this process, in place of an agent. It notes what it is asked. When dropped, its port is free.
pub struct Origin {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    streams: Arc<Mutex<Vec<TcpStream>>>,
    ends: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

impl Origin {
    /// One on 127.0.0.1.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(answer: impl Fn(&Asked, SocketAddr) -> Answer + Send + Sync + 'static) -> Self {
        Self::at("127.0.0.1:0", answer)
    }

    /// One at an address.
    ///
    /// # Panics
    /// When it cannot listen there.
    #[must_use]
    pub fn at(address: &str, answer: impl Fn(&Asked, SocketAddr) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(address).expect("an origin can listen");
        let address = listener.local_addr().expect("it has an address");
        let (asked, streams, ends) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::default(), Arc::default());
        let mut origin = Self { address, asked, streams, ends, accepting: None };
        let answer: Arc<Answering> = Arc::new(answer);
        let (asked, streams, ends) = (origin.asked.clone(), origin.streams.clone(), origin.ends.clone());
        origin.accepting = Some(std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if ends.load(Ordering::SeqCst) {
                    break;
                }
                let kept = stream.try_clone().expect("a stream can be shared");
                streams.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
                let (asked, answer) = (asked.clone(), answer.clone());
                // It ends with its stream.
                std::thread::spawn(move || serve(stream, &asked, answer.as_ref(), address));
            }
        }));
        origin
    }

    /// An agent of A2A 1.0 with this name, which answers each call with what it was sent.
    #[must_use]
    pub fn agent(name: &str) -> Self {
        Self::agent_at("127.0.0.1:0", name)
    }

    /// The same at an address.
    #[must_use]
    pub fn agent_at(address: &str, name: &str) -> Self {
        let name = name.to_owned();
        Self::at(address, move |asked, at| match asked.line.as_str() {
            line if line == format!("GET {CARD}") => Answer::json(&card(&name, at)),
            line if line.starts_with("GET /.well-known/") => Answer::html(404),
            _ => reply(asked),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// All that it was asked.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it was asked but for its card and what tries whether it answers.
    #[must_use]
    pub fn calls(&self) -> Vec<Asked> {
        let is_call = |asked: &Asked| {
            let is_probe = String::from_utf8_lossy(&asked.body).contains("althing-probe");
            !asked.line.starts_with("GET /.well-known/") && !is_probe
        };
        self.asked().into_iter().filter(is_call).collect()
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
        for stream in self.streams.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A card of A2A 1.0 whose interfaces are at an address: JSON-RPC at `/`, HTTP+JSON below it.
#[must_use]
pub fn card(name: &str, at: SocketAddr) -> Value {
    let interface = |url: String, binding: &str| json!({"url": url, "protocolBinding": binding, "protocolVersion": "1.0"});
    json!({
        "name": name,
        "description": "Answers with what it was sent.",
        "version": "1.0.0",
        "supportedInterfaces": [
            interface(format!("http://{at}/"), "JSONRPC"),
            interface(format!("http://{at}"), "HTTP+JSON"),
        ],
        "capabilities": {"streaming": true},
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain"],
        "skills": [{"id": "fake/echo", "name": "Echo", "description": "Echoes.", "tags": ["echo"]}],
    })
}

/// The answer of an agent to a call: the id of a JSON-RPC request, and what came.
#[must_use]
pub fn reply(asked: &Asked) -> Answer {
    let came: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
    Answer::json(&json!({"jsonrpc": "2.0", "id": came["id"], "result": {"line": asked.line, "came": came}}))
}

fn serve(stream: TcpStream, asked: &Mutex<Vec<Asked>>, answer: &Answering, at: SocketAddr) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    while let Some(request) = read(&mut reader)? {
        asked.lock().unwrap_or_else(PoisonError::into_inner).push(request.clone());
        match answer(&request, at) {
            Answer::Reply(status, kind, headers, body) => {
                let length = body.len();
                write!(
                    stream,
                    "HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{headers}Content-Length: {length}\r\n\r\n"
                )?;
                stream.write_all(&body)?;
            }
            Answer::Flood(bytes, flood) => {
                write!(
                    stream,
                    "HTTP/1.1 200 X\r\nContent-Type: application/octet-stream\r\nContent-Length: {bytes}\r\n\r\n"
                )?;
                let part = [7; 65_536];
                while flood.taken.load(Ordering::SeqCst) < bytes {
                    stream.write_all(&part).inspect_err(|_| flood.broken.store(true, Ordering::SeqCst))?;
                    flood.taken.fetch_add(part.len() as u64, Ordering::SeqCst);
                }
            }
            Answer::Never => {
                // Whatever comes, or that nothing does any more.
                let _ = io::copy(&mut reader, &mut io::sink());
                return Ok(());
            }
        }
    }
    Ok(())
}

/// The next request; none at the end.
fn read(from: &mut impl BufRead) -> io::Result<Option<Asked>> {
    let mut line = || {
        let mut line = String::new();
        from.read_line(&mut line)?;
        Ok::<_, io::Error>(line.trim_end().to_owned())
    };
    let first = line()?;
    if first.is_empty() {
        return Ok(None);
    }
    let mut headers = Vec::new();
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let line = first.rsplit_once(' ').map_or(first.as_str(), |(line, _)| line).to_owned();
    let mut asked = Asked { line, headers, body: Vec::new() };
    if let [length] = asked.header("content-length")[..] {
        let length = length.parse().map_err(io::Error::other)?;
        from.take(length).read_to_end(&mut asked.body)?;
    } else if !asked.header("transfer-encoding").is_empty() {
        loop {
            let mut size = String::new();
            from.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).map_err(io::Error::other)?;
            from.take(size).read_to_end(&mut asked.body)?;
            from.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    }
    Ok(Some(asked))
}
