//! Administration on a running gateway with the model store and a kind of channel that keeps secrets and sends nothing.

mod channels;
mod issuers;
mod keys;
mod outset;
mod queues;
mod robots;
mod subscriptions;
mod topics;

use std::sync::Arc;
use std::time::Duration;

use anser_core::channel::{Channel, ChannelKind, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::clock::ManualClock;
use anser_core::outcome::Outcome;
use anser_core::random::SeededRandom;
use anser_core::resource::{
    ChannelSpec, KeySpec, Ordering, QueueSpec, SubscriptionSpec, TopicSpec,
};
use anser_core::store::{ConfigKind, ConfigRow, SharedStore};
use anser_core::{Message, Problem, Timestamp};
use anser_store::MemoryStore;
use serde_json::{Value, json};
use url::Url;

use super::{ChannelView, ListQuery, Put, QueueView, SubscriptionView, TopicView};
use crate::auth::Principal;
use crate::config::{self, LoadError, Snapshot};
use crate::gateway::{Gateway, GatewayOptions, Parts, Registry};
use crate::metrics::Metrics;
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Sender, SenderOptions, SystemResolver};

/// 2026-11-23T01:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_795_395_600_000);

/// A running gateway.
struct Setup {
    gateway: Arc<Gateway>,
    store: SharedStore,
    clock: Arc<ManualClock>,
    admin: Principal,
}

impl Setup {
    async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()), [7; 32]).await
    }

    async fn on(store: SharedStore, master_key: [u8; 32]) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let gateway = Gateway::start(
            parts(store.clone(), clock.clone(), master_key),
            GatewayOptions::default(),
        )
        .await
        .unwrap();
        Self {
            gateway,
            store,
            clock,
            admin: Principal::system(),
        }
    }

    async fn topic(&self, name: &str, spec: Value) -> Result<Put<TopicView>, Problem> {
        let spec: TopicSpec = serde_json::from_value(spec).unwrap();
        self.gateway.create_topic(&self.admin, name, spec).await
    }

    async fn channel(&self, name: &str, settings: Value) -> Result<Put<ChannelView>, Problem> {
        let spec = channel_spec(settings);
        self.gateway.create_channel(&self.admin, name, spec).await
    }

    async fn queue(&self, name: &str, spec: Value) -> Result<Put<QueueView>, Problem> {
        let spec: QueueSpec = serde_json::from_value(spec).unwrap();
        self.gateway.create_queue(&self.admin, name, spec).await
    }

    async fn subscription(
        &self,
        topic: &str,
        name: &str,
        spec: Value,
    ) -> Result<Put<SubscriptionView>, Problem> {
        let spec: SubscriptionSpec = serde_json::from_value(spec).unwrap();
        self.gateway
            .create_subscription(&self.admin, topic, name, spec)
            .await
    }

    /// A topic `orders`, a channel `shop` and a subscription `billing`.
    async fn with_orders() -> Self {
        let setup = Self::new().await;
        setup.topic("orders", json!({})).await.unwrap();
        setup
            .channel("shop", json!({"url": "https://shop.example/"}))
            .await
            .unwrap();
        setup
            .subscription("orders", "billing", json!({"channel": "shop"}))
            .await
            .unwrap();
        setup
    }

    async fn rows(&self, kind: ConfigKind) -> Vec<ConfigRow> {
        let rows = self.store.config_list().await.unwrap();
        rows.into_iter().filter(|row| row.kind == kind).collect()
    }

    /// The secrets of a channel as they are in force.
    fn settings(&self, name: &str) -> Value {
        let snapshot = self.gateway.config.load();
        snapshot.channel(name).unwrap().spec.settings.clone()
    }

    /// The configuration as the next start will read it, with this master key.
    async fn reloaded(&self, master_key: [u8; 32]) -> Result<Snapshot, LoadError> {
        let sealer = Sealer::new(&master_key);
        config::load(&*self.store, &registry(), &sealer, START).await
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn stop(self) {
        self.gateway.shutdown(Duration::from_secs(1)).await.unwrap();
    }
}

fn parts(store: SharedStore, clock: Arc<ManualClock>, master_key: [u8; 32]) -> Parts {
    let options = SenderOptions::new(clock.clone(), Arc::new(SystemResolver::new()));
    let metrics = Arc::new(Metrics::new());
    Parts {
        blobs: crate::fixture::blobs(store.clone(), clock.clone(), metrics.clone()),
        links: None,
        store,
        clock,
        random: Arc::new(SeededRandom::new(7)),
        sender: Arc::new(Sender::new(options).unwrap()),
        guard: AddressGuard::default(),
        sealer: Sealer::new(&master_key),
        registry: registry(),
        metrics,
    }
}

fn registry() -> Registry {
    vec![Box::new(Safe)]
}

fn channel_spec(settings: Value) -> ChannelSpec {
    serde_json::from_value(json!({"kind": "safe", "settings": settings})).unwrap()
}

fn key_spec(spec: Value) -> KeySpec {
    serde_json::from_value(spec).unwrap()
}

fn all() -> ListQuery {
    ListQuery::default()
}

/// A kind that keeps secrets and sends nothing: its plans have no steps.
struct Safe;

impl ChannelKind for Safe {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: "safe",
            label: "Safe",
            summary: "Keeps secrets.",
            links: Vec::new(),
            settings: json!({
                "type": "object",
                "properties": {
                    "url": {"type": "string"},
                    "secret": {"type": "string", "writeOnly": true},
                    "old_secrets": {"type": "array", "writeOnly": true},
                },
            }),
            formats: vec!["anser", "data"],
            capabilities: Vec::new(),
            generic: true,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: "",
        }
    }

    fn open(&self, settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
        let url = settings["url"].as_str().unwrap_or_default();
        Url::parse(url)
            .map(|url| Arc::new(Quiet { url }) as Arc<dyn Channel>)
            .map_err(|_| Problem::invalid("invalid_url", "settings.url", "must be a URL"))
    }

    fn rotate(
        &self,
        settings: &Value,
        secret_kind: &str,
        random: &[u8; 32],
        _now: Timestamp,
        old_until: Timestamp,
    ) -> Result<(Value, String), Problem> {
        if secret_kind != "secret" {
            return Err(Problem::invalid("invalid_field", "kind", "no such secret"));
        }
        let mut rotated = settings.clone();
        let secret = format!("new-{}", random[0]);
        rotated["old_secrets"] = json!([{"secret": settings["secret"], "until": old_until}]);
        rotated["secret"] = secret.clone().into();
        Ok((rotated, secret))
    }
}

struct Quiet {
    url: Url,
}

impl Channel for Quiet {
    fn endpoint(&self) -> Option<&Url> {
        Some(&self.url)
    }

    fn render(&self, message: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        if self.url.path() == "/mute" {
            return Err(Problem::invalid("mute", "body", "says nothing"));
        }
        assert_eq!(message.header.r#type, "anser.test");
        Ok(Plan {
            version: 1,
            steps: Vec::new(),
            degraded: Vec::new(),
        })
    }

    fn request(&self, _: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        unreachable!("a plan without steps asks for no request")
    }

    fn classify(&self, _: &Step, _: &Exchange, _: &Context<'_>) -> Outcome {
        unreachable!("a plan without steps has no answer")
    }
}
