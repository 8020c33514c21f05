//! How Telegram calls a bot's webhook: with a secret word in a header, again and again until it is taken. From the Bot API,
//! `setWebhook`. Must not know what an update is about.

use std::time::Duration;

use serde_json::Value;

use crate::emit::{Attempt, Caller, Post, Secrets};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The longest pause between two tries; the first is a second, and each is twice the one before. The Bot API names none.
const AGAIN_MAX: Duration = Duration::from_secs(60);
/// Tries within the 24 hours that an update is kept.
const TRIES_MAX: u32 = 24 * 60;

/// The updates of bots.
pub(in crate::platform) struct Updates;

impl Caller for Updates {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: None,
            token: Some("SimTelegramSecretToken0000000001".to_owned()),
        }
    }

    fn check(&self, _: &Secrets, _: &str, _: &Attempt) -> Option<Post> {
        None
    }

    fn post(&self, event: &Value, secrets: &Secrets, _: &Attempt) -> Post {
        let post = Post {
            headers: vec![("content-type", "application/json".to_owned())],
            body: event.to_string().into(),
            ..Post::default()
        };
        match &secrets.token {
            Some(token) => post.with("x-telegram-bot-api-secret-token", token),
            None => post,
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, retries: u32) -> Option<Duration> {
        let pause = Duration::from_secs(1 << retries.min(6)).min(AGAIN_MAX);
        (retries < TRIES_MAX).then_some(pause)
    }
}
