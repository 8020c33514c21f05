//! A platform in memory, and a whole gateway that sends to it in paused time: nothing connects anywhere, as the address
//! guard forbids the channel's address, and what the platform makes of a request is decided when it is classified.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, HttpRequest, Manifest, Plan, Request, SendErrorKind,
    Step, StepKind,
};
use anser_core::clock::Clock;
use anser_core::outcome::Outcome;
use anser_core::random::SeededRandom;
use anser_core::resource::Ordering;
use anser_core::store::SharedStore;
use anser_core::{Message, Timestamp};
use anser_store::MemoryStore;
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Method};
use serde_json::Value;
use url::Url;

use super::*;
use crate::fixture::{START, anyone, read};
use crate::gateway::{GatewayOptions, Parts};
use crate::metrics::Metrics;
use crate::publish::PublishOptions;
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Resolver, Sender, SenderOptions};

/// The host of requests that are not answered before the time limit.
const HANGING: &str = "hanging.example";
const FORBIDDEN: &str = "127.0.0.1";
/// What begins the text of a message whose requests hang.
pub(super) const HANG: &str = "hang";

/// What people see, and how the next requests fare.
#[derive(Default)]
pub(super) struct Platform {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    next: u64,
    /// Parts by id, with their target.
    parts: BTreeMap<u64, (String, String)>,
    outcomes: VecDeque<Outcome>,
    requests: Vec<String>,
}

impl Platform {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What stands at a target, part by part.
    pub(super) fn seen(&self, target: &str) -> Vec<String> {
        let state = self.state();
        let of_target = state.parts.values().filter(|(to, _)| to == target);
        of_target.map(|(_, text)| text.clone()).collect()
    }

    /// Every request it got, such as `edit 1 b`.
    pub(super) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.state().requests)
    }

    /// The next request is answered so, and is not carried out.
    pub(super) fn answer(&self, outcome: Outcome) {
        self.state().outcomes.push_back(outcome);
    }

    fn take(&self, step: &Step, target: &str) -> Outcome {
        let text = String::from_utf8_lossy(&step.body).into_owned();
        let of = step.of.as_ref().and_then(|of| of.parse::<u64>().ok());
        let mut state = self.state();
        let verb = format!("{:?}", step.kind).to_lowercase();
        let words = [
            verb,
            of.map_or(String::new(), |of| of.to_string()),
            text.clone(),
        ];
        let words: Vec<&str> = words
            .iter()
            .map(String::as_str)
            .filter(|word| !word.is_empty())
            .collect();
        state.requests.push(words.join(" "));
        if let Some(outcome) = state.outcomes.pop_front() {
            return outcome;
        }
        let id = match (step.kind, of) {
            (StepKind::Edit, Some(of)) => {
                let part = state
                    .parts
                    .get_mut(&of)
                    .expect("a part that was not taken back");
                part.1 = text;
                of
            }
            (StepKind::Recall, Some(of)) => {
                state.parts.remove(&of);
                of
            }
            _ => {
                state.next += 1;
                let id = state.next;
                state.parts.insert(id, (target.to_owned(), text));
                id
            }
        };
        Outcome::Delivered {
            platform_id: Some(id.to_string()),
        }
    }
}

/// The kind; settings `changes: false` make a channel that can neither edit nor recall.
pub(super) struct Kind {
    pub(super) platform: Arc<Platform>,
    pub(super) name: &'static str,
    pub(super) changes: bool,
}

impl ChannelKind for Kind {
    fn manifest(&self) -> Manifest {
        Manifest {
            kind: self.name,
            label: "Memory",
            summary: "Keeps what it is sent in memory.",
            links: Vec::new(),
            settings: json!({"type": "object"}),
            formats: vec!["anser"],
            capabilities: if self.changes {
                vec!["text", "edit", "recall"]
            } else {
                vec!["text"]
            },
            generic: false,
            ordering: Ordering::Key,
            rate: None,
            target_rate: None,
            schemes: Vec::new(),
            setup: "",
        }
    }

