//! Three platforms in memory where people write, and a whole gateway between them in paused time: nothing connects anywhere,
//! and what a platform makes of a request is decided when it is classified.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, HttpRequest, Manifest, Plan, Request, Step, StepKind,
};
use anser_core::clock::Clock;
use anser_core::message::{Item, Origin, Sender as From, SenderKind};
use anser_core::outcome::Outcome;
use anser_core::random::SeededRandom;
use anser_core::resource::Ordering;
use anser_core::store::{DeliveryRow, MessageScan, SharedStore};
use anser_core::{Message, Problem, Timestamp};
use anser_store::MemoryStore;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::{Value, json};
use url::Url;

use crate::fixture::{START, anyone, blobs};
use crate::gateway::{Gateway, GatewayOptions, Parts};
use crate::metrics::Metrics;
use crate::publish::{Event, Source};
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Resolver, Sender, SenderOptions};

/// The channels: the first changes what was sent and takes it back, the second too, where answers stand below the first
/// message of a thread; the third can do neither. The fourth is no chat.
pub(super) const CHANNELS: [&str; 4] = ["red", "blue", "grey", "plain"];
const PLAIN: usize = 3;

/// What stands in a chat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) chat: String,
    pub(super) id: String,
    pub(super) text: String,
    pub(super) reply_to: Option<String>,
    pub(super) gone: bool,
    /// The gateway wrote it.
    pub(super) bot: bool,
}

/// What people see, and how the next requests fare.
#[derive(Default)]
pub(super) struct World(Mutex<State>);

#[derive(Default)]
struct State {
    entries: Vec<Entry>,
    outcomes: VecDeque<Outcome>,
    /// Events that were told so far.
    told: u64,
}

impl World {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that was ever there.
    pub(super) fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }

    /// The texts of a chat, as they are now.
    pub(super) fn seen(&self, chat: &str) -> Vec<String> {
        let entries = self.entries().into_iter();
        let here = entries.filter(|entry| entry.chat == chat && !entry.gone);
        here.map(|entry| entry.text).collect()
    }

    /// The next request is answered so, and is not carried out.
    pub(super) fn answer(&self, outcome: Outcome) {
        self.state().outcomes.push_back(outcome);
    }

    fn put(&self, chat: &str, text: &str, reply_to: Option<String>, bot: bool) -> String {
        let mut state = self.state();
        // The same numbers in every chat: only with its chat does one name a message.
        let here = state.entries.iter().filter(|entry| entry.chat == chat);
        let id = format!("id{}", here.count() + 1);
        state.entries.push(Entry {
            chat: chat.to_owned(),
            id: id.clone(),
            text: text.to_owned(),
            reply_to,
            gone: false,
            bot,
        });
        id
    }

    fn change(&self, chat: &str, id: &str, change: impl FnOnce(&mut Entry)) {
        let mut state = self.state();
        let mut entries = state.entries.iter_mut();
        let entry = entries.find(|entry| entry.chat == chat && entry.id == id);
        change(entry.expect("what is changed is there"));
    }

    fn take(&self, step: &Step, chat: &str) -> Outcome {
        if let Some(outcome) = self.state().outcomes.pop_front() {
            return outcome;
        }
        let body: Value = serde_json::from_slice(&step.body).unwrap();
        let text = body["text"].as_str().unwrap_or_default();
        let id = match (step.kind, &step.of) {
            (StepKind::Edit, Some(of)) => {
                self.change(chat, of, |entry| text.clone_into(&mut entry.text));
                of.clone()
            }
            (StepKind::Recall, Some(of)) => {
                self.change(chat, of, |entry| entry.gone = true);
                of.clone()
            }
            _ => self.put(
                chat,
                text,
                body["reply_to"].as_str().map(str::to_owned),
                true,
            ),
        };
        Outcome::Delivered {
            platform_id: Some(id),
        }
    }
}

struct Kind {
    world: Arc<World>,
    place: usize,
}

