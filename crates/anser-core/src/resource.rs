//! The resources that a user configures: topics, channels, subscriptions, event types and keys, as written. Their
//! checks are here; what refers to other resources is checked by the gateway.

mod bridge;
mod issuer;
mod robot;
mod room;
mod trigger;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::filter::FilterSpec;
use crate::problem::Problem;
use crate::retry::RetrySpec;

pub use bridge::{BRIDGE_CHATS, BridgeNames, BridgeSpec};
pub use issuer::{
    ISSUER_SECRET_BYTES_MAX, ISSUER_SECRET_BYTES_MIN, IssuerSpec, RightsSpec, SigningAlgorithm,
    TOKEN_LIFETIME_DEFAULT, TOKEN_LIFETIME_MAX,
};
pub use robot::{ROBOT_ADDRESSES_MAX, ROBOT_DIALECTS_MAX, ROBOT_SECRET_BYTES_MAX, RobotSpec};
pub use room::{ROOM_MEMBERS_MAX, ROOM_NAME_BYTES_MAX, RoomSpec};

pub use trigger::{TRIGGER_BATCH_MAX, TRIGGER_WAIT_MAX, TriggerSpec};

/// Seconds in a day.
const DAY: u64 = 24 * 3600;

/// A topic: messages are appended to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TopicSpec {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Seconds for which messages are kept once their deliveries are all final; default 7 days, at most 3650 days.
    #[schemars(range(min = 0, max = 315_360_000))]
    pub retention: u64,
    /// Seconds after which unfinished deliveries end as expired; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub max_age: Option<u64>,
    /// Bytes of messages that wait for delivery, counted once per delivery; past it a publish is refused as
    /// `topic_full`. Absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_bytes: Option<u64>,
    /// JSON Schema that `body.data` must satisfy.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub schema: Option<Value>,
    /// Seconds for which a dedupe key is remembered; default 24 h, at most 7 days, 0 turns it off.
    #[schemars(range(min = 0, max = 604_800))]
    pub dedupe_window: u64,
    /// Only for topics that CMQ clients use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmq: Option<CmqTopic>,
}

/// What a topic has only for Tencent CMQ's clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CmqTopic {
    /// How its subscriptions choose: by tags or by binding keys.
    pub filter_type: CmqFilterType,
    /// Bytes of one message's body published through CMQ; default 65536.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub max_message_bytes: u64,
    /// The account's APPID, shown as `TopicOwner` in pushes; absent: the installation's number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub owner: Option<u64>,
}

/// Bytes of a message's body that CMQ allows at the least, by default and at most (`maxMsgSize`).
pub const CMQ_MESSAGE_BYTES: (u64, u64, u64) = (1_024, 65_536, 1_048_576);

impl Default for CmqTopic {
    fn default() -> Self {
        Self {
            filter_type: CmqFilterType::default(),
            max_message_bytes: CMQ_MESSAGE_BYTES.1,
            owner: None,
        }
    }
}

/// A CMQ topic's `filterType`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CmqFilterType {
    /// 1: by tags.
    #[default]
    Tags,
    /// 2: by binding keys.
    BindingKey,
}

impl Default for TopicSpec {
    fn default() -> Self {
        Self {
            description: None,
            retention: 7 * DAY,
            max_age: None,
            max_bytes: None,
            schema: None,
            dedupe_window: DAY,
            cmq: None,
        }
    }
}

impl TopicSpec {
    /// Checks the ranges.
    ///
    /// # Errors
    /// `out_of_range`.
    pub fn check(&self) -> Result<(), Problem> {
        const YEARS: u64 = 3_650 * DAY;
        check_description(self.description.as_deref())?;
        in_range("retention", self.retention, 0, YEARS)?;
        in_range("dedupe_window", self.dedupe_window, 0, 7 * DAY)?;
        in_range("max_age", self.max_age.unwrap_or(1), 1, YEARS)?;
        if let Some(cmq) = &self.cmq {
            let (least, _, most) = CMQ_MESSAGE_BYTES;
            in_range("cmq.max_message_bytes", cmq.max_message_bytes, least, most)?;
            in_range("cmq.owner", cmq.owner.unwrap_or(1), 1, u64::MAX)?;
        }
        in_range("max_bytes", self.max_bytes.unwrap_or(1), 1, u64::MAX)
    }
}

