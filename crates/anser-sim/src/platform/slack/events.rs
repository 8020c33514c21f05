//! How Slack calls an app: signed, with the check of the URL, and with what became of an event the last time when it comes
//! again. From the guides to the Events API and to verifying requests. Must not know what an event is about.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::{Value, json};

use super::super::hex;
use crate::emit::{Attempt, Caller, Failed, Post, Secrets};

/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// After which time what was not taken is sent again: nearly at once, then two times more.
pub(super) const AGAIN: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(60),
    Duration::from_secs(5 * 60),
];
/// The token that every event carries, which Slack no longer wants anybody to look at.
pub(super) const OLD_TOKEN: &str = "SimSlackVerificationToken";

/// The events of apps.
pub(in crate::platform) struct Events;

impl Caller for Events {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: Some("5111515ac5a11511510000000000a115".to_owned()),
            token: None,
        }
    }

    fn check(&self, secrets: &Secrets, word: &str, attempt: &Attempt) -> Option<Post> {
        let check = json!({"token": OLD_TOKEN, "challenge": word, "type": "url_verification"});
        Some(signed(&check, secrets, attempt))
    }

    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
        let post = signed(event, secrets, attempt);
        let Some(failed) = attempt.failed else {
            return post;
        };
        let reason = match failed {
            Failed::Connection => "connection_failed",
            Failed::Timeout => "http_timeout",
            Failed::Status(_) => "http_error",
        };
        post.with("x-slack-retry-num", attempt.retries)
            .with("x-slack-retry-reason", reason)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, retries: u32) -> Option<Duration> {
        AGAIN.get(usize::try_from(retries).ok()?).copied()
    }
}

/// `v0=` and the HMAC-SHA256 of version, time and body.
fn signed(body: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
    let body = body.to_string();
    let time = attempt.now.seconds();
    let key = secrets.key.as_deref().unwrap_or_default();
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = hex(hmac::sign(&key, format!("v0:{time}:{body}").as_bytes()).as_ref());
    Post {
        headers: vec![("content-type", "application/json".to_owned())],
        body: body.into(),
        ..Post::default()
    }
    .with("x-slack-request-timestamp", time)
    .with("x-slack-signature", format!("v0={signature}"))
}
