//! `anser queue`: queues, and their messages pulled by hand. Leases, limits and rights are the server's to check.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::resource::{self, Assignment, Usual, assign, put};
use super::send::{Outgoing, Place};
use super::tail::content;
use crate::exit::{Failure, Refusal};
use crate::output::{self, Column, Output, lookup};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("LEASE", "lease"),
    ("WAIT", "wait"),
    ("RETENTION", "retention"),
    ("REWIND", "rewind"),
    ("ORDERING", "ordering"),
    ("DEAD LETTERS TO", "dead_letter.queue"),
    ("TRIGGER", "trigger.channel"),
    ("DESCRIPTION", "description"),
];
const RESULT_COLUMNS: &[Column] = &[("RECEIPT", "receipt"), ("OK", "ok")];

/// What to do with queues.
#[derive(Debug, Subcommand)]
pub(crate) enum QueueCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create a queue; the same again changes nothing.
    Create(Create),
    /// Send one message straight to a queue.
    Send {
        /// The queue.
        name: String,
        #[command(flatten)]
        message: Outgoing,
    },
    /// Receive messages and print them.
    Receive(Receive),
    /// Acknowledge messages: they are done.
    Ack(Held),
    /// Give messages back, to be received again.
    Nack {
        #[command(flatten)]
        held: Held,
        /// Not before so long.
        #[arg(long, value_name = "SECONDS")]
        delay: Option<u64>,
    },
    /// Keep messages for longer.
    Extend {
        #[command(flatten)]
        held: Held,
        /// So long from now; default: the queue's lease.
        #[arg(long, value_name = "SECONDS")]
        lease: Option<u64>,
    },
    /// Receive acknowledged messages again.
    Rewind {
        /// The queue.
        name: String,
        /// Those accepted at or after this.
        #[arg(long, value_name = "TIME")]
        from: String,
    },
    /// Cancel every message in a queue.
    Purge {
        /// The queue.
        name: String,
    },
    /// Send dead letters back where they came from.
    Redrive {
        /// The dead-letter queue.
        name: String,
        /// At most so many; default 1000.
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Show how many messages are in a queue.
    State {
        /// The queue.
        name: String,
    },
}

/// A queue to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// A received message is the consumer's alone for so long (default 30).
    #[arg(long, value_name = "SECONDS")]
    lease: Option<u64>,
    /// A receive waits so long for a message (default 0, at most 30).
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// What nobody acknowledges ends as expired after so long (default 4 days).
    #[arg(long, value_name = "SECONDS")]
    retention: Option<u64>,
    /// Acknowledged messages can be had again for so long (default 0).
    #[arg(long, value_name = "SECONDS")]
    rewind: Option<u64>,
    /// none or key.
    #[arg(long)]
    ordering: Option<String>,
    /// Refuse messages sent straight to it while so many wait.
    #[arg(long, value_name = "N")]
    max_messages: Option<u64>,
    /// Where messages go that are not acknowledged.
    #[arg(long, value_name = "QUEUE")]
    dead_letter: Option<String>,
    /// They go there after so many receives.
    #[arg(long, value_name = "N", requires = "dead_letter")]
    max_receives: Option<u32>,
    /// They go there after so long.
    #[arg(long, value_name = "SECONDS", requires = "dead_letter")]
    max_age: Option<u64>,
    /// A channel of kind exec whose program is given the messages.
    #[arg(long, value_name = "CHANNEL")]
    trigger: Option<String>,
    /// It is given so many at once (default 10, at most 100).
    #[arg(long, value_name = "N", requires = "trigger")]
    batch: Option<u64>,
    /// A batch that is not full waits so long for more (default 0).
    #[arg(long, value_name = "MILLISECONDS", requires = "trigger")]
    batch_wait: Option<u64>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Further fields, such as max_message_bytes=1048576.
    #[arg(long = "set", value_name = "FIELD=VALUE")]
    fields: Vec<Assignment>,
}

/// What to receive.
#[derive(Debug, Args)]
pub(crate) struct Receive {
    /// The queue.
    name: String,
    /// At most so many (default 1, at most 100).
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Wait so long for a message; default: the queue's wait.
    #[arg(long, value_name = "SECONDS")]
    wait: Option<u64>,
    /// They are mine for so long; default: the queue's lease.
    #[arg(long, value_name = "SECONDS")]
    lease: Option<u64>,
    /// Acknowledge what was printed.
    #[arg(long)]
    ack: bool,
}

/// Messages that were received.
#[derive(Debug, Args)]
pub(crate) struct Held {
    /// The queue.
    name: String,
    /// As `receive` printed them.
    #[arg(required = true, value_name = "RECEIPT")]
    receipts: Vec<String>,
}