fn check_description(text: Option<&str>) -> Result<(), Problem> {
    match text {
        Some(text) if text.chars().count() > 1_024 => Err(Problem::invalid(
            "invalid_text",
            "description",
            "may have at most 1024 characters",
        )),
        _ => Ok(()),
    }
}

fn in_range(field: &str, value: u64, least: u64, most: u64) -> Result<(), Problem> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Problem::invalid(
        "out_of_range",
        field,
        format!("must be between {least} and {most}, is {value}"),
    ))
}

/// A channel: one configured way out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChannelSpec {
    /// Which kind; `GET /v1/channel-kinds` lists them.
    #[schemars(length(min = 1, max = 64))]
    pub kind: String,
    /// By the kind's schema. Secrets can be written, never read.
    #[schemars(with = "serde_json::Map<String, Value>")]
    pub settings: Value,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// At most so many deliveries a second; absent: the kind's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// At most so many deliveries a second to one chat or person, inside of `rate`; absent: the kind's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_rate: Option<Rate>,
    /// Channels with the same bucket share one rate, limiter and breaker, and the rates to chats and persons.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9._-]{0,126}$"))]
    pub bucket: Option<String>,
    /// Seconds for one attempt, from connecting to the last byte of the answer; 1 to 60, default 15.
    #[serde(default = "default_timeout")]
    #[schemars(range(min = 1, max = 60))]
    pub timeout: u64,
    /// Deliveries wait until it is resumed.
    #[serde(default)]
    pub paused: bool,
    /// What is done with what its platform sends to `/in/CHANNEL`; absent: it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inbound: Option<InboundSpec>,
}

/// What is done with what a platform sends in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InboundSpec {
    /// The topic that its events are put on.
    #[schemars(length(min = 1, max = 127))]
    pub topic: String,
    /// How they come; default `callback`.
    #[serde(default, skip_serializing_if = "InboundVia::is_callback")]
    pub via: InboundVia,
}

/// How a platform's events come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum InboundVia {
    /// The platform posts them to `/in/CHANNEL`.
    #[default]
    Callback,
    /// Over a connection that the gateway opens to the platform and keeps open: no public address is needed.
    Connection,
}

impl InboundVia {
    /// Whether it is the default.
    #[must_use]
    pub fn is_callback(&self) -> bool {
        *self == Self::Callback
    }
}

const fn default_timeout() -> u64 {
    15
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Deliveries a second on average; above 0, at most 100000.
    #[schemars(range(min = 0.001, max = 100_000.0))]
    pub per_second: f64,
    /// How many may go at once; default 1.
    #[serde(default = "default_burst")]
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: u32,
}

const fn default_burst() -> u32 {
    1
}

impl Rate {
    fn check(&self, field: &str) -> Result<(), Problem> {
        if !(0.001..=100_000.0).contains(&self.per_second) {
            return Err(Problem::invalid(
                "out_of_range",
                format!("{field}.per_second"),
                "must be between 0.001 and 100000",
            ));
        }
        in_range(&format!("{field}.burst"), u64::from(self.burst), 1, 100_000)
    }
}

impl ChannelSpec {
    /// A channel with these settings and nothing else said.
    #[must_use]
    pub fn new(kind: &str, settings: Value) -> Self {
        Self {
            kind: kind.to_owned(),
            settings,
            description: None,
            rate: None,
            target_rate: None,
            bucket: None,
            timeout: default_timeout(),
            paused: false,
            inbound: None,
        }
    }

    /// Checks the ranges; the settings are checked by the kind.
    ///
    /// # Errors
    /// `out_of_range` or `invalid_name`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())?;
        in_range("timeout", self.timeout, 1, 60)?;
        if let Some(rate) = &self.rate {
            rate.check("rate")?;
        }
        if let Some(inbound) = &self.inbound {
            crate::name::check_name("inbound.topic", &inbound.topic)?;
        }
        self.bucket
            .as_deref()
            .map_or(Ok(()), |bucket| crate::name::check_name("bucket", bucket))
    }
}

