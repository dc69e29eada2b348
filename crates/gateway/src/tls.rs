use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::StartError;

/// With what the API is served over TLS 1.3; both files are PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// Its private key (PKCS #8, PKCS #1 or SEC 1), which other users must not be able to read.
    pub private_key: PathBuf,
}

impl Tls {
    /// Reads the files.
    pub(crate) fn acceptor(&self) -> Result<TlsAcceptor, StartError> {
        check_mode(&self.private_key)?;
        let chain: Vec<_> = CertificateDer::pem_file_iter(&self.certificate)
            .and_then(Iterator::collect)
            .map_err(|cause| failed(&self.certificate, &cause))?;
        let key = PrivateKeyDer::from_pem_file(&self.private_key)
            .map_err(|cause| failed(&self.private_key, &cause))?;
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|cause| failed(&self.certificate, &cause))?;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

fn failed(path: &Path, cause: &impl ToString) -> StartError {
    StartError::Tls { path: path.to_owned(), cause: cause.to_string() }
}

fn check_mode(path: &Path) -> Result<(), StartError> {
    let metadata = std::fs::metadata(path).map_err(|cause| failed(path, &cause))?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & 0o007 == 0 { Ok(()) } else { Err(StartError::TlsKeyOpen { path: path.to_owned(), mode }) }
}
