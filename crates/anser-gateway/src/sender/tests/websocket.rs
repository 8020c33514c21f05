//! WebSockets to real peers: frames in both directions, pings, closes, refusals, and the guard before all.

use std::future::poll_fn;

use anser_core::channel::SendErrorKind;
use anser_core::connection::{FRAME_BYTES_MAX, Frame};
use futures_util::{SinkExt as _, StreamExt as _};
use http::{HeaderMap, HeaderValue};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use super::peer::{Authority, Peer, Then, read_request};
use super::{LONG, Names, SHORT, Sender, SenderOptions, options, sender, sender_with};
use crate::sender::{Heard, NotOpened, Socket};

/// A peer that takes every WebSocket and does this with it.
async fn server<F, R>(serve: F) -> Peer
where
    F: Fn(WebSocketStream<TcpStream>) -> R + Copy + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Peer::start(move |_, stream| async move {
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        serve(socket).await;
    })
    .await
}

fn url(peer: &Peer) -> url::Url {
    peer.url("/gateway?v=1")
        .replace("http", "ws")
        .parse()
        .unwrap()
}

async fn open(sender: &Sender, peer: &Peer) -> Socket {
    let url = url(peer);
    let opened = sender.open_socket(&url, HeaderMap::new(), LONG);
    opened.await.unwrap()
}

async fn next(socket: &mut Socket) -> Heard {
    poll_fn(|cx| socket.poll_next(cx, true)).await
}

#[tokio::test]
async fn frames_go_both_ways_and_pings_are_answered() {
    let peer = server(|mut socket| async move {
        socket.send(Message::Ping("p".into())).await.unwrap();
        while let Some(Ok(message)) = socket.next().await {
            match message {
                Message::Pong(bytes) => socket.send(Message::Binary(bytes)).await.unwrap(),
                Message::Text(text) => socket.send(Message::Text(text)).await.unwrap(),
                _ => {}
            }
        }
    })
    .await;
    let sender = sender();
    let mut socket = open(&sender, &peer).await;
    assert!(matches!(
        next(&mut socket).await,
        Heard::Frame(Frame::Ping(_))
    ));
    let answered = next(&mut socket).await;
    assert!(matches!(answered, Heard::Frame(Frame::Binary(bytes)) if &bytes[..] == b"p"));
    let long = "长".repeat(100_000);
    assert!(socket.send(Frame::Text(long.clone())));
    let echo = next(&mut socket).await;
    assert!(matches!(echo, Heard::Frame(Frame::Text(text)) if text == long));
    assert_eq!(sender.open_connections(), 1);
    socket.close(1000).await;
    assert_eq!(sender.open_connections(), 0);
}

#[tokio::test]
async fn a_close_is_told_with_its_code_and_words() {
    let peer = server(|mut socket| async move {
        let frame = CloseFrame {
            code: 4004.into(),
            reason: "Authentication failed".into(),
        };
        socket.close(Some(frame)).await.unwrap();
        while socket.next().await.is_some() {}
    })
    .await;
    let mut socket = open(&sender(), &peer).await;
    let Heard::Closed { code, reason } = next(&mut socket).await else {
        panic!("it was closed");
    };
    assert_eq!(
        (code, reason.as_str()),
        (Some(4004), "Authentication failed")
    );
}

#[tokio::test]
async fn a_socket_that_breaks_is_told_apart_from_one_that_is_closed() {
    let peer = server(|socket| async move { drop(socket) }).await;
    let mut socket = open(&sender(), &peer).await;
    assert!(matches!(
        next(&mut socket).await,
        Heard::Closed { code: None, .. }
    ));
}

#[tokio::test]
async fn a_frame_beyond_the_limit_breaks_it() {
    let peer = server(|mut socket| async move {
        let _ = socket
            .send(Message::Binary(vec![0; FRAME_BYTES_MAX + 1].into()))
            .await;
        while let Some(Ok(_)) = socket.next().await {}
    })
    .await;
    let mut socket = open(&sender(), &peer).await;
    let Heard::Closed { code: None, reason } = next(&mut socket).await else {
        panic!("it broke");
    };
    assert!(reason.contains("too long"), "{reason}");
}

