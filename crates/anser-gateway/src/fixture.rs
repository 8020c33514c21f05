//! A gateway on the model store, for this crate's tests: its configuration is put together by hand and its dispatcher
//! does not run, so that a test sees exactly what publishing and looking do.

mod faults;
pub(crate) mod platform;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use anser_core::channel::{Channel, Context, Exchange, Manifest, Plan, Request, Step};
use anser_core::clock::{Clock, ManualClock};
use anser_core::filter::Filter;
use anser_core::id::{IdGenerator, ResourceId};
use anser_core::inbound::Inbound;
use anser_core::limits::Limits;
use anser_core::message::{Item, Sender as From, SenderKind};
use anser_core::outcome::Outcome;
use anser_core::random::SeededRandom;
use anser_core::resource::{ChannelSpec, Ordering, QueueSpec, Scope, SubscriptionSpec, TopicSpec};
use anser_core::retry::RetrySchedule;
use anser_core::store::{
    DeliveryRow, MessageRow, MessageScan, Settle, Settled, Settlement, SharedStore, Store as _,
};
use anser_core::{Problem, Timestamp};
use anser_store::MemoryStore;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use tokio::sync::watch;
use url::Url;

use crate::auth::Principal;
use crate::blobs::{BlobHandles, BlobOptions, BlobPlace, Blobs};
use crate::config::{
    ChannelEntry, Destination, EndpointState, Meta, QueueEntry, Snapshot, Subscription, Topic,
};
use crate::connections::Connections;
use crate::dispatch;
use crate::gateway::{Gateway, GatewayOptions, Phase};
use crate::intake::Intake;
use crate::leasing::Leasing;
use crate::live::Sessions;
use crate::metrics::Metrics;
use crate::publish::{PublishOptions, Published, Results};
use crate::refusal_journal::RefusalJournal;
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Sender, SenderOptions, SystemResolver};
use crate::turns::Turns;

pub(crate) use faults::{Fault, Faults};

/// 2026-11-23T01:00:00Z, where the clock of every fixture begins.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_795_395_600_000);

/// A gateway with its clock and its store's faults.
pub(crate) struct Fixture {
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) snapshot: Snapshot,
    next: u64,
}

impl Fixture {
    /// With the system topics and nothing else.
    pub(crate) fn new() -> Self {
        let mut fixture = Self::bare();
        for name in ["$direct", "$dead", "$ops"] {
            fixture.topic(name, json!({}));
        }
        fixture.put()
    }

    /// With a topic `orders`, a channel `shop` and a subscription `billing` of everything.
    pub(crate) fn with_orders() -> Self {
        let mut fixture = Self::new();
        fixture.topic("orders", json!({}));
        fixture.channel("shop", json!({}));
        fixture.subscription("orders", "billing", json!({"channel": "shop"}));
        fixture.put()
    }

    fn bare() -> Self {
        Self::over(Arc::new(Faults::new(Arc::new(MemoryStore::new()))))
    }

    /// Another run over the same store, with the same configuration.
    pub(crate) async fn restarted(&self) -> Self {
        let mut next = Self::over(self.faults.clone());
        next.clock.set(self.clock.now());
        next.snapshot = self.snapshot.clone();
        next.next = self.next;
        let next = next.put();
        let rows = next.faults.config_list().await.unwrap();
        next.gateway
            .sessions
            .load_departed(&rows, &next.faults.info());
        next
    }

    fn over(faults: Arc<Faults>) -> Self {
        let clock = Arc::new(ManualClock::at(START));
        let options = SenderOptions::new(clock.clone(), Arc::new(SystemResolver::new()));
        let config = Arc::new(ArcSwap::from_pointee(Snapshot::default()));
        let metrics = Arc::new(Metrics::new());
        let leasing = Leasing::new(
            faults.clone(),
            config.clone(),
            clock.clone(),
            metrics.clone(),
        );
        let gateway = Gateway {
            store: faults.clone(),
            config,
            clock: clock.clone(),
            random: Arc::new(SeededRandom::new(7)),
            sender: Arc::new(Sender::new(options).unwrap()),
            credentials: Arc::default(),
            guard: AddressGuard::default(),
            sealer: Sealer::new(&[7; 32]),
            registry: Vec::new(),
            blobs: blobs(faults.clone(), clock.clone(), metrics.clone()),
            links: None,
            metrics,
            ids: IdGenerator::above(None),
            info: faults.info(),
            options: GatewayOptions::default(),
            dispatch: dispatch::Handle::default(),
            leasing,
            intake: Intake::default(),
            sessions: Sessions::new(clock.clone(), faults.info().highest_num),
            connections: Connections::default(),
            refusals: RefusalJournal::default(),
            fetches: Turns::default(),
            admin_lock: tokio::sync::Mutex::new(()),
            tasks: std::sync::Mutex::new(Vec::new()),
            phase: watch::Sender::new(Phase::Running),
        };
        Self {
            gateway: Arc::new(gateway),
            clock,
            faults,
            snapshot: Snapshot::default(),
            next: 1,
        }
    }

