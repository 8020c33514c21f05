//! Those who take more than their share: half-open connections, a client that does not read. The others do not notice.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::client::{Client, framed, read_frame, soon, websocket};
use super::{World, arrived, say, text};
use crate::harness::eventually;

/// `LIVE_HALF_OPEN_OF_ADDRESS_MAX`.
const HALF_OPEN_OF_ADDRESS_MAX: usize = anser_edge::LIVE_HALF_OPEN_OF_ADDRESS_MAX;

#[tokio::test]
async fn half_open_connections_have_their_limit_and_give_their_places_back() {
    let world = World::start().await;
    let mut ann = Client::open("tcp", &world, &world.token("ann").await, None).await;
    let mut half_open = Vec::new();
    for _ in 0..HALF_OPEN_OF_ADDRESS_MAX + 100 {
        half_open.push(TcpStream::connect(&world.tcp).await.unwrap());
    }
    let mut over = half_open.pop().unwrap();
    let told = soon("a refusal", read_frame(&mut over)).await.unwrap();
    let told: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!(told["reason"], "refused", "{told}");
    // Whoever says who it is with the request comes in all the same.
    for wire in ["sse", "poll"] {
        let mut eve = Client::open(wire, &world, &world.token("eve").await, None).await;
        eve.done(json!({"op": "ping"})).await;
    }
    let query = format!("token={}", world.token("eve").await);
    drop(websocket(&world, &query).await.unwrap());
    // Who is in does not notice, and the places are free again after five seconds.
    ann.done(json!({"op": "ping"})).await;
    let token = world.token("bob").await;
    eventually("a place is free", || async {
        let mut stream = TcpStream::connect(&world.tcp).await.unwrap();
        let hello = json!({"op": "auth", "token": token}).to_string();
        drop(stream.write_all(&framed(hello.as_bytes())).await);
        let first = read_frame(&mut stream).await?;
        String::from_utf8(first)
            .unwrap()
            .contains("welcome")
            .then_some(())
    })
    .await;
    ann.done(json!({"op": "ping"})).await;
}

#[tokio::test]
async fn who_does_not_read_is_paused_alone_and_loses_nothing() {
    const MESSAGES: usize = 40;
    let world = World::start().await;
    let (slow_token, ann_token) = (world.token("slow").await, world.token("ann").await);
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "flood"})).await;
    let rights = json!({"rights": {"read": ["flood"]}});
    let (status, _) = api.patch("/v1/issuers/app", &rights).await;
    assert_eq!(status, 200);
    let mut slow = TcpStream::connect(&world.tcp).await.unwrap();
    let subscribe = json!({"op": "subscribe", "topic": "flood", "after": "0"});
    for frame in [json!({"op": "auth", "token": slow_token}), subscribe] {
        let bytes = framed(frame.to_string().as_bytes());
        slow.write_all(&bytes).await.unwrap();
    }
    let mut ann = Client::open("ws", &world, &ann_token, None).await;
    ann.done(json!({"op": "subscribe", "topic": "flood"})).await;
    let padding = "x".repeat(400_000);
    for n in 0..MESSAGES {
        let body = json!({"body": {"data": {"text": n.to_string(), "padding": padding}}});
        api.make("/v1/topics/flood/messages", &body).await;
        // She has each as soon as it is there.
        let event = ann.next_of("message").await;
        assert_eq!(text(&event), n.to_string());
        ann.done(arrived(&event)).await;
    }
    ann.done(say("user:ann", "still here")).await;
    // When it reads at last, everything is there, in order.
    let mut next = 0;
    soon("the flood", async {
        while next < MESSAGES {
            let frame = read_frame(&mut slow).await.expect("it was only paused");
            if frame.is_empty() {
                continue;
            }
            let frame: Value = serde_json::from_slice(&frame).unwrap();
            if frame["op"] == "message" {
                assert_eq!(text(&frame), next.to_string());
                next += 1;
                let ack = framed(arrived(&frame).to_string().as_bytes());
                slow.write_all(&ack).await.unwrap();
            }
        }
    })
    .await;
}