#[tokio::test]
async fn what_is_not_read_waits_while_frames_still_go_out() {
    let peer = server(|mut socket| async move {
        while let Some(Ok(message)) = socket.next().await {
            if message.is_text() {
                socket.send(message).await.unwrap();
            }
        }
    })
    .await;
    let mut socket = open(&sender(), &peer).await;
    assert!(socket.send(Frame::Text("one".to_owned())));
    let unread = poll_fn(|cx| socket.poll_next(cx, false));
    assert!(tokio::time::timeout(SHORT, unread).await.is_err());
    let echo = next(&mut socket).await;
    assert!(matches!(echo, Heard::Frame(Frame::Text(text)) if text == "one"));
}

#[tokio::test]
async fn a_server_that_opens_none_is_quoted() {
    let wire = "HTTP/1.1 401 Unauthorized\r\nx-why: ticket\r\ncontent-length: 3\r\n\r\nbad";
    let peer = Peer::answering(wire.to_owned(), Then::Close).await;
    let mut headers = HeaderMap::new();
    headers.insert("authorization", HeaderValue::from_static("Bot t"));
    let refused = sender().open_socket(&url(&peer), headers, LONG).await;
    let NotOpened::Answered(response) = refused.unwrap_err() else {
        panic!("it answered");
    };
    assert_eq!(response.status.as_u16(), 401);
    assert_eq!(response.headers["x-why"], "ticket");
    let request = &peer.requests()[0];
    assert!(
        request.starts_with("GET /gateway?v=1 HTTP/1.1\r\n"),
        "{request}"
    );
    assert!(
        request
            .to_ascii_lowercase()
            .contains("authorization: bot t\r\n"),
        "{request}"
    );
}

#[tokio::test]
async fn the_guard_and_the_time_limit_hold_for_sockets_too() {
    let silent = Peer::start(|_, stream| async move {
        let _open = stream;
        std::future::pending::<()>().await;
    })
    .await;
    let late = sender()
        .open_socket(&url(&silent), HeaderMap::new(), SHORT)
        .await;
    let NotOpened::Failed(error) = late.unwrap_err() else {
        panic!("nobody answered");
    };
    assert_eq!(error.kind, SendErrorKind::TimedOut);
    let inside = vec![([10, 0, 0, 7], 443).into()];
    let guarded = Sender::new(SenderOptions {
        resolver: std::sync::Arc::new(Names(vec![("inside.example", inside)])),
        ..options()
    })
    .unwrap();
    for (url, kind) in [
        ("wss://inside.example/", SendErrorKind::Blocked),
        ("ws://192.168.0.1/", SendErrorKind::Blocked),
        ("https://inside.example/", SendErrorKind::Protocol),
    ] {
        let url = url.parse().unwrap();
        let opened = guarded.open_socket(&url, HeaderMap::new(), LONG);
        let NotOpened::Failed(error) = opened.await.unwrap_err() else {
            panic!("{url}");
        };
        assert_eq!(error.kind, kind, "{url}: {error}");
    }
}

#[tokio::test]
async fn a_secure_socket_goes_through_the_proxy_and_offers_http1_only() {
    let authority = Authority::new("localhost");
    let acceptor = authority.acceptor(&[b"h2", b"http/1.1"]);
    let target = Peer::start(move |_, stream| {
        let acceptor = acceptor.clone();
        async move {
            let stream = acceptor.accept(stream).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
            socket.send(Message::Text("hi".into())).await.unwrap();
            while let Some(Ok(_)) = socket.next().await {}
        }
    })
    .await;
    let address = target.address;
    let proxy = Peer::start(move |peer, mut stream| async move {
        peer.note(read_request(&mut stream).await.unwrap());
        let mut onward = TcpStream::connect(address).await.unwrap();
        let head = b"HTTP/1.1 200 Connection established\r\n\r\n";
        stream.write_all(head).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut stream, &mut onward).await;
    })
    .await;
    let through = format!("http://{}", proxy.address);
    let sender = sender_with(|options| {
        options.extra_ca_files = vec![authority.file()];
        options.proxy = Some(through.parse().unwrap());
    });
    let url = target.https("/").replace("https", "wss").parse().unwrap();
    let opened = sender.open_socket(&url, HeaderMap::new(), LONG);
    let mut socket = opened.await.unwrap();
    assert!(matches!(next(&mut socket).await, Heard::Frame(Frame::Text(text)) if text == "hi"));
    let asked = format!("CONNECT localhost:{} HTTP/1.1\r\n", address.port());
    assert!(proxy.requests()[0].starts_with(&asked));
}
