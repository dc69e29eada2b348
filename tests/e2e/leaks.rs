//! Ten thousand calls through two nodes, and nothing of them is left.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use althing_tests::{Home, Node, get, poll};

/// Calls in all. Of each hundred, some are streams that are read to their end, and some are given up in their middle.
const CALLS: usize = 10_000;
const CLIENTS: usize = 8;

/// Connections to the agent that a node keeps for the next call: at most two for each client here.
const KEPT_MAX: usize = 2 * CLIENTS;

/// An agent that answers POST at once, and GET with a stream that ends after three events or, at `/rest/tasks/waits`, never.
struct Agent(String);

impl Agent {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shown = address.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let address = address.clone();
                thread::spawn(move || serve(&stream.unwrap(), &address));
            }
        });
        Self(shown)
    }
}

/// Answers until the other side goes.
fn serve(stream: &TcpStream, address: &str) -> Option<()> {
    stream.set_nodelay(true).ok()?;
    let mut reader = BufReader::new(stream);
    let mut writer = stream;
    loop {
        let (request, length) = head(&mut reader)?;
        std::io::copy(&mut reader.by_ref().take(length), &mut std::io::sink()).ok()?;
        let target = request.split(' ').nth(1)?;
        let answer = |body: &str| {
            format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        if target.contains("agent-card") {
            let interface = |binding: &str, path: &str| {
                format!(
                    r#"{{"url":"http://{address}{path}","protocolBinding":"{binding}","protocolVersion":"1.0"}}"#
                )
            };
            let card = format!(
                r#"{{"name":"Tireless","description":"Answers.","version":"1","capabilities":{{"streaming":true}},
                "supportedInterfaces":[{},{}],"defaultInputModes":["text/plain"],"defaultOutputModes":["text/plain"],
                "skills":[{{"id":"x","name":"x","description":"x","tags":["x"]}}]}}"#,
                interface("JSONRPC", "/"),
                interface("HTTP+JSON", "/rest")
            );
            writer.write_all(answer(&card).as_bytes()).ok()?;
        } else if target == "/" {
            writer.write_all(answer(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).as_bytes()).ok()?;
        } else {
            let head =
                "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
            writer.write_all(head.as_bytes()).ok()?;
            writer.write_all(b"9\r\ndata: 1\n\n\r\n").ok()?;
            if target == "/rest/tasks/waits" {
                // Ends when the node hangs up.
                return (reader.read(&mut [0]).ok()? > 0).then_some(());
            }
            writer.write_all(b"9\r\ndata: 2\n\n\r\n9\r\ndata: 3\n\n\r\n0\r\n\r\n").ok()?;
        }
    }
}

/// The first line of a message's head, and how long its body is.
fn head(reader: &mut impl BufRead) -> Option<(String, u64)> {
    let (mut first, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Some((first, length));
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
        if first.is_empty() {
            first = line.to_owned();
        }
    }
}

/// One client of a door.
struct Client {
    door: String,
    base: String,
    stream: BufReader<TcpStream>,
}

impl Client {
    fn connect(door: &str, agent: &str) -> Self {
        let stream = TcpStream::connect(door).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let base = format!("/a2a/agents/{agent}");
        Self { door: door.to_owned(), base, stream: BufReader::new(stream) }
    }

    fn ask(&mut self, method: &str, path: &str, body: &str) -> (String, u64) {
        let request = format!(
            "{method} {}{path} HTTP/1.1\r\nhost: {}\r\na2a-version: 1.0\r\ncontent-length: {}\r\n\r\n{body}",
            self.base,
            self.door,
            body.len()
        );
        self.stream.get_ref().write_all(request.as_bytes()).unwrap();
        head(&mut self.stream).expect("an answer")
    }

