//! Connections on the model store, in paused time, with a channel whose state machine does what a test has written down.

mod running;
mod script;
mod socket;

use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::Clock;
use anser_core::connection::Connector;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use super::*;
use crate::admin::ListQuery;
use crate::config::ChannelEntry;
use crate::connections::{ConnectionState, ConnectionView};
use crate::fixture::{Fixture, START, anyone};
use crate::gateway::Phase;
use script::{Bot, Do, Scripted};

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

/// A gateway whose channel `bot` is connected, its events going to `talk`.
struct Setup {
    fixture: Fixture,
    script: Arc<Scripted>,
    supervisor: JoinHandle<()>,
    started: tokio::time::Instant,
}

impl Setup {
    /// With these connections, one after another, each so many seconds after its beginning.
    fn new(connections: Vec<Vec<(u64, Do)>>) -> Self {
        let mut fixture = Fixture::new();
        fixture.topic("talk", json!({}));
        fixture.channel("shop", json!({}));
        fixture.subscription("talk", "all", json!({"channel": "shop"}));
        fixture.subscription("$ops", "operator", json!({"channel": "shop"}));
        let script = Arc::new(Scripted::new(connections));
        fixture.channel(
            "bot",
            json!({"inbound": {"topic": "talk", "via": "connection"}}),
        );
        connect(&mut fixture, script.clone());
        Self::of(fixture, script)
    }

    fn of(mut fixture: Fixture, script: Arc<Scripted>) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the runtime's clock is paused, and this one goes with it"
        )]
        let started = tokio::time::Instant::now();
        let gateway = Arc::get_mut(&mut fixture.gateway).unwrap();
        gateway.clock = Arc::new(RuntimeClock(started));
        fixture.reload();
        let supervisor = spawn(supervise(fixture.gateway.clone()));
        Self {
            fixture,
            script,
            supervisor,
            started,
        }
    }

    /// Waits until so many seconds after the start.
    async fn until(&self, seconds: u64) {
        let by = Duration::from_secs(seconds).saturating_sub(self.started.elapsed());
        // What is due at that very moment is done too.
        pass(by + Duration::from_millis(10)).await;
    }

    fn view(&self) -> ConnectionView {
        self.fixture
            .gateway
            .get_connection(anyone(), "bot")
            .unwrap()
    }

    /// The journal, the oldest entry first.
    async fn journal(&self) -> Vec<Value> {
        let query = ListQuery::default();
        let gateway = &self.fixture.gateway;
        let page = gateway.connection_journal(anyone(), "bot", &query).await;
        let mut items = page.unwrap().items;
        items.reverse();
        let value = |entry| serde_json::to_value(entry).unwrap();
        items.into_iter().map(value).collect()
    }

    async fn events(&self) -> Vec<String> {
        let journal = self.journal().await;
        let name = |entry: &Value| entry["event"].as_str().unwrap().to_owned();
        journal.iter().map(name).collect()
    }

    /// The data of what is on a topic.
    async fn on(&self, topic: &str) -> Vec<Value> {
        let mut found = Vec::new();
        for row in self.fixture.stored().await {
            let mut message: Value = serde_json::from_slice(&row.document).unwrap();
            if message["header"]["topic"] == topic {
                found.push(message["body"]["data"].take());
            }
        }
        found
    }

    /// As when the gateway stops.
    async fn stop(self) -> Fixture {
        self.fixture.gateway.phase.send_replace(Phase::Stopping);
        self.supervisor.await.unwrap();
        self.fixture.gateway.phase.send_replace(Phase::Running);
        self.fixture
    }

    /// As when the gateway is killed and started again on the same store.
    async fn killed(self, connections: Vec<Vec<(u64, Do)>>) -> Self {
        self.supervisor.abort();
        let _ = self.supervisor.await;
        // Whoever still holds the gateway was the supervisor's.
        tokio::task::yield_now().await;
        let script = Arc::new(Scripted::new(connections));
        let mut fixture = self.fixture;
        for (channel, _) in fixture.gateway.connections.live() {
            fixture.gateway.connections.remove(channel);
        }
        connect(&mut fixture, script.clone());
        fixture.reload();
        let supervisor = spawn(supervise(fixture.gateway.clone()));
        Self {
            fixture,
            script,
            supervisor,
            started: self.started,
        }
    }
}

/// Time passes, and whoever waited for it has run.
async fn pass(by: Duration) {
    let elapsed = tokio::time::timeout(by, std::future::pending::<()>());
    assert!(elapsed.await.is_err());
}

/// Gives the channel `bot` this way to be connected.
fn connect(fixture: &mut Fixture, connector: Arc<dyn Connector>) {
    let mut entry = ChannelEntry::clone(&fixture.snapshot.channels["bot"]);
    entry.channel = Arc::new(Bot(connector));
    let entry = Arc::new(entry);
    let snapshot = &mut fixture.snapshot;
    snapshot.channels_by_id.insert(entry.meta.id, entry.clone());
    snapshot.channels.insert("bot".to_owned(), entry);
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test ends it, or its runtime does"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}