impl ChannelKind for Kind {
    fn manifest(&self) -> Manifest {
        let kind = CHANNELS[self.place];
        Manifest {
            kind,
            label: ["Red app", "Blue app", "Grey app", "Plain thing"][self.place],
            summary: "Keeps what it is sent in memory.",
            links: Vec::new(),
            settings: json!({"type": "object"}),
            formats: vec!["anser"],
            capabilities: match kind {
                "red" | "blue" => vec!["text", "edit", "recall"],
                _ => vec!["text"],
            },
            generic: self.place == PLAIN,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: "",
        }
    }

    fn open(&self, _: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened {
            world: Arc::clone(&self.world),
            name: CHANNELS[self.place],
        }))
    }

    fn rotate(
        &self,
        _: &Value,
        _: &str,
        _: &[u8; 32],
        _: Timestamp,
        _: Timestamp,
    ) -> Result<(Value, String), Problem> {
        Err(Problem::not_available("kind", "a secret"))
    }
}

struct Opened {
    world: Arc<World>,
    name: &'static str,
}

fn plan(kind: StepKind, message: &Message, of: Option<&String>) -> Result<Plan, Problem> {
    let text = String::from_utf8(message.body.payload().bytes.into_owned()).unwrap();
    let body = json!({"text": text, "reply_to": message.header.reply_to}).to_string();
    let step = Step {
        kind,
        of: of.cloned(),
        ..Step::send(body.into(), "application/json")
    };
    Ok(Plan {
        version: 1,
        steps: vec![step],
        degraded: Vec::new(),
    })
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, message: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        plan(StepKind::Send, message, None)
    }

    fn answers_first(&self) -> bool {
        self.name == "blue"
    }

    fn edit(&self, edit: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        plan(StepKind::Edit, edit, sent.first())
    }

    fn recall(&self, recall: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        plan(StepKind::Recall, recall, sent.first())
    }

    fn request(&self, _: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        Ok(Request::Http(HttpRequest {
            method: Method::POST,
            // The address guard forbids it.
            url: "http://127.0.0.1/".parse().unwrap(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }))
    }

    fn classify(&self, step: &Step, _: &Exchange, context: &Context<'_>) -> Outcome {
        let chat = format!("{}/{}", self.name, context.target.unwrap_or_default());
        self.world.take(step, &chat)
    }
}

/// No name is ever found.
struct Nobody;

#[async_trait]
impl Resolver for Nobody {
    async fn resolve(&self, _: &str, _: u16) -> io::Result<Vec<SocketAddr>> {
        std::future::pending().await
    }
}

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

/// A gateway with the topic `talk` and a channel of each kind.
pub(super) struct Setup {
    pub(super) gateway: Arc<Gateway>,
    pub(super) world: Arc<World>,
    pub(super) store: SharedStore,
    started: tokio::time::Instant,
    lives: u64,
}

