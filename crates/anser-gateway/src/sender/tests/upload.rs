//! Uploads against real peers: what arrives, what is given up, and that no more than a little of a body is in memory.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anser_core::channel::{Report, SendErrorKind};
use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::{HeaderMap, Method};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::peer::{Authority, Peer, Then, read_head};
use super::{LONG, OK, SHORT, Sender, answer, assert_error, post, sender, sender_with};
use crate::sender::{BodyStream, Upload};

const CHUNK: usize = 64 * 1024;
/// More than the sockets of both sides take without being read.
const HUGE: u64 = 256 * 1024 * 1024;

fn upload(url: &str, length: u64, body: BodyStream) -> Upload {
    Upload {
        method: Method::POST,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        length,
        body,
    }
}

/// These chunks, each after the runtime had a turn.
fn chunks(chunks: Vec<io::Result<&'static [u8]>>) -> BodyStream {
    Box::pin(stream::iter(chunks).then(|chunk| async move {
        tokio::task::yield_now().await;
        chunk.map(Bytes::from_static)
    }))
}

/// `length` bytes, a multiple of [`CHUNK`].
fn zeroes(length: u64) -> BodyStream {
    let count = usize::try_from(length).unwrap() / CHUNK;
    let zeroes = Bytes::from(vec![0; CHUNK]);
    Box::pin(stream::iter((0..count).map(move |_| Ok(zeroes.clone()))))
}

async fn send(sender: &Sender, upload: Upload) -> Report {
    sender.send_upload(upload, LONG, LONG).await
}

/// Reads the body of a request with this many bytes, without keeping it.
async fn swallow(stream: &mut tokio::net::TcpStream, mut length: u64) {
    let mut buffer = vec![0; CHUNK];
    while length > 0 {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the body is {length} bytes short");
        length -= read as u64;
    }
}

#[tokio::test]
async fn a_body_arrives_whole_with_its_length_and_the_connection_is_kept() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    for round in 0..2 {
        let body = chunks(vec![
            Ok(b"one,"),
            Ok(b""),
            Ok(b"two,"),
            Ok(b"three"),
            Ok(b""),
        ]);
        let report = send(&sender, upload(&peer.url("/"), 13, body)).await;
        assert_eq!(&answer(report).body[..], b"ok");
        let text = &peer.requests()[round];
        assert!(text.contains("content-length: 13\r\n"), "{text}");
        assert!(text.ends_with("\r\n\r\none,two,three"), "{text}");
    }
    let empty = send(&sender, upload(&peer.url("/"), 0, chunks(vec![]))).await;
    answer(empty);
    assert!(peer.requests()[2].contains("content-length: 0\r\n"));
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_kept_connection_that_was_closed_meanwhile_costs_no_byte_of_the_body() {
    let peer = Peer::answering(OK, Then::Close).await;
    let other = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    for round in 1..=3 {
        let body = chunks(vec![Ok(b"whole"), Ok(b" body")]);
        answer(send(&sender, upload(&peer.url("/"), 10, body)).await);
        peer.closed().await;
        // An exchange with somebody else lets this side's runtime notice the close too.
        answer(sender.send(post(&other.url("/")), LONG).await);
        assert_eq!(peer.accepted(), round);
        assert!(peer.requests()[round - 1].ends_with("\r\n\r\nwhole body"));
    }
}

#[tokio::test]
async fn a_huge_body_is_never_in_memory_as_a_whole() {
    /// A chunk that is counted for as long as it lives.
    struct Counted(Arc<AtomicUsize>);

    impl AsRef<[u8]> for Counted {
        fn as_ref(&self) -> &[u8] {
            &[7; CHUNK]
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::SeqCst);
        }
    }

    let peer = Peer::start(|peer, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        swallow(&mut stream, HUGE - head.surplus as u64).await;
        peer.note(head.text);
        stream.write_all(OK.as_bytes()).await.unwrap();
    })
    .await;
    let (living, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let highest = most.clone();
    let body = (0..HUGE / CHUNK as u64).map(move |_| {
        let now = living.fetch_add(1, Ordering::SeqCst) + 1;
        highest.fetch_max(now, Ordering::SeqCst);
        Ok(Bytes::from_owner(Counted(living.clone())))
    });
    let body = Box::pin(stream::iter(body));
    let report = sender()
        .send_upload(upload(&peer.url("/"), HUGE, body), LONG, 10 * LONG)
        .await;
    assert_eq!(&answer(report).body[..], b"ok");
    assert!(peer.requests()[0].contains(&format!("content-length: {HUGE}\r\n")));
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 4, "{most} chunks at a time");
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_given_up() {
    let peer = Peer::start(|_, mut stream| async move {
        read_head(&mut stream).await.unwrap();
        // The rest is never read.
        std::future::pending::<()>().await;
    })
    .await;
    let sender = sender();
    let upload = upload(&peer.url("/"), HUGE, zeroes(HUGE));
    let report = sender.send_upload(upload, SHORT, LONG).await;
    assert_error(
        report,
        SendErrorKind::TimedOut,
        true,
        "passed without progress while sending the body, of which",
    );
    assert_eq!(sender.open_connections(), 0);
}

#[tokio::test]
async fn a_peer_that_takes_all_and_says_nothing_is_given_up() {
    let peer = Peer::answering("", Then::Hang).await;
    let upload = upload(&peer.url("/"), 4, chunks(vec![Ok(b"body")]));
    let report = sender().send_upload(upload, SHORT, LONG).await;
    assert_error(
        report,
        SendErrorKind::TimedOut,
        true,
        "without progress while waiting for the answer",
    );
}

