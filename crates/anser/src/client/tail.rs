//! `anser tail`: follows messages as they are accepted, through the list with a follow cursor. Ends at Ctrl-C.

use std::time::Duration;

use clap::Args;
use serde_json::Value;
use serde_json::value::RawValue;

use super::api::Api;
use crate::exit::Failure;
use crate::output::{self, Output, lookup};

/// Shortest pause between two looks, while messages come.
const POLL_MIN: Duration = Duration::from_millis(100);
/// Longest pause, when nothing has come for a while or the server is away.
const POLL_MAX: Duration = Duration::from_secs(2);
/// Messages a look.
const PAGE: &str = "100";

/// What to follow.
#[derive(Debug, Args)]
pub(crate) struct TailArguments {
    /// Only this topic.
    #[arg(long)]
    topic: Option<String>,
    /// Only types that match.
    #[arg(long = "type", value_name = "PATTERN")]
    kind: Option<String>,
    /// Only with this tag.
    #[arg(long)]
    tag: Option<String>,
    /// Begin with what was accepted at or after this time; default: now.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
}

/// A page with its items as the bytes received.
#[derive(serde::Deserialize)]
struct Page {
    items: Vec<Box<RawValue>>,
    #[serde(default)]
    cursor: Option<String>,
}

impl TailArguments {
    /// Follows until Ctrl-C. A server that goes away and comes back is waited for, once it has answered at all.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        tokio::select! {
            ended = self.follow(api, output) => ended,
            _ = tokio::signal::ctrl_c() => Ok(()),
        }
    }

    async fn follow(&self, api: &Api, output: &Output) -> Result<(), Failure> {
        let since = match &self.since {
            Some(since) => since.clone(),
            None => {
                anser_core::clock::Clock::now(&anser_core::clock::SystemClock::new()).to_string()
            }
        };
        let mut cursor = None;
        let mut pause = POLL_MIN;
        loop {
            let asked = api
                .get(&["v1", "messages"], &self.query(&since, cursor.as_deref()))
                .await;
            let page = match asked {
                Ok(answer) => read(&answer.text)?,
                Err(failure) if cursor.is_some() && may_pass(&failure) => {
                    pause = POLL_MAX;
                    tokio::time::sleep(pause).await;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            for item in &page.items {
                show(item, output);
            }
            pause = if page.items.is_empty() {
                (pause * 2).min(POLL_MAX)
            } else {
                POLL_MIN
            };
            cursor = page.cursor.or(cursor);
            tokio::time::sleep(pause).await;
        }
    }

    fn query(&self, since: &str, cursor: Option<&str>) -> Vec<(&'static str, String)> {
        let mut query = vec![("follow", "true".to_owned()), ("limit", PAGE.to_owned())];
        match cursor {
            Some(cursor) => query.push(("cursor", cursor.to_owned())),
            None => query.push(("since", since.to_owned())),
        }
        let fields = [
            ("topic", &self.topic),
            ("type", &self.kind),
            ("tag", &self.tag),
        ];
        for (name, value) in fields {
            query.extend(value.clone().map(|value| (name, value)));
        }
        query
    }
}

fn read(text: &str) -> Result<Page, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Here(anyhow::anyhow!("the server's answer is no page: {error}")))
}

fn may_pass(failure: &Failure) -> bool {
    match failure {
        Failure::Unreachable { .. } => true,
        Failure::Refused(refusal) => refusal.may_pass(),
        Failure::Here(_) | Failure::Usage(_) => false,
    }
}

fn show(item: &RawValue, out: &Output) {
    if out.is_json() {
        output::line(item.get());
        return;
    }
    let value: Value = serde_json::from_str(item.get()).unwrap_or(Value::Null);
    let text = |path: &str| lookup(&value, path).and_then(Value::as_str).unwrap_or("-");
    let time = text("message.header.time");
    let time = output::local_time(time).unwrap_or_else(|| time.to_owned());
    output::line(&format!(
        "{time}  {}  {}  {}  {}  {}",
        text("message.header.topic"),
        text("message.header.type"),
        text("message.header.key"),
        text("message.header.id"),
        output::one_line(&content(&value)),
    ));
}

/// What the message says, in a line: its text, its data, or how many bytes it has.
pub(crate) fn content(value: &Value) -> String {
    let body = lookup(value, "message.body").unwrap_or(&Value::Null);
    if let Some(text) = body.get("fallback").and_then(Value::as_str) {
        return text.to_owned();
    }
    match body.get("data") {
        Some(Value::String(text)) => text.clone(),
        Some(data) => data.to_string(),
        None => format!(
            "({})",
            body.get("media_type")
                .and_then(Value::as_str)
                .unwrap_or("empty")
        ),
    }
}