impl Setup {
    pub(super) async fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "the runtime's clock is paused, and the gateway's goes with it"
        )]
        let started = tokio::time::Instant::now();
        let store: SharedStore = Arc::new(MemoryStore::new());
        let world = Arc::new(World::default());
        let gateway = start(&store, &world, started, 1).await;
        for kind in CHANNELS {
            let spec = serde_json::from_value(json!({"kind": kind, "settings": {}})).unwrap();
            gateway.create_channel(anyone(), kind, spec).await.unwrap();
        }
        let spec = serde_json::from_value(json!({})).unwrap();
        gateway.create_topic(anyone(), "talk", spec).await.unwrap();
        Self {
            gateway,
            world,
            store,
            started,
            lives: 1,
        }
    }

    /// A bridge on `talk`.
    pub(super) async fn bridge(&self, name: &str, chats: &[&str]) -> Result<(), Problem> {
        let spec = json!({"bridge": {"chats": chats}});
        self.subscribe(name, &spec).await
    }

    pub(super) async fn subscribe(&self, name: &str, spec: &Value) -> Result<(), Problem> {
        let spec = serde_json::from_value(spec.clone()).unwrap();
        let made = self
            .gateway
            .put_subscription(anyone(), "talk", name, spec, None);
        made.await.map(drop)
    }

    /// The process is killed and started again.
    pub(super) async fn kill(&mut self) {
        let tasks = std::mem::take(&mut *self.gateway.tasks.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        self.lives += 1;
        self.gateway = start(&self.store, &self.world, self.started, self.lives).await;
    }

    /// Ann writes in a chat; answers the message's id there.
    pub(super) async fn say(&self, chat: &str, text: &str, reply_to: Option<&str>) -> String {
        let id = self
            .world
            .put(chat, text, reply_to.map(str::to_owned), false);
        let item = json!({"header": {"reply_to": reply_to}, "body": {"segments": [{"type": "text", "text": text}]}});
        self.tell(chat, &id, SenderKind::User, item).await;
        id
    }

    pub(super) async fn edit(&self, chat: &str, id: &str, text: &str) {
        self.world
            .change(chat, id, |entry| text.clone_into(&mut entry.text));
        let data = json!({"message_id": id, "segments": [{"type": "text", "text": text}]});
        let item = json!({"header": {"type": "chat.edited"}, "body": {"data": data}});
        self.tell(chat, id, SenderKind::User, item).await;
    }

    pub(super) async fn recall(&self, chat: &str, id: &str) {
        self.world.change(chat, id, |entry| entry.gone = true);
        let item =
            json!({"header": {"type": "chat.recalled"}, "body": {"data": {"message_id": id}}});
        self.tell(chat, id, SenderKind::System, item).await;
    }

    /// What a platform sends in.
    pub(super) async fn tell(&self, chat: &str, id: &str, by: SenderKind, mut item: Value) {
        let channel = chat.split('/').next().unwrap();
        item["header"]["conversation"] = json!({"id": chat});
        item["dedupe_key"] = {
            let mut state = self.world.state();
            state.told += 1;
            state.told.to_string().into()
        };
        let from = From {
            kind: by,
            id: "u1".to_owned(),
            name: Some("Ann".to_owned()),
            platform: Some(channel.to_owned()),
            account: Some(channel.to_owned()),
        };
        let origin = Origin {
            platform: channel.to_owned(),
            account: Some(channel.to_owned()),
            r#type: None,
            event_id: None,
            message_id: Some(id.to_owned()),
        };
        let source = Source {
            resource: self.gateway.config.load().channel(channel).unwrap().meta.id,
            remember: Duration::from_secs(3_600),
        };
        let event = Event {
            from,
            origin: Some(origin),
            hops: 0,
            item: Item::from_json(item.to_string().as_bytes()).unwrap(),
        };
        let results = self.gateway.publish_events(source, "talk", vec![event]);
        results.await.unwrap().remove(0).unwrap();
    }

    /// Lets time pass, and whatever is due happen.
    pub(super) async fn pass(&self, seconds: u64) {
        let elapsed =
            tokio::time::timeout(Duration::from_secs(seconds), std::future::pending::<()>());
        assert!(elapsed.await.is_err());
    }

    /// Lets everything happen that does not wait for time.
    pub(super) async fn rest(&self) {
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
    }

    /// Every delivery, message by message.
    pub(super) async fn deliveries(&self) -> Vec<DeliveryRow> {
        let scan = MessageScan {
            ascending: true,
            limit: 1_000,
            ..MessageScan::default()
        };
        let mut rows = Vec::new();
        for message in self.store.scan_messages(scan).await.unwrap() {
            rows.extend(self.store.deliveries_of(message.num, 0, 100).await.unwrap());
        }
        rows
    }
}

async fn start(
    store: &SharedStore,
    world: &Arc<World>,
    started: tokio::time::Instant,
    life: u64,
) -> Arc<Gateway> {
    let clock = Arc::new(RuntimeClock(started));
    let metrics = Arc::new(Metrics::new());
    let kind = |place| {
        let world = Arc::clone(world);
        Box::new(Kind { world, place }) as Box<dyn ChannelKind>
    };
    let parts = Parts {
        blobs: blobs(Arc::clone(store), clock.clone(), metrics.clone()),
        links: None,
        store: Arc::clone(store),
        random: Arc::new(SeededRandom::new(life)),
        sender: Arc::new(Sender::new(SenderOptions::new(clock.clone(), Arc::new(Nobody))).unwrap()),
        clock,
        guard: AddressGuard::default(),
        sealer: Sealer::new(&[7; 32]),
        registry: (0..CHANNELS.len()).map(kind).collect(),
        metrics,
    };
    Gateway::start(parts, GatewayOptions::default())
        .await
        .unwrap()
}