    fn call(&mut self) -> bool {
        let (status, length) = self.ask("POST", "/", r#"{"jsonrpc":"2.0","id":1,"method":"SendMessage"}"#);
        let mut body = vec![0; length.try_into().unwrap()];
        self.stream.read_exact(&mut body).unwrap();
        status.contains("200") && body.ends_with(br#""result":{}}"#)
    }

    /// Reads a stream of events to its end.
    fn follow(&mut self) {
        let (status, _) = self.ask("GET", "/tasks/ends", "");
        assert!(status.contains("200"), "{status}");
        let mut events = 0;
        loop {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            events += usize::from(line.starts_with("data: "));
            // The last chunk.
            if line == "0\r\n" {
                self.stream.read_line(&mut line).unwrap();
                assert_eq!(events, 3);
                return;
            }
        }
    }

    /// Begins a stream and goes away once its first event is there.
    fn give_up(mut self) -> Self {
        let (status, _) = self.ask("GET", "/tasks/waits", "");
        assert!(status.contains("200"), "{status}");
        let mut line = String::new();
        while !line.starts_with("data: 1") {
            line.clear();
            assert!(self.stream.read_line(&mut line).unwrap() > 0);
        }
        self.stream.get_ref().shutdown(Shutdown::Both).unwrap();
        Self::connect(&self.door, self.base.trim_start_matches("/a2a/agents/"))
    }
}

/// Makes so many calls from several clients at once.
fn work(door: &str, agent: &str, calls: usize) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut client = Client::connect(door, agent);
                loop {
                    match next.fetch_add(1, Ordering::Relaxed) {
                        number if number >= calls => return,
                        number if number % 100 < 5 => client = client.give_up(),
                        number if number % 100 < 10 => client.follow(),
                        _ => assert!(client.call()),
                    }
                }
            });
        }
    });
}

/// The sum of a metric over all series with this label.
fn metric(node: &Node, name: &str, label: &str) -> u64 {
    let api = node.api();
    let text = get(&api, "/metrics", &[("Host", &api)]).body;
    let series = text.lines().filter(|line| line.starts_with(name) && line.contains(label));
    series.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
}

/// Open descriptors, and live tasks, of a node that has no call under way.
fn held(node: &Node) -> (usize, usize) {
    poll("no call is under way", || (metric(node, "althing_calls_under_way", "") == 0).then_some(()));
    let open = std::fs::read_dir(format!("/proc/{}/fd", node.pid())).unwrap().count();
    (open, usize::try_from(metric(node, "althing_tasks", "")).unwrap())
}

#[test]
fn ten_thousand_calls_leave_no_stream_task_or_descriptor_behind() {
    let home = Home::new();
    let agent = Agent::start();
    let one = Node::up(&home.join("1"), &[]);
    let two = Node::join(&home.join("2"), &one);
    let url = format!("http://{}", agent.0);
    let exposed = one.ask("althing.exposed/v1", &["expose", &url, "--bg", "--no-probe"]);
    let did = exposed["agent"].as_str().unwrap();
    poll("the door finds the agent", || Client::connect(&two.api(), did).call().then_some(()));

    work(&two.api(), did, 400);
    let before = [&one, &two].map(held);
    work(&two.api(), did, CALLS);
    for (node, before) in [&one, &two].into_iter().zip(before) {
        poll("descriptors and tasks are as they were", || {
            let (open, tasks) = held(node);
            // Each connection that is kept is one of both.
            (open <= before.0 + KEPT_MAX && tasks <= before.1 + KEPT_MAX).then_some(())
        });
    }
    let all = u64::try_from(CALLS + 400).unwrap();
    for (node, side) in [(&two, "side=\"caller\""), (&one, "side=\"callee\"")] {
        let of =
            |outcome: &str| metric(node, &format!("althing_calls_total{{{side},outcome=\"{outcome}\""), "");
        assert_eq!((of("refused"), of("timeout")), (0, 0), "{side}");
        assert_eq!(of("broken"), all / 20, "given up: {side}");
        assert!(of("answered") >= all / 20 * 19, "{side}");
    }
}