/// A subscription: ties a topic to a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// The channel's name; either this, `queue` or `bridge`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub channel: Option<String>,
    /// The queue's name; either this, `channel` or `bridge`. The message is in the queue from its commit on: retry, ordering,
    /// rate and pause are the queue's matter, not the subscription's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub queue: Option<String>,
    /// Links chats; either this, `channel` or `queue`. Each chat gets its copies in order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bridge: Option<BridgeSpec>,
    /// Whom in that channel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub target: Option<String>,
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Which messages it takes.
    #[serde(default)]
    pub filter: FilterSpec,
    /// In what form they are sent; absent: the channel's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    /// When a failed attempt is repeated; default `standard`.
    #[serde(default)]
    pub retry: RetrySpec,
    /// In what order; absent: `gate` with a `cmq-*` retry policy, else the kind's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordering: Option<Ordering>,
    /// What an exhausted delivery at the head of a lane does.
    #[serde(default)]
    pub on_exhausted: OnExhausted,
    /// Whether the sender is told of a dead delivery.
    #[serde(default)]
    pub on_dead: OnDead,
    /// A 4xx answer other than 408, 410, 425 and 429 is final.
    #[serde(default)]
    pub fail_fast_4xx: bool,
    /// What the attempts log keeps.
    #[serde(default)]
    pub attempt_log: AttemptLog,
    /// At most so many deliveries a second, beside the channel's own rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Deliveries wait until it is resumed.
    #[serde(default)]
    pub paused: bool,
    /// Not available yet: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub batch: Option<Value>,
}

impl SubscriptionSpec {
    /// Checks what stands by itself.
    ///
    /// # Errors
    /// `invalid_destination`, `not_available`, `out_of_range`, `invalid_pattern`, `invalid_cel`, `invalid_retry`, and what
    /// [`BridgeSpec::check`] refuses.
    pub fn check(&self) -> Result<(), Problem> {
        self.check_destination()?;
        if self.on_dead == OnDead::NotifySender {
            return Err(Problem::not_available("on_dead", "notify_sender"));
        }
        if self.batch.is_some() {
            return Err(Problem::not_available(
                "batch",
                "batching by a subscription",
            ));
        }
        check_description(self.description.as_deref())?;
        if let Some(target) = &self.target {
            crate::name::check_text(
                "invalid_address",
                "target",
                target,
                crate::limits::ADDRESS_BYTES_MAX,
            )?;
        }
        if let Some(rate) = &self.rate {
            rate.check("rate")?;
        }
        crate::filter::Filter::compile("filter", &self.filter)?;
        crate::retry::RetrySchedule::compile("retry", &self.retry)?;
        Ok(())
    }
}

impl SubscriptionSpec {
    /// One of `channel`, `queue` and `bridge`, and with it nothing that only another has.
    fn check_destination(&self) -> Result<(), Problem> {
        let refused = |field: &str, detail: &str| {
            Err(Problem::invalid("invalid_destination", field, detail)
                .accepted("channel, queue or bridge"))
        };
        let (unfit, why): (&[&str], &str) = match (&self.channel, &self.queue, &self.bridge) {
            (Some(_), None, None) => return Ok(()),
            (None, Some(_), None) => (
                &["target", "ordering", "rate", "paused"],
                "a subscription to a queue has no such field: the message is in the queue at once",
            ),
            (None, None, Some(bridge)) => {
                bridge.check()?;
                (
                    &["target", "ordering", "format"],
                    "a bridge has no such field: its chats are in bridge.chats, and each gets everything in order",
                )
            }
            (None, None, None) => {
                let detail = "name the channel or the queue it goes to, or the chats that it links";
                return refused("channel", detail);
            }
            (_, _, Some(_)) => {
                let detail = "a bridge names its chats itself: leave out channel and queue";
                return refused("bridge", detail);
            }
            (Some(_), Some(_), None) => {
                let detail = "a subscription goes to a channel or a queue, not both";
                return refused("queue", detail);
            }
        };
        let given = [
            ("target", self.target.is_some()),
            ("ordering", self.ordering.is_some()),
            ("rate", self.rate.is_some()),
            ("paused", self.paused),
            ("format", self.format.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given);
        match given.find(|(field, _)| unfit.contains(field)) {
            Some((field, _)) => refused(field, why),
            None => Ok(()),
        }
    }
}

/// A queue: its messages are pulled by consumers, each leased for a while and then acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct QueueSpec {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// Seconds for which a received message is the consumer's alone, unless the receive says otherwise; default 30, at
    /// most 12 hours.
    #[schemars(range(min = 1, max = 43_200))]
    pub lease: u64,
    /// Seconds that a receive waits for a message, unless it says otherwise; default 0, at most 30.
    #[schemars(range(min = 0, max = 30))]
    pub wait: u64,
    /// Seconds after which a message that nobody acknowledged ends as expired; default 4 days, at most 3650 days.
    #[schemars(range(min = 30, max = 315_360_000))]
    pub retention: u64,
    /// Seconds for which acknowledged messages can be had again by a rewind; default 0, at most `retention`.
    #[schemars(range(min = 0, max = 315_360_000))]
    pub rewind: u64,
    /// In what order: `none` (default; about as they came), or `key` (messages with the same key one after another,
    /// each once the one before is acknowledged).
    pub ordering: QueueOrdering,
    /// Unfinished messages beyond which a message sent straight to it is refused as `queue_full`; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub max_messages: Option<u64>,
    /// Bytes of one message's body sent through CMQ; default 65536.
    #[schemars(range(min = 1_024, max = 1_048_576))]
    pub max_message_bytes: u64,
    /// Where messages go that are not acknowledged for too long, or after too many receives; absent: nowhere, they
    /// are received again until `retention`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<DeadLetterSpec>,
    /// What CMQ clients get as a message's body.
    pub cmq_format: CmqBodyFormat,
    /// What takes its messages by itself; absent: they wait for consumers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trigger: Option<TriggerSpec>,
}

