//! `anser topic`. Fields and their ranges are the server's to check.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Map;

use super::api::Api;
use super::resource::{self, Usual, put};
use super::send::read_json;
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("RETENTION", "retention"),
    ("MAX_AGE", "max_age"),
    ("MAX_BYTES", "max_bytes"),
    ("CREATED", "created_at"),
    ("DESCRIPTION", "description"),
];

/// What to do with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create a topic; the same again changes nothing.
    Create(Create),
}

/// A topic to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
    /// Keep messages so long once their deliveries are final.
    #[arg(long, value_name = "SECONDS")]
    retention: Option<u64>,
    /// Unfinished deliveries end as expired after so long.
    #[arg(long, value_name = "SECONDS")]
    max_age: Option<u64>,
    /// Refuse publishes while so much waits for delivery.
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<u64>,
    /// A JSON Schema that data must satisfy.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Remember dedupe keys so long.
    #[arg(long, value_name = "SECONDS")]
    dedupe_window: Option<u64>,
}

impl TopicCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "topics", COLUMNS).await,
            Self::Create(create) => create.run(api, output).await,
        }
    }
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut spec = Map::new();
        put(&mut spec, "description", self.description);
        put(&mut spec, "retention", self.retention);
        put(&mut spec, "max_age", self.max_age);
        put(&mut spec, "max_bytes", self.max_bytes);
        put(&mut spec, "dedupe_window", self.dedupe_window);
        if let Some(path) = self.schema {
            let schema: serde_json::Value = serde_json::from_str(read_json(&path)?.get())
                .map_err(|error| Failure::Usage(format!("{}: {error}", path.display())))?;
            spec.insert("schema".to_owned(), schema);
        }
        resource::create(api, output, &["v1", "topics"], &self.name, spec).await
    }
}
