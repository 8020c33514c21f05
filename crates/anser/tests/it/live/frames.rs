//! Frames of every broken kind: what can be answered is answered, what cannot ends with a reason.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use super::World;
use super::client::{Client, framed, read_frame, soon, websocket};

const FRAME_BYTES_MAX: usize = 1024 * 1024;

/// Frames until one that ends it, and that one.
async fn to_the_end(stream: &mut TcpStream) -> Vec<Value> {
    soon("the end", async {
        let mut frames = Vec::new();
        while let Some(frame) = read_frame(stream).await {
            if !frame.is_empty() {
                frames.push(serde_json::from_slice(&frame).unwrap());
            }
        }
        frames
    })
    .await
}

async fn hello(world: &World) -> Vec<u8> {
    let token = world.token("ann").await;
    framed(json!({"op": "auth", "token": token}).to_string().as_bytes())
}

#[tokio::test]
async fn however_bytes_are_cut_frames_are_frames() {
    let world = World::start().await;
    let hello = hello(&world).await;
    let ping = framed(br#"{"op":"ping","ref":"a"}"#);
    // One byte at a time.
    let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
    stream.set_nodelay(true).unwrap();
    for byte in [&hello[..], &framed(b""), &ping].concat() {
        stream.write_all(&[byte]).await.unwrap();
    }
    let welcome = soon("welcome", read_frame(&mut stream)).await.unwrap();
    assert!(String::from_utf8(welcome).unwrap().contains("welcome"));
    let answer = soon("pong", read_frame(&mut stream)).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer).unwrap();
    assert_eq!((&answer["op"], &answer["ref"]), (&json!("ok"), &json!("a")));
    // Many in one write, answered in their order.
    let mut all = hello.clone();
    for n in 0..300 {
        all.extend(framed(format!(r#"{{"op":"ping","ref":"{n}"}}"#).as_bytes()));
    }
    let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
    stream.write_all(&all).await.unwrap();
    let mut marks = Vec::new();
    while marks.len() < 300 {
        let frame = soon("a pong", read_frame(&mut stream)).await.unwrap();
        let frame: Value = serde_json::from_slice(&frame).unwrap();
        if frame["op"] == "ok" {
            marks.push(frame["ref"].as_str().unwrap().parse::<u32>().unwrap());
        }
    }
    assert!(marks.is_sorted());
    // What is no operation is answered, and the session goes on.
    for (bad, code) in [
        (&b"not json"[..], "malformed_json"),
        (b"[]", "malformed_json"),
        (b"{}", "invalid_field"),
        (b"{\"op\":\"fly\"}", "unknown_op"),
        (&[0xff, 0xfe], "malformed_json"),
    ] {
        stream.write_all(&framed(bad)).await.unwrap();
        let answer = soon("an error", read_frame(&mut stream)).await.unwrap();
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        assert_eq!(
            (&answer["op"], &answer["code"]),
            (&json!("error"), &json!(code))
        );
    }
    stream.write_all(&ping).await.unwrap();
    let answer = soon("a pong", read_frame(&mut stream)).await.unwrap();
    assert!(String::from_utf8(answer).unwrap().contains("\"ok\""));
}

#[tokio::test]
async fn what_cannot_be_read_ends_with_a_reason() {
    let world = World::start().await;
    let hello = hello(&world).await;
    let mut neighbour = Client::open("tcp", &world, &world.token("bob").await, None).await;
    let too_long = u32::try_from(FRAME_BYTES_MAX + 1).unwrap().to_be_bytes();
    let half = &framed(br#"{"op":"ping"}"#)[..9];
    // Before and after the client has said who it is.
    for (bytes, reason) in [
        (b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), "malformed"),
        (too_long.to_vec(), "malformed"),
        (half.to_vec(), "malformed"),
        (framed(br#"{"op":"ping"}"#), "refused"),
        (framed(br#"{"op":"auth","token":"x"}"#), "refused"),
        (framed(br#"{"op":"auth"}"#), "refused"),
        (framed(b"{"), "malformed"),
        ([&hello[..], &too_long].concat(), "malformed"),
        ([&hello[..], half].concat(), "malformed"),
        ([&hello[..], &[0xff; 64]].concat(), "malformed"),
    ] {
        let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        stream.shutdown().await.unwrap();
        let frames = to_the_end(&mut stream).await;
        let last = frames.last().expect("it is told why");
        assert_eq!(
            (&last["op"], &last["reason"]),
            (&json!("closed"), &json!(reason)),
            "{bytes:?}: {frames:?}"
        );
        assert!(last["detail"].as_str().is_some_and(|text| text.len() > 10));
    }
    // Nothing at all: after five seconds.
    let mut silent = TcpStream::connect(&world.tcp).await.unwrap();
    let frames = to_the_end(&mut silent).await;
    assert_eq!(frames[0]["code"], "auth_timeout", "{frames:?}");
    neighbour.done(json!({"op": "ping"})).await;
}

#[tokio::test]
async fn a_websocket_takes_text_and_bytes_and_no_more_than_a_frame() {
    let world = World::start().await;
    let token = world.token("ann").await;
    let mut socket = websocket(&world, &format!("token={token}")).await.unwrap();
    let next = async |socket: &mut tokio_tungstenite::WebSocketStream<TcpStream>| {
        soon("a frame", socket.next()).await.unwrap().unwrap()
    };
    let welcome = next(&mut socket).await;
    assert!(welcome.to_text().unwrap().contains("welcome"));
    let ping = br#"{"op":"ping"}"#.to_vec();
    for frame in [
        Message::Binary(ping.clone().into()),
        Message::text(String::from_utf8(ping).unwrap()),
    ] {
        socket.send(frame).await.unwrap();
        assert!(
            next(&mut socket)
                .await
                .to_text()
                .unwrap()
                .contains("\"ok\"")
        );
    }
    socket.send(Message::text("{")).await.unwrap();
    let answer = next(&mut socket).await;
    assert!(answer.to_text().unwrap().contains("malformed_json"));
    // The largest frame is read, one more byte is not.
    let largest = "x".repeat(FRAME_BYTES_MAX);
    socket.send(Message::text(largest.clone())).await.unwrap();
    let answer = next(&mut socket).await;
    assert!(answer.to_text().unwrap().contains("malformed_json"));
    drop(socket.send(Message::text(largest + "x")).await);
    let closed = next(&mut socket).await;
    let closed: Value = serde_json::from_str(closed.to_text().unwrap()).unwrap();
    assert_eq!(closed["reason"], "malformed", "{closed}");
}
