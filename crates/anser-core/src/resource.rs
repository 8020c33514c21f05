//! The resources that a user configures: topics, channels, subscriptions, event types and keys, as written. Their
//! checks are here; what refers to other resources is checked by the gateway.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::filter::FilterSpec;
use crate::problem::Problem;
use crate::retry::RetrySpec;

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
    /// Channels with the same bucket share one rate, limiter and breaker.
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
        self.bucket
            .as_deref()
            .map_or(Ok(()), |bucket| crate::name::check_name("bucket", bucket))
    }
}

/// A subscription: ties a topic to a destination.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionSpec {
    /// The channel's name.
    #[schemars(length(min = 1, max = 127))]
    pub channel: String,
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
    pub queue: Option<Value>,
    /// Not available yet: refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub batch: Option<Value>,
}

impl SubscriptionSpec {
    /// Checks what stands by itself.
    ///
    /// # Errors
    /// `not_available`, `out_of_range`, `invalid_pattern`, `invalid_cel`, `invalid_retry`.
    pub fn check(&self) -> Result<(), Problem> {
        if self.queue.is_some() {
            return Err(Problem::not_available("queue", "a queue as destination"));
        }
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
