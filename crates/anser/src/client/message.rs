//! `anser message`: look at messages, and take one back.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::api::Api;
use super::resource::{self, Paging};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("TIME", "message.header.time"),
    ("ID", "message.header.id"),
    ("SEQ", "seq"),
    ("TOPIC", "message.header.topic"),
    ("TYPE", "message.header.type"),
    ("KEY", "message.header.key"),
    ("TAGS", "message.header.tags"),
];
const DELIVERY_COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("SUBSCRIPTION", "subscription"),
    ("CHANNEL", "channel"),
    ("QUEUE", "queue"),
    ("STATE", "state"),
    ("ATTEMPTS", "attempts"),
    ("NEXT ATTEMPT", "next_attempt_at"),
    ("ENDED", "ended_at"),
];
const RECALL_COLUMNS: &[Column] = &[("DELIVERY", "delivery"), ("RESULT", "result")];

/// What to do with messages.
#[derive(Debug, Subcommand)]
pub(crate) enum MessageCommand {
    /// List messages, newest first.
    List(List),
    /// Show one message.
    Get {
        /// Its id.
        id: String,
    },
    /// Show where a message went.
    Deliveries {
        /// Its id.
        id: String,
        #[command(flatten)]
        paging: Paging,
    },
    /// Cancel what has not been delivered yet.
    Recall {
        /// Its id.
        id: String,
    },
}

/// Which messages.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only of types that match.
    #[arg(long = "type", value_name = "PATTERN")]
    kind: Option<String>,
    /// Only with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Accepted at or after.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Accepted before.
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

impl MessageCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let query = list.query();
                resource::list(api, output, &["v1", "messages"], &query, COLUMNS).await
            }
            Self::Get { id } => {
                let answer = api.get(&["v1", "messages", &id], &[]).await?;
                output.result(&answer.text, show);
                Ok(())
            }
            Self::Deliveries { id, paging } => {
                let path = ["v1", "messages", &id, "deliveries"];
                resource::list(api, output, &path, &paging.query(), DELIVERY_COLUMNS).await
            }
            Self::Recall { id } => {
                let answer = api.act(&["v1", "messages", &id, "recall"]).await?;
                output.result(&answer.text, |value| recalled(value, output));
                Ok(())
            }
        }
    }
}

impl List {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = self.paging.query();
        let fields = [
            ("topic", &self.topic),
            ("type", &self.kind),
            ("tag", &self.tag),
            ("since", &self.since),
            ("until", &self.until),
        ];
        for (name, value) in fields {
            query.extend(value.clone().map(|value| (name, value)));
        }
        query
    }
}

/// A message is already the format its users know: indented, nothing left out.
fn show(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string())
}

fn recalled(value: &Value, output: &Output) -> String {
    let rows = value.get("results").and_then(Value::as_array);
    match rows {
        Some(rows) if !rows.is_empty() => output.table(rows, RECALL_COLUMNS),
        _ => "it went nowhere: nothing to take back".to_owned(),
    }
}
