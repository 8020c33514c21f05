//! Feeds what platforms sign and encrypt, signed and encrypted as they do, so that parsers and normalising are reached: a
//! byte with the number of the way, then JSON or XML. Nothing may panic, and all that is taken must be a message.

#![no_main]

use std::sync::{Arc, LazyLock};

use anser_core::channel::Channel;
use anser_core::inbound::InboundRequest;
use anser_fuzz::{AES_KEY, APP, CORP, FEISHU_KEY, NOW, SECRET, TOKEN, channels, send};
use aws_lc_rs::cipher::{AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, NO_PAD, STANDARD};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method};
use libfuzzer_sys::fuzz_target;

static CHANNELS: LazyLock<Vec<Arc<dyn Channel>>> = LazyLock::new(channels);
/// The last of 43 characters holds two bits that belong to no byte.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::with_decode_allow_trailing_bits(NO_PAD, true),
);

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The envelope of WeCom and DingTalk: what is encrypted, and the query that signs it.
fn sealed(message: &[u8], receiver: &str, name: &str) -> (String, String) {
    let length = u32::try_from(message.len()).expect("inputs are short");
    let mut plain = [
        &[7; 16][..],
        &length.to_be_bytes(),
        message,
        receiver.as_bytes(),
    ]
    .concat();
    let pad = 32 - plain.len() % 32;
    plain.resize(plain.len() + pad, u8::try_from(pad).expect("at most 32"));
    let key = LENIENT.decode(AES_KEY).expect("is base64");
    let iv = FixedLength::from(<&[u8; 16]>::try_from(&key[..16]).expect("16 bytes"));
    let key = UnboundCipherKey::new(&AES_256, &key).expect("32 bytes");
    let key = EncryptingKey::cbc(key).expect("has CBC");
    key.less_safe_encrypt(&mut plain, EncryptionContext::Iv128(iv))
        .expect("whole blocks");
    let encrypted = STANDARD.encode(plain);
    let now = NOW.to_string();
    let mut parts = [TOKEN, &now, "n1", &encrypted];
    parts.sort_unstable();
    let signature = hex(digest(&SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes()).as_ref());
    let query = format!("{name}={signature}&timestamp={now}&nonce=n1");
    (encrypted, query)
}

fuzz_target!(|bytes: &[u8]| {
    let Some((way, said)) = bytes.split_first() else {
        return;
    };
    let mut headers = HeaderMap::new();
    let mut query = String::new();
    let mut body = said.to_vec();
    let mut header = |name: &'static str, value: &str| {
        headers.insert(
            name,
            HeaderValue::try_from(value).expect("is a header's value"),
        );
    };
    let channel = match way % 5 {
        0 => {
            let now = NOW.to_string();
            let whole = [now.as_bytes(), b"n1", FEISHU_KEY.as_bytes(), said].concat();
            header("x-lark-request-timestamp", &now);
            header("x-lark-request-nonce", "n1");
            header("x-lark-signature", &hex(digest(&SHA256, &whole).as_ref()));
            0
        }
        1 => 1,
        2 => {
            let (encrypted, signed) = sealed(said, CORP, "msg_signature");
            query = signed;
            body = format!("<xml><Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>").into_bytes();
            2
        }
        3 => {
            let now = (NOW * 1_000).to_string();
            let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
            let sign = hmac::sign(&key, format!("{now}\n{SECRET}").as_bytes());
            header("timestamp", &now);
            header("sign", &STANDARD.encode(sign));
            3
        }
        _ => {
            let (encrypted, signed) = sealed(said, APP, "signature");
            query = signed;
            body = format!("{{\"encrypt\":\"{encrypted}\"}}").into_bytes();
            3
        }
    };
    let body = Bytes::from(body);
    let request = InboundRequest {
        method: &Method::POST,
        query: &query,
        headers: &headers,
        body: &body,
    };
    send(&*CHANNELS[channel], &request);
});
