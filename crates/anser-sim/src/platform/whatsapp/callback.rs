//! How WhatsApp calls an app: signed with its secret, after a check of the URL by GET; and when an event comes again. From Meta's
//! guide to webhooks. Must not know what an event is about.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde_json::Value;

use super::super::hex;
use crate::emit::{Attempt, Caller, Post, Secrets};

/// How long an answer may take. Meta's guide names no time.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is not answered with 200 comes again with growing pauses, for 7 days: here each is twice the one before, up to an
/// hour.
const AGAIN_MAX: Duration = Duration::from_secs(3_600);
/// Tries in 7 days of such pauses.
const TRIES_MAX: u32 = 12 + 7 * 24;
/// Doublings until the pause is the longest.
const DOUBLINGS_MAX: u32 = 12;

/// The webhooks of apps.
pub(in crate::platform) struct Webhooks;

impl Caller for Webhooks {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: Some("5111a115a9900000000000000000a115".to_owned()),
            token: Some("SimWhatsAppVerifyToken01".to_owned()),
        }
    }

    fn check(&self, secrets: &Secrets, word: &str, _: &Attempt) -> Option<Post> {
        let token = secrets.token.clone().unwrap_or_default();
        Some(Post::get(vec![
            ("hub.mode", "subscribe".to_owned()),
            ("hub.challenge", word.to_owned()),
            ("hub.verify_token", token),
        ]))
    }

    fn is_right(&self, word: &str, body: &[u8]) -> bool {
        body == word.as_bytes()
    }

    /// `sha256=` and the HMAC-SHA256 of the body.
    fn post(&self, event: &Value, secrets: &Secrets, _: &Attempt) -> Post {
        let body = event.to_string();
        let key = secrets.key.as_deref().unwrap_or_default();
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let signature = hex(hmac::sign(&key, body.as_bytes()).as_ref());
        Post {
            headers: vec![("content-type", "application/json".to_owned())],
            body: body.into(),
            ..Post::default()
        }
        .with("x-hub-signature-256", format!("sha256={signature}"))
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, retries: u32) -> Option<Duration> {
        let pause = Duration::from_secs(1 << retries.min(DOUBLINGS_MAX)).min(AGAIN_MAX);
        (retries < TRIES_MAX).then_some(pause)
    }
}
