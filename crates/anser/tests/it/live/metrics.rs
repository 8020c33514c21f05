//! What `/metrics` shows of live clients moves with what they do.

use serde_json::json;
use tokio::net::TcpStream;

use super::client::{Client, websocket};
use super::{WIRES, World, arrived, say, text};
use crate::harness::eventually;

impl World {
    /// The value of a series, by all of its line but the value.
    async fn shown(&self, series: &str) -> Option<u64> {
        let (status, text) = self.server.api().get("/metrics").await;
        assert_eq!(status, 200);
        let text = text.as_str().expect("text");
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.map(|value| value.parse().unwrap())
    }

    /// Waits until a series has this value.
    async fn shows(&self, series: &str, value: u64) {
        eventually(&format!("{series} {value}"), || async {
            (self.shown(series).await == Some(value)).then_some(())
        })
        .await;
    }
}

#[tokio::test]
async fn sessions_messages_and_acknowledgements_are_counted_by_wire() {
    let world = World::start().await;
    let mut sender = Client::open("tcp", &world, &world.token("sender").await, None).await;
    for wire in WIRES {
        let user = format!("reader-{wire}");
        let mut reader = Client::open(wire, &world, &world.token(&user).await, None).await;
        let others = u64::from(wire == "tcp");
        let now = format!("anser_live_sessions{{wire=\"{wire}\"}}");
        world.shows(&now, 1 + others).await;
        for word in ["one", "two"] {
            sender.done(say(&format!("user:{user}"), word)).await;
            let event = reader.next_of("message").await;
            assert_eq!(text(&event), word);
            if matches!(wire, "ws" | "tcp") {
                reader.done(arrived(&event)).await;
            }
        }
        let given = format!("anser_live_given_total{{wire=\"{wire}\"}}");
        world.shows(&given, 2).await;
        if matches!(wire, "ws" | "tcp") {
            let acks = format!("anser_live_acknowledgements_total{{wire=\"{wire}\"}}");
            world.shows(&acks, 2).await;
            drop(reader);
            world.shows(&now, others).await;
        }
    }
    let opened = world.shown("anser_live_sessions_opened_total{wire=\"tcp\"}");
    assert_eq!(opened.await, Some(2));
    let mail = "anser_live_mail_ended_total{how=\"acknowledged\"}";
    eventually("acknowledged mail", || async {
        world.shown(mail).await.filter(|ended| *ended >= 4)
    })
    .await;
    let lost = "anser_live_closed_total{reason=\"lost\"}";
    eventually("lost sessions", || async {
        world.shown(lost).await.filter(|ended| *ended >= 2)
    })
    .await;
}

#[tokio::test]
async fn questions_refusals_and_pauses_are_counted() {
    let world = World::start().await;
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    ann.done(
        json!({"op": "iq", "id": "1", "type": "get", "to": "server", "payload": {"query": "ping"}}),
    )
    .await;
    assert_eq!(ann.next_of("iq").await["type"], "result");
    ann.done(
        json!({"op": "iq", "id": "2", "type": "get", "to": "user:ann/elsewhere", "payload": {}}),
    )
    .await;
    assert_eq!(ann.next_of("iq").await["type"], "error");
    world
        .shows("anser_live_questions_total{outcome=\"answered\"}", 1)
        .await;
    world
        .shows("anser_live_questions_total{outcome=\"gone\"}", 1)
        .await;
    world
        .shows("anser_live_questions_total{outcome=\"timeout\"}", 0)
        .await;
    // Somebody who has not said who they are, and somebody who is not believed.
    let silent = TcpStream::connect(&world.tcp).await.unwrap();
    world.shows("anser_live_connections_half_open", 1).await;
    world.shows("anser_live_connections", 2).await;
    drop(silent);
    world.shows("anser_live_connections_half_open", 0).await;
    assert!(websocket(&world, "token=forged").await.is_err());
    world.shows("anser_live_credentials_refused_total", 1).await;
    // A window that is full and not acknowledged.
    for n in 0..3 {
        ann.done(say("user:ann", &format!("{n}{}", "x".repeat(400_000))))
            .await;
    }
    for _ in 0..3 {
        ann.next_of("message").await;
    }
    world.shows("anser_live_sessions_paused", 1).await;
    world.shows("anser_live_mail_waiting", 3).await;
    ann.done(json!({"op": "presence", "show": "away"})).await;
    // Online, then away.
    world.shows("anser_live_presence_changes_total", 2).await;
}
