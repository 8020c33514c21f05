//! Framed TCP over TLS, with the certificate of the HTTP listener: a client that trusts it talks, what is no TLS ends
//! cleanly, a handshake that does not end is ended, and a renewed certificate needs no restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::client::{framed, read_frame, soon};
use crate::harness::{Server, ServerOptions, eventually};

/// Clients that begin a handshake and leave it at that.
const SILENT: usize = 100;

/// A key of the server, so that the tests need no issuer: its API speaks TLS too.
const KEY: &str = "live-tls-0123456789abcdef0123456789abcdef";

/// A certificate for `localhost` that is its own authority, in files that can be replaced.
struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    fn new() -> Self {
        let certificate = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        certificate.renew();
        certificate
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another one in its place.
    fn renew(&self) {
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let put = |name: &str, text: String| {
            let fresh = self.path("fresh");
            std::fs::write(&fresh, text).unwrap();
            std::fs::rename(fresh, self.path(name)).unwrap();
        };
        put("tls.key", made.signing_key.serialize_pem());
        put("tls.crt", made.cert.pem());
    }

    /// A client that trusts it as it is now.
    fn connector(&self) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        let certificate = CertificateDer::from_pem_file(self.path("tls.crt")).unwrap();
        roots.add(certificate).unwrap();
        let provider = Arc::new(aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

struct World {
    server: Server,
    tcp: String,
    certificate: Certificate,
}

impl World {
    fn start() -> Self {
        let certificate = Certificate::new();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = free.local_addr().unwrap().to_string();
        drop(free);
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let server = ServerOptions::default()
            .with_key(KEY)
            .set("live__tcp", &tcp)
            .set("live__tcp_tls", "true")
            .set("tls__certificate", &text(&certificate.path("tls.crt")))
            .set("tls__key", &text(&certificate.path("tls.key")))
            .start();
        Self {
            server,
            tcp,
            certificate,
        }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(&self.tcp).await.unwrap();
        let name = ServerName::try_from("localhost").unwrap();
        let connecting = self.certificate.connector().connect(name, stream);
        soon("a handshake", connecting).await
    }

    async fn say(stream: &mut TlsStream<TcpStream>, frame: &Value) -> Value {
        let frame = framed(frame.to_string().as_bytes());
        stream.write_all(&frame).await.unwrap();
        let answer = soon("a frame", read_frame(stream)).await.unwrap();
        serde_json::from_slice(&answer).unwrap()
    }

    async fn enter(&self) -> TlsStream<TcpStream> {
        let mut stream = self.connect().await.unwrap();
        let welcome = Self::say(&mut stream, &json!({"op": "auth", "token": KEY})).await;
        assert_eq!(welcome["kind"], "welcome", "{welcome}");
        stream
    }
}

#[tokio::test]
async fn framed_tcp_speaks_tls_and_takes_a_renewed_certificate() {
    let world = World::start();
    assert!(world.server.base().starts_with("https://"));
    let mut stream = world.enter().await;
    let answer = World::say(&mut stream, &json!({"op": "ping", "ref": "1"})).await;
    assert_eq!((&answer["op"], &answer["ref"]), (&json!("ok"), &json!("1")));
    // A large frame takes many records of TLS, and arrives whole: it is read, and judged as what it is.
    let largest = json!({"op": "ping", "padding": "x".repeat(1024 * 1024 - 100)});
    let answer = World::say(&mut stream, &largest).await;
    assert_eq!(answer["code"], "invalid_field", "{answer}");
    // Whoever breaks the framing is told why, and the end of TLS is said too.
    stream.write_all(&[0xff; 8]).await.unwrap();
    let told = soon("a reason", read_frame(&mut stream)).await.unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["reason"], "malformed", "{told}");
    assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "close_notify");

    let mut before = world.enter().await;
    world.certificate.renew();
    eventually("the renewed certificate", || async {
        world.connect().await.ok().map(drop)
    })
    .await;
    drop(world.enter().await);
    // Who was there goes on.
    let answer = World::say(&mut before, &json!({"op": "ping"})).await;
    assert_eq!(answer["op"], "ok");
}

#[tokio::test]
async fn what_is_no_tls_and_what_never_ends_its_handshake_is_closed() {
    let world = World::start();
    let mut neighbour = world.enter().await;
    let mut silent = Vec::new();
    for n in 0..SILENT {
        let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
        // Half of them begin the record of a `ClientHello`.
        let first: &[u8] = if n % 2 == 0 {
            b""
        } else {
            b"\x16\x03\x01\x02\x00\x01"
        };
        stream.write_all(first).await.unwrap();
        silent.push(stream);
    }
    let hello = framed(json!({"op": "auth", "token": KEY}).to_string().as_bytes());
    for plain in [&hello[..], b"GET / HTTP/1.1\r\n\r\n", &[0; 64]] {
        let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
        stream.write_all(plain).await.unwrap();
        let mut sent = Vec::new();
        // A reset is an end too.
        drop(soon("the end", stream.read_to_end(&mut sent)).await);
        // At the most an alert of TLS (RFC 8446 §6: content type 21), never a frame in the clear.
        assert!(sent.is_empty() || sent[0] == 21, "{sent:?}");
    }
    for mut stream in silent {
        let mut sent = Vec::new();
        drop(soon("the end of a handshake", stream.read_to_end(&mut sent)).await);
        assert!(sent.is_empty() || sent[0] == 21, "{sent:?}");
    }
    let answer = World::say(&mut neighbour, &json!({"op": "ping"})).await;
    assert_eq!(answer["op"], "ok");
}
