//! `anser robot`: URLs that programs post to as they would to a group robot. Dialects are the server's to know.

use clap::{Args, Subcommand};
use serde_json::{Map, Value};

use super::api::Api;
use super::resource::{Usual, put};
use crate::exit::Failure;
use crate::output::{Column, Output};

const COLUMNS: &[Column] = &[
    ("NAME", "name"),
    ("TOPIC", "topic"),
    ("TO", "to"),
    ("DIALECTS", "dialects"),
    ("DESCRIPTION", "description"),
];

/// What to do with robots.
#[derive(Debug, Subcommand)]
pub(crate) enum RobotCommand {
    #[command(flatten)]
    Usual(Usual),
    /// Create a robot and show its URLs, this once; the same again changes nothing.
    Create(Create),
    /// Give a robot another token and show its new URLs, this once; the old ones are refused from now on.
    Rotate {
        /// Its name.
        name: String,
    },
}

/// A robot to create.
#[derive(Debug, Args)]
pub(crate) struct Create {
    /// Its name.
    name: String,
    /// The topic that its messages are published to.
    #[arg(long, required_unless_present = "to", conflicts_with = "to")]
    topic: Option<String>,
    /// The addresses that its messages go to instead, such as `ops/oc_x`.
    #[arg(long, value_name = "ADDRESS,…", value_delimiter = ',')]
    to: Vec<String>,
    /// Only these dialects, such as `alertmanager`; otherwise all.
    #[arg(long, value_name = "DIALECT,…", value_delimiter = ',')]
    dialects: Option<Vec<String>>,
    /// What requests are signed with; seen by others in the list of processes.
    #[arg(long)]
    secret: Option<String>,
    /// For people.
    #[arg(long, value_name = "TEXT")]
    description: Option<String>,
}

impl RobotCommand {
    /// Does it.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        match self {
            Self::Usual(usual) => usual.run(api, output, "robots", COLUMNS).await,
            Self::Create(create) => create.run(api, output).await,
            Self::Rotate { name } => {
                let answer = api.act(&["v1", "robots", &name, "token", "rotate"]).await?;
                output.result(&answer.text, |value| shown(output, value));
                Ok(())
            }
        }
    }
}

impl Create {
    async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut robot = Map::new();
        robot.insert("name".to_owned(), self.name.into());
        put(&mut robot, "topic", self.topic);
        put(&mut robot, "to", Some(self.to).filter(|to| !to.is_empty()));
        put(&mut robot, "dialects", self.dialects);
        put(&mut robot, "secret", self.secret);
        put(&mut robot, "description", self.description);
        let answer = api.post(&["v1", "robots"], &Value::Object(robot)).await?;
        output.result(&answer.text, |value| shown(output, value));
        Ok(())
    }
}

/// The robot, with its URLs on lines of their own where they are told.
fn shown(output: &Output, robot: &Value) -> String {
    let mut fields = robot.as_object().cloned().unwrap_or_default();
    fields.shift_remove("token");
    let urls = fields.shift_remove("urls");
    let fields = output.fields(&Value::Object(fields));
    let Some(Value::Object(urls)) = urls else {
        return format!("{fields}\nunchanged: it is there, just so; its URLs are not kept");
    };
    let lines: Vec<String> = urls
        .iter()
        .map(|(dialect, url)| format!("{dialect:<14}{}", url.as_str().unwrap_or_default()))
        .collect();
    let lines = lines.join("\n");
    format!(
        "{fields}\n\n{lines}\n\nThis is the only time these URLs are shown. Whoever has one can post."
    )
}
