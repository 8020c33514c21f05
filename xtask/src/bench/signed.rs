//! Requests to the CMQ door, signed as Tencent's SDKs sign them, and what their answers say.
//!
//! Sorted parameters, HMAC-SHA256 over method, host, path and text, a form in the body: the service's documents, and the
//! published example in the tests. Only what is known to need it is percent-encoded: no body here has anything else.

use crate::bench::clock;
use crate::bench::connection::Connection;
use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

const PATH: &str = "/v2/index.php";
/// Bytes of an HMAC block of SHA-256 (RFC 2104).
const BLOCK_BYTES: usize = 64;
/// There was nothing to receive.
const EMPTY: i64 = 7000;

/// The key pair of an account.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Credentials {
    secret_id: String,
    secret_key: String,
}

/// One connection and what it signs with.
#[derive(Debug)]
pub(crate) struct Caller {
    connection: Connection,
    host: String,
    secret_id: String,
    hmac: Hmac,
    nonce: u64,
    request: Vec<u8>,
}

impl Caller {
    /// Connects.
    pub(crate) async fn open(address: SocketAddr, who: &Credentials) -> anyhow::Result<Self> {
        Ok(Self {
            connection: Connection::open(address).await?,
            host: address.to_string(),
            secret_id: who.secret_id.clone(),
            hmac: Hmac::new(who.secret_key.as_bytes()),
            nonce: 0,
            request: Vec::new(),
        })
    }

    /// Does one action; the answer's JSON, or none where there was no message. Any other refusal is an error.
    pub(crate) async fn call(
        &mut self,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> anyhow::Result<Option<&[u8]>> {
        self.nonce += 1;
        let nonce = self.nonce.to_string();
        let now = clock::unix_seconds().to_string();
        let common = [
            ("Action", action),
            ("Nonce", &nonce),
            ("SecretId", &self.secret_id),
            ("SignatureMethod", "HmacSHA256"),
            ("Timestamp", &now),
        ];
        let mut all = [&common, parameters].concat();
        all.sort_unstable();
        self.request = request(&self.host, &all, &self.hmac);
        let answer = self.connection.exchange(&self.request).await?;
        match (answer.status()?, code(answer.body())) {
            (200, Some(0)) => Ok(Some(answer.body())),
            (200, Some(EMPTY)) => Ok(None),
            (status, _) => bail!("{action} was answered {status}: {}", answer.text()),
        }
    }
}

fn request(host: &str, sorted: &[(&str, &str)], hmac: &Hmac) -> Vec<u8> {
    let signature = STANDARD.encode(hmac.sign(signed_text(host, sorted).as_bytes()));
    let mut form = String::with_capacity(512);
    for (name, value) in sorted.iter().chain([&("Signature", &*signature)]) {
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(name);
        form.push('=');
        for character in value.chars() {
            match character {
                '+' => form.push_str("%2B"),
                '/' => form.push_str("%2F"),
                '=' => form.push_str("%3D"),
                plain => form.push(plain),
            }
        }
    }
    let length = form.len();
    format!("POST {PATH} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {length}\r\n\r\n{form}")
        .into_bytes()
}

fn signed_text(host: &str, sorted: &[(&str, &str)]) -> String {
    let mut text = format!("POST{host}{PATH}?");
    for (index, (name, value)) in sorted.iter().enumerate() {
        if index > 0 {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        text.push_str(value);
    }
    text
}

/// HMAC-SHA256 (RFC 2104) with the key already taken in.
#[derive(Clone, Debug)]
struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    /// For a key of at most a block; what is beyond is left out, and no key here is that long.
    fn new(key: &[u8]) -> Self {
        let padded = |with: u8| {
            let mut block = [with; BLOCK_BYTES];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            Sha256::new_with_prefix(block)
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    fn sign(&self, text: &[u8]) -> [u8; 32] {
        let inner = self.inner.clone().chain_update(text).finalize();
        self.outer.clone().chain_update(inner).finalize().into()
    }
}

/// The answer's code.
fn code(body: &[u8]) -> Option<i64> {
    let digits = values(body, "\"code\":").next()?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit())?;
    std::str::from_utf8(&digits[..end]).ok()?.parse().ok()
}

/// Texts of a member that is a string without escapes, in order.
pub(crate) fn texts(body: &[u8], member: &str) -> anyhow::Result<Vec<String>> {
    let mut found = Vec::new();
    for rest in values(body, &format!("\"{member}\":\"")) {
        let end = rest.iter().position(|byte| *byte == b'"');
        let text = rest
            .get(..end.context("an answer that is cut off")?)
            .unwrap_or_default();
        found.push(String::from_utf8(text.to_vec())?);
    }
    Ok(found)
}

/// What follows each place where a member begins.
fn values<'a>(body: &'a [u8], lead: &str) -> impl Iterator<Item = &'a [u8]> {
    let lead = lead.as_bytes().to_vec();
    let starts = body.len().saturating_sub(lead.len());
    (0..starts).filter_map(move |at| body[at..].strip_prefix(&*lead))
}

#[cfg(test)]
mod tests {
    use super::{Hmac, STANDARD, code, request, signed_text, texts};
    use base64::Engine;

    /// Tencent's published example, with SHA-256 in place of SHA-1 as in our specification of the protocol.
    #[test]
    fn the_published_example_is_signed_like_that() {
        let sorted = [
            ("Action", "SendMessage"),
            ("Nonce", "2889712707386595659"),
            ("RequestClient", "SDK_Python_1.3"),
            ("SecretId", "AKIDPcYDclDJCn8D0Xypa4f3pKYUCVYLn3zT"),
            ("SignatureMethod", "HmacSHA1"),
            ("Timestamp", "1534154812"),
            ("clientRequestId", "1231231231"),
            ("delaySeconds", "0"),
            ("msgBody", "msg"),
            ("queueName", "test1"),
        ];
        let text = signed_text("cmq-queue-gz.api.tencentyun.com", &sorted);
        let hmac = Hmac::new(b"pPgfLipfEXZ7VcRzhAMIyPaU7UbQyFFx");
        let signature = STANDARD.encode(hmac.sign(text.as_bytes()));
        assert_eq!(signature, "XPh4vnKmqz+7dMB5OVM7vodL3MunEEKMrHdwS9J2shk=");
        let sent = String::from_utf8(request("cmq-queue-gz.api.tencentyun.com", &sorted, &hmac));
        let sent = sent.expect("it is text");
        assert!(sent.ends_with("&Signature=XPh4vnKmqz%2B7dMB5OVM7vodL3MunEEKMrHdwS9J2shk%3D"));
    }

    #[test]
    fn an_answer_is_read() {
        let body =
            br#"{"code":0,"message":"","list":[{"receiptHandle":"12"},{"receiptHandle":"345"}]}"#;
        assert_eq!(code(body), Some(0));
        assert_eq!(texts(body, "receiptHandle").expect("whole"), ["12", "345"]);
        assert_eq!(
            code(br#"{"code":7000,"message":"(10200)no message"}"#),
            Some(7000)
        );
        assert_eq!(code(b"<html>"), None);
    }
}
