//! The listener: floods, slow and idle clients, the cap, HTTP/2, keep-alive, and the end.

use std::time::Duration;

use anser_edge::{EdgeOptions, HEAD_BYTES_MAX, SILENT_OF_ADDRESS_MAX};
use anser_gateway::GatewayOptions;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use crate::client::{Reply, raw};
use crate::harness::{KEY, Server, start, start_with};

/// However slow the machine, what is waited for must have come by then.
const DEADLINE: Duration = Duration::from_secs(30);

async fn started(edge: EdgeOptions) -> Server {
    start_with(GatewayOptions::default(), edge).await
}

async fn read_to_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = timeout(DEADLINE, stream.read_to_end(&mut answer)).await;
    let _reset = read.expect("the server closes");
    answer
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let server = start().await;
    let get = |headers: &str| {
        format!("GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
    };
    let many: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let long = format!("x: {}\r\n", "y".repeat(2 * HEAD_BYTES_MAX));
    let target = format!(
        "GET /{} HTTP/1.1\r\nhost: localhost\r\n\r\n",
        "y".repeat(2 * HEAD_BYTES_MAX)
    );
    for (request, statuses) in [
        (get(&many), &[431][..]),
        (get(&long), &[431]),
        (target, &[414, 431]),
        (get("no colon\r\n"), &[400]),
        (get("x: \0\r\n"), &[400]),
        ("nonsense\r\n\r\n".to_owned(), &[400]),
        (get(""), &[200]),
    ] {
        let answer = raw(server.address, request.as_bytes()).await;
        // A reset may overtake the answer to what was not read to its end; that is a refusal too.
        if !answer.is_empty() {
            assert!(
                statuses.contains(&Reply::parse(&answer).status),
                "{statuses:?}"
            );
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn requests_that_could_be_smuggled_are_refused() {
    let server = start().await;
    for headers in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: +5\r\n",
        "transfer-encoding: chunked, identity\r\n",
    ] {
        let request = format!(
            "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n{{\"a\":1}}"
        );
        let answer = raw(server.address, request.as_bytes()).await;
        assert_eq!(Reply::parse(&answer).status, 400, "{headers}");
    }
    server.stop().await;
}

#[tokio::test]
async fn slow_heads_are_dropped_and_slow_bodies_answered_408() {
    let server = started(EdgeOptions {
        head_timeout: Duration::from_millis(100),
        body_timeout: Duration::from_millis(100),
        ..EdgeOptions::default()
    })
    .await;
    for first in ["", "P", "GET /healthz HTTP/1.1\r\nhost:"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(first.as_bytes()).await.unwrap();
        assert!(read_to_end(&mut stream).await.is_empty(), "{first}");
    }
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut stream).await);
    assert_eq!((reply.status, reply.code().as_str()), (408, "body_timeout"));
    server.stop().await;
}

#[tokio::test]
async fn idle_connections_are_closed_and_cut_bodies_are_no_accident() {
    let server = started(EdgeOptions {
        head_timeout: Duration::from_millis(50),
        idle_timeout: Duration::from_millis(100),
        ..EdgeOptions::default()
    })
    .await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut stream).await).status, 200);

    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\ncontent-length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = read_to_end(&mut stream).await;
    assert!(answer.is_empty() || Reply::parse(&answer).status == 400);
    server.stop().await;
}

#[tokio::test]
async fn one_address_that_stays_silent_leaves_places_for_the_others() {
    let server = start().await;
    let from = async |last: u8| {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(([127, 0, 0, last], 0).into()).unwrap();
        socket.connect(server.address).await.unwrap()
    };
    let get = b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let asks = async |mut stream: TcpStream| {
        stream.write_all(get).await.unwrap();
        let mut answer = vec![0; 1024];
        let read = timeout(DEADLINE, stream.read(&mut answer)).await;
        answer.truncate(read.expect("an answer").unwrap());
        (Reply::parse(&answer).status, stream)
    };
    // Those that have asked do not count.
    let (status, _kept) = asks(from(2).await).await;
    assert_eq!(status, 200);
    let mut silent = Vec::new();
    for _ in 0..SILENT_OF_ADDRESS_MAX {
        silent.push(from(2).await);
    }
    let mut over = from(2).await;
    let answer = Reply::parse(&read_to_end(&mut over).await);
    let code = answer.code();
    assert_eq!(
        (answer.status, code.as_str()),
        (503, "too_many_connections")
    );
    assert_eq!(asks(from(3).await).await.0, 200);
    // One asks at last, and leaves its place to another.
    let (status, _kept) = asks(silent.pop().unwrap()).await;
    assert_eq!(status, 200);
    assert_eq!(asks(from(2).await).await.0, 200);
    drop(silent);
    server.stop().await;
}

#[tokio::test]
async fn connections_are_capped() {
    let server = started(EdgeOptions {
        connections_max: 2,
        ..EdgeOptions::default()
    })
    .await;
    let mut held = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream
            .write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await
            .unwrap();
        let mut first = [0; 12];
        stream.read_exact(&mut first).await.unwrap();
        held.push(stream);
    }
    let mut refused = TcpStream::connect(server.address).await.unwrap();
    let reply = Reply::parse(&read_to_end(&mut refused).await);
    assert_eq!(
        (reply.status, reply.code().as_str()),
        (503, "too_many_connections")
    );
    assert_eq!(reply.header("retry-after"), Some("1"));
    drop(held);
    server.stop().await;
}

#[tokio::test]
async fn one_connection_serves_many_requests() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let request = "GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(50)
        + "GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let answers = String::from_utf8(read_to_end(&mut stream).await).unwrap();
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 51);
    server.stop().await;
}

#[tokio::test]
async fn stopping_lets_requests_in_flight_finish() {
    let server = start().await;
    server.with_hook("http://127.0.0.1:1/hook").await;
    let address = server.address;
    let mut idle = TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .await
        .unwrap();
    let mut first = [0; 12];
    idle.read_exact(&mut first).await.unwrap();

    let body = json!({"body": {"data": 1}}).to_string();
    let mut busy = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/topics/orders/messages HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    // The handler reads the body now, so the request is in flight.
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100 Continue\r\n\r\n");

    let gateway = server.gateway.clone();
    let task = server.signal();
    read_to_end(&mut idle).await;
    busy.write_all(body.as_bytes()).await.unwrap();
    assert_eq!(Reply::parse(&read_to_end(&mut busy).await).status, 202);
    timeout(DEADLINE, task).await.unwrap().unwrap().unwrap();
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
    gateway.shutdown(Duration::from_secs(1)).await.unwrap();
}

#[tokio::test]
async fn requests_that_do_not_finish_are_cut_off_at_the_end() {
    let server = started(EdgeOptions {
        shutdown_timeout: Duration::from_millis(100),
        ..EdgeOptions::default()
    })
    .await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "POST /v1/topics HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {KEY}\r\nexpect: 100-continue\r\ncontent-length: 9\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 25];
    busy.read_exact(&mut go_on).await.unwrap();
    timeout(DEADLINE, server.signal())
        .await
        .unwrap()
        .unwrap()
        .unwrap();
    assert!(read_to_end(&mut busy).await.is_empty());
}

#[tokio::test]
async fn http2_with_prior_knowledge_is_spoken() {
    let server = start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // Connection preface and an empty SETTINGS frame (RFC 9113 §3.4, §6.5).
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
        .await
        .unwrap();
    let mut header = [0; 9];
    timeout(DEADLINE, stream.read_exact(&mut header))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (header[3], &header[5..]),
        (4, &[0; 4][..]),
        "the server's SETTINGS"
    );
    drop(stream);
    server.stop().await;
}