/// In what order a queue's messages are received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QueueOrdering {
    /// About as they came.
    #[default]
    None,
    /// One at a time for each ordering key, in accepted order.
    Key,
}

/// What CMQ clients get as a message's body.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CmqBodyFormat {
    /// The body alone: a string is its text, other data its JSON, chat content its plain text.
    #[default]
    Data,
    /// The whole message as JSON.
    Anser,
}

/// When a message leaves its queue for a dead-letter queue: by at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeadLetterSpec {
    /// The dead-letter queue's name. It must exist and have none itself.
    #[schemars(length(min = 1, max = 127))]
    pub queue: String,
    /// Received so often without being acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 1_000))]
    pub max_receives: Option<u32>,
    /// Not acknowledged for so many seconds; less than `retention`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 315_360_000))]
    pub max_age: Option<u64>,
}

/// Longest lease, in seconds.
pub const LEASE_MAX: u64 = 43_200;
/// Longest wait of a receive, in seconds.
pub const RECEIVE_WAIT_MAX: u64 = 30;

impl Default for QueueSpec {
    fn default() -> Self {
        Self {
            description: None,
            lease: 30,
            wait: 0,
            retention: 4 * DAY,
            rewind: 0,
            ordering: QueueOrdering::default(),
            max_messages: None,
            max_message_bytes: CMQ_MESSAGE_BYTES.1,
            dead_letter: None,
            cmq_format: CmqBodyFormat::default(),
            trigger: None,
        }
    }
}

impl QueueSpec {
    /// Checks the ranges; whether the dead-letter queue fits is checked by the gateway.
    ///
    /// # Errors
    /// `out_of_range`, `invalid_dead_letter`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())?;
        in_range("lease", self.lease, 1, LEASE_MAX)?;
        in_range("wait", self.wait, 0, RECEIVE_WAIT_MAX)?;
        in_range("retention", self.retention, 30, 3_650 * DAY)?;
        in_range("rewind", self.rewind, 0, self.retention)?;
        in_range("max_messages", self.max_messages.unwrap_or(1), 1, u64::MAX)?;
        let (least, _, most) = CMQ_MESSAGE_BYTES;
        in_range("max_message_bytes", self.max_message_bytes, least, most)?;
        self.trigger.as_ref().map_or(Ok(()), TriggerSpec::check)?;
        let Some(dead_letter) = &self.dead_letter else {
            return Ok(());
        };
        if dead_letter.max_receives.is_none() && dead_letter.max_age.is_none() {
            return Err(Problem::invalid(
                "invalid_dead_letter",
                "dead_letter",
                "say when a message goes there",
            )
            .accepted("max_receives, max_age or both"));
        }
        let receives = u64::from(dead_letter.max_receives.unwrap_or(1));
        in_range("dead_letter.max_receives", receives, 1, 1_000)?;
        let age = dead_letter.max_age.unwrap_or(1);
        in_range("dead_letter.max_age", age, 1, self.retention - 1)
    }
}

