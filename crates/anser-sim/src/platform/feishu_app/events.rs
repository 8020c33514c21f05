//! How Feishu calls an app: plain with a token, or encrypted and signed; the check of the URL; the delays after which an
//! event comes again. From the open platform's guide to event subscriptions. Must not know what an event is about.

use std::time::Duration;

use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::super::hex;
use crate::emit::{Attempt, Caller, Post, Secrets};

/// How long an answer may take; that of the check of the URL, too, which real Feishu wants within a second.
pub(super) const PATIENCE: Duration = Duration::from_secs(3);
/// After which time what was not taken is sent again.
pub(super) const AGAIN: [Duration; 4] = [
    Duration::from_secs(15),
    Duration::from_secs(5 * 60),
    Duration::from_secs(3_600),
    Duration::from_secs(6 * 3_600),
];
/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// The events of apps.
pub(in crate::platform) struct Events;

impl Caller for Events {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: Some("SimFeishuEncryptKey000000000001".to_owned()),
            token: Some("SimFeishuVerificationToken00001".to_owned()),
        }
    }

    /// It may be encrypted, and is never signed.
    fn check(&self, secrets: &Secrets, word: &str, attempt: &Attempt) -> Option<Post> {
        let check = json!({"challenge": word, "token": secrets.token, "type": "url_verification"});
        Some(Post::json(&wrapped(&check, secrets, attempt)))
    }

    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
        let mut event = event.clone();
        event["header"]["token"] = secrets.token.as_deref().unwrap_or_default().into();
        let post = Post::json(&wrapped(&event, secrets, attempt));
        let Some(key) = &secrets.key else {
            return post;
        };
        let time = attempt.now.seconds().to_string();
        let nonce = format!("{:010}", attempt.number);
        let signed = [
            time.as_bytes(),
            nonce.as_bytes(),
            key.as_bytes(),
            &*post.body,
        ]
        .concat();
        let signature = hex(digest(&SHA256, &signed).as_ref());
        post.with("x-lark-request-timestamp", time)
            .with("x-lark-request-nonce", nonce)
            .with("x-lark-signature", signature)
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, retries: u32) -> Option<Duration> {
        AGAIN.get(usize::try_from(retries).ok()?).copied()
    }
}

/// What is sent for a body: itself, or encrypted where there is a key.
fn wrapped(body: &Value, secrets: &Secrets, attempt: &Attempt) -> Value {
    match &secrets.key {
        None => body.clone(),
        Some(key) => json!({"encrypt": encrypt(key, &body.to_string(), attempt)}),
    }
}

/// AES-256-CBC with the SHA-256 of the key, padded by PKCS#7, behind the vector that it begins with.
fn encrypt(key: &str, plain: &str, attempt: &Attempt) -> String {
    // A vector must not come again, and need not be secret: no two tries have the same time and number.
    let unique = format!("{}/{}", attempt.now.millis(), attempt.number);
    let mut iv = [0; BLOCK];
    iv.copy_from_slice(&digest(&SHA256, unique.as_bytes()).as_ref()[..BLOCK]);
    let key = UnboundCipherKey::new(&AES_256, digest(&SHA256, key.as_bytes()).as_ref())
        .expect("a SHA-256 has the length of AES-256's keys");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("AES-256 has the mode CBC");
    let mut bytes = plain.as_bytes().to_vec();
    key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(&iv)))
        .expect("what is padded can be encrypted");
    BASE64.encode([&iv[..], &bytes].concat())
}
