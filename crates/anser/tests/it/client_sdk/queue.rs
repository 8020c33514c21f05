//! The consumer of queues of the SDK.

use std::time::Duration;

use anser_client::{Credential, Error, Outgoing, ProducerBuilder, Queue, QueueBuilder};
use serde_json::json;

use super::{KEY, World, soon};

async fn one(queue: &Queue) -> anser_client::queue::Leased {
    let wait = Some(Duration::from_secs(20));
    let received = soon("a message", queue.receive(1, wait, None))
        .await
        .unwrap();
    received
        .into_iter()
        .next()
        .expect("a message within the wait")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_received_is_leased_given_back_kept_and_done() {
    let world = World::start().await;
    world
        .server
        .api()
        .make("/v1/queues", &json!({"name": "jobs"}))
        .await;
    let queue = QueueBuilder::new(&world.base, "jobs").credential(Credential::key(KEY));
    let queue = queue.build().unwrap();
    let sender = ProducerBuilder::new(&world.base).credential(Credential::key(KEY));
    let sender = sender.build().unwrap();
    sender
        .send(Outgoing::data(&7).unwrap().to("queue:jobs"))
        .await
        .unwrap();
    let first = one(&queue).await;
    assert_eq!(
        (
            first.receives,
            first.read().unwrap().body.payload().bytes.as_ref()
        ),
        (1, &b"7"[..])
    );
    assert!(
        queue
            .extend(&first.receipt, Some(Duration::from_secs(60)))
            .await
            .unwrap()
    );
    assert!(queue.nack(&first.receipt, Duration::ZERO).await.unwrap());
    let again = one(&queue).await;
    assert_eq!(again.receives, 2);
    assert!(
        !queue.ack(&first.receipt).await.unwrap(),
        "the first hold is over"
    );
    // A hold survives the server, and so does what was done.
    let world = world.kill_and_restart().await;
    assert!(queue.ack(&again.receipt).await.unwrap());
    let nothing = queue.receive(10, Some(Duration::ZERO), None).await.unwrap();
    assert!(nothing.is_empty());
    let elsewhere = QueueBuilder::new(&world.base, "nowhere").credential(Credential::key(KEY));
    let refused = elsewhere
        .build()
        .unwrap()
        .receive(1, None, None)
        .await
        .unwrap_err();
    assert_eq!(
        refused.refusal().map(|refusal| refusal.status),
        Some(404),
        "{refused}"
    );
    let token = QueueBuilder::new(&world.base, "jobs").credential(Credential::token("a.b.c"));
    assert!(matches!(token.build(), Err(Error::Setting { .. })));
}
