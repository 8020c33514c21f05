//! Queues on the model store, in paused time: what consumers hold, who waits for what, and what becomes of messages that
//! nobody acknowledges.

mod dead_letters;
mod leasing;
mod life;
mod operating;
mod waiting;

use anser_core::clock::Clock;
use anser_core::store::{MessageRow, Store as _};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::fixture::{Fixture, START, anyone, key, read};
use crate::leasing::Leasing;
use crate::publish::{PublishOptions, Published};

/// A clock that goes with the runtime's, which a test stops.
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        START.plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A gateway with queues whose keeper runs.
struct Setup {
    fixture: Fixture,
    keeper: JoinHandle<()>,
    started: tokio::time::Instant,
}

impl Setup {
    /// With these queues; a dead-letter queue comes before its sources.
    fn new(queues: &[(&str, Value)]) -> Self {
        let mut fixture = Fixture::new();
        for (name, spec) in queues {
            fixture.queue(name, spec.clone());
        }
        Self::of(fixture.put())
    }

    fn of(mut fixture: Fixture) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the runtime's clock is paused, and this one goes with it"
        )]
        let started = tokio::time::Instant::now();
        let clock = Arc::new(RuntimeClock(started));
        let gateway = Arc::get_mut(&mut fixture.gateway).unwrap();
        gateway.clock = clock.clone();
        gateway.leasing = Leasing::new(
            gateway.store.clone(),
            gateway.config.clone(),
            clock,
            gateway.metrics.clone(),
        );
        let leasing = Arc::clone(&gateway.leasing);
        #[expect(clippy::disallowed_methods, reason = "stopped by `Setup::stop`")]
        let keeper = tokio::spawn(leasing.keep());
        Self {
            fixture,
            keeper,
            started,
        }
    }

    async fn stop(self) {
        self.fixture.gateway.leasing.close();
        self.keeper.await.unwrap();
    }

    fn gateway(&self) -> &Arc<Gateway> {
        &self.fixture.gateway
    }

    /// Since the start.
    fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Lets time pass, and whatever is due happen.
    async fn pass(&self, by: Duration) {
        let elapsed = tokio::time::timeout(by, std::future::pending::<()>());
        assert!(elapsed.await.is_err());
        self.rest().await;
    }

    /// Lets everything happen that does not wait for time.
    async fn rest(&self) {
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    async fn send(&self, queue: &str, data: Value) -> Published {
        self.send_with(queue, data, json!({})).await
    }

    async fn send_with(&self, queue: &str, data: Value, header: Value) -> Published {
        let mut header = header;
        header["to"] = json!([format!("queue:{queue}")]);
        let items = read(&[json!({"header": header, "body": {"data": data}})]);
        let options = PublishOptions::default();
        let sent = self.gateway().publish_direct(anyone(), items, options);
        sent.await.unwrap().pop().unwrap().unwrap()
    }

    async fn receive(&self, queue: &str, max: usize) -> Vec<Received> {
        self.try_receive(queue, ask(max, 0)).await.unwrap()
    }

    async fn try_receive(&self, queue: &str, ask: Receive) -> Result<Vec<Received>, Problem> {
        self.gateway().receive(anyone(), queue, ask).await
    }

    /// A receive of one message that waits beside the test.
    fn waiting(&self, queue: &'static str, seconds: u64) -> JoinHandle<Vec<Received>> {
        let gateway = Arc::clone(self.gateway());
        #[expect(
            clippy::disallowed_methods,
            reason = "the test waits for it or ends it"
        )]
        tokio::spawn(async move {
            let received = gateway.receive(anyone(), queue, ask(1, seconds)).await;
            received.unwrap()
        })
    }

    async fn ack(&self, queue: &str, receipt: Receipt) -> bool {
        let done = self.gateway().acknowledge(anyone(), queue, vec![receipt]);
        done.await.unwrap()[0]
    }

    async fn state(&self, queue: &str) -> QueueState {
        let state = self.gateway().queue_state(anyone(), queue);
        state.await.unwrap()
    }

    /// The deliveries of a message, as `queue state` in the order in which they were made.
    async fn history(&self, message: &Published) -> Vec<String> {
        let row: MessageRow = self
            .fixture
            .faults
            .message(message.id)
            .await
            .unwrap()
            .unwrap();
        let names = |row: &DeliveryRow| {
            let queue = &self.fixture.snapshot.queues_by_id[&row.group];
            format!("{} {}", queue.meta.name, row.state.as_str())
        };
        self.fixture
            .deliveries(&row)
            .await
            .iter()
            .map(names)
            .collect()
    }
}

fn ask(max: usize, wait: u64) -> Receive {
    Receive {
        max,
        wait: Some(seconds(wait)),
        lease: None,
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The data of what was received, as text.
fn data(received: &[Received]) -> Vec<String> {
    let text = |received: &Received| {
        let document: Value = serde_json::from_slice(&received.document).unwrap();
        document["body"]["data"].to_string()
    };
    received.iter().map(text).collect()
}
