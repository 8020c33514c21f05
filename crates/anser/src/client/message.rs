//! `anser message`: look at messages, put new content in their place, take them back, keep the files of those that came in.

use std::path::PathBuf;

use anser_core::blob::BlobHash;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::api::Api;
use super::blob;
use super::resource::{self, Paging};
use super::send::body;
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
const CHANGE_COLUMNS: &[Column] = &[("DELIVERY", "delivery"), ("RESULT", "result"), ("BY", "by")];

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
    /// Put new content in the place of a message's, also where it has been delivered and the platform can change it.
    Edit(Edit),
    /// Keep a file of a message that came in, which its platform gives for the channel's credentials; shows how another
    /// message refers to it.
    Fetch(Fetch),
    /// Take a message back: cancel what has not been delivered, and ask the platforms to take back the rest.
    Recall {
        /// Its id.
        id: String,
        /// Why, for those who read what happened.
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

/// New content for a message.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["text", "json"])))]
pub(crate) struct Edit {
    /// Its id.
    id: String,
    /// The JSON in this file (`-`: standard input) as data, byte for byte, instead of a text.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The new text.
    text: Option<String>,
}

/// A file of a message.
#[derive(Debug, Args)]
pub(crate) struct Fetch {
    /// The message's id.
    id: String,
    /// Which file: its place in the list `x-media` of the message's `ext`.
    #[arg(long, value_name = "PLACE", default_value_t = 0)]
    media: usize,
    /// Where to put it; a file that is there is replaced once all has come.
    #[arg(short, long, value_name = "FILE")]
    out: Option<PathBuf>,
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
            Self::Edit(edit) => edit.run(api, output).await,
            Self::Fetch(fetch) => fetch.run(api, output).await,
            Self::Recall { id, reason } => {
                let path = ["v1", "messages", &id, "recall"];
                let answer = match reason {
                    Some(reason) => api.post(&path, &json!({"reason": reason})).await?,
                    None => api.act(&path).await?,
                };
                output.result(&answer.text, |value| changed(value, output));
                Ok(())
            }
        }
    }
}

impl Edit {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let body = body(self.json.as_deref(), self.text.as_deref())?;
        let body = format!("{{\"body\":{body}}}").into_bytes();
        let path = ["v1", "messages", &self.id];
        let answer = api.call(Method::PATCH, &path, &[], Some(body)).await?;
        output.result(&answer.text, |value| changed(value, output));
        Ok(())
    }
}

impl Fetch {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let place = self.media.to_string();
        let path = ["v1", "messages", &self.id, "media", &place, "fetch"];
        let answer = api.act(&path).await?;
        let fetched: Value = answer.json()?;
        let attachment = &fetched["attachment"];
        if let Some(path) = &self.out {
            let hash = attachment["sha256"].as_str().unwrap_or_default();
            let hash: BlobHash = hash.parse().context("the server names no blob")?;
            return blob::get_file(api, output, hash, path).await;
        }
        output.result(&answer.text, |fetched| {
            let attachment = &fetched["attachment"];
            let text = |name: &str| attachment[name].as_str().unwrap_or("-");
            let size = attachment["size"].as_u64().unwrap_or_default();
            let of = format!("{}  {}  {size} bytes", text("name"), text("media_type"));
            format!("{}  {of}\nattachment: {attachment}", text("sha256"))
        });
        Ok(())
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

fn changed(value: &Value, output: &Output) -> String {
    let rows = value.get("results").and_then(Value::as_array);
    match rows {
        Some(rows) if !rows.is_empty() => output.table(rows, CHANGE_COLUMNS),
        _ => "it went nowhere: nothing to change".to_owned(),
    }
}
