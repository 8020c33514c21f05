//! Peers for the sender's tests: real listeners on loopback that answer as they are told, plain or over TLS.

use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use crate::sender::RESPONSE_HEADERS_MAX;

/// What a peer does after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Wait for the next request.
    Keep,
    /// Close the connection.
    Close,
    /// Reset it (an RST, not a FIN).
    Reset,
    /// Say nothing more, ever.
    Hang,
    /// Say `x` for as long as somebody listens.
    Flood,
}

#[derive(Clone)]
pub(super) struct Peer {
    pub(super) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    closed: Arc<tokio::sync::Semaphore>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Peer {
    /// Gives every request the same answer.
    pub(super) async fn answering(answer: impl Into<Vec<u8>>, then: Then) -> Self {
        let answer: Arc<[u8]> = answer.into().into();
        Self::start(move |peer, stream| {
            let answer = Arc::clone(&answer);
            async move { serve(peer, stream, &answer, then).await }
        })
        .await
    }

    /// The same over TLS, for HTTP/1.1 alone.
    pub(super) async fn answering_tls(answer: &'static str, authority: &Authority) -> Self {
        let acceptor = authority.acceptor(&[b"http/1.1"]);
        Self::start(move |peer, stream| {
            let acceptor = acceptor.clone();
            async move {
                let Ok(stream) = acceptor.accept(stream).await else {
                    return;
                };
                serve(peer, stream, answer.as_bytes(), Then::Keep).await;
            }
        })
        .await
    }

    /// HTTP/2 over TLS: answers `two`; `/large`, `/flood` (of headers) and `/silent` as their names say.
    pub(super) async fn http2(authority: &Authority) -> Self {
        let acceptor = authority.acceptor(&[b"h2", b"http/1.1"]);
        Self::start(move |peer, stream| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service = hyper::service::service_fn(
                    move |request: http::Request<hyper::body::Incoming>| {
                        peer.note(format!("{:?} {}", request.version(), request.uri()));
                        answer_http2(request.uri().path().to_owned())
                    },
                );
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// HTTP/2 over TLS: reads the whole body and answers with its length; at `/refuse` with 413 and at `/early` with 200
    /// before it reads any, and at `/silent` it does neither.
    pub(super) async fn http2_taking(authority: &Authority) -> Self {
        let acceptor = authority.acceptor(&[b"h2"]);
        Self::start(move |peer, stream| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let service =
                    hyper::service::service_fn(move |request| take(peer.clone(), request));
                let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            }
        })
        .await
    }

    /// HTTP/2 over TLS: ends every stream with `reason`.
    pub(super) async fn http2_resetting(authority: &Authority, reason: h2::Reason) -> Self {
        let acceptor = authority.acceptor(&[b"h2"]);
        Self::start(move |_, stream| {
            let acceptor = acceptor.clone();
            async move {
                let stream = acceptor.accept(stream).await.unwrap();
                let mut connection = h2::server::handshake(stream).await.unwrap();
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    respond.send_reset(reason);
                }
            }
        })
        .await
    }

    pub(super) async fn start<F, R>(handle: F) -> Self
    where
        F: Fn(Self, TcpStream) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = Self {
            address: listener.local_addr().unwrap(),
            accepted: Arc::default(),
            closed: Arc::new(tokio::sync::Semaphore::new(0)),
            requests: Arc::default(),
        };
        let served = peer.clone();
        spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                served.accepted.fetch_add(1, Ordering::SeqCst);
                let closed = Arc::clone(&served.closed);
                let handling = handle(served.clone(), stream);
                spawn(async move {
                    handling.await;
                    closed.add_permits(1);
                });
            }
        });
        peer
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(super) fn https(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.address.port())
    }

    /// Connections that were made to it.
    pub(super) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// What it was asked, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn note(&self, request: String) {
        self.requests.lock().unwrap().push(request);
    }

    /// Waits until it is done with one connection.
    pub(super) async fn closed(&self) {
        self.closed.acquire().await.unwrap().forget();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a stand-in peer ends with the test's runtime"
)]
pub(super) fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(future);
}

