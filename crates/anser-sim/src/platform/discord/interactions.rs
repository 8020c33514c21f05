//! Discord, interactions: a command that a person gives, posted to the app's endpoint and signed with the platform's key, and the
//! token by which it is answered for a while. From the documentation of interactions. Must not know what webhooks post.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::Timestamp;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use super::super::{ChatKind, Desk, Letter, hex, person};
use super::who::{about, channel_id};
use super::{GUILD_ID, is_bot, snowflake};
use crate::emit::{Attempt, Caller, Post, Said, Secrets, Unsaid};

/// How long an answer may take; then the interaction has failed, and does not come again.
const PATIENCE: Duration = Duration::from_secs(3);
/// For how long an interaction can be answered.
const TOKEN_LIFE: Duration = Duration::from_secs(15 * 60);
/// Interactions that can be answered.
const OPEN_MAX: usize = 100_000;
/// Bytes of a key's seed.
const SEED_BYTES: usize = 32;
/// The command that a person's words are given to.
const COMMAND: &str = "say";

/// An app's endpoint.
pub(in crate::platform) struct Interactions;

impl Caller for Interactions {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: Some(
                "5111d15c02d0000000000000000000000000000000000000000000000000a115".to_owned(),
            ),
            token: None,
        }
    }

    /// A ping.
    fn check(&self, secrets: &Secrets, _: &str, attempt: &Attempt) -> Option<Post> {
        let ping = json!({"id": snowflake(attempt.now, attempt.number), "type": 1, "version": 1});
        Some(signed(&ping, secrets, attempt))
    }

    /// A pong.
    fn is_right(&self, _: &str, body: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        answer["type"] == 1
    }

    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
        signed(event, secrets, attempt)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, _: u32) -> Option<Duration> {
        None
    }
}

/// The app's public key, as its page shows it; `None` for what is no seed of a key pair.
pub(in crate::platform) fn public_key(secrets: &Secrets) -> Option<String> {
    Some(hex(pair(secrets)?.public_key().as_ref()))
}

fn pair(secrets: &Secrets) -> Option<Ed25519KeyPair> {
    let text = secrets.key.as_deref()?;
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let seed: Vec<u8> = digits?
        .chunks(2)
        .filter_map(|pair| u8::try_from(pair.iter().fold(0, |byte, digit| byte << 4 | digit)).ok())
        .collect();
    let seed = seed.get(..SEED_BYTES)?;
    Ed25519KeyPair::from_seed_unchecked(seed).ok()
}

/// Ed25519 of time and body.
fn signed(body: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
    let (body, time) = (body.to_string(), attempt.now.seconds());
    let signature = pair(secrets).map(|pair| pair.sign(format!("{time}{body}").as_bytes()));
    let signature = signature.map_or_else(String::new, |signature| hex(signature.as_ref()));
    Post {
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.into(),
        ..Post::default()
    }
    .with("x-signature-ed25519", signature)
    .with("x-signature-timestamp", time)
}

/// The interactions that can be answered.
#[derive(Default)]
pub(super) struct Open {
    by_token: BTreeMap<String, Interaction>,
}

/// An interaction.
pub(super) struct Interaction {
    /// The app's id.
    pub(super) app: String,
    /// The token of its bot.
    pub(super) bot: String,
    /// Where it was given.
    pub(super) channel: String,
    at: Timestamp,
}

impl Open {
    /// The interaction with that token, as long as it can be answered.
    pub(super) fn get(&self, app: &str, token: &str, now: Timestamp) -> Option<&Interaction> {
        let known = self.by_token.get(token)?;
        (known.app == app && now.since(known.at) <= TOKEN_LIFE).then_some(known)
    }

    /// Takes the first answer, by the Gateway's own way; `None` when there is no such interaction any more.
    pub(super) fn answer(&self, token: &str, now: Timestamp) -> Option<()> {
        let known = self.by_token.get(token)?;
        (now.since(known.at) <= PATIENCE).then_some(())
    }

    /// Takes a command that a person gives to the first bot: its words are the option of `/say`.
    pub(super) fn hear(
        &mut self,
        said: &Said,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let robot = desk.robots.iter().find(|robot| is_bot(robot));
        let robot = robot.ok_or_else(|| Unsaid::new("there is no bot"))?;
        let chat = desk.chats.iter().find(|chat| channel_id(chat) == said.chat);
        let chat = chat.ok_or_else(|| Unsaid::new("there is no such channel"))?;
        if said.reply_to.is_some() || said.file.is_some() {
            return Err(Unsaid::new(
                "a command answers nothing and has no file here",
            ));
        }
        let app = about(robot)["id"].as_str().unwrap_or_default().to_owned();
        let id = snowflake(now, desk.number);
        let token = format!("aW50ZXJhY3Rpb246SimDiscordInteraction{id}");
        let user = match chat.kind {
            ChatKind::Private => chat.id.to_string(),
            ChatKind::Group | ChatKind::Channel => person(&said.name).to_string(),
        };
        let user = json!({"id": user, "username": said.name.to_lowercase(), "global_name": said.name, "avatar": null,
            "discriminator": "0", "public_flags": 0});
        let mut event = json!({"app_permissions": "2248473465835073", "application_id": app, "attachment_size_limit": 10_485_760,
            "channel_id": said.chat, "context": 0, "entitlements": [], "id": id, "locale": "en-US", "token": token,
            "type": 2, "version": 1, "data": {"id": "1300000000000000001", "name": COMMAND, "type": 1,
                "options": [{"name": "text", "type": 3, "value": said.text}]}});
        if chat.kind == ChatKind::Private {
            event["context"] = 1.into();
            event["channel"] = json!({"id": said.chat, "type": 1});
            event["user"] = user;
        } else {
            event["channel"] =
                json!({"id": said.chat, "type": 0, "name": chat.title, "guild_id": GUILD_ID});
            event["guild_id"] = GUILD_ID.into();
            event["member"] =
                json!({"user": user, "roles": [], "permissions": "2248473465835073", "nick": null});
        }
        let known = Interaction {
            app,
            bot: robot.token.clone(),
            channel: said.chat.clone(),
            at: now,
        };
        self.by_token
            .retain(|_, known| now.since(known.at) <= TOKEN_LIFE);
        if self.by_token.len() < OPEN_MAX {
            self.by_token.insert(token, known);
        }
        let letter = Letter {
            robot: robot.token.clone(),
            conversation: said.chat.clone(),
            id: Some(id),
            kind: "command".to_owned(),
            text: said.text.clone(),
            body: event.clone(),
            ..Letter::default()
        };
        Ok((letter, event))
    }
}
