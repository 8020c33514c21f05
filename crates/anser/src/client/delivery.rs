//! `anser delivery`: look at deliveries with their attempts, and try one again.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::api::Api;
use super::resource::{self, Paging};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("ACCEPTED", "accepted_at"),
    ("ID", "id"),
    ("TOPIC", "topic"),
    ("SUBSCRIPTION", "subscription"),
    ("CHANNEL", "channel"),
    ("QUEUE", "queue"),
    ("TARGET", "target"),
    ("STATE", "state"),
    ("ATTEMPTS", "attempts"),
    ("NEXT ATTEMPT", "next_attempt_at"),
];
const ATTEMPT_COLUMNS: &[Column] = &[
    ("#", "number"),
    ("STARTED", "started"),
    ("OUTCOME", "outcome"),
    ("STATUS", "status"),
    ("TOTAL µs", "timing.total_us"),
    ("PEER", "peer"),
    ("NEXT", "next"),
    ("ERROR", "error"),
];

/// What to do with deliveries.
#[derive(Debug, Subcommand)]
pub(crate) enum DeliveryCommand {
    /// List deliveries, newest first.
    List(List),
    /// Show one delivery with its attempts.
    Get {
        /// Its id.
        id: String,
    },
    /// Try it again now, outside the order.
    Retry {
        /// Its id.
        id: String,
    },
}

/// Which deliveries.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only in this state: pending, retrying, waiting, held, delivered, dead, expired or cancelled.
    #[arg(long)]
    state: Option<String>,
    /// Only of this subscription.
    #[arg(long, value_name = "TOPIC/NAME")]
    subscription: Option<String>,
    /// Only through this channel.
    #[arg(long)]
    channel: Option<String>,
    /// Only into this queue.
    #[arg(long, conflicts_with = "channel")]
    queue: Option<String>,
    /// Only of messages accepted at or after.
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

impl DeliveryCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let query = list.query();
                resource::list(api, output, &["v1", "deliveries"], &query, COLUMNS).await
            }
            Self::Get { id } => {
                let answer = api.get(&["v1", "deliveries", &id], &[]).await?;
                output.result(&answer.text, |value| show(value, output));
                Ok(())
            }
            Self::Retry { id } => {
                let answer = api.act(&["v1", "deliveries", &id, "retry"]).await?;
                output.result(&answer.text, |value| output.fields(value));
                Ok(())
            }
        }
    }
}

impl List {
    fn query(&self) -> Vec<(&'static str, String)> {
        let mut query = self.paging.query();
        let fields = [
            ("state", &self.state),
            ("subscription", &self.subscription),
            ("channel", &self.channel),
            ("queue", &self.queue),
            ("since", &self.since),
        ];
        for (name, value) in fields {
            query.extend(value.clone().map(|value| (name, value)));
        }
        query
    }
}

fn show(value: &Value, output: &Output) -> String {
    let mut delivery = value.clone();
    let attempts = delivery
        .as_object_mut()
        .and_then(|fields| fields.remove("attempt_log"));
    let fields = output.fields(&delivery);
    match attempts.as_ref().and_then(Value::as_array) {
        Some(attempts) if !attempts.is_empty() => {
            format!("{fields}\n\n{}", output.table(attempts, ATTEMPT_COLUMNS))
        }
        _ => format!("{fields}\n\nno attempt is logged"),
    }
}
