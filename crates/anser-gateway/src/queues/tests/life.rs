//! Queues in a whole gateway: its dispatcher leaves their deliveries alone, and its start and end lose none.

use anser_core::random::SeededRandom;
use anser_core::resource::QueueSpec;
use anser_core::store::SharedStore;
use anser_store::MemoryStore;

use super::*;
use crate::gateway::{GatewayOptions, Parts};
use crate::metrics::Metrics;
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Sender, SenderOptions, SystemResolver};

async fn start(store: &SharedStore) -> Arc<Gateway> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the runtime's clock is paused, and this one goes with it"
    )]
    let clock = Arc::new(RuntimeClock(tokio::time::Instant::now()));
    let options = SenderOptions::new(clock.clone(), Arc::new(SystemResolver::new()));
    let metrics = Arc::new(Metrics::new());
    let parts = Parts {
        blobs: crate::fixture::blobs(Arc::clone(store), clock.clone(), metrics.clone()),
        links: None,
        store: Arc::clone(store),
        clock,
        random: Arc::new(SeededRandom::new(7)),
        sender: Arc::new(Sender::new(options).unwrap()),
        guard: AddressGuard::default(),
        sealer: Sealer::new(&[7; 32]),
        registry: Vec::new(),
        metrics,
    };
    Gateway::start(parts, GatewayOptions::default())
        .await
        .unwrap()
}

async fn create(gateway: &Gateway, name: &str, spec: Value) {
    let spec: QueueSpec = serde_json::from_value(spec).unwrap();
    gateway.create_queue(anyone(), name, spec).await.unwrap();
}

async fn send(gateway: &Gateway, count: usize) -> Vec<Published> {
    let item = json!({"header": {"to": ["queue:jobs"], "key": "a"}, "body": {"data": 1}});
    let items = read(&vec![item; count]);
    let sent = gateway.publish_direct(anyone(), items, PublishOptions::default());
    let sent = sent.await.unwrap().into_iter();
    sent.map(Result::unwrap).collect()
}

/// Lets the dispatcher and the keeper do what they would do by themselves.
async fn idle() {
    let elapsed = tokio::time::timeout(seconds(1), std::future::pending::<()>());
    assert!(elapsed.await.is_err());
}

#[tokio::test(start_paused = true)]
async fn what_is_behind_a_recalled_message_is_received() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let gateway = start(&store).await;
    create(&gateway, "jobs", json!({"ordering": "key"})).await;
    let sent = send(&gateway, 2).await;
    let head = gateway.receive(anyone(), "jobs", ask(5, 0)).await.unwrap();
    assert_eq!(head.len(), 1);
    let receive = gateway.receive(anyone(), "jobs", ask(5, 20));
    let recall = async {
        idle().await;
        gateway.recall(anyone(), sent[0].id, None).await.unwrap();
    };
    let (received, ()) = tokio::join!(receive, recall);
    let received = received.unwrap();
    assert_eq!(received[0].message.header.id, sent[1].id);
    assert_eq!(gateway.clock.now(), START.plus(seconds(1)));
    let held = vec![head[0].receipt, received[0].receipt];
    let done = gateway.acknowledge(anyone(), "jobs", held).await.unwrap();
    assert_eq!(done, [false, true], "what is recalled is nobody's any more");
    gateway.shutdown(seconds(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_start_leaves_what_is_in_queues_to_their_consumers() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let gateway = start(&store).await;
    create(&gateway, "jobs", json!({"lease": 5})).await;
    send(&gateway, 3).await;
    let held = gateway.receive(anyone(), "jobs", ask(1, 0)).await.unwrap();
    // As after a crash: nobody closes the store.
    let next = start(&store).await;
    idle().await;
    let state = next.queue_state(anyone(), "jobs").await.unwrap();
    assert_eq!((state.active, state.leased), (2, 1));
    let held = vec![held[0].receipt];
    let done = next.acknowledge(anyone(), "jobs", held).await.unwrap();
    assert_eq!(done, [true], "the lease goes on");
    assert_eq!(
        next.receive(anyone(), "jobs", ask(5, 0))
            .await
            .unwrap()
            .len(),
        2
    );
    let again = next.receive(anyone(), "jobs", ask(5, 20)).await.unwrap();
    assert_eq!(again.len(), 2, "their leases have ended");
    next.shutdown(seconds(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_begins_to_count_receives_is_looked_after() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let gateway = start(&store).await;
    create(&gateway, "dead", json!({})).await;
    create(&gateway, "jobs", json!({"lease": 5})).await;
    send(&gateway, 1).await;
    gateway.receive(anyone(), "jobs", ask(1, 0)).await.unwrap();
    let rule = json!({"dead_letter": {"queue": "dead", "max_receives": 1}});
    let patched = gateway.patch_queue(anyone(), "jobs", rule, None).await;
    patched.unwrap();
    let dead = gateway.receive(anyone(), "dead", ask(1, 20)).await.unwrap();
    assert_eq!(dead[0].dead_letter.as_ref().unwrap().queue, "jobs");
    gateway.shutdown(seconds(1)).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_no_receive() {
    let store: SharedStore = Arc::new(MemoryStore::new());
    let gateway = start(&store).await;
    create(&gateway, "jobs", json!({})).await;
    let receive = gateway.receive(anyone(), "jobs", ask(1, 30));
    let shutdown = async {
        idle().await;
        gateway.shutdown(seconds(10)).await.unwrap();
    };
    let (received, ()) = tokio::join!(receive, shutdown);
    assert!(received.unwrap().is_empty());
    assert_eq!(gateway.clock.now(), START.plus(seconds(1)));
}
