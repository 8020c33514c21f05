//! The sender against real peers on loopback: what it reports of every way in which an attempt can end.

mod fetch;
mod http2;
mod peer;
mod upload;
mod websocket;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{HttpRequest, HttpResponse, Report, SendError, SendErrorKind};
use anser_core::clock::{ManualClock, SystemClock};
use anser_core::limits::RESPONSE_BYTES_MAX;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};

use super::{AddressGuard, GuardOptions, Resolver, Sender, SenderOptions};
use peer::{Authority, Peer, Then};

/// Far more than any of these attempts takes, so that only a hang would reach it.
const LONG: Duration = Duration::from_secs(20);
/// For attempts that are meant to run into it.
const SHORT: Duration = Duration::from_millis(50);

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Names with made-up addresses; every other name is `localhost` or unknown.
struct Names(Vec<(&'static str, Vec<SocketAddr>)>);

#[async_trait::async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
        if host == "localhost" {
            return Ok(vec![SocketAddr::from(([127, 0, 0, 1], port))]);
        }
        match self.0.iter().find(|(name, _)| *name == host) {
            Some((_, addresses)) => Ok(addresses.clone()),
            None => Err(io::Error::other("no such name")),
        }
    }
}

fn options() -> SenderOptions {
    let guard = AddressGuard::new(GuardOptions {
        allow_loopback: true,
        ..GuardOptions::default()
    });
    let resolver = Arc::new(Names(Vec::new()));
    SenderOptions {
        guard,
        ..SenderOptions::new(Arc::new(SystemClock::new()), resolver)
    }
}

fn sender() -> Sender {
    Sender::new(options()).unwrap()
}

fn sender_with(change: impl FnOnce(&mut SenderOptions)) -> Sender {
    let mut options = options();
    change(&mut options);
    Sender::new(options).unwrap()
}

fn post(url: &str) -> HttpRequest {
    HttpRequest {
        method: Method::POST,
        url: url.parse().unwrap(),
        headers: HeaderMap::new(),
        body: Bytes::from_static(b"hello"),
    }
}

fn answer(report: Report) -> HttpResponse {
    report.exchange.unwrap()
}

fn error(report: Report) -> SendError {
    report.exchange.unwrap_err()
}

#[track_caller]
fn assert_error(report: Report, kind: SendErrorKind, sent: bool, text: &str) {
    let error = error(report);
    assert_eq!((error.kind, error.sent), (kind, sent), "{error}");
    assert!(error.detail.contains(text), "{error}");
}

#[tokio::test]
async fn an_answer_comes_back_as_it_is() {
    let peer = Peer::answering(
        "HTTP/1.1 201 Created\r\nx-a: 1\r\nset-cookie: a=b\r\ncontent-length: 4\r\n\r\ndone",
        Then::Keep,
    )
    .await;
    let sender = sender();
    let mut request = post(&peer.url("/hook/%7Ea?b=c&d=%20#fragment"));
    for (name, value) in [
        ("x-mine", "yes"),
        ("host", "elsewhere.example"),
        ("content-length", "999"),
        ("transfer-encoding", "chunked"),
        ("connection", "close"),
    ] {
        request
            .headers
            .insert(name, HeaderValue::from_static(value));
    }
    let report = sender.send(request, LONG).await;
    assert_eq!(report.peer, Some(peer.address));
    let answer = answer(report);
    assert_eq!(answer.status, 201);
    assert_eq!(answer.headers["x-a"], "1");
    assert_eq!(&answer.body[..], b"done");
    // A cookie is not kept for the next request.
    sender
        .send(post(&peer.url("/")), LONG)
        .await
        .exchange
        .unwrap();
    let requests = peer.requests();
    let host = peer.address;
    assert_eq!(
        requests[0],
        format!(
            "POST /hook/%7Ea?b=c&d=%20 HTTP/1.1\r\nx-mine: yes\r\nhost: {host}\r\ncontent-length: 5\r\n\r\nhello"
        )
    );
    assert_eq!(
        requests[1],
        format!("POST / HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\n\r\nhello")
    );
}

