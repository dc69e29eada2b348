use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use althing_gateway::{Config, Gateway, StartError, TokenError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

use crate::scripted::{Node, SHORT, Script, backend, private_dir, start_idle};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().mode() & 0o7777
}

async fn refused(config: Config) -> StartError {
    let (sender, _) = mpsc::channel(1);
    Gateway::start(config, backend(sender)).await.unwrap_err()
}

#[tokio::test]
async fn files_are_private_and_go_away() {
    let parent = private_dir();
    let home = parent.path().join("new/home");
    let running = start_idle(&home).await.unwrap();
    assert_eq!(mode(&home), 0o700);
    for name in ["api.token", "api.sock", "api.addr"] {
        assert_eq!(mode(&home.join(name)), 0o600, "{name}");
    }
    let address = std::fs::read_to_string(home.join("api.addr")).unwrap();
    assert_eq!(address, format!("{}\n", running.address()));
    running.stop().await;
    let left: Vec<_> = std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["api.token"]);
}

#[tokio::test]
async fn dropping_removes_the_files_too() {
    let home = private_dir();
    drop(start_idle(home.path()).await.unwrap());
    assert!(!home.path().join("api.sock").exists() && !home.path().join("api.addr").exists());
}

#[tokio::test]
async fn the_token_stays_the_same() {
    let home = private_dir();
    start_idle(home.path()).await.unwrap().stop().await;
    let token = std::fs::read(home.path().join("api.token")).unwrap();
    start_idle(home.path()).await.unwrap().stop().await;
    assert_eq!(std::fs::read(home.path().join("api.token")).unwrap(), token);
}

#[tokio::test]
async fn addresses_beyond_loopback_are_refused_by_name() {
    for address in ["0.0.0.0:0", "192.0.2.1:80", "[::]:0"] {
        let home = private_dir();
        let mut config = Config::new(home.path());
        config.tcp = address.parse().unwrap();
        let error = refused(config).await;
        assert!(matches!(error, StartError::NotLoopback { .. }), "{error}");
        assert!(error.to_string().contains(address) && error.to_string().contains("needs TLS"));
        assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
    }
}

#[tokio::test]
async fn a_port_in_use_is_named_and_nothing_is_left() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let home = private_dir();
    let mut config = Config::new(home.path());
    config.tcp = taken.local_addr().unwrap();
    let error = refused(config).await;
    assert!(matches!(error, StartError::AddressInUse { .. }), "{error}");
    assert!(error.to_string().contains(&taken.local_addr().unwrap().to_string()));
    assert!(error.hint().unwrap().contains("another port"));
    assert!(!home.path().join("api.sock").exists() && !home.path().join("api.addr").exists());
}

#[tokio::test]
async fn a_stale_socket_is_replaced() {
    let home = private_dir();
    let socket = home.path().join("api.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    assert!(socket.exists());
    let running = start_idle(home.path()).await.unwrap();
    assert!(tokio::net::UnixStream::connect(&socket).await.is_ok());
    running.stop().await;
}

#[tokio::test]
async fn a_live_socket_is_left_alone() {
    let node = Node::start().await;
    let error = refused(Config::new(node.home.path())).await;
    assert!(matches!(error, StartError::SocketInUse { .. }), "{error}");
    assert!(error.hint().is_some());
    assert!(node.client().await.status().await.is_ok());
}

#[tokio::test]
async fn a_file_at_the_sockets_place_is_left_alone() {
    let home = private_dir();
    std::fs::write(home.path().join("api.sock"), "precious").unwrap();
    let error = refused(Config::new(home.path())).await;
    assert!(matches!(error, StartError::NotASocket { .. }), "{error}");
    assert_eq!(std::fs::read(home.path().join("api.sock")).unwrap(), b"precious");
}

#[tokio::test]
async fn a_socket_path_that_is_too_long_is_named() {
    let parent = private_dir();
    let error = refused(Config::new(parent.path().join("a".repeat(100)))).await;
    assert!(matches!(error, StartError::SocketPath { bytes: 108.., .. }), "{error}");
    assert!(error.hint().unwrap().contains("shorter"));
}

#[tokio::test]
async fn an_open_token_file_is_refused() {
    let home = private_dir();
    start_idle(home.path()).await.unwrap().stop().await;
    let token = home.path().join("api.token");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = refused(Config::new(home.path())).await;
    assert!(matches!(error, StartError::Token(TokenError::TooOpen { mode: 0o644, .. })), "{error}");
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn an_open_home_is_refused() {
    let home = private_dir();
    std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let error = refused(Config::new(home.path())).await;
    assert!(matches!(error, StartError::HomeOpen { mode: 0o755, .. }), "{error}");
    assert!(error.hint().unwrap().starts_with("chmod 700"));
}

#[tokio::test]
async fn stopping_does_not_wait_for_a_silent_node_or_an_idle_client() {
    let node = Node::with(|config| config.stop_timeout = SHORT).await;
    node.play(Script::Silent);
    let mut idle = TcpStream::connect(node.running.address()).await.unwrap();
    idle.write_all(b"GET /livez HTTP/1.1\r\n").await.unwrap();
    let client = node.client().await;
    let waiting = tokio::spawn(async move { client.status().await });
    let Node { running, .. } = node;
    running.stop().await;
    assert!(waiting.await.unwrap().is_err());
    let _ = idle.read_to_end(&mut Vec::new()).await;
}

#[tokio::test]
async fn an_answer_under_way_is_finished() {
    let home = private_dir();
    let (sender, mut receiver) = mpsc::channel(1);
    let running = Gateway::start(Config::new(home.path()), backend(sender)).await.unwrap();
    let client = althing_gateway::Client::connect(home.path()).await.unwrap();
    let waiting = tokio::spawn(async move { client.status().await });
    let (ask, reply) = receiver.recv().await.unwrap();
    let stopping = tokio::spawn(running.stop());
    reply.send(crate::samples::answer(&ask, &crate::journal::Journal::new())).unwrap();
    assert!(waiting.await.unwrap().is_ok());
    stopping.await.unwrap();
}
