//! The sender over HTTP/2: one connection for all attempts at an endpoint, and what becomes of it.

use anser_core::channel::SendErrorKind;
use anser_core::limits::RESPONSE_BYTES_MAX;

use super::peer::{Authority, Peer};
use super::{LONG, SHORT, Sender, answer, assert_error, post, sender_with};

async fn peer_and_sender() -> (Peer, Sender) {
    let authority = Authority::new("localhost");
    let peer = Peer::http2(&authority).await;
    (peer, trusting(&authority))
}

fn trusting(authority: &Authority) -> Sender {
    sender_with(|options| options.extra_ca_files = vec![authority.file()])
}

#[tokio::test]
async fn one_connection_carries_all_attempts() {
    let (peer, sender) = peer_and_sender().await;
    let first = sender.send(post(&peer.https("/a?b=c")), LONG).await;
    assert!(first.timing.tls_us > 0 && first.timing.first_byte_us > 0);
    assert_eq!(first.peer, Some(peer.address));
    assert_eq!(&answer(first).body[..], b"two");
    let attempts = (0..20).map(|_| sender.send(post(&peer.https("/")), LONG));
    for report in futures_util::future::join_all(attempts).await {
        assert_eq!(report.timing.tls_us, 0);
        assert_eq!(report.peer, Some(peer.address));
        assert_eq!(&answer(report).body[..], b"two");
    }
    assert_eq!((peer.accepted(), sender.open_connections()), (1, 1));
    let port = peer.address.port();
    assert_eq!(
        peer.requests()[0],
        format!("HTTP/2.0 https://localhost:{port}/a?b=c")
    );
    sender.close_idle();
    peer.closed().await;
    answer(sender.send(post(&peer.https("/")), LONG).await);
    assert_eq!(peer.accepted(), 2);
}

#[tokio::test]
async fn limits_hold_and_leave_the_connection_to_others() {
    let (peer, sender) = peer_and_sender().await;
    let large = answer(sender.send(post(&peer.https("/large")), LONG).await);
    assert_eq!(large.body.len(), RESPONSE_BYTES_MAX);
    let flood = sender.send(post(&peer.https("/flood")), LONG).await;
    assert_error(flood, SendErrorKind::Protocol, true, "headers");
    answer(sender.send(post(&peer.https("/")), LONG).await);
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_that_did_not_answer_in_time_is_not_used_again() {
    let (peer, sender) = peer_and_sender().await;
    answer(sender.send(post(&peer.https("/")), LONG).await);
    let silent = sender.send(post(&peer.https("/silent")), SHORT).await;
    assert_error(
        silent,
        SendErrorKind::TimedOut,
        true,
        "waiting for the answer",
    );
    answer(sender.send(post(&peer.https("/")), LONG).await);
    assert_eq!(peer.accepted(), 2);
    // The first one was closed, as nobody used it any more.
    peer.closed().await;
}

#[tokio::test]
async fn a_refused_stream_was_not_sent_and_another_reset_may_have_been() {
    let authority = Authority::new("localhost");
    for (reason, sent) in [
        (h2::Reason::REFUSED_STREAM, false),
        (h2::Reason::INTERNAL_ERROR, true),
    ] {
        let peer = Peer::http2_resetting(&authority, reason).await;
        let report = trusting(&authority)
            .send(post(&peer.https("/")), LONG)
            .await;
        assert_error(report, SendErrorKind::Reset, sent, "stream");
    }
}