    fn open(&self, _: &Value) -> Result<Arc<dyn Channel>, Problem> {
        Ok(Arc::new(Opened(Arc::clone(&self.platform))))
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

struct Opened(Arc<Platform>);

fn step(kind: StepKind, of: Option<&String>, text: &str) -> Step {
    Step {
        kind,
        of: of.cloned(),
        ..Step::send(Bytes::copy_from_slice(text.as_bytes()), "text/plain")
    }
}

fn plan(steps: Vec<Step>) -> Result<Plan, Problem> {
    Ok(Plan {
        version: 1,
        steps,
        degraded: Vec::new(),
    })
}

/// A text goes out in the parts between its bars.
fn parts(message: &Message) -> Vec<String> {
    let text = String::from_utf8(message.body.payload().bytes.into_owned()).unwrap();
    text.split('|').map(str::to_owned).collect()
}

impl Channel for Opened {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, message: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        let send = |text: &String| step(StepKind::Send, None, text);
        plan(parts(message).iter().map(send).collect())
    }

    fn edit(&self, edit: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        let texts = parts(edit);
        let mut steps = Vec::new();
        for (place, text) in texts.iter().enumerate() {
            let (kind, of) = match sent.get(place) {
                Some(id) => (StepKind::Edit, Some(id)),
                None => (StepKind::Send, None),
            };
            steps.push(step(kind, of, text));
        }
        let left = sent.iter().skip(texts.len());
        steps.extend(left.map(|id| step(StepKind::Recall, Some(id), "")));
        plan(steps)
    }

    fn recall(&self, _: &Message, sent: &[String], _: &Context<'_>) -> Result<Plan, Problem> {
        plan(
            sent.iter()
                .map(|id| step(StepKind::Recall, Some(id), ""))
                .collect(),
        )
    }

    fn request(&self, step: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        let host = if step.body.starts_with(HANG.as_bytes()) {
            HANGING
        } else {
            FORBIDDEN
        };
        Ok(Request::Http(HttpRequest {
            method: Method::POST,
            url: format!("http://{host}/").parse().unwrap(),
            headers: HeaderMap::new(),
            body: step.body.clone(),
        }))
    }

    fn classify(&self, step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
        match exchange {
            Err(error) if error.kind != SendErrorKind::Blocked => Outcome::Retry {
                reason: error.to_string(),
            },
            _ => self.0.take(step, context.target.unwrap_or_default()),
        }
    }
}

/// No name is ever found, and none is ever said not to exist.
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

/// A gateway with the topic `talk`, the channels `chat` (which can edit and recall) and `mail` (which cannot), and the
/// queue `jobs`.
pub(super) struct Setup {
    pub(super) gateway: Arc<Gateway>,
    pub(super) platform: Arc<Platform>,
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
        let platform = Arc::new(Platform::default());
        let gateway = start(&store, &platform, started, 1).await;
        for (name, kind) in [("chat", "memory"), ("mail", "fixed")] {
            let spec = serde_json::from_value(json!({"kind": kind, "settings": {}})).unwrap();
            gateway.create_channel(anyone(), name, spec).await.unwrap();
        }
        let spec = serde_json::from_value(json!({})).unwrap();
        gateway.create_topic(anyone(), "talk", spec).await.unwrap();
        let spec = serde_json::from_value(json!({})).unwrap();
        gateway.create_queue(anyone(), "jobs", spec).await.unwrap();
        Self {
            gateway,
            platform,
            store,
            started,
            lives: 1,
        }
    }

    /// A subscription of everything on `talk`.
    pub(super) async fn subscribe(&self, name: &str, spec: Value) {
        let spec = serde_json::from_value(spec).unwrap();
        let created = self
            .gateway
            .create_subscription(anyone(), "talk", name, spec);
        created.await.unwrap();
    }

    /// The process is killed and started again.
    pub(super) async fn kill(&mut self) {
        let tasks = std::mem::take(&mut *self.gateway.tasks.lock().unwrap());
        for task in tasks {
            task.abort();
            let _ = task.await;
        }
        self.lives += 1;
        self.gateway = start(&self.store, &self.platform, self.started, self.lives).await;
    }

    pub(super) async fn publish(&self, header: Value, text: &str) -> MessageId {
        let items = read(&[json!({"header": header, "body": {"data": text}})]);
        let options = PublishOptions::default();
        let results = self.gateway.publish(anyone(), "talk", items, options).await;
        results.unwrap().remove(0).unwrap().id
    }

    /// Sends straight to addresses.
    pub(super) async fn send(&self, to: &[&str], text: &str) -> MessageId {
        self.publish(json!({"to": to}), text).await
    }

    pub(super) async fn try_edit(&self, id: MessageId, text: &str) -> Result<Changed, Problem> {
        let edit = Edit {
            body: serde_json::from_value(json!({"data": text})).unwrap(),
            attachments: Vec::new(),
            dedupe_key: None,
        };
        self.gateway.edit(anyone(), id, edit).await
    }

    pub(super) async fn edit(&self, id: MessageId, text: &str) -> Vec<ChangeOutcome> {
        outcomes(&self.try_edit(id, text).await.unwrap())
    }

    pub(super) async fn recall(&self, id: MessageId) -> Vec<ChangeOutcome> {
        outcomes(&self.gateway.recall(anyone(), id, None).await.unwrap())
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

    pub(super) async fn deliveries(&self, id: MessageId) -> Vec<DeliveryRow> {
        let row = self.store.message(id).await.unwrap().unwrap();
        self.store.deliveries_of(row.num, 0, 100).await.unwrap()
    }
}

pub(super) fn outcomes(changed: &Changed) -> Vec<ChangeOutcome> {
    changed.results.iter().map(|result| result.result).collect()
}

async fn start(
    store: &SharedStore,
    platform: &Arc<Platform>,
    started: tokio::time::Instant,
    life: u64,
) -> Arc<Gateway> {
    let clock = Arc::new(RuntimeClock(started));
    let options = SenderOptions::new(clock.clone(), Arc::new(Nobody));
    let metrics = Arc::new(Metrics::new());
    let kind = |name, changes| {
        let platform = Arc::clone(platform);
        Box::new(Kind {
            platform,
            name,
            changes,
        }) as Box<dyn ChannelKind>
    };
    let parts = Parts {
        blobs: crate::fixture::blobs(Arc::clone(store), clock.clone(), metrics.clone()),
        links: None,
        store: Arc::clone(store),
        clock,
        random: Arc::new(SeededRandom::new(life)),
        sender: Arc::new(Sender::new(options).unwrap()),
        guard: AddressGuard::default(),
        sealer: Sealer::new(&[7; 32]),
        registry: vec![kind("memory", true), kind("fixed", false)],
        metrics,
    };
    let options = GatewayOptions::default();
    Gateway::start(parts, options).await.unwrap()
}
