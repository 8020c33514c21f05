//! `anser channel`. Kinds and their settings are the server's to know.

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::connection::{self, Connection, Journal};
use super::resource::{self, Assignment, Paging, Usual, assign, put};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("FAILING SINCE", "failing_since"),
    ("ADDRESS", "settings.url"),
    ("DESCRIPTION", "description"),
];
const KIND_COLUMNS: &[Column] = &[("KIND", "kind"), ("LABEL", "label")];

/// What to do with channels.
#[derive(Debug, Subcommand)]
pub(crate) enum ChannelCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create a channel; the same again changes nothing.
    Create(Create),
    /// Hold its deliveries until it is resumed.
    Pause {
        /// Its name.
        name: String,
    },
    /// Let a paused channel go on.
    Resume {
        /// Its name.
        name: String,
    },
    /// Let a channel go on that was disabled because it kept failing.
    Enable {
        /// Its name.
        name: String,
    },
    /// Send a test message and show the attempt.
    Test {
        /// Its name.
        name: String,
    },
    /// Ask the platform whether its credentials are good; nothing is sent to anybody.
    Check {
        /// Its name.
        name: String,
    },
    /// Make a new signing secret; the old one keeps signing for a while.
    Rotate {
        /// Its name.
        name: String,
        /// Which kind of secret: v1 (shared, HMAC-SHA256) or v1a (a key pair, Ed25519).
        #[arg(long, value_name = "KIND", default_value = "v1")]
        kind: String,
        /// How long the old secret keeps signing (default 24 h, at most 7 days).
        #[arg(long, value_name = "SECONDS")]
        grace: Option<u64>,
    },
    /// Show how a channel is connected to its platform, or connect it anew.
    Connection(Connection),
    /// List how the channels are connected to their platforms.
    Connections(Paging),
    /// Show what became of a channel's connections: when each was live, lost and why, and what was missed.
    Journal(Journal),
    /// List the kinds of channel; with `--output json` also their settings.
    Kinds,
}

/// A channel to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// Which kind; `anser channel kinds` lists them.
    #[arg(long, default_value = "webhook")]
    kind: String,
    /// Where a webhook is sent.
    #[arg(long)]
    url: Option<String>,
    /// In what form: anser, data, cmq-json, cmq-simplified, cloudevents-binary, cloudevents-structured.
    #[arg(long)]
    format: Option<String>,
    /// The signing secret, `whsec_…` or `whsk_…`; seen by others in the list of processes.
    #[arg(long)]
    secret: Option<String>,
    /// Further settings of the kind, such as headers.X-Shop=cn-7.
    #[arg(long = "set", value_name = "SETTING=VALUE")]
    settings: Vec<Assignment>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Time limit of an attempt, 1 to 60.
    #[arg(long, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// At most so many deliveries a second.
    #[arg(long, value_name = "PER_SECOND")]
    rate: Option<f64>,
    /// The topic of what its platform sends in; the settings must have what verifies it.
    #[arg(long, value_name = "TOPIC")]
    inbound: Option<String>,
    /// How it comes in: the platform posts to `/in/NAME`, or the gateway keeps a connection to the platform.
    #[arg(long, value_enum, requires = "inbound", default_value_t = Via::Callback)]
    via: Via,
}

/// How a platform's events come.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Via {
    Callback,
    Connection,
}

impl ChannelCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "channels", COLUMNS).await,
            Self::Create(create) => create.run(api, output).await,
            Self::Pause { name } => pause(api, output, &name, true).await,
            Self::Resume { name } => pause(api, output, &name, false).await,
            Self::Enable { name } => {
                let answer = api.act(&["v1", "channels", &name, "enable"]).await?;
                output.result(&answer.text, |value| output.fields(value));
                Ok(())
            }
            Self::Test { name } => test(api, output, &name).await,
            Self::Check { name } => check(api, output, &name).await,
            Self::Rotate { name, kind, grace } => {
                let mut body = Map::new();
                put(&mut body, "kind", Some(kind));
                put(&mut body, "grace", grace);
                let path = ["v1", "channels", &name, "secrets", "rotate"];
                let answer = api.post(&path, &Value::Object(body)).await?;
                output.result(&answer.text, |value| output.fields(value));
                Ok(())
            }
            Self::Connection(connection) => connection.run(api, output).await,
            Self::Connections(paging) => connection::all(api, output, &paging).await,
            Self::Journal(journal) => journal.run(api, output).await,
            Self::Kinds => {
                resource::list(api, output, &["v1", "channel-kinds"], &[], KIND_COLUMNS).await
            }
        }
    }
}

async fn pause(api: &Api, output: &Output, name: &str, paused: bool) -> Result<(), Failure> {
    let mut patch = Map::new();
    patch.insert("paused".to_owned(), paused.into());
    resource::change(api, output, &["v1", "channels", name], patch).await
}

/// The test fails when the endpoint did not take it, so that scripts need not read the attempt.
async fn test(api: &Api, output: &Output, name: &str) -> Result<(), Failure> {
    let answer = api.act(&["v1", "channels", name, "test"]).await?;
    output.result(&answer.text, |value| output.fields(value));
    let attempt = answer.json()?;
    match attempt.get("outcome").and_then(Value::as_str) {
        Some("delivered") => Ok(()),
        outcome => Err(Failure::Here(anyhow::anyhow!(
            "the test message was not taken: {}",
            attempt
                .get("error")
                .and_then(Value::as_str)
                .or(outcome)
                .unwrap_or("unknown")
        ))),
    }
}

/// The check fails when the platform does not take the credentials, or could not be asked.
async fn check(api: &Api, output: &Output, name: &str) -> Result<(), Failure> {
    let answer = api.act(&["v1", "channels", name, "check"]).await?;
    output.result(&answer.text, |value| output.fields(value));
    let check = answer.json()?;
    if check.get("ok").and_then(Value::as_bool) == Some(true) {
        return Ok(());
    }
    let error = check.get("error").and_then(Value::as_str);
    Err(Failure::Here(anyhow::anyhow!(
        "the credentials were not taken: {}",
        error.unwrap_or("unknown")
    )))
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut settings = Map::new();
        put(&mut settings, "url", self.url);
        put(&mut settings, "format", self.format);
        put(&mut settings, "secret", self.secret);
        assign(&mut settings, &self.settings);
        let mut spec = Map::new();
        spec.insert("kind".to_owned(), self.kind.into());
        spec.insert("settings".to_owned(), Value::Object(settings));
        put(&mut spec, "description", self.description);
        put(&mut spec, "timeout", self.timeout);
        if let Some(rate) = self.rate {
            spec.insert("rate".to_owned(), json!({"per_second": rate}));
        }
        if let Some(topic) = self.inbound {
            let mut inbound = json!({"topic": topic});
            if let Via::Connection = self.via {
                inbound["via"] = "connection".into();
            }
            spec.insert("inbound".to_owned(), inbound);
        }
        resource::create(api, output, &["v1", "channels"], &self.name, spec).await
    }
}