async fn answer_http2(path: String) -> Result<http::Response<Full<Bytes>>, Infallible> {
    let body = match path.as_str() {
        "/silent" => std::future::pending().await,
        "/large" => Bytes::from(vec![b'x'; 1024 * 1024]),
        _ => Bytes::from_static(b"two"),
    };
    let mut answer = http::Response::new(Full::new(body));
    if path == "/flood" {
        for number in 0..=RESPONSE_HEADERS_MAX {
            let name = format!("x-{number}").parse::<http::HeaderName>().unwrap();
            let value = http::HeaderValue::from_static("1");
            answer.headers_mut().insert(name, value);
        }
    }
    Ok(answer)
}

async fn take(
    peer: Peer,
    request: http::Request<hyper::body::Incoming>,
) -> Result<http::Response<Full<Bytes>>, hyper::Error> {
    let length = &request.headers()["content-length"];
    peer.note(format!(
        "{} of {}",
        request.uri().path(),
        length.to_str().unwrap()
    ));
    let mut status = http::StatusCode::OK;
    let mut bytes = 0;
    match request.uri().path() {
        "/refuse" => status = http::StatusCode::PAYLOAD_TOO_LARGE,
        "/early" => {}
        "/silent" => std::future::pending().await,
        _ => {
            let mut body = request.into_body();
            while let Some(frame) = body.frame().await {
                match frame {
                    Ok(frame) => bytes += frame.into_data().unwrap().len(),
                    Err(error) => {
                        peer.note("broken off".to_owned());
                        return Err(error);
                    }
                }
            }
        }
    }
    let mut answer = http::Response::new(Full::new(Bytes::from(bytes.to_string())));
    *answer.status_mut() = status;
    Ok(answer)
}

async fn serve<S>(peer: Peer, mut stream: S, answer: &[u8], then: Then)
where
    S: AsyncRead + AsyncWrite + Unpin + MaybeTcp,
{
    while let Some(request) = read_request(&mut stream).await {
        peer.note(request);
        if stream.write_all(answer).await.is_err() {
            return;
        }
        match then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => return stream.reset(),
            Then::Hang => return std::future::pending().await,
            Then::Flood => {
                while stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                return;
            }
        }
    }
}

/// The head of a request.
pub(super) struct Head {
    pub(super) text: String,
    /// Bytes of the body that came with it.
    pub(super) surplus: usize,
}

/// Reads the head of a request, and what of its body comes with it.
pub(super) async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> Option<Head> {
    let mut bytes = Vec::new();
    let end = read_to_head_end(stream, &mut bytes).await?;
    Some(Head {
        text: String::from_utf8(bytes[..end].to_vec()).unwrap(),
        surplus: bytes.len() - end,
    })
}

async fn read_to_head_end(
    stream: &mut (impl AsyncRead + Unpin),
    bytes: &mut Vec<u8>,
) -> Option<usize> {
    loop {
        if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            return Some(at + 4);
        }
        if stream.read_buf(bytes).await.ok()? == 0 {
            return None;
        }
    }
}

/// Reads a request with a `content-length` body, if any.
pub(super) async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let head_end = read_to_head_end(stream, &mut bytes).await?;
    let head = String::from_utf8(bytes[..head_end].to_vec()).unwrap();
    let length: usize = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().unwrap());
    while bytes.len() < head_end + length {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    Some(String::from_utf8(bytes).unwrap())
}

/// Resetting needs the socket itself.
pub(super) trait MaybeTcp {
    fn reset(self);
}

impl MaybeTcp for TcpStream {
    fn reset(self) {
        self.set_zero_linger().unwrap();
    }
}

impl<S> MaybeTcp for tokio_rustls::server::TlsStream<S> {
    fn reset(self) {}
}

/// A self-made certificate for `localhost`, and the file that makes the sender trust it.
pub(super) struct Authority {
    key: CertifiedKey<rcgen::KeyPair>,
    folder: tempfile::TempDir,
}

impl Authority {
    pub(super) fn new(name: &str) -> Self {
        let key = generate_simple_self_signed([name.to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("ca.pem"), key.cert.pem()).unwrap();
        Self { key, folder }
    }

    pub(super) fn file(&self) -> PathBuf {
        self.folder.path().join("ca.pem")
    }

    pub(super) fn acceptor(&self, protocols: &[&[u8]]) -> TlsAcceptor {
        let key = PrivateKeyDer::try_from(self.key.signing_key.serialize_der()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.key.cert.der().clone()], key)
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        TlsAcceptor::from(Arc::new(config))
    }
}