    fn meta(&mut self, name: &str) -> Meta {
        self.next += 1;
        Meta {
            id: ResourceId(self.next),
            name: name.to_owned(),
            revision: 1,
            created_at: START,
            updated_at: START,
        }
    }

    pub(crate) fn topic(&mut self, name: &str, spec: Value) -> ResourceId {
        let spec: TopicSpec = serde_json::from_value(spec).unwrap();
        let schema = spec.schema.as_ref();
        let topic = Arc::new(Topic {
            meta: self.meta(name),
            schema: schema.map(|schema| Arc::new(jsonschema::validator_for(schema).unwrap())),
            spec,
            subscriptions: Vec::new(),
        });
        let id = topic.meta.id;
        self.set_topic(topic);
        id
    }

    fn set_topic(&mut self, topic: Arc<Topic>) {
        let name = anser_core::name::fold(&topic.meta.name);
        self.snapshot
            .topics_by_id
            .insert(topic.meta.id, topic.clone());
        self.snapshot.topics.insert(name, topic);
    }

    pub(crate) fn channel(&mut self, name: &str, spec: Value) -> ResourceId {
        let mut full = json!({"kind": "fake", "settings": {}});
        for (field, value) in spec.as_object().unwrap() {
            full[field] = value.clone();
        }
        let spec: ChannelSpec = serde_json::from_value(full).unwrap();
        let entry = Arc::new(ChannelEntry {
            meta: self.meta(name),
            spec,
            manifest: Arc::new(manifest()),
            channel: Arc::new(Fake),
            ordering: Ordering::Key,
            endpoint: EndpointState::default(),
        });
        let id = entry.meta.id;
        self.snapshot.channels_by_id.insert(id, entry.clone());
        self.snapshot.channels.insert(name.to_owned(), entry);
        id
    }

    /// A queue; its dead-letter queue must be there.
    pub(crate) fn queue(&mut self, name: &str, spec: Value) -> ResourceId {
        let spec: QueueSpec = serde_json::from_value(spec).unwrap();
        let dead_letter = spec.dead_letter.as_ref();
        let entry = Arc::new(QueueEntry {
            meta: self.meta(name),
            dead_letter: dead_letter.map(|to| self.snapshot.queues[&to.queue].meta.id),
            spec,
            rewind_since: START,
        });
        let id = entry.meta.id;
        self.snapshot.queues_by_id.insert(id, entry.clone());
        let folded = anser_core::name::fold(name);
        self.snapshot.queues.insert(folded, entry);
        id
    }

    /// Marks a channel as disabled by the gateway.
    pub(crate) fn disable(&mut self, name: &str) {
        let mut entry = ChannelEntry::clone(&self.snapshot.channels[name]);
        entry.endpoint.disabled_at = Some(START);
        let entry = Arc::new(entry);
        self.snapshot
            .channels_by_id
            .insert(entry.meta.id, entry.clone());
        self.snapshot.channels.insert(name.to_owned(), entry);
    }

    pub(crate) fn subscription(&mut self, topic: &str, name: &str, spec: Value) -> ResourceId {
        let spec: SubscriptionSpec = serde_json::from_value(spec).unwrap();
        let mut of = Topic::clone(&self.snapshot.topics[topic]);
        let subscription = Arc::new(Subscription {
            meta: self.meta(name),
            topic: of.meta.id,
            topic_name: of.meta.name.clone(),
            destination: match &spec.queue {
                Some(queue) => Destination::Queue(self.snapshot.queues[queue].meta.id),
                None => {
                    let channel = spec.channel.as_ref().unwrap();
                    Destination::Channel(self.snapshot.channels[channel].meta.id)
                }
            },
            filter: Filter::compile("filter", &spec.filter).unwrap(),
            retry: RetrySchedule::compile("retry", &spec.retry).unwrap(),
            chat: false,
            bridge: None,
            ordering: spec.ordering.unwrap_or(Ordering::Key),
            spec,
        });
        let id = subscription.meta.id;
        self.snapshot.subscriptions.insert(id, subscription.clone());
        of.subscriptions.push(subscription);
        self.set_topic(Arc::new(of));
        id
    }

    /// Puts the configuration into force.
    pub(crate) fn put(self) -> Self {
        self.reload();
        self
    }

    /// Puts the configuration into force, again.
    pub(crate) fn reload(&self) {
        self.gateway.config.store(Arc::new(self.snapshot.clone()));
        self.gateway.leasing.configured();
    }

    /// Publishes items to `orders` as a key with every right.
    pub(crate) async fn publish(
        &self,
        items: &[Value],
        options: PublishOptions,
    ) -> Result<Results, Problem> {
        self.publish_as(anyone(), "orders", items, options).await
    }

