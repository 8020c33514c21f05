//! The TLS settings of outgoing connections: rustls on aws-lc-rs, the public authorities of webpki-roots and those of
//! the configuration, HTTP/2 offered before HTTP/1.1. Verification is never switched off.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anser_core::{Problem, ProblemKind};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use url::Host;

/// ALPN's name of HTTP/2 over TLS (RFC 9113 §3.2).
pub(super) const HTTP2: &[u8] = b"h2";
/// ALPN's name of HTTP/1.1 (RFC 7301 §6).
const HTTP1: &[u8] = b"http/1.1";

/// What makes TLS of a TCP stream for HTTP.
pub(super) fn connector(extra_ca_files: &[PathBuf]) -> Result<TlsConnector, Problem> {
    with_protocols(extra_ca_files, &[HTTP2, HTTP1])
}

/// What makes TLS of a TCP stream for mail, which names no protocol.
pub(super) fn mail_connector(extra_ca_files: &[PathBuf]) -> Result<TlsConnector, Problem> {
    with_protocols(extra_ca_files, &[])
}

/// What makes TLS of a TCP stream for a WebSocket, whose handshake is HTTP/1.1 (RFC 6455 §4.1).
pub(super) fn socket_connector(extra_ca_files: &[PathBuf]) -> Result<TlsConnector, Problem> {
    with_protocols(extra_ca_files, &[HTTP1])
}

fn with_protocols(
    extra_ca_files: &[PathBuf],
    protocols: &[&[u8]],
) -> Result<TlsConnector, Problem> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for file in extra_ca_files {
        add(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    Ok(TlsConnector::from(Arc::new(config)))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Problem> {
    let refused = |why: String| {
        Problem::new(
            ProblemKind::Invalid,
            "invalid_setting",
            format!(
                "the certificate file {} {why}; give a PEM file of certificates",
                file.display()
            ),
        )
        .field("sender.extra_ca_files")
    };
    let certificates: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| refused(format!("cannot be read ({error})")))?;
    if certificates.is_empty() {
        return Err(refused("holds no certificate".to_owned()));
    }
    for certificate in certificates {
        roots
            .add(certificate)
            .map_err(|error| refused(format!("holds an unusable certificate ({error})")))?;
    }
    Ok(())
}

/// The name that the certificate must be for.
pub(super) fn server_name(host: &Host<&str>) -> Result<ServerName<'static>, String> {
    match host {
        // A certificate never has the root's dot.
        Host::Domain(name) => ServerName::try_from(name.trim_end_matches('.').to_owned())
            .map_err(|_| format!("{name} is no name that a certificate can be for")),
        Host::Ipv4(address) => Ok(ServerName::IpAddress((*address).into())),
        Host::Ipv6(address) => Ok(ServerName::IpAddress((*address).into())),
    }
}
