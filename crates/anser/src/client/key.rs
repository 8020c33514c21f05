//! `anser key`: API keys of a running gateway, and with `--data` a new one in the data of a stopped one.

use std::path::PathBuf;

use anser_core::resource::KeySpec;
use anser_gateway::admin::create_key_offline;
use anyhow::Context as _;
use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::api::Api;
use super::resource::{self, Paging};
use crate::exit::{Failure, Refusal};
use crate::output::{Column, Output};
use crate::server::node::Data;

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("SCOPES", "scopes"),
    ("TOPICS", "topics"),
    ("TARGETS", "targets"),
    ("CREATED", "created_at"),
];

/// What to do with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// List keys.
    List(Paging),
    /// Show one key, without its text.
    Get {
        /// Its name.
        name: String,
    },
    /// Create a key and show its text, this once.
    Create(Create),
    /// Delete a key; it is refused from now on.
    Delete {
        /// Its name.
        name: String,
    },
}

/// A key to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// What it may do: publish, consume, read, admin.
    #[arg(long, value_name = "SCOPE,…", value_delimiter = ',', required = true)]
    scopes: Vec<String>,
    /// Only these topics; `*` stands for any characters.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    topics: Option<Vec<String>>,
    /// Only these direct addresses, such as `shop/*`.
    #[arg(long, value_name = "PATTERN,…", value_delimiter = ',')]
    targets: Option<Vec<String>>,
    /// The key it replaces: dedupe keys go on from that one.
    #[arg(long, value_name = "NAME")]
    replaces: Option<String>,
    /// With a SecretId and a SecretKey for Tencent CMQ's clients; they are shown this once too.
    #[arg(long, conflicts_with = "data")]
    cmq: bool,
    /// The APPID of such a key; default: the installation's number.
    #[arg(long, value_name = "N", requires = "cmq")]
    app_id: Option<u64>,
    /// Write it into this data folder, of a gateway that is stopped.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl KeyCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(paging) => {
                resource::list(api, output, &["v1", "keys"], &paging.query(), COLUMNS).await
            }
            Self::Get { name } => resource::get(api, output, &["v1", "keys", &name]).await,
            Self::Create(create) => create.run(api, output).await,
            Self::Delete { name } => {
                resource::delete(api, output, &["v1", "keys", &name], false).await
            }
        }
    }
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let data = self.data.clone();
        let spec = self.spec();
        let created = match data {
            Some(folder) => offline(&folder, spec).await?,
            None => api.post(&["v1", "keys"], &spec).await?.text,
        };
        output.result(&created, |value| {
            match value.get("key").and_then(Value::as_str) {
                Some(key) => format!("{}\n\nThis is the only time the key is shown.", {
                    let mut shown = Map::new();
                    shown.insert("name".to_owned(), value["name"].clone());
                    shown.insert("key".to_owned(), key.into());
                    let cmq = value.get("cmq").and_then(Value::as_object);
                    shown.extend(
                        cmq.into_iter()
                            .flatten()
                            .map(|(name, value)| (name.clone(), value.clone())),
                    );
                    output.fields(&Value::Object(shown))
                }),
                None => format!(
                    "{}\nunchanged: it is there, just so; its text is not kept",
                    output.fields(value)
                ),
            }
        });
        Ok(())
    }

    fn spec(self) -> Value {
        let mut spec = Map::new();
        spec.insert("name".to_owned(), self.name.into());
        spec.insert("scopes".to_owned(), json!(self.scopes));
        let lists = [("topics", self.topics), ("targets", self.targets)];
        for (name, list) in lists {
            spec.extend(list.map(|list| (name.to_owned(), json!(list))));
        }
        resource::put(&mut spec, "replaces", self.replaces);
        resource::put(&mut spec, "cmq", self.cmq.then_some(true));
        resource::put(&mut spec, "app_id", self.app_id);
        Value::Object(spec)
    }
}

async fn offline(folder: &std::path::Path, spec: Value) -> Result<String, Failure> {
    if !folder.is_dir() {
        return Err(Failure::Usage(format!(
            "there is no data folder {}; a server makes it at its first start",
            folder.display()
        )));
    }
    let spec: KeySpec = serde_json::from_value(spec)
        .map_err(|error| Failure::Usage(format!("no such key can be made: {error}")))?;
    let data = Data::open(folder, None)?;
    let created = create_key_offline(&*data.store, &*data.clock, &*data.random, spec).await;
    data.store
        .close()
        .await
        .context("the data was not closed properly")?;
    let created = created.map_err(|problem| {
        Failure::Refused(Box::new(Refusal {
            status: problem.kind.status(),
            problem: json!({"detail": problem.detail, "field": problem.field, "code": problem.code,
                "accepted": problem.accepted}),
        }))
    })?;
    Ok(serde_json::to_string(&created).context("cannot show the key")?)
}
