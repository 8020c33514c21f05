//! A channel whose connections do what is written down, by timers alone, and note what they are told.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anser_core::channel::{Channel, Context, Exchange, Plan, Request, Step};
use anser_core::connection::{Action, Again, Connection, Connector, Input, Loss, Recovery};
use anser_core::inbound::{Inbound, InboundContext, InboundEvent};
use anser_core::message::{Item, Origin, Sender, SenderKind};
use anser_core::outcome::Outcome;
use anser_core::{Message, Problem};
use bytes::Bytes;
use serde_json::json;
use url::Url;

use crate::fixture::platform::FakePlatform;

/// The longest silence.
pub(super) const SILENCE: Duration = Duration::from_secs(90);
/// For how long events may come again.
const REMEMBER: Duration = Duration::from_secs(3_600);
/// The timer of the script.
const NEXT: u8 = 0;

/// What a connection does.
#[derive(Debug, Clone)]
pub(super) enum Do {
    /// It is live.
    Live(Recovery),
    /// Events with these keys came.
    Take(&'static [&'static str]),
    /// The same, and it broke in the same moment.
    TakeAndBreak(&'static [&'static str]),
    /// Something came that cannot be read.
    Unread(&'static str),
    /// It keeps this for the next one.
    Keep(&'static str),
    /// It is at its end.
    Lost(Loss, Again),
    /// Its code is wrong.
    Panic,
}

/// The channel.
pub(super) struct Scripted {
    connections: Mutex<VecDeque<Vec<(u64, Do)>>>,
    told: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    pub(super) fn new(connections: Vec<Vec<(u64, Do)>>) -> Self {
        Self {
            connections: Mutex::new(connections.into()),
            told: Arc::default(),
        }
    }

    /// What connections were told.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }
}

impl Connector for Scripted {
    fn begin(&self, resume: Option<&[u8]>) -> Box<dyn Connection> {
        let next = self.connections.lock().unwrap().pop_front();
        let resume = resume.map_or("-", |bytes| std::str::from_utf8(bytes).unwrap());
        self.told.lock().unwrap().push(format!("begin {resume}"));
        Box::new(Script {
            // Beyond what is written down nothing happens.
            steps: next.unwrap_or_default().into(),
            passed: 0,
            batch: 0,
            told: self.told.clone(),
        })
    }

    fn silence_max(&self) -> Duration {
        SILENCE
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// A connection.
struct Script {
    steps: VecDeque<(u64, Do)>,
    /// Seconds until the last step.
    passed: u64,
    batch: u64,
    told: Arc<Mutex<Vec<String>>>,
}

impl Connection for Script {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        let mut actions = Vec::new();
        match input {
            Input::Begin => {}
            Input::Timer(_) => {
                if let Some((_, step)) = self.steps.pop_front() {
                    if let Do::TakeAndBreak(keys) = step {
                        actions.push(self.act(Do::Take(keys), context));
                    }
                    actions.push(self.act(step, context));
                }
            }
            Input::Stored { batch } => {
                self.note(format!("stored {batch}"));
                return actions;
            }
            Input::NotStored { batch } => {
                self.note(format!("not stored {batch}"));
                return actions;
            }
            other => unreachable!("{other:?} was not asked for"),
        }
        if let Some((seconds, _)) = self.steps.front() {
            actions.push(Action::Timer {
                number: NEXT,
                after: Duration::from_secs(seconds - self.passed),
            });
            self.passed = *seconds;
        }
        actions
    }
}

impl Script {
    fn note(&self, what: String) {
        self.told.lock().unwrap().push(what);
    }

    fn act(&mut self, step: Do, context: &InboundContext<'_>) -> Action {
        match step {
            Do::Live(recovery) => Action::Live {
                session: Some("s1".to_owned()),
                recovery,
            },
            Do::Take(keys) => {
                self.batch += 1;
                Action::Take {
                    batch: self.batch,
                    events: keys.iter().map(|key| event(context, key)).collect(),
                }
            }
            Do::Unread(detail) => Action::Unread {
                detail: detail.to_owned(),
            },
            Do::Keep(text) => Action::Keep(Bytes::from_static(text.as_bytes())),
            Do::TakeAndBreak(_) => self.act(Do::Lost(Loss::Network, Again::Backoff), context),
            Do::Lost(loss, again) => Action::Lost {
                loss,
                detail: format!("it was {loss:?}"),
                again,
            },
            Do::Panic => panic!("the script says so"),
        }
    }
}

/// An event whose data is its key.
pub(super) fn event(context: &InboundContext<'_>, key: &str) -> InboundEvent {
    let from = Sender {
        kind: SenderKind::User,
        id: "ou_1".to_owned(),
        name: None,
        platform: None,
        account: None,
    };
    let origin = Origin {
        platform: "fake".to_owned(),
        account: None,
        r#type: None,
        event_id: Some(key.to_owned()),
        message_id: None,
    };
    let item = json!({"body": {"data": key}}).to_string();
    let item = Item::from_json(item.as_bytes()).unwrap();
    InboundEvent::new(context, key.to_owned(), from, origin, item)
}

/// A channel that is connected.
pub(super) struct Bot(pub(super) Arc<dyn Connector>);

impl Channel for Bot {
    fn endpoint(&self) -> Option<&Url> {
        None
    }

    fn render(&self, _: &Message, _: &Context<'_>) -> Result<Plan, Problem> {
        unreachable!("nothing is sent")
    }

    fn request(&self, _: &Step, _: &Message, _: &Context<'_>) -> Result<Request, Problem> {
        unreachable!("nothing is sent")
    }

    fn classify(&self, _: &Step, _: &Exchange, _: &Context<'_>) -> Outcome {
        unreachable!("nothing is sent")
    }

    fn inbound(&self) -> Option<&dyn Inbound> {
        Some(&FakePlatform)
    }

    fn connector(&self) -> Option<&dyn Connector> {
        Some(&*self.0)
    }
}
