//! Fetching from real peers: the body comes as it is read, and ends as the peer says.

use anser_core::channel::{SendError, SendErrorKind};
use futures_util::StreamExt as _;
use tokio::io::AsyncWriteExt as _;

use super::peer::{Authority, Peer, Then, read_request};
use super::{LONG, SHORT, Sender, sender, sender_with};
use crate::sender::{BodyStream, Fetched};

async fn fetch(sender: &Sender, url: &str) -> Result<Fetched, SendError> {
    sender.fetch(&url.parse().unwrap(), LONG).await
}

/// All of a body, and whether it ended well.
async fn read(mut body: BodyStream) -> (Vec<u8>, bool) {
    let mut bytes = Vec::new();
    while let Some(chunk) = body.next().await {
        match chunk {
            Ok(chunk) => bytes.extend_from_slice(&chunk),
            Err(_) => return (bytes, false),
        }
    }
    (bytes, true)
}

#[tokio::test]
async fn a_body_is_read_with_its_length_where_it_is_told() {
    for (wire, length, body, whole) in [
        ("content-length: 3\r\n\r\nabc", Some(3), "abc", true),
        (
            "transfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            None,
            "abc",
            true,
        ),
        ("\r\nuntil the end", None, "until the end", true),
        ("content-length: 0\r\n\r\n", Some(0), "", true),
        ("content-length: 9\r\n\r\nabc", Some(9), "abc", false),
    ] {
        let peer = Peer::answering(format!("HTTP/1.1 200 OK\r\n{wire}"), Then::Close).await;
        let fetched = fetch(&sender(), &peer.url("/a?b=c")).await.unwrap();
        assert_eq!((fetched.status.as_u16(), fetched.length), (200, length));
        let (bytes, ended) = read(fetched.body).await;
        assert_eq!((bytes, ended), (body.as_bytes().to_vec(), whole), "{wire}");
        let host = peer.address;
        assert_eq!(
            peer.requests()[0],
            format!("GET /a?b=c HTTP/1.1\r\naccept-encoding: identity\r\nhost: {host}\r\n\r\n")
        );
    }
}

#[tokio::test]
async fn a_large_body_comes_as_it_is_read() {
    let peer = Peer::start(|peer, mut stream| async move {
        read_request(&mut stream).await.unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-length: 1073741824\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        while stream.write_all(&[7; 65536]).await.is_ok() {
            peer.note(String::new());
        }
    })
    .await;
    let sender = sender();
    let mut fetched = fetch(&sender, &peer.url("/")).await.unwrap();
    assert!(!fetched.body.next().await.unwrap().unwrap().is_empty());
    assert_eq!(sender.open_connections(), 1);
    drop(fetched);
    // Nobody reads it any more, so the connection is closed long before its end.
    peer.closed().await;
    assert_eq!(sender.open_connections(), 0);
    assert!(peer.requests().len() < 1024);
}

#[tokio::test]
async fn over_http2_too() {
    let authority = Authority::new("localhost");
    let peer = Peer::http2(&authority).await;
    let sender = sender_with(|options| options.extra_ca_files = vec![authority.file()]);
    let fetched = fetch(&sender, &peer.https("/large")).await.unwrap();
    assert_eq!(fetched.length, Some(1024 * 1024));
    assert_eq!(read(fetched.body).await, (vec![b'x'; 1024 * 1024], true));
    peer.closed().await;
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_silence_ends_at_the_deadline() {
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: /b\r\ncontent-length: 0\r\n\r\n";
    let peer = Peer::answering(elsewhere, Then::Keep).await;
    let fetched = fetch(&sender(), &peer.url("/a")).await.unwrap();
    assert_eq!((fetched.status.as_u16(), peer.requests().len()), (302, 1));

    let silent = Peer::answering("", Then::Hang).await;
    let url = silent.url("/").parse().unwrap();
    let error = sender().fetch(&url, SHORT).await.err().unwrap();
    assert_eq!((error.kind, error.sent), (SendErrorKind::TimedOut, true));

    let error = fetch(&sender(), "http://10.0.0.1/").await.err().unwrap();
    assert_eq!((error.kind, error.sent), (SendErrorKind::Blocked, false));
}