#[tokio::test]
async fn an_empty_body_is_announced_and_a_large_one_arrives() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    let mut request = post(&peer.url("/"));
    request.body = Bytes::new();
    answer(sender.send(request, LONG).await);
    assert!(peer.requests()[0].contains("content-length: 0\r\n"));

    let mut request = post(&peer.url("/"));
    request.body = Bytes::from(vec![b'x'; 1024 * 1024]);
    answer(sender.send(request, LONG).await);
    assert!(peer.requests()[1].ends_with(&"x".repeat(1024 * 1024)));
    assert_eq!(peer.accepted(), 1);
}

#[tokio::test]
async fn a_connection_serves_one_attempt_after_another() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    let first = sender.send(post(&peer.url("/1")), LONG).await;
    assert!(first.timing.connect_us > 0 && first.timing.first_byte_us >= first.timing.connect_us);
    assert!(first.timing.total_us >= first.timing.first_byte_us);
    for _ in 0..5 {
        let again = sender.send(post(&peer.url("/2")), LONG).await;
        assert_eq!(
            again.timing.dns_us + again.timing.connect_us + again.timing.tls_us,
            0
        );
        assert!(again.timing.first_byte_us > 0);
        assert_eq!(again.peer, Some(peer.address));
        assert_eq!(&answer(again).body[..], b"ok");
    }
    assert_eq!((peer.accepted(), sender.open_connections()), (1, 1));
    sender.close_idle();
    assert_eq!(sender.open_connections(), 0);
    peer.closed().await;
}

#[tokio::test]
async fn attempts_at_a_time_use_a_connection_each_and_keep_no_more_than_the_limit() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let sender = sender_with(|options| options.idle_connections_per_endpoint_max = 2);
    let attempts = (0..5).map(|_| sender.send(post(&peer.url("/")), LONG));
    for report in futures_util::future::join_all(attempts).await {
        answer(report);
    }
    assert_eq!((peer.accepted(), sender.open_connections()), (5, 2));
}

#[tokio::test]
async fn every_framing_of_an_answer_is_read_and_its_connection_kept_if_it_can_be() {
    for (wire, then, body, kept) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            Then::Keep,
            "",
            1,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", Then::Keep, "", 1),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\nx-t: 1\r\n\r\n",
            Then::Keep,
            "abc",
            1,
        ),
        (
            "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na",
            Then::Keep,
            "a",
            1,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok",
            Then::Close,
            "ok",
            0,
        ),
        (
            "HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok",
            Then::Close,
            "ok",
            0,
        ),
        (
            "HTTP/1.1 200 OK\r\n\r\nto the end",
            Then::Close,
            "to the end",
            0,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 3\r\n\r\n\x1f\x0b\x08",
            Then::Keep,
            "\x1f\x0b\x08",
            1,
        ),
    ] {
        let peer = Peer::answering(wire, then).await;
        let sender = sender();
        let answer = answer(sender.send(post(&peer.url("/")), LONG).await);
        assert_eq!(answer.body, body, "{wire}");
        assert_eq!(sender.open_connections(), kept, "{wire}");
    }
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let target = Peer::answering(OK, Then::Keep).await;
    let location = target.url("/stolen");
    let peer = Peer::answering(
        format!("HTTP/1.1 302 Found\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"),
        Then::Keep,
    )
    .await;
    let answer = answer(sender().send(post(&peer.url("/")), LONG).await);
    assert_eq!(answer.status, 302);
    assert_eq!(answer.headers["location"], location.as_str());
    assert_eq!(target.accepted(), 0);
}

