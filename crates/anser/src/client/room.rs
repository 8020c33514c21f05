//! `anser room`: rooms of live clients.

use clap::{Args, Subcommand};
use serde_json::{Map, json};

use super::api::Api;
use super::resource::{self, Usual, put};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("OPEN", "open"),
    ("HISTORY", "history"),
    ("DESCRIPTION", "description"),
];

/// What to do with rooms.
#[derive(Debug, Subcommand)]
pub(crate) enum RoomCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create a room.
    Create(Create),
}

/// A room to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// Every user may come in.
    #[arg(long)]
    open: bool,
    /// Users who may come in.
    #[arg(long, value_name = "USER,…", value_delimiter = ',')]
    members: Option<Vec<String>>,
    /// Keep messages for so many seconds; 7 days unless given, 0 keeps none.
    #[arg(long, value_name = "SECONDS")]
    history: Option<u64>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl RoomCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "rooms", COLUMNS).await,
            Self::Create(create) => {
                let mut room = Map::new();
                room.insert("open".to_owned(), json!(create.open));
                put(&mut room, "members", create.members);
                put(&mut room, "history", create.history);
                put(&mut room, "description", create.description);
                resource::create(api, output, &["v1", "rooms"], &create.name, room).await
            }
        }
    }
}
