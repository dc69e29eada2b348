//! What answers at a home's socket need not be a node: it is believed no more than a peer.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use althing_tests::{Home, Node, get, run};
use serde_json::json;

/// What the fake gives as the content of every file.
const CONTENT: &str = "pwned";

/// Answers at the socket of a home whose node was killed.
struct FakeNode {
    home: PathBuf,
    /// The name of the one file that its database has.
    file: Arc<Mutex<String>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl FakeNode {
    fn start(home: &Path) -> Self {
        let node = Node::up(home, &[]);
        let health = get(&node.api(), "/livez", &[("Host", &node.api())]).body;
        // It leaves its token and has no time to remove its address.
        node.kill();
        let socket = home.join("api.sock");
        fs::remove_file(&socket).unwrap();
        let listener = UnixListener::bind(&socket).unwrap();
        let (file, ends) = (Arc::new(Mutex::new(String::new())), Arc::new(AtomicBool::new(false)));
        let (named, over) = (file.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if over.load(Ordering::SeqCst) {
                    break;
                }
                // Whoever asks may have left.
                let _ = answer(stream, &health, &named.lock().unwrap());
            }
        });
        Self { home: home.to_owned(), file, ends, thread: Some(thread) }
    }

    fn names(&self, file: &str) {
        file.clone_into(&mut self.file.lock().unwrap());
    }
}

impl Drop for FakeNode {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::SeqCst);
        let _ = UnixStream::connect(self.home.join("api.sock"));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Answers one request, as the API's documents want it.
fn answer(mut stream: UnixStream, health: &str, file: &str) -> std::io::Result<()> {
    let mut lines = BufReader::new(&stream).lines();
    let request = lines.next().transpose()?.unwrap_or_default();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let checkpoint = json!({
        "schema": "althing.checkpoint/v1", "files": [{"name": file, "bytes": CONTENT.len()}],
    });
    let (kind, body) = match request.split(' ').collect::<Vec<_>>()[..] {
        ["GET", "/livez", _] => ("application/json", health.to_owned()),
        ["POST", "/v1/store/checkpoint", _] => ("application/json", checkpoint.to_string()),
        ["POST", "/v1/store/checkpoint/release", _] => {
            ("application/json", json!({"schema": "althing.released/v1"}).to_string())
        }
        ["GET", target, _] if target.starts_with("/v1/store/checkpoint?") => {
            ("application/octet-stream", CONTENT.to_owned())
        }
        _ => panic!("not expected: {request}"),
    };
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n{body}"
    )
}

/// Everything in a directory, by its path in it.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        found.push(entry.path());
        if entry.file_type().unwrap().is_dir() {
            found.extend(tree(&entry.path()));
        }
    }
    found.sort();
    found
}

#[test]
fn a_node_that_names_a_path_writes_nothing_with_it() {
    let home = Home::new();
    let node = FakeNode::start(&home.join("n"));
    let out = home.join("out");
    fs::create_dir(&out).unwrap();
    let before = tree(home.path());
    let snapshot = || {
        let words = ["store", "snapshot", &out.join("backup").display().to_string()].map(str::to_owned);
        run(&[&["--home".to_owned(), node.home.display().to_string()], &words[..]].concat())
    };
    let absolute = home.join("pwned").display().to_string();
    for name in
        ["../../../pwned", &absolute, "../../pwned", "x/../../../../pwned", "..", "", "pwned", "CURRENT/"]
    {
        node.names(name);
        let _ = snapshot().expect(1).says("expected the name of a file of a database").says("hint: ");
        assert_eq!(tree(home.path()), before, "{name}");
    }
    // A name that a database may have is asked for, and what comes is no database.
    node.names("CURRENT");
    let _ = snapshot().expect(1).says("the store is damaged, no snapshot was made");
    assert_eq!(tree(home.path()), before);
}
