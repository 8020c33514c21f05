//! `anser sim PLATFORM`: a stand-in of a chat platform, for people who write a bot and have no account at hand. Shows what
//! it receives on a page. Must not reach the real platform, nor a gateway.

use std::net::SocketAddr;

use anser_sim::{Callback, Platform, Secrets, Sim, SimOptions};
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
    /// Where a bot is called back: what people write on the page is sent there, signed as the platform does. Without it,
    /// events go to the bots that are connected or ask for them.
    #[arg(long, value_name = "URL")]
    callback: Option<String>,
    /// Feishu: the Encrypt Key that events are encrypted and signed with; '' for plain ones. Printed when not given.
    #[arg(long, value_name = "KEY", requires = "callback")]
    encrypt_key: Option<String>,
    /// Feishu: the Verification Token that events carry. Printed when not given.
    #[arg(long, value_name = "TOKEN", requires = "callback")]
    verification_token: Option<String>,
    /// Slack: the secret that events are signed with. Printed when not given.
    #[arg(long, value_name = "SECRET", requires = "callback")]
    signing_secret: Option<String>,
    /// Telegram: the secret token that updates carry; '' for none. Printed when not given.
    #[arg(long, value_name = "TOKEN", requires = "callback")]
    secret_token: Option<String>,
    /// WeCom: the EncodingAESKey that events are encrypted with. Printed when not given.
    #[arg(long, value_name = "KEY", requires = "callback")]
    encoding_aes_key: Option<String>,
    /// WeCom: the Token that they are signed with. Printed when not given.
    #[arg(long, value_name = "TOKEN", requires = "callback")]
    callback_token: Option<String>,
    /// WhatsApp: the app's secret that events are signed with. Printed when not given.
    #[arg(long, value_name = "SECRET", requires = "callback")]
    app_secret: Option<String>,
    /// WhatsApp: the token of the check of the URL. Printed when not given.
    #[arg(long, value_name = "TOKEN", requires = "callback")]
    verify_token: Option<String>,
    /// Send every event twice, as platforms do at times.
    #[arg(long)]
    duplicates: bool,
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
            options.callback = self.callback()?;
            options.duplicates = self.duplicates;
            let callback = options.callback.clone();
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
            if let Some(callback) = &callback {
                self.tell_callback(&mut told, &callback.secrets);
            }
            let talks = self.platform.talks(&chats);
            if !talks.is_empty() {
                told["talks"] = talks.into();
            }
            output.result(&told.to_string(), describe);
            tokio::signal::ctrl_c()
                .await
                .context("cannot wait for the interrupt")?;
            Ok(())
        })
    }
}

impl SimArguments {
    /// Where events go, with the platform's own secrets for those that were not given.
    fn callback(&self) -> anyhow::Result<Option<Callback>> {
        let Some(url) = &self.callback else {
            return Ok(None);
        };
        let platform = self.platform.name();
        let (key, token) = self.secret_names();
        let given = [
            ("encrypt-key", &self.encrypt_key),
            ("verification-token", &self.verification_token),
            ("signing-secret", &self.signing_secret),
            ("secret-token", &self.secret_token),
            ("encoding-aes-key", &self.encoding_aes_key),
            ("callback-token", &self.callback_token),
            ("app-secret", &self.app_secret),
            ("verify-token", &self.verify_token),
        ];
        for (option, secret) in given {
            if secret.is_some() && ![key, token].contains(&option) {
                anyhow::bail!("--{option} is not for {platform}: leave it out");
            }
        }
        let chosen = |name: &str, own: Option<String>| {
            let given = given.iter().find(|(option, _)| *option == name);
            match given.and_then(|(_, secret)| secret.as_ref()) {
                Some(given) => Some(given.clone()).filter(|given| !given.is_empty()),
                None => own,
            }
        };
        let own = self.platform.secrets();
        let secrets = Secrets {
            key: chosen(key, own.key),
            token: chosen(token, own.token),
        };
        let callback = Callback::new(url, secrets)
            .with_context(|| format!("--callback {url} cannot be called"))?;
        Ok(Some(match self.duplicates {
            true => callback.duplicated(),
            false => callback,
        }))
    }

    /// The options for the key and the token of a callback; empty for what cannot be chosen: DingTalk signs with the secret of
    /// the app, and Discord has a key pair.
    fn secret_names(&self) -> (&'static str, &'static str) {
        match self.platform {
            Platform::Feishu => ("encrypt-key", "verification-token"),
            Platform::Slack => ("signing-secret", ""),
            Platform::Telegram => ("", "secret-token"),
            Platform::WeCom => ("encoding-aes-key", "callback-token"),
            Platform::WhatsApp => ("app-secret", "verify-token"),
            Platform::DingTalk | Platform::Discord => ("", ""),
        }
    }

    /// Adds where events go, and what the channel must have to verify them.
    fn tell_callback(&self, told: &mut Value, secrets: &Secrets) {
        told["callback"] = self.callback.clone().into();
        for (name, value) in self.platform.proof(secrets) {
            told[name] = value.into();
        }
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
        .map(|(name, value)| format!("{name:<18} {}", shown(value)))
        .collect();
    lines.join("\n")
}
