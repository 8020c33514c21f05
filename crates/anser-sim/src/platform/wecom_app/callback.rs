//! How WeCom calls an app: XML, encrypted and signed in the query; the check of the URL, by GET; and how often an event comes
//! again. From the developer centre's guides to receiving messages and to their encryption. Must not know what an event is
//! about.

use std::time::Duration;

use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::STANDARD as BASE64;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::Value;

use super::super::hex;
use super::app;
use crate::emit::{Attempt, Caller, Post, Secrets};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// What has no answer is sent three times more, at once.
const AGAIN: u32 = 3;
/// Bytes of a block of AES, and of what the padding fills up to.
const BLOCK: usize = 16;
const PADDED: usize = 32;
/// Bytes of a key.
const AES_256_BYTES: usize = 32;
/// An EncodingAESKey: base64 of 32 bytes without its padding, with bits behind the last byte that mean nothing.
const AES_KEY: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The events of apps.
pub(in crate::platform) struct Callbacks;

impl Caller for Callbacks {
    fn secrets(&self) -> Secrets {
        Secrets {
            key: Some("SimWeComEncodingAESKey000000000000000000000".to_owned()),
            token: Some("SimWeComToken0000000000000001".to_owned()),
        }
    }

    /// The answer is the word itself, decrypted.
    fn check(&self, secrets: &Secrets, word: &str, attempt: &Attempt) -> Option<Post> {
        let company = app(1).token;
        let company = company.split('/').next().unwrap_or_default();
        let sealed = encrypt(secrets, word, company, attempt);
        let mut query = signed(secrets, &sealed, attempt);
        query.push(("echostr", sealed));
        Some(Post::get(query))
    }

    fn is_right(&self, word: &str, body: &[u8]) -> bool {
        body == word.as_bytes()
    }

    fn post(&self, event: &Value, secrets: &Secrets, attempt: &Attempt) -> Post {
        let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
        let (company, agent) = (text("ToUserName"), &event["AgentID"]);
        let sealed = encrypt(secrets, &xml(event), &company, attempt);
        let body = format!(
            "<xml><ToUserName><![CDATA[{company}]]></ToUserName><AgentID><![CDATA[{agent}]]></AgentID>\
             <Encrypt><![CDATA[{sealed}]]></Encrypt></xml>"
        );
        Post {
            query: signed(secrets, &sealed, attempt),
            headers: vec![("content-type", "text/xml".to_owned())],
            body: body.into(),
            ..Post::default()
        }
    }

    fn patience(&self) -> Duration {
        PATIENCE
    }

    fn again(&self, retries: u32) -> Option<Duration> {
        (retries < AGAIN).then_some(Duration::ZERO)
    }
}

/// An event's members as elements, in their order.
fn xml(event: &Value) -> String {
    let members = event.as_object().into_iter().flatten();
    let elements = members.map(|(name, value)| match value {
        Value::String(text) => {
            let text = text.replace("]]>", "]]]]><![CDATA[>");
            format!("<{name}><![CDATA[{text}]]></{name}>")
        }
        other => format!("<{name}>{other}</{name}>"),
    });
    format!("<xml>{}</xml>", elements.collect::<String>())
}

/// The parameters that sign: SHA-1 of token, time, nonce and what is sealed, sorted.
fn signed(secrets: &Secrets, sealed: &str, attempt: &Attempt) -> Vec<(&'static str, String)> {
    let (time, nonce) = (
        attempt.now.seconds().to_string(),
        format!("{:010}", attempt.number),
    );
    let token = secrets.token.as_deref().unwrap_or_default();
    let mut parts = [token, &time, &nonce, sealed];
    parts.sort_unstable();
    let signature = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes()).as_ref());
    vec![
        ("msg_signature", signature),
        ("timestamp", time),
        ("nonce", nonce),
    ]
}

/// AES-256-CBC of sixteen bytes, the length, the text and the company, padded to blocks of 32 bytes; the key's first bytes are
/// the vector.
fn encrypt(secrets: &Secrets, text: &str, company: &str, attempt: &Attempt) -> String {
    let key = secrets.key.as_deref().unwrap_or_default();
    let mut key = AES_KEY.decode(key).unwrap_or_default();
    key.resize(AES_256_BYTES, 0);
    let mut iv = [0; BLOCK];
    iv.copy_from_slice(&key[..BLOCK]);
    // The first bytes must not come again: no two tries have the same time and number.
    let unique = format!("{}/{}", attempt.now.millis(), attempt.number);
    let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
    let unique = digest(&SHA256, unique.as_bytes());
    let mut bytes = [
        &unique.as_ref()[..BLOCK],
        &length,
        text.as_bytes(),
        company.as_bytes(),
    ]
    .concat();
    let pad = PADDED - bytes.len() % PADDED;
    let filled = bytes.len() + pad;
    bytes.resize(filled, u8::try_from(pad).expect("a padding is at most 32"));
    let key = UnboundCipherKey::new(&AES_256, &key).expect("the key has the length of AES-256");
    let key = EncryptingKey::cbc(key).expect("AES-256 has the mode CBC");
    key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(FixedLength::from(&iv)))
        .expect("the length is a multiple of the block's");
    BASE64.encode(bytes)
}
