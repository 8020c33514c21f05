//! The producer of the SDK.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anser_client::producer::Sent;
use anser_client::{Confirm, Credential, Error, Interceptor, Offset, Outgoing, ProducerBuilder};
use serde_json::json;

use super::{KEY, World, soon};

fn producer(world: &World) -> ProducerBuilder {
    ProducerBuilder::new(&world.base).credential(Credential::key(KEY))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_lose_nothing_accept_nothing_twice_and_keep_the_order() {
    const MESSAGES: u64 = 6_000;
    let mut world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "readings"})).await;
    let sender = producer(&world).batch_messages(50).build().unwrap();
    let confirmed = Arc::new(AtomicU64::new(0));
    let ids = Arc::new(Mutex::new(BTreeSet::new()));
    let giving = sender.clone();
    let (counted, gathered) = (Arc::clone(&confirmed), Arc::clone(&ids));
    let give = async move {
        for number in 1..=MESSAGES {
            let key = format!("device-{}", number % 7);
            let message = Outgoing::data(&number).unwrap().topic("readings").key(key);
            let (counted, gathered) = (Arc::clone(&counted), Arc::clone(&gathered));
            let told = move |outcome: Result<Confirm, Error>| {
                counted.fetch_add(1, Ordering::Relaxed);
                gathered.lock().unwrap().insert(outcome.unwrap().id);
            };
            giving.send_with(message, told).unwrap();
        }
    };
    let kill = async move {
        for kill in 1..=2 {
            let seen = &confirmed;
            crate::harness::eventually("some are confirmed", || async move {
                (seen.load(Ordering::Relaxed) >= kill * 500).then_some(())
            })
            .await;
            world = world.kill_and_restart().await;
        }
        world
    };
    let ((), world) = tokio::join!(give, kill);
    soon("everything is settled", sender.flush()).await.unwrap();
    let counts = sender.counts();
    assert_eq!(
        (counts.accepted, counts.failed),
        (MESSAGES, 0),
        "{counts:?}"
    );
    assert!(counts.retried > 0, "{counts:?}");
    assert_eq!(ids.lock().unwrap().len() as u64, MESSAGES);
    sender.close().await;
    let reader = world.client(Credential::key(KEY));
    let mut reader = reader
        .topic("readings", Some(Offset::START))
        .connect()
        .await
        .unwrap();
    for number in 1..=MESSAGES {
        let message = soon("a message", reader.next_message())
            .await
            .unwrap()
            .unwrap();
        assert_eq!(message.data::<u64>().unwrap(), number);
        message.ack();
    }
}

/// The topic of each message, and whether it was accepted.
type Outcomes = Arc<Mutex<Vec<(Option<String>, bool)>>>;

/// Marks what goes, keeps secrets back, and remembers outcomes.
#[derive(Default)]
struct Guard {
    outcomes: Outcomes,
}

impl Interceptor for Guard {
    fn before(&self, mut message: Outgoing) -> Result<Outgoing, String> {
        if message
            .item_mut()
            .header
            .tags
            .iter()
            .any(|tag| tag == "secret")
        {
            return Err("secrets stay here".to_owned());
        }
        Ok(message.tag("guarded"))
    }

    fn after(&self, sent: &Sent, outcome: &Result<Confirm, Error>) {
        let mut outcomes = self.outcomes.lock().unwrap();
        outcomes.push((sent.topic.clone(), outcome.is_ok()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refusals_are_told_interceptors_are_heard_and_the_buffer_is_bounded() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "orders"})).await;
    let guard = Guard::default();
    let outcomes = Arc::clone(&guard.outcomes);
    let failures = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&failures);
    let sender = producer(&world)
        .interceptor(guard)
        .on_error(move |_, _| {
            counted.fetch_add(1, Ordering::Relaxed);
        })
        .buffer_messages(2)
        .linger(Duration::from_secs(60))
        .build()
        .unwrap();
    // The same key twice: accepted once, and both are told the same message.
    let once = || {
        Outgoing::data(&1)
            .unwrap()
            .topic("orders")
            .dedupe_key("order-1")
    };
    let both = async { tokio::join!(sender.send(once()), sender.send(once()), sender.flush()) };
    let (first, second, flushed) = soon("two confirms", both).await;
    let (first, second) = (first.unwrap(), second.unwrap());
    assert_eq!(
        (first.id, first.duplicate, second.duplicate),
        (second.id, false, true)
    );
    flushed.unwrap();
    let (_, stored) = api.get(&format!("/v1/messages/{}", first.id)).await;
    assert_eq!(
        stored["message"]["header"]["tags"],
        json!(["guarded"]),
        "{stored}"
    );
    // Nothing is taken beyond the buffer, and nothing waits for what does not wait.
    for _ in 0..2 {
        sender
            .send_and_forget(Outgoing::text("x").topic("nowhere"))
            .unwrap();
    }
    let full = sender.send_and_forget(Outgoing::text("x").topic("nowhere"));
    assert!(matches!(full, Err(Error::Full { limit: 2 })), "{full:?}");
    let kept = sender.send_and_forget(Outgoing::text("x").tag("secret"));
    assert!(matches!(kept, Err(Error::Intercepted(_))), "{kept:?}");
    soon("the refusals", sender.flush()).await.unwrap();
    assert_eq!(failures.load(Ordering::Relaxed), 2);
    let counts = sender.counts();
    assert_eq!(
        (counts.accepted, counts.duplicates, counts.failed),
        (2, 1, 2)
    );
    soon("the end", sender.clone().close()).await;
    let closed = soon(
        "a refusal",
        sender.send(Outgoing::text("x").topic("orders")),
    )
    .await;
    assert!(matches!(closed, Err(Error::Closed)), "{closed:?}");
    assert_eq!(outcomes.lock().unwrap().len(), 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn addresses_and_rooms_take_what_is_sent_to_them_and_a_wrong_key_is_told() {
    let world = World::start().await;
    let api = world.server.api();
    api.make(
        "/v1/rooms",
        &json!({"name": "team", "history": 100, "open": true}),
    )
    .await;
    let mut ann = world
        .user("ann")
        .room("team", None)
        .connect()
        .await
        .unwrap();
    let sender = producer(&world).build().unwrap();
    let to_room = sender.send(Outgoing::data(&1).unwrap().to("room:team"));
    assert!(soon("a confirm", to_room).await.unwrap().durable);
    let heard = soon("a message", ann.next_message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            heard.stream.to_string().as_str(),
            heard.data::<u64>().unwrap()
        ),
        ("room:team", 1)
    );
    let to_user = sender.send(Outgoing::data(&2).unwrap().to("user:ann"));
    soon("a confirm", to_user).await.unwrap();
    let heard = soon("a message", ann.next_message())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (
            heard.stream.to_string().as_str(),
            heard.data::<u64>().unwrap()
        ),
        ("mailbox", 2)
    );
    let stranger = ProducerBuilder::new(&world.base).credential(Credential::key("ak_wrong"));
    let stranger = stranger.build().unwrap();
    let refused = stranger.send(Outgoing::text("x").to("user:ann"));
    let refused = soon("a refusal", refused).await.unwrap_err();
    assert_eq!(
        refused.refusal().map(|refusal| refusal.status),
        Some(401),
        "{refused}"
    );
}
