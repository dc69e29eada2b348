use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::app::App;
use crate::docs::DocsPage;
use crate::edge::Edge;
use crate::files::{self, Owned};
use crate::listener::{self, TlsListener};
use crate::token::Token;
use crate::{Backend, Config, StartError, Tls, routes};

/// The server of the local API.
#[derive(Debug)]
pub struct Gateway;

impl Gateway {
    /// Finds out, without touching anything, what of this configuration can never work.
    ///
    /// # Errors
    /// When the address is beyond loopback and there is no TLS, or the home's path is too long for a socket in it.
    pub fn admit(config: &Config) -> Result<(), StartError> {
        if !config.tcp.ip().is_loopback() && config.tls.is_none() {
            return Err(StartError::NotLoopback { address: config.tcp });
        }
        files::admit_socket_path(&files::socket(&config.home))
    }

    /// Starts to serve on the Unix socket and on loopback TCP. Must run inside a tokio runtime.
    ///
    /// # Errors
    /// When an address, the home or the token cannot be used; see [`StartError`].
    pub async fn start(config: Config, backend: Backend) -> Result<Running, StartError> {
        Self::admit(&config)?;
        let acceptor = config.tls.as_ref().map(Tls::acceptor).transpose()?;
        files::private_home(&config.home)?;
        let token = Token::open_or_create(&files::token(&config.home))?;
        let socket = files::socket(&config.home);
        let (unix, socket_file) = files::bind_socket(&socket).await?;
        let (tcp, address) = bind_tcp(config.tcp).await?;
        let (stop, stopped) = watch::channel(());
        let openapi = routes::openapi()?;
        let docs = DocsPage::new(&serde_json::from_str(&openapi).map_err(StartError::OpenApi)?);
        let edge = Edge::new(&config, backend, token, address, openapi, docs, stopped.clone());
        let (app, url) = (App::new(&edge), edge.url());
        let address_file = files::write_address(&files::address(&config.home), address)?;

        let config = Arc::new(config);
        let connections_max = config.connections_max;
        let tasks = vec![
            tokio::spawn(listener::serve(
                unix,
                config.socket_connections_max,
                app.clone(),
                Arc::clone(&config),
                stopped.clone(),
            )),
            match acceptor {
                Some(acceptor) => {
                    let tls = TlsListener { tcp, acceptor };
                    tokio::spawn(listener::serve(tls, connections_max, app, config, stopped))
                }
                None => tokio::spawn(listener::serve(tcp, connections_max, app, config, stopped)),
            },
        ];
        tracing::info!(%address, socket = %socket.display(), "the local API is up");
        Ok(Running { address, url, socket, stop, tasks, files: vec![address_file, socket_file] })
    }
}

/// A gateway that serves. Dropping it stops it at once; [`Running::stop`] lets answers under way finish.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    url: String,
    socket: PathBuf,
    stop: watch::Sender<()>,
    tasks: Vec<JoinHandle<()>>,
    files: Vec<Owned>,
}

impl Running {
    /// The TCP address, with the port that the kernel chose.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The TCP address as an `http` or `https` URL, without a path.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The Unix socket.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Takes no further connections, removes `api.sock` and `api.addr`, and returns when all answers are sent or
    /// [`Config::stop_timeout`] has passed.
    pub async fn stop(mut self) {
        self.files.clear();
        self.stop.send_replace(());
        for task in &mut self.tasks {
            if let Err(error) = task.await {
                tracing::warn!(%error, "a listener of the local API failed");
            }
        }
        tracing::info!(address = %self.address, "the local API is down");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn bind_tcp(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let failed = |source: io::Error| {
        if source.kind() == io::ErrorKind::AddrInUse {
            StartError::AddressInUse { address }
        } else {
            StartError::Bind { address, source }
        }
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}