#[tokio::test]
async fn an_answer_before_the_body_is_sent_is_read_and_the_connection_closed() {
    let peer = Peer::start(|peer, mut stream| async move {
        let head = read_head(&mut stream).await.unwrap();
        let status = if head.text.starts_with("POST /refuse ") {
            "413 Payload Too Large"
        } else {
            "200 OK"
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 8\r\n\r\ntoo much");
        stream.write_all(answer.as_bytes()).await.unwrap();
        // It goes on reading, as a peer must that wants its answer to be heard.
        let mut rest = vec![0; CHUNK];
        while let Ok(1..) = stream.read(&mut rest).await {}
        peer.note("closed".to_owned());
    })
    .await;
    let sender = sender();
    let endless = || Box::pin(stream::repeat_with(|| Ok(Bytes::from_static(&[0; CHUNK]))));
    let report = send(&sender, upload(&peer.url("/refuse"), u64::MAX, endless())).await;
    let refused = answer(report);
    assert_eq!(
        (refused.status.as_u16(), &refused.body[..]),
        (413, &b"too much"[..])
    );
    peer.closed().await;
    let report = send(&sender, upload(&peer.url("/early"), u64::MAX, endless())).await;
    assert_error(
        report,
        SendErrorKind::Protocol,
        true,
        "answered 200 OK before",
    );
    peer.closed().await;
    assert_eq!((peer.requests().len(), sender.open_connections()), (2, 0));
}

#[tokio::test]
async fn a_body_that_is_not_as_announced_is_never_delivered() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    for (body, text) in [
        (
            chunks(vec![Ok(b"sho"), Ok(b"rt")]),
            "it ended after 5 of 10 bytes",
        ),
        (chunks(vec![]), "it ended after 0 of 10 bytes"),
        (
            chunks(vec![Ok(b"much too"), Ok(b" long")]),
            "longer than the 10 bytes",
        ),
        // The bytes beyond come when the body seems to be whole already.
        (
            chunks(vec![Ok(b"0123456789"), Ok(b""), Ok(b"a")]),
            "longer than the 10 bytes",
        ),
        (
            chunks(vec![
                Ok(b"01234"),
                Err(io::Error::other("the disk is gone")),
            ]),
            "the disk is gone",
        ),
        (
            chunks(vec![Ok(b"0123456789"), Err(io::Error::other("wrong hash"))]),
            "wrong hash",
        ),
    ] {
        let report = send(&sender, upload(&peer.url("/"), 10, body)).await;
        assert_error(report, SendErrorKind::Reset, true, text);
        peer.closed().await;
    }
    assert_eq!((peer.requests().len(), sender.open_connections()), (0, 0));
}

async fn http2() -> (Peer, Sender) {
    let authority = Authority::new("localhost");
    let peer = Peer::http2_taking(&authority).await;
    let sender = sender_with(|options| options.extra_ca_files = vec![authority.file()]);
    (peer, sender)
}

#[tokio::test]
async fn over_http2_a_body_arrives_over_a_connection_of_its_own() {
    let (peer, sender) = http2().await;
    let length = 4 * 1024 * 1024;
    for round in 1..=2 {
        let report = send(&sender, upload(&peer.https("/"), length, zeroes(length))).await;
        assert_eq!(answer(report).body, length.to_string());
        peer.closed().await;
        assert_eq!(peer.accepted(), round);
    }
    assert_eq!(peer.requests()[1], format!("/ of {length}"));
}

#[tokio::test]
async fn over_http2_an_early_answer_a_standstill_and_a_broken_body_end_the_connection() {
    let (peer, sender) = http2().await;
    let report = send(&sender, upload(&peer.https("/refuse"), HUGE, zeroes(HUGE))).await;
    assert_eq!(answer(report).status, 413);
    peer.closed().await;
    let report = send(&sender, upload(&peer.https("/early"), HUGE, zeroes(HUGE))).await;
    assert_error(
        report,
        SendErrorKind::Protocol,
        true,
        "answered 200 OK before",
    );
    peer.closed().await;

    let silent = upload(&peer.https("/silent"), HUGE, zeroes(HUGE));
    let report = sender.send_upload(silent, SHORT, LONG).await;
    assert_error(
        report,
        SendErrorKind::TimedOut,
        true,
        "while sending the body",
    );
    peer.closed().await;

    let short = chunks(vec![Ok(b"sho"), Ok(b"rt")]);
    let report = send(&sender, upload(&peer.https("/"), 10, short)).await;
    assert_error(
        report,
        SendErrorKind::Reset,
        true,
        "ended after 5 of 10 bytes",
    );
    peer.closed().await;
    assert_eq!(peer.requests().last().unwrap(), "broken off");
}

#[tokio::test]
async fn the_guard_judges_where_an_upload_goes() {
    let sender = Sender::new(super::SenderOptions {
        guard: super::AddressGuard::default(),
        ..super::options()
    });
    let upload = upload("http://127.0.0.1:1/", 1, chunks(vec![Ok(b"x")]));
    let report = send(&sender.unwrap(), upload).await;
    assert_error(report, SendErrorKind::Blocked, false, "guard.allow");
}

#[test]
fn an_upload_may_move_between_threads() {
    fn assert_send(_: impl Send) {}
    let sender = sender();
    let upload = upload("http://127.0.0.1:1/", 0, chunks(vec![]));
    assert_send(sender.send_upload(upload, Duration::ZERO, Duration::ZERO));
}
