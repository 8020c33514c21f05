//! Callbacks as Feishu and Slack make them: encrypted and signed, each with ids and a time of its own, so that none is a
//! repeat. Their text is what webhooks of the format `data` get, with the time in it. From the platforms' guides, as the
//! stand-ins are; must not be used for anything but measuring.

use crate::bench::clock;
use crate::bench::payload;
use crate::bench::payload::Outgoing;
use aws_lc_rs::cipher::{AES_256, EncryptionContext, PaddedBlockEncryptingKey, UnboundCipherKey};
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

/// The channel's name.
pub(crate) const CHANNEL: &str = "bot";
const ENCRYPT_KEY: &str = "BenchFeishuEncryptKey0000000001";
const TOKEN: &str = "BenchFeishuVerificationToken001";
const SIGNING_SECRET: &str = "be9c45111515ac5a1151000000000a11";
/// Bytes of a block of AES.
const BLOCK: usize = 16;

/// Whose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Platform {
    /// Encrypted with AES-256-CBC, signed with SHA-256.
    Feishu,
    /// Signed with HMAC-SHA256.
    Slack,
}

impl Platform {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Feishu, Self::Slack];

    /// For the head of a column.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Feishu => "Feishu, encrypted",
            Self::Slack => "Slack, signed",
        }
    }

    /// A channel that takes them for a topic.
    pub(crate) fn channel(self, topic: &str) -> Value {
        let (kind, settings) = match self {
            Self::Feishu => (
                "feishu-app",
                json!({"app_id": "cli_bench", "app_secret": "bench", "encrypt_key": ENCRYPT_KEY,
                    "verification_token": TOKEN}),
            ),
            Self::Slack => (
                "slack-app",
                json!({"token": "xoxb-bench", "signing_secret": SIGNING_SECRET}),
            ),
        };
        json!({"name": CHANNEL, "kind": kind, "settings": settings, "inbound": {"topic": topic}})
    }
}

/// The callbacks of one sender, built when they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Callback {
    platform: Platform,
    /// Tells its ids from those of other senders at the same moment.
    sender: usize,
    bytes: Vec<u8>,
}

impl Callback {
    /// Of so many senders.
    pub(crate) fn of(platform: Platform, senders: usize) -> Vec<Self> {
        let one = |sender| Self {
            platform,
            sender,
            bytes: Vec::new(),
        };
        (0..senders).map(one).collect()
    }
}

impl Outgoing for Callback {
    fn messages(&self) -> u64 {
        1
    }

    fn stamped(&mut self, nanos: u64) -> &[u8] {
        let (body, headers) = match self.platform {
            Platform::Feishu => feishu(self.sender, nanos),
            Platform::Slack => slack(self.sender, nanos),
        };
        self.bytes = format!(
            "POST /in/{CHANNEL} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes();
        &self.bytes
    }
}

/// Body and headers.
fn feishu(sender: usize, nanos: u64) -> (String, String) {
    let now = clock::unix_seconds();
    let (time, id) = ((now * 1_000).to_string(), format!("{sender}x{nanos}"));
    let content = json!({"text": payload::text(nanos)}).to_string();
    let event = json!({"schema": "2.0",
        "header": {"event_id": id, "event_type": "im.message.receive_v1", "create_time": time, "token": TOKEN,
            "app_id": "cli_bench", "tenant_key": "bench"},
        "event": {"sender": {"sender_id": {"open_id": "ou_bench"}, "sender_type": "user", "tenant_key": "bench"},
            "message": {"message_id": format!("om_{id}"), "create_time": time, "update_time": time,
                "chat_id": "oc_bench", "chat_type": "group", "message_type": "text", "content": content}}});
    let mut iv = [0; BLOCK];
    iv.copy_from_slice(&digest(&SHA256, id.as_bytes()).as_ref()[..BLOCK]);
    let key = digest(&SHA256, ENCRYPT_KEY.as_bytes());
    let key = UnboundCipherKey::new(&AES_256, key.as_ref()).expect("a SHA-256 is as long");
    let key = PaddedBlockEncryptingKey::cbc_pkcs7(key).expect("AES-256 has the mode CBC");
    let mut sealed = event.to_string().into_bytes();
    key.less_safe_encrypt(
        &mut sealed,
        EncryptionContext::Iv128(FixedLength::from(&iv)),
    )
    .expect("what is padded can be encrypted");
    let body = json!({"encrypt": STANDARD.encode([&iv[..], &sealed].concat())}).to_string();
    let signature =
        hex(digest(&SHA256, format!("{now}{id}{ENCRYPT_KEY}{body}").as_bytes()).as_ref());
    let headers = format!(
        "x-lark-request-timestamp: {now}\r\nx-lark-request-nonce: {id}\r\nx-lark-signature: {signature}\r\n"
    );
    (body, headers)
}

/// Body and headers. A message is known by its channel and time, of microseconds.
fn slack(sender: usize, nanos: u64) -> (String, String) {
    let now = clock::unix_seconds();
    let micros = nanos / 1_000;
    let ts = format!(
        "{}.{:06}",
        1_700_000_000 + micros / 1_000_000,
        micros % 1_000_000
    );
    let event = json!({"token": "bench", "team_id": "T0BENCH", "api_app_id": "A0BENCH", "type": "event_callback",
        "event_id": format!("Ev{sender}x{nanos}"), "event_time": now,
        "event": {"type": "message", "channel": format!("C0{sender:06}"), "channel_type": "channel", "user": "U0BENCH",
            "text": payload::text(nanos), "ts": ts, "event_ts": ts, "team": "T0BENCH"}});
    let body = event.to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SIGNING_SECRET.as_bytes());
    let signature = hex(hmac::sign(&key, format!("v0:{now}:{body}").as_bytes()).as_ref());
    let headers =
        format!("x-slack-request-timestamp: {now}\r\nx-slack-signature: v0={signature}\r\n");
    (body, headers)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::{Callback, Platform};
    use crate::bench::frame;
    use crate::bench::payload::Outgoing;

    #[test]
    fn no_two_callbacks_are_the_same_and_each_is_whole() {
        for platform in Platform::ALL {
            let mut senders = Callback::of(platform, 2);
            let mut seen = Vec::new();
            for nanos in [1_000, 2_000] {
                for sender in &mut senders {
                    let bytes = sender.stamped(nanos).to_vec();
                    let frame = frame::read(&bytes).expect("well formed").expect("whole");
                    assert_eq!(frame.bytes(), bytes.len());
                    assert!(!seen.contains(&bytes));
                    seen.push(bytes);
                }
            }
        }
    }
}