    /// Publishes items.
    pub(crate) async fn publish_as(
        &self,
        principal: &Principal,
        topic: &str,
        items: &[Value],
        options: PublishOptions,
    ) -> Result<Results, Problem> {
        let items = read(items);
        self.gateway.publish(principal, topic, items, options).await
    }

    /// Publishes one item to `orders`, which must succeed.
    pub(crate) async fn accept(&self, item: Value) -> Published {
        let results = self.publish(&[item], PublishOptions::default()).await;
        results.unwrap().pop().unwrap().unwrap()
    }

    /// Publishes one item to `orders`, which must be refused.
    pub(crate) async fn refuse(&self, item: Value, options: PublishOptions) -> Problem {
        match self.publish(&[item], options).await {
            Err(problem) => problem,
            Ok(mut results) => results.pop().unwrap().unwrap_err(),
        }
    }

    /// Lowers the limits, and puts the configuration into force.
    pub(crate) fn gateway_limits(&mut self, lower: impl FnOnce(&mut Limits)) {
        let gateway = Arc::get_mut(&mut self.gateway).unwrap();
        lower(&mut gateway.options.limits);
        self.reload();
    }

    /// Settles a delivery as the dispatcher would after an attempt now.
    pub(crate) async fn settle(&self, row: &DeliveryRow, to: Settle) {
        let settlement = Settlement {
            token: row.token(),
            to,
            at: self.gateway.clock.now(),
            attempt: None,
            unlogged: false,
            known_as: Vec::new(),
        };
        let settled = self.gateway.store.settle(vec![settlement]).await.unwrap();
        assert!(matches!(settled[0], Settled::Done { .. }));
    }

    /// Every stored message, oldest first.
    pub(crate) async fn stored(&self) -> Vec<MessageRow> {
        let scan = MessageScan {
            ascending: true,
            limit: 10_000,
            ..MessageScan::default()
        };
        self.gateway.store.scan_messages(scan).await.unwrap()
    }

    /// The deliveries of a stored message.
    pub(crate) async fn deliveries(&self, message: &MessageRow) -> Vec<DeliveryRow> {
        let rows = self.gateway.store.deliveries_of(message.num, 0, 1_000);
        rows.await.unwrap()
    }
}

/// Items as the edge hands them over.
pub(crate) fn read(items: &[Value]) -> Vec<Result<Item, Problem>> {
    let parse = |item: &Value| Item::from_json(item.to_string().as_bytes());
    items.iter().map(parse).collect()
}

/// A key with every right.
pub(crate) fn anyone() -> &'static Principal {
    static ANYONE: LazyLock<Principal> = LazyLock::new(|| key(&[Scope::Admin], None, None));
    &ANYONE
}

/// A key with these rights.
pub(crate) fn key(
    scopes: &[Scope],
    topics: Option<&[&str]>,
    targets: Option<&[&str]>,
) -> Principal {
    let owned = |patterns: &[&str]| patterns.iter().map(|&text| text.to_owned()).collect();
    Principal {
        key: Some(ResourceId(900)),
        sender: From {
            kind: SenderKind::Service,
            id: "tests".to_owned(),
            name: None,
            platform: None,
            account: None,
        },
        lineage: 900,
        scopes: scopes.to_vec(),
        topics: topics.map(owned),
        targets: targets.map(owned),
    }
}

/// Blobs that are kept in memory.
pub(crate) fn blobs(
    store: SharedStore,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
) -> Arc<Blobs> {
    let place = BlobPlace::Url {
        url: "memory:///".parse().unwrap(),
        options: BTreeMap::new(),
    };
    let handles = BlobHandles {
        store,
        clock,
        random: Arc::new(SeededRandom::new(11)),
        metrics,
    };
    Arc::new(Blobs::new(BlobOptions::new(place), handles).unwrap())
}

/// Of a kind that can do nothing.
pub(crate) fn manifest() -> Manifest {
    Manifest {
        kind: "fake",
        label: "Fake",
        summary: "Sends nothing.",
        links: Vec::new(),
        settings: json!({}),
        formats: vec!["anser"],
        capabilities: Vec::new(),
        generic: true,
        ordering: Ordering::Key,
        rate: None,
        target_rate: None,
        schemes: Vec::new(),
        setup: "",
    }
}

/// A channel that is never asked to send.
struct Fake;

impl Channel for Fake {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, _: &anser_core::Message, _: &Context<'_>) -> Result<Plan, Problem> {
        unreachable!("the dispatcher does not run")
    }

    fn request(
        &self,
        _: &Step,
        _: &anser_core::Message,
        _: &Context<'_>,
    ) -> Result<Request, Problem> {
        unreachable!("the dispatcher does not run")
    }

    fn classify(&self, _: &Step, _: &Exchange, _: &Context<'_>) -> Outcome {
        unreachable!("the dispatcher does not run")
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(&platform::FakePlatform)
    }
}
