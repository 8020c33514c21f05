//! TLS: served from files, both versions of HTTP offered, and slow handshakes dropped.

use std::sync::Arc;
use std::time::Duration;

use anser_edge::{EdgeOptions, TlsFiles};
use anser_gateway::GatewayOptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::client::Reply;
use crate::harness::{Server, start_with};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");

async fn server() -> Server {
    let edge = EdgeOptions {
        tls: Some(TlsFiles {
            certificate: format!("{FIXTURES}/first.crt").into(),
            key: format!("{FIXTURES}/first.key").into(),
        }),
        head_timeout: Duration::from_millis(200),
        ..EdgeOptions::default()
    };
    start_with(GatewayOptions::default(), edge).await
}

fn connector(protocols: &[&[u8]]) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    let certificate = CertificateDer::from_pem_file(format!("{FIXTURES}/first.crt")).unwrap();
    roots.add(certificate).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsConnector::from(Arc::new(config))
}

#[tokio::test]
async fn https_is_served_and_http2_is_preferred() {
    let server = server().await;
    let localhost = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(server.address).await.unwrap();
    let mut stream = connector(&[b"http/1.1"])
        .connect(localhost.clone(), stream)
        .await
        .unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _no_close_notify = stream.read_to_end(&mut answer).await;
    assert_eq!(Reply::parse(&answer).status, 200);

    let stream = TcpStream::connect(server.address).await.unwrap();
    let stream = connector(&[b"http/1.1", b"h2"])
        .connect(localhost, stream)
        .await
        .unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    drop(stream);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_handshake_is_dropped() {
    let server = server().await;
    for first in [&b""[..], b"\x16\x03", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(first).await.unwrap();
        let mut answer = Vec::new();
        let _reset = stream.read_to_end(&mut answer).await;
        assert!(!answer.starts_with(b"HTTP"), "{first:?}");
    }
    server.stop().await;
}
