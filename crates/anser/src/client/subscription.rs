//! `anser subscription`. Filters, schedules and orderings are the server's to check.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::resource::{self, Assignment, Paging, assign, put};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("TOPIC", "topic"),
    ("NAME", "name"),
    ("CHANNEL", "channel"),
    ("QUEUE", "queue"),
    ("BRIDGE", "bridge.chats"),
    ("TARGET", "target"),
    ("FORMAT", "format"),
    ("ORDERING", "ordering"),
    ("PAUSED", "paused"),
    ("FILTER", "filter"),
];

/// What to do with subscriptions.
#[derive(Debug, Subcommand)]
pub(crate) enum SubscriptionCommand {
    /// List subscriptions, all or those of one topic.
    List {
        /// The topic.
        topic: Option<String>,
        #[command(flatten)]
        paging: Paging,
    },
    /// Show one subscription.
    Get {
        /// The topic.
        topic: String,
        /// Its name.
        name: String,
    },
    /// Create a subscription; the same again changes nothing.
    Create(Box<Create>),
    /// Change fields of a subscription.
    Set {
        /// The topic.
        topic: String,
        /// Its name.
        name: String,
        /// Such as retry=patient or filter.types='["order.*"]'.
        #[arg(required = true, value_name = "FIELD=VALUE")]
        fields: Vec<Assignment>,
    },
    /// Hold its deliveries until it is resumed.
    Pause {
        /// The topic.
        topic: String,
        /// Its name.
        name: String,
    },
    /// Let a paused subscription go on.
    Resume {
        /// The topic.
        topic: String,
        /// Its name.
        name: String,
    },
    /// Delete a subscription, cancelling its deliveries.
    Delete {
        /// The topic.
        topic: String,
        /// Its name.
        name: String,
    },
}

/// A subscription to create.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("where").required(true).args(["channel", "queue", "bridge"])))]
pub(crate) struct Create {
    /// The topic.
    topic: String,
    /// Its name.
    name: String,
    /// The channel it delivers through.
    #[arg(long)]
    channel: Option<String>,
    /// The queue it delivers into, instead of a channel.
    #[arg(long)]
    queue: Option<String>,
    /// Link chats, CHANNEL/TARGET, instead of a channel; two or more: what people write in one is in all of them.
    #[arg(long, value_name = "CHAT,…", value_delimiter = ',')]
    bridge: Vec<String>,
    /// Whom in that channel.
    #[arg(long)]
    target: Option<String>,
    /// Only these types; `*` is one word, `#` any number.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    types: Vec<String>,
    /// Only messages with one of these tags.
    #[arg(long, value_name = "TAG,…", value_delimiter = ',')]
    tags: Vec<String>,
    /// Only messages whose routing key matches.
    #[arg(long, value_name = "PATTERN")]
    binding_key: Option<String>,
    /// Only messages for which this CEL expression is true.
    #[arg(long, value_name = "EXPRESSION")]
    cel: Option<String>,
    /// In what form they are sent; default: the channel's.
    #[arg(long)]
    format: Option<String>,
    /// standard, patient, cmq-backoff, cmq-decay, or a schedule as JSON.
    #[arg(long)]
    retry: Option<String>,
    /// none, key, strict or gate.
    #[arg(long)]
    ordering: Option<String>,
    /// Take most 4xx answers as final.
    #[arg(long)]
    fail_fast_4xx: bool,
    /// What the attempts log keeps: failures, summary or full.
    #[arg(long)]
    attempt_log: Option<String>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Further fields, such as on_exhausted=block.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    fields: Vec<Assignment>,
}

impl SubscriptionCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List { topic, paging } => {
                let path = match &topic {
                    Some(topic) => vec!["v1", "topics", topic.as_str(), "subscriptions"],
                    None => vec!["v1", "subscriptions"],
                };
                resource::list(api, output, &path, &paging.query(), COLUMNS).await
            }
            Self::Get { topic, name } => resource::get(api, output, &path(&topic, &name)).await,
            Self::Create(create) => create.run(api, output).await,
            Self::Set {
                topic,
                name,
                fields,
            } => {
                let mut patch = Map::new();
                assign(&mut patch, &fields);
                resource::change(api, output, &path(&topic, &name), patch).await
            }
            Self::Pause { topic, name } => pause(api, output, &topic, &name, true).await,
            Self::Resume { topic, name } => pause(api, output, &topic, &name, false).await,
            Self::Delete { topic, name } => {
                resource::delete(api, output, &path(&topic, &name), false).await
            }
        }
    }
}

fn path<'a>(topic: &'a str, name: &'a str) -> [&'a str; 5] {
    ["v1", "topics", topic, "subscriptions", name]
}

async fn pause(
    api: &Api,
    output: &Output,
    topic: &str,
    name: &str,
    paused: bool,
) -> Result<(), Failure> {
    let mut patch = Map::new();
    patch.insert("paused".to_owned(), paused.into());
    resource::change(api, output, &path(topic, name), patch).await
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let (topic, name) = (self.topic.clone(), self.name.clone());
        let path = ["v1", "topics", &topic, "subscriptions"];
        resource::create(api, output, &path, &name, self.spec()).await
    }

    fn spec(self) -> Map<String, Value> {
        let mut filter = Map::new();
        if !self.types.is_empty() {
            filter.insert("types".to_owned(), json!(self.types));
        }
        if !self.tags.is_empty() {
            filter.insert("tags".to_owned(), json!(self.tags));
        }
        put(&mut filter, "binding_key", self.binding_key);
        put(&mut filter, "cel", self.cel);
        let mut spec = Map::new();
        put(&mut spec, "channel", self.channel);
        put(&mut spec, "queue", self.queue);
        if !self.bridge.is_empty() {
            spec.insert("bridge".to_owned(), json!({"chats": self.bridge}));
        }
        put(&mut spec, "target", self.target);
        if !filter.is_empty() {
            spec.insert("filter".to_owned(), Value::Object(filter));
        }
        put(&mut spec, "format", self.format);
        if let Some(retry) = self.retry {
            let retry = serde_json::from_str(&retry).unwrap_or(Value::String(retry));
            spec.insert("retry".to_owned(), retry);
        }
        put(&mut spec, "ordering", self.ordering);
        if self.fail_fast_4xx {
            spec.insert("fail_fast_4xx".to_owned(), true.into());
        }
        put(&mut spec, "attempt_log", self.attempt_log);
        put(&mut spec, "description", self.description);
        assign(&mut spec, &self.fields);
        spec
    }
}
