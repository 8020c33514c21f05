//! `anser session`: who is connected live, and the end of it.

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::json;

use super::api::Api;
use super::resource::{self, Paging};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("ID", "id"),
    ("USER", "user"),
    ("RESOURCE", "resource"),
    ("WIRE", "transport"),
    ("SHOW", "show"),
    ("SINCE", "since"),
    ("LAST SEEN", "last_seen"),
    ("UNACKED", "unacknowledged"),
];

/// What to do with live sessions.
#[derive(Debug, Subcommand)]
pub(crate) enum SessionCommand {
    /// List those that are open.
    List(List),
    /// Show how available a user is, and what waits for the user.
    User {
        /// The user's id.
        user: String,
    },
    /// End one, or all of a user.
    Kick(Kick),
}

/// Which sessions.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// Only of this user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only over this wire, such as ws.
    #[arg(long, value_name = "WIRE")]
    transport: Option<String>,
    #[command(flatten)]
    paging: Paging,
}

/// What to end.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("whom").required(true).args(["id", "user"])))]
pub(crate) struct Kick {
    /// The session's id.
    id: Option<String>,
    /// Every session of this user.
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// What the client is told.
    #[arg(long, value_name = "TEXT")]
    detail: Option<String>,
}

impl SessionCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::List(list) => {
                let mut query = list.paging.query();
                query.extend(list.user.map(|user| ("user", user)));
                query.extend(list.transport.map(|wire| ("transport", wire)));
                resource::list(api, output, &["v1", "sessions"], &query, COLUMNS).await
            }
            Self::User { user } => resource::get(api, output, &["v1", "presence", &user]).await,
            Self::Kick(kick) => kick.run(api, output).await,
        }
    }
}

impl Kick {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        if let Some(user) = &self.user {
            let path = ["v1", "presence", user, "kick"];
            let answer = api.post(&path, &json!({"detail": self.detail})).await?;
            output.result(&answer.text, |value| output.fields(value));
        }
        if let Some(id) = &self.id {
            let detail = self.detail.map(|detail| ("detail", detail));
            let query: Vec<_> = detail.into_iter().collect();
            let path = ["v1", "sessions", id];
            api.call(Method::DELETE, &path, &query, None).await?;
            output.result("{\"ended\":1}", |value| output.fields(value));
        }
        Ok(())
    }
}