impl QueueCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "queues", COLUMNS).await,
            Self::Create(create) => create.run(api, output).await,
            Self::Send { name, message } => {
                let to = [format!("queue:{name}")];
                message
                    .send(api, output, &["v1", "messages"], Place::to(&to))
                    .await
            }
            Self::Receive(receive) => receive.run(api, output).await,
            Self::Ack(held) => held.call(api, output, "ack", Map::new()).await,
            Self::Nack { held, delay } => {
                let mut body = Map::new();
                put(&mut body, "delay", delay);
                held.call(api, output, "nack", body).await
            }
            Self::Extend { held, lease } => {
                let mut body = Map::new();
                put(&mut body, "lease", lease);
                held.call(api, output, "extend", body).await
            }
            Self::Rewind { name, from } => {
                let answer = api
                    .post(&path(&name, "rewind"), &json!({"from": from}))
                    .await?;
                counted(output, &answer.text, "can be received again")
            }
            Self::Purge { name } => {
                let answer = api.act(&path(&name, "purge")).await?;
                counted(output, &answer.text, "cancelled")
            }
            Self::Redrive { name, limit } => {
                let mut body = Map::new();
                put(&mut body, "limit", limit);
                let answer = api
                    .post(&path(&name, "redrive"), &Value::Object(body))
                    .await?;
                counted(output, &answer.text, "sent back")
            }
            Self::State { name } => resource::get(api, output, &path(&name, "state")).await,
        }
    }
}

fn path<'a>(name: &'a str, call: &'a str) -> [&'a str; 4] {
    ["v1", "queues", name, call]
}

fn counted(output: &Output, answer: &str, what: &str) -> Result<(), Failure> {
    output.result(answer, |value| {
        let count = value.get("count").and_then(Value::as_u64).unwrap_or(0);
        format!("{count} {what}")
    });
    Ok(())
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut spec = Map::new();
        put(&mut spec, "description", self.description);
        put(&mut spec, "lease", self.lease);
        put(&mut spec, "wait", self.wait);
        put(&mut spec, "retention", self.retention);
        put(&mut spec, "rewind", self.rewind);
        put(&mut spec, "ordering", self.ordering);
        put(&mut spec, "max_messages", self.max_messages);
        if let Some(queue) = self.dead_letter {
            let mut dead_letter = Map::new();
            put(&mut dead_letter, "queue", Some(queue));
            put(&mut dead_letter, "max_receives", self.max_receives);
            put(&mut dead_letter, "max_age", self.max_age);
            spec.insert("dead_letter".to_owned(), Value::Object(dead_letter));
        }
        if let Some(channel) = self.trigger {
            let mut trigger = Map::new();
            put(&mut trigger, "channel", Some(channel));
            put(&mut trigger, "batch", self.batch);
            put(&mut trigger, "wait", self.batch_wait);
            spec.insert("trigger".to_owned(), Value::Object(trigger));
        }
        assign(&mut spec, &self.fields);
        resource::create(api, output, &["v1", "queues"], &self.name, spec).await
    }
}

impl Receive {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut body = Map::new();
        put(&mut body, "max", self.max);
        put(&mut body, "wait", self.wait);
        put(&mut body, "lease", self.lease);
        let answer = api
            .post(&path(&self.name, "receive"), &Value::Object(body))
            .await?;
        output.result(&answer.text, |value| shown(messages(value)));
        let received = answer.json()?;
        let receipts: Vec<&Value> = messages(&received)
            .iter()
            .filter_map(|message| message.get("receipt"))
            .collect();
        if !self.ack || receipts.is_empty() {
            return Ok(());
        }
        let body = json!({"receipts": receipts});
        let done = api.post(&path(&self.name, "ack"), &body).await?;
        held(&done.json()?)
    }
}

fn messages(value: &Value) -> &[Value] {
    value
        .get("messages")
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A message a line, what it says last.
fn shown(messages: &[Value]) -> String {
    if messages.is_empty() {
        return "none".to_owned();
    }
    let line = |message: &Value| {
        let text = |path: &str| lookup(message, path).and_then(Value::as_str).unwrap_or("-");
        let receives = message.get("receives").and_then(Value::as_u64).unwrap_or(0);
        format!(
            "{}  #{receives}  {}  {}  {}  {}",
            text("receipt"),
            text("message.header.type"),
            text("message.header.key"),
            text("message.header.id"),
            output::one_line(&content(message)),
        )
    };
    messages.iter().map(line).collect::<Vec<_>>().join("\n")
}

impl Held {
    async fn call(
        self,
        api: &Api,
        output: &Output,
        call: &str,
        mut body: Map<String, Value>,
    ) -> Result<(), Failure> {
        body.insert("receipts".to_owned(), json!(self.receipts));
        let answer = api
            .post(&path(&self.name, call), &Value::Object(body))
            .await?;
        output.result(&answer.text, |value| {
            let rows = value.get("results").and_then(Value::as_array);
            output.table(rows.map_or(&[], Vec::as_slice), RESULT_COLUMNS)
        });
        held(&answer.json()?)
    }
}

/// A void receipt is a refusal, so that scripts need not read the results.
fn held(results: &Value) -> Result<(), Failure> {
    let results = results.get("results").and_then(Value::as_array);
    let void = results
        .into_iter()
        .flatten()
        .filter(|result| result.get("ok") != Some(&Value::Bool(true)))
        .count();
    if void == 0 {
        return Ok(());
    }
    let detail = format!("{void} of the receipts are void: their leases have ended");
    Err(Failure::Refused(Box::new(Refusal {
        status: 200,
        problem: json!({"detail": detail, "code": "void_receipts"}),
    })))
}
