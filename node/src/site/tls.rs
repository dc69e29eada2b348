use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;

use super::any_certificate::AnyCertificate;

/// TLS towards agents at https addresses: whom this machine's certificates vouch for.
pub(crate) fn tls() -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(found.certs);
    let config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for every version")
        .with_root_certificates(roots)
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

/// TLS that hides what is said from those who only listen: anybody may be at the other end.
pub(crate) fn tls_with_any_certificate() -> TlsConnector {
    let provider = provider();
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
        .with_safe_default_protocol_versions()
        .expect("the provider has ciphers for every version")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        .with_no_client_auth();
    TlsConnector::from(Arc::new(config))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::{PrivateKeyDer, ServerName};
    use tokio_rustls::TlsAcceptor;

    use super::*;

    /// How a client meets a server whose certificate nobody vouches for, and which is for another name.
    async fn met(client: TlsConnector) -> std::io::Result<()> {
        let made = rcgen::generate_simple_self_signed(["elsewhere.example".to_owned()]).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.key_pair.serialize_der().into());
        let config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .unwrap();
        let (near, far) = tokio::io::duplex(64 * 1_024);
        let name = ServerName::try_from("agent.example").unwrap();
        let (met, _) =
            tokio::join!(client.connect(name, near), TlsAcceptor::from(Arc::new(config)).accept(far));
        met.map(|_| ())
    }

    #[tokio::test]
    async fn a_strange_certificate_is_taken_only_where_any_is() {
        let refused = met(tls()).await.unwrap_err().to_string();
        assert!(refused.contains("certificate"), "{refused}");
        met(tls_with_any_certificate()).await.unwrap();
    }
}