#[tokio::test]
async fn a_body_is_read_to_the_cap_and_no_further() {
    for head in [
        "HTTP/1.1 500 Oh\r\n\r\n",
        "HTTP/1.1 500 Oh\r\ncontent-length: 9999999999\r\n\r\n",
    ] {
        let peer = Peer::answering(head, Then::Flood).await;
        let sender = sender();
        let answer = answer(sender.send(post(&peer.url("/")), LONG).await);
        assert_eq!(answer.status, 500);
        assert_eq!(answer.body.len(), RESPONSE_BYTES_MAX);
        assert_eq!(sender.open_connections(), 0);
        // It noticed that nobody listens.
        peer.closed().await;
    }
    let exact = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {RESPONSE_BYTES_MAX}\r\n\r\n{}",
        "x".repeat(RESPONSE_BYTES_MAX)
    );
    let peer = Peer::answering(exact, Then::Keep).await;
    let sender = sender();
    let answer = answer(sender.send(post(&peer.url("/")), LONG).await);
    assert_eq!(
        (answer.body.len(), sender.open_connections()),
        (RESPONSE_BYTES_MAX, 1)
    );
}

#[tokio::test]
async fn refused_unresolved_and_unusable_are_told_apart_and_nothing_was_sent() {
    let free = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    let sender = sender();
    let report = sender.send(post(&format!("http://{free}/")), LONG).await;
    assert_eq!(report.peer, Some(free));
    assert_error(report, SendErrorKind::Refused, false, "refused");
    let report = sender.send(post("http://unknown.example/"), LONG).await;
    assert_error(
        report,
        SendErrorKind::Dns,
        false,
        "unknown.example: no such name",
    );
    let report = sender.send(post("ftp://example.com/"), LONG).await;
    assert_error(report, SendErrorKind::Protocol, false, "http or https");
    assert_eq!(sender.open_connections(), 0);
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_does_not_answer() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let nobody = SocketAddr::from(([127, 0, 0, 2], 1));
    let good = vec![nobody, peer.address];
    let bad = vec![nobody, nobody];
    let sender = sender_with(|options| {
        options.resolver = Arc::new(Names(vec![
            ("good.example", good),
            ("bad.example", bad),
            ("none.example", Vec::new()),
        ]));
    });
    let report = sender.send(post("http://good.example/"), LONG).await;
    assert_eq!(report.peer, Some(peer.address));
    answer(report);
    let report = sender.send(post("http://bad.example/"), LONG).await;
    assert_error(report, SendErrorKind::Refused, false, "none of 2 addresses");
    let report = sender.send(post("http://none.example/"), LONG).await;
    assert_error(report, SendErrorKind::Dns, false, "no address");
}

#[tokio::test]
async fn the_guard_judges_the_address_that_a_name_resolves_to() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let (address, url) = (peer.address, peer.url("/"));
    let sender = sender_with(|options| {
        options.guard = AddressGuard::default();
        options.resolver = Arc::new(Names(vec![("rebound.example", vec![address])]));
    });
    let report = sender.send(post("http://rebound.example/"), LONG).await;
    assert_error(report, SendErrorKind::Blocked, false, "guard.allow");
    let report = sender.send(post(&url), LONG).await;
    assert_error(
        report,
        SendErrorKind::Blocked,
        false,
        "127.0.0.1 is not a public address (loopback)",
    );
    assert_eq!((peer.accepted(), sender.open_connections()), (0, 0));

    let sender = sender_with(|options| {
        options.guard = AddressGuard::new(GuardOptions {
            allow_hosts: vec!["rebound.example".to_owned()],
            ..GuardOptions::default()
        });
        options.resolver = Arc::new(Names(vec![("rebound.example", vec![address])]));
    });
    answer(sender.send(post("http://rebound.example/"), LONG).await);
}