/// In what order a subscription's deliveries happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ordering {
    /// In none.
    None,
    /// One at a time for each ordering key, in accepted order; a message without a key waits for none.
    Key,
    /// One at a time, all of them, in accepted order.
    Strict,
    /// In parallel until one fails; then nothing behind it starts until it ends (Tencent CMQ's rule).
    Gate,
}

/// What an exhausted delivery does to the lane it heads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnExhausted {
    /// It goes to the dead letters and the lane goes on.
    #[default]
    Dead,
    /// It is tried on, at the schedule's last delay, and the lane waits.
    Block,
}

/// Whether the sender is told of a dead delivery.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OnDead {
    /// No.
    #[default]
    None,
    /// Not available yet: refused.
    NotifySender,
}

/// What the attempts log keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AttemptLog {
    /// Failed attempts in full; successes are only counted.
    Failures,
    /// Failed attempts in full, successes without headers.
    #[default]
    Summary,
    /// Everything in full.
    Full,
}

/// An entry of the event type catalogue.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventTypeSpec {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
    /// JSON Schema of `body.data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, Value>>")]
    pub schema: Option<Value>,
    /// An example of `body.data`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub example: Option<Value>,
}

impl EventTypeSpec {
    /// Checks what stands by itself; the schema is compiled by the gateway.
    ///
    /// # Errors
    /// `invalid_text`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())
    }
}

/// An API key as asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeySpec {
    /// Its name.
    #[schemars(regex(pattern = r"^[A-Za-z][A-Za-z0-9._-]{0,126}$"))]
    pub name: String,
    /// What it may do.
    #[schemars(length(min = 1, max = 4))]
    pub scopes: Vec<Scope>,
    /// Patterns of topics it is for, `*` standing for any run of characters; absent: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 128)))]
    pub topics: Option<Vec<String>>,
    /// Patterns of direct addresses it may use (`CHANNEL/*`); absent: all, or none when `topics` is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub targets: Option<Vec<String>>,
    /// The key that this one replaces: dedupe keys go on from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// It also has a SecretId and SecretKey for Tencent CMQ's clients.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cmq: bool,
    /// The APPID of such a key, shown as `TopicOwner` in pushes of the topics it creates; absent: the installation's
    /// number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub app_id: Option<u64>,
}

/// Patterns in one list of a key.
const KEY_PATTERNS_MAX: usize = 100;
/// Bytes of a key's pattern of topics.
const TOPIC_PATTERN_BYTES_MAX: usize = 128;

impl KeySpec {
    /// Checks what stands by itself.
    ///
    /// # Errors
    /// `invalid_name`, `invalid_scopes`, `invalid_pattern`, `too_many`.
    pub fn check(&self) -> Result<(), Problem> {
        crate::name::check_name("name", &self.name)?;
        if self.scopes.is_empty() || self.scopes.len() > 4 {
            return Err(Problem::invalid(
                "invalid_scopes",
                "scopes",
                "a key has one to four scopes",
            )
            .accepted("publish, consume, read, admin"));
        }
        if self.app_id.is_some() && !self.cmq {
            return Err(Problem::invalid(
                "invalid_app_id",
                "app_id",
                "only a key for CMQ clients has an APPID; give cmq: true, or leave it out",
            ));
        }
        in_range("app_id", self.app_id.unwrap_or(1), 1, u64::MAX)?;
        check_patterns("topics", self.topics.as_deref(), TOPIC_PATTERN_BYTES_MAX)?;
        check_patterns(
            "targets",
            self.targets.as_deref(),
            crate::limits::ADDRESS_BYTES_MAX,
        )
    }
}

fn check_patterns(field: &str, patterns: Option<&[String]>, most: usize) -> Result<(), Problem> {
    let patterns = patterns.unwrap_or_default();
    if patterns.len() > KEY_PATTERNS_MAX {
        return Err(Problem::invalid(
            "too_many",
            field,
            format!(
                "may have at most {KEY_PATTERNS_MAX} members, has {}",
                patterns.len()
            ),
        ));
    }
    for (i, pattern) in patterns.iter().enumerate() {
        crate::name::check_text("invalid_pattern", &format!("{field}[{i}]"), pattern, most)?;
    }
    Ok(())
}

/// What a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// Publish messages.
    Publish,
    /// Pull from queues and follow topics.
    Consume,
    /// Look at messages, deliveries and resources.
    Read,
    /// Everything, also change resources and keys.
    Admin,
}
