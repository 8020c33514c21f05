//! `anser sim PLATFORM`: a stand-in of a chat platform, for people who write a bot and have no account at hand. Shows what
//! it receives on a page. Must not reach the real platform, nor a gateway.

use std::net::SocketAddr;

use anser_sim::{Platform, Sim, SimOptions};
use anyhow::Context as _;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser as _};
use serde_json::{Value, json};

use crate::exit::Failure;
use crate::output::Output;
use crate::server::runtime;

/// Which platform, and where.
#[derive(Debug, Args)]
pub(crate) struct SimArguments {
    /// Which platform.
    #[arg(value_parser = platform_parser())]
    platform: Platform,
    /// Where to listen. Whoever reaches it can read what was sent: there is no key.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// No rate limits: to see how fast a bot is. Sizes, tokens and signatures are checked as ever.
    #[arg(long)]
    unlimited: bool,
}

fn platform_parser() -> impl clap::builder::TypedValueParser<Value = Platform> {
    let known =
        Platform::ALL.map(|platform| PossibleValue::new(platform.name()).help(platform.doors()));
    let known = PossibleValuesParser::new(known);
    known.try_map(|name| Platform::of_name(&name).ok_or("is no platform with a stand-in"))
}

impl SimArguments {
    /// Stands in until it is interrupted.
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        let runtime = runtime::build(0)?;
        runtime.block_on(async {
            let mut options = SimOptions::new(self.platform);
            options.listen = self.listen;
            if self.unlimited {
                options.limits = Vec::new();
            }
            let chats = options.chats.clone();
            let sim = Sim::start(options).await;
            let sim = sim.with_context(|| format!("cannot listen on {}", self.listen))?;
            let robot = sim.robots().first().context("a stand-in has a robot")?;
            let mut told = json!({"platform": self.platform.name(), "page": sim.base(), "base_url": sim.base(),
                "url": sim.url(robot), "token": robot.token});
            for robot in sim.robots() {
                for (name, value) in self.platform.credentials(robot) {
                    told[name] = value.into();
                }
            }
            if !chats.is_empty() {
                let ids = chats.iter().map(|chat| self.platform.chat_id(chat));
                told["chats"] = ids.collect();
            }
            output.result(&told.to_string(), describe);
            tokio::signal::ctrl_c()
                .await
                .context("cannot wait for the interrupt")?;
            Ok(())
        })
    }
}

/// What people need not be told: it is in the URL, or they asked for it.
const UNTOLD: [&str; 3] = ["platform", "base_url", "token"];

/// What to use, a line each.
fn describe(told: &Value) -> String {
    let shown = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let members = told.as_object().into_iter().flatten();
    let lines: Vec<String> = members
        .filter(|(name, _)| !UNTOLD.contains(&name.as_str()))
        .map(|(name, value)| format!("{name:<10} {}", shown(value)))
        .collect();
    lines.join("\n")
}