#[tokio::test]
async fn a_connection_that_breaks_is_reset_and_the_request_counts_as_sent() {
    for (wire, then) in [
        ("", Then::Close),
        ("", Then::Reset),
        ("HTTP/1.1 200 OK\r\ncontent-le", Then::Close),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal",
            Then::Close,
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal",
            Then::Reset,
        ),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhal",
            Then::Close,
        ),
    ] {
        let peer = Peer::answering(wire, then).await;
        let sender = sender();
        let report = sender.send(post(&peer.url("/")), LONG).await;
        assert_error(report, SendErrorKind::Reset, true, "");
        // It is not tried again: the request may have been processed.
        assert_eq!(
            (peer.accepted(), sender.open_connections()),
            (1, 0),
            "{wire} {then:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_http_or_breaks_a_limit_is_a_protocol_error() {
    let many = "x-a: 1\r\n".repeat(super::RESPONSE_HEADERS_MAX + 1);
    let long = "a".repeat(super::RESPONSE_HEAD_BYTES_MAX);
    for wire in [
        "SSH-2.0-OpenSSH_9.6\r\n\r\n".to_owned(),
        "HTTP/1.1 2000 OK\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n".to_owned(),
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab".to_owned(),
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        format!("HTTP/1.1 200 OK\r\nx-a: {long}"),
    ] {
        let peer = Peer::answering(wire.clone(), Then::Hang).await;
        let sender = sender();
        let report = sender.send(post(&peer.url("/")), LONG).await;
        let shown = &wire[..wire.len().min(60)];
        let error = error(report);
        assert_eq!(
            (error.kind, error.sent),
            (SendErrorKind::Protocol, true),
            "{shown}: {error}"
        );
        assert_eq!(sender.open_connections(), 0, "{shown}");
    }
}

#[tokio::test]
async fn one_deadline_ends_every_phase_and_the_error_says_which() {
    let silent = Peer::answering("", Then::Hang).await;
    let stalled = Peer::answering(
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhal",
        Then::Hang,
    )
    .await;
    let no_tls = Peer::start(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let sender = sender();
    for (url, sent, phase) in [
        (silent.url("/"), true, "waiting for the answer"),
        (stalled.url("/"), true, "reading the body"),
        (no_tls.https("/"), false, "in the TLS handshake"),
    ] {
        let report = sender.send(post(&url), SHORT).await;
        assert!(report.timing.total_us >= 45_000, "{:?}", report.timing);
        assert!(report.timing.total_us < 10_000_000, "{:?}", report.timing);
        assert_error(report, SendErrorKind::TimedOut, sent, phase);
        assert_eq!(sender.open_connections(), 0, "{phase}");
    }
}

#[tokio::test]
async fn an_attempt_that_is_dropped_closes_its_connection() {
    let silent = Peer::answering("", Then::Keep).await;
    let sender = sender();
    let attempt = sender.send(post(&silent.url("/")), LONG);
    assert!(tokio::time::timeout(SHORT, attempt).await.is_err());
    assert_eq!((silent.requests().len(), sender.open_connections()), (1, 0));
    silent.closed().await;
}

#[test]
fn an_attempt_may_move_between_threads() {
    fn assert_send(_: impl Send) {}
    let sender = sender();
    assert_send(sender.send(post("http://hooks.example/"), LONG));
    assert_send(sender);
}

#[tokio::test]
async fn a_look_up_that_hangs_ends_at_the_deadline() {
    struct Silent;
    #[async_trait::async_trait]
    impl Resolver for Silent {
        async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
            std::future::pending().await
        }
    }
    let sender = sender_with(|options| options.resolver = Arc::new(Silent));
    let report = sender.send(post("http://hooks.example/"), SHORT).await;
    assert_error(
        report,
        SendErrorKind::TimedOut,
        false,
        "looking up the name",
    );
}

#[tokio::test]
async fn a_kept_connection_that_the_peer_closed_is_replaced_without_a_trace() {
    let peer = Peer::answering(OK, Then::Close).await;
    let other = Peer::answering(OK, Then::Keep).await;
    let sender = sender();
    for round in 1..=3 {
        let report = sender.send(post(&peer.url("/")), LONG).await;
        assert_eq!(answer(report).status, 200);
        assert_eq!(peer.accepted(), round);
        peer.closed().await;
        // An exchange with somebody else lets this side's runtime notice the close too.
        answer(sender.send(post(&other.url("/")), LONG).await);
    }
    assert_eq!(peer.requests().len(), 3);
}

#[tokio::test]
async fn what_a_peer_says_unasked_on_a_kept_connection_is_not_taken_for_an_answer() {
    let peer = Peer::answering(
        format!("{OK}HTTP/1.1 408 Request Timeout\r\n\r\n"),
        Then::Keep,
    )
    .await;
    let sender = sender();
    for _ in 0..3 {
        assert_eq!(
            answer(sender.send(post(&peer.url("/")), LONG).await).status,
            200
        );
    }
}

#[tokio::test]
async fn idle_connections_expire() {
    let peer = Peer::answering(OK, Then::Keep).await;
    let clock = Arc::new(ManualClock::at(Timestamp::EPOCH));
    let given = Arc::clone(&clock);
    let sender = sender_with(|options| options.clock = given);
    answer(sender.send(post(&peer.url("/")), LONG).await);
    clock.advance(Duration::from_secs(60));
    sender.close_expired();
    answer(sender.send(post(&peer.url("/")), LONG).await);
    assert_eq!(peer.accepted(), 1);
    clock.advance(Duration::from_secs(91));
    answer(sender.send(post(&peer.url("/")), LONG).await);
    assert_eq!((peer.accepted(), sender.open_connections()), (2, 1));
    clock.advance(Duration::from_secs(91));
    sender.close_expired();
    assert_eq!(sender.open_connections(), 0);
}

#[tokio::test]
async fn at_the_limit_of_connections_idle_ones_make_room_and_then_attempts_wait() {
    let one = Peer::answering(OK, Then::Keep).await;
    let two = Peer::answering(OK, Then::Keep).await;
    let silent = Peer::answering("", Then::Hang).await;
    let sender = sender_with(|options| options.connections_max = 1);
    answer(sender.send(post(&one.url("/")), LONG).await);
    answer(sender.send(post(&two.url("/")), LONG).await);
    assert_eq!(sender.open_connections(), 1);

    // The first holds the only place until its deadline, the second waits for it in vain, the third gets it.
    let (held, waited, served) = tokio::join!(
        sender.send(post(&silent.url("/")), 4 * SHORT),
        sender.send(post(&one.url("/")), SHORT),
        sender.send(post(&one.url("/")), LONG),
    );
    assert_error(
        held,
        SendErrorKind::TimedOut,
        true,
        "waiting for the answer",
    );
    assert_error(waited, SendErrorKind::TimedOut, false, "connections_max");
    answer(served);
}

#[tokio::test]
async fn https_speaks_http1_with_a_peer_that_knows_nothing_else() {
    let authority = Authority::new("localhost");
    let peer = Peer::answering_tls(OK, &authority).await;
    let sender = sender_with(|options| options.extra_ca_files = vec![authority.file()]);
    let first = sender.send(post(&peer.https("/a")), LONG).await;
    assert!(first.timing.tls_us > 0);
    assert_eq!(&answer(first).body[..], b"ok");
    let again = sender.send(post(&peer.https("/b")), LONG).await;
    assert_eq!(again.timing.tls_us, 0);
    answer(again);
    assert_eq!(peer.accepted(), 1);
    assert!(peer.requests()[0].starts_with("POST /a HTTP/1.1\r\n"));
}

#[tokio::test]
async fn a_certificate_of_nobody_known_or_for_another_name_is_refused() {
    let authority = Authority::new("localhost");
    let peer = Peer::answering_tls(OK, &authority).await;
    let report = sender().send(post(&peer.https("/")), LONG).await;
    assert_error(report, SendErrorKind::Tls, false, "certificate");

    let other = Authority::new("elsewhere.example");
    let peer = Peer::answering_tls(OK, &other).await;
    let sender = sender_with(|options| options.extra_ca_files = vec![other.file()]);
    let report = sender.send(post(&peer.https("/")), LONG).await;
    assert_error(report, SendErrorKind::Tls, false, "certificate");

    let plain = Peer::answering(OK, Then::Keep).await;
    let closing = Peer::start(|_, _stream| async {}).await;
    for peer in [plain, closing] {
        let error = error(sender.send(post(&peer.https("/")), SHORT).await);
        assert!(!error.sent, "{error}");
    }
    assert_eq!(peer.requests().len(), 0);
}

#[test]
fn a_setting_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    for file in [empty, folder.path().join("missing.pem")] {
        let mut options = options();
        options.extra_ca_files = vec![file];
        let problem = Sender::new(options).unwrap_err();
        assert_eq!(
            problem.field.as_deref(),
            Some("sender.extra_ca_files"),
            "{problem}"
        );
    }
    for url in [
        "https://proxy.example",
        "socks5://proxy.example:1",
        "data:,x",
    ] {
        let mut options = options();
        options.proxy = Some(url.parse().unwrap());
        let problem = Sender::new(options).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("sender.proxy"), "{problem}");
    }
}

