//! Feeds what platforms sign and do not encrypt, signed as they do, so that parsers and normalising are reached: a byte with
//! the number of the sender, then the body. Nothing may panic, and all that is taken must be a message.

#![no_main]

use std::sync::{Arc, LazyLock};

use anser_core::channel::Channel;
use anser_core::inbound::InboundRequest;
use anser_fuzz::{NOW, SEED, SHARED, STANDARD, channels, send};
use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

static CHANNELS: LazyLock<Vec<Arc<dyn Channel>>> = LazyLock::new(channels);
/// Where those that are signed here begin.
const FIRST: usize = 4;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn tag(secret: &[u8], before: &str, body: &[u8]) -> hmac::Tag {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::sign(&key, &[before.as_bytes(), body].concat())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((which, said)) = bytes.split_first() else {
        return;
    };
    let mut headers = HeaderMap::new();
    let mut header = |name: &'static str, value: &str| {
        headers.insert(
            name,
            HeaderValue::try_from(value).expect("is a header's value"),
        );
    };
    let now = NOW.to_string();
    let shared = |before: &str| hex(tag(SHARED.as_bytes(), before, said).as_ref());
    let sender = usize::from(*which) % (CHANNELS.len() - FIRST);
    match sender {
        0 => {
            header("x-slack-request-timestamp", &now);
            header(
                "x-slack-signature",
                &format!("v0={}", shared(&format!("v0:{now}:"))),
            );
        }
        1 => header("x-telegram-bot-api-secret-token", SHARED),
        2 => {
            let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("is a seed");
            let signature = pair.sign(&[now.as_bytes(), said].concat());
            header("x-signature-timestamp", &now);
            header("x-signature-ed25519", &hex(signature.as_ref()));
        }
        3 => header("x-hub-signature-256", &format!("sha256={}", shared(""))),
        4 => {
            header("x-hub-signature-256", &format!("sha256={}", shared("")));
            header("x-github-event", "issues");
        }
        5 => header(
            "stripe-signature",
            &format!("t={now},v1={}", shared(&format!("{now}."))),
        ),
        6 => {
            let secret = BASE64.decode(&STANDARD[6..]).expect("is base64");
            let signature = BASE64.encode(tag(&secret, &format!("msg_1.{now}."), said));
            header("webhook-id", "msg_1");
            header("webhook-timestamp", &now);
            header("webhook-signature", &format!("v1,{signature}"));
        }
        _ => {
            header("x-time", &now);
            header("x-signature", &shared(&format!("{now}.")));
        }
    }
    let request = InboundRequest {
        method: &Method::POST,
        query: "",
        headers: &headers,
        body: &Bytes::copy_from_slice(said),
    };
    send(&*CHANNELS[FIRST + sender], &request);
});
