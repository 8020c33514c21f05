//! How DingTalk calls an app's robot in HTTP mode: its time is signed with the app's secret. From the open platform's guide to
//! receiving messages. Must not know what a message is about.

use std::time::Duration;

use serde_json::Value;

use super::super::hmac_base64;
use super::app;
use crate::emit::{Attempt, Caller, Post, Secrets};

/// How long an answer may take. The guide names no time, and says nothing of sending again.
const PATIENCE: Duration = Duration::from_secs(5);

/// The messages to robots.
pub(in crate::platform) struct Callbacks;

impl Caller for Callbacks {
    /// Messages are signed with the app's own secret.
    fn secrets(&self) -> Secrets {
        Secrets {
            key: app(1).secret,
            token: None,
        }
    }

    fn check(&self, _: &Secrets, _: &str, _: &Attempt) -> Option<Post> {
        None
    }

    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
        let secret = secrets.key.as_deref().unwrap_or_default();
        let time = attempt.now.millis();
        let sign = hmac_base64(secret, &format!("{time}\n{secret}"));
        Post::json(event).with("timestamp", time).with("sign", sign)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, _: u32) -> Option<Duration> {
        None
    }
}