#[tokio::test]
async fn a_proxy_is_asked_in_absolute_form_for_http() {
    let proxy = Peer::answering(OK, Then::Keep).await;
    let url = format!("http://me:pass%20word@{}", proxy.address);
    let sender = sender_with(|options| {
        options.guard = AddressGuard::default();
        options.proxy = Some(url.parse().unwrap());
    });
    answer(sender.send(post("http://hooks.example:81/a?b"), LONG).await);
    assert_eq!(
        proxy.requests()[0],
        "POST http://hooks.example:81/a?b HTTP/1.1\r\nhost: hooks.example:81\r\n\
         proxy-authorization: Basic bWU6cGFzcyB3b3Jk\r\ncontent-length: 5\r\n\r\nhello"
    );
    for url in ["http://localhost/", "http://10.0.0.1/", "https://[::1]/"] {
        let report = sender.send(post(url), LONG).await;
        assert_error(report, SendErrorKind::Blocked, false, "guard.allow");
    }
    assert_eq!(proxy.requests().len(), 1);
}

#[tokio::test]
async fn a_proxy_makes_a_tunnel_for_https() {
    let authority = Authority::new("localhost");
    let target = Peer::answering_tls(OK, &authority).await;
    let address = target.address;
    let proxy = Peer::start(move |peer, mut stream| async move {
        let request = peer::read_request(&mut stream).await.unwrap();
        peer.note(request);
        let mut onward = tokio::net::TcpStream::connect(address).await.unwrap();
        let head = b"HTTP/1.1 200 Connection established\r\n\r\n";
        tokio::io::AsyncWriteExt::write_all(&mut stream, head)
            .await
            .unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
    })
    .await;
    let url = format!("http://{}", proxy.address);
    let sender = sender_with(|options| {
        options.extra_ca_files = vec![authority.file()];
        options.proxy = Some(url.parse().unwrap());
    });
    let report = sender.send(post(&target.https("/a")), LONG).await;
    assert_eq!(&answer(report).body[..], b"ok");
    let port = address.port();
    assert_eq!(
        proxy.requests()[0],
        format!("CONNECT localhost:{port} HTTP/1.1\r\nhost: localhost:{port}\r\n\r\n")
    );

    let refusing = Peer::answering("HTTP/1.1 403 Forbidden\r\n\r\n", Then::Keep).await;
    let url = format!("http://{}", refusing.address);
    let sender = sender_with(|options| options.proxy = Some(url.parse().unwrap()));
    let report = sender.send(post("https://hooks.example/"), LONG).await;
    assert_error(
        report,
        SendErrorKind::Unreachable,
        false,
        "answered 403 to CONNECT hooks.example:443",
    );
}
