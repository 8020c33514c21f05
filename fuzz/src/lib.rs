//! What the targets share: the stamp of messages, channels that receive, and what must hold of all that they take.

use std::collections::HashMap;
use std::sync::Arc;

use anser_channels::find;
use anser_core::channel::Channel;
use anser_core::id::MessageId;
use anser_core::inbound::{InboundContext, InboundEvent, InboundRequest};
use anser_core::limits::Limits;
use anser_core::message::{Sender, SenderKind, Stamp};
use anser_core::name::check_text;
use anser_core::{Message, Timestamp};
use serde_json::{Value, json};

/// The second of every request.
pub const NOW: i64 = 1_700_000_000;
/// The token that Feishu writes into its events.
pub const FEISHU_TOKEN: &str = "anser-verify-token";
/// The key that Feishu signs with.
pub const FEISHU_KEY: &str = "anser-encrypt-key";
/// The token that WeCom and DingTalk sign with.
pub const TOKEN: &str = "QDG6eK";
/// The key that they encrypt with, as they show it.
pub const AES_KEY: &str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C";
/// WeCom's company.
pub const CORP: &str = "wx5823bf96d3bd56c7";
/// DingTalk's app.
pub const APP: &str = "dingoqx7abcdefg";
/// The secret that DingTalk signs with.
pub const SECRET: &str = "SECabc123";

/// The secret of Slack, WhatsApp, GitHub and Stripe.
pub const SHARED: &str = "a-secret-of-both";
/// The seed of Discord's key pair.
pub const SEED: [u8; 32] = [1; 32];
/// The secret of a sender of Standard Webhooks.
pub const STANDARD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Channels that receive, in a fixed order.
#[must_use]
pub fn channels() -> Vec<Arc<dyn Channel>> {
    let feishu = json!({"app_id": "cli_anser0001", "app_secret": "s"});
    let with = |mut settings: Value, more: &[(&str, &str)]| {
        for (name, value) in more {
            settings[*name] = (*value).into();
        }
        settings
    };
    let settings = [
        (
            "feishu-app",
            with(
                feishu.clone(),
                &[
                    ("encrypt_key", FEISHU_KEY),
                    ("verification_token", FEISHU_TOKEN),
                ],
            ),
        ),
        (
            "feishu-app",
            with(feishu, &[("verification_token", FEISHU_TOKEN)]),
        ),
        (
            "wecom-app",
            json!({"corp_id": CORP, "corp_secret": "s", "agent_id": 218, "token": TOKEN, "encoding_aes_key": AES_KEY}),
        ),
        (
            "dingtalk-app",
            json!({"app_key": APP, "app_secret": SECRET, "token": TOKEN, "aes_key": AES_KEY}),
        ),
        (
            "slack-app",
            json!({"token": "xoxb-1", "signing_secret": SHARED}),
        ),
        (
            "telegram-bot",
            json!({"token": "123456789:AAx", "secret_token": SHARED}),
        ),
        (
            "discord-bot",
            json!({"token": "x", "public_key": "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"}),
        ),
        (
            "whatsapp-cloud",
            json!({"phone_number_id": "106540352242922", "access_token": "x", "app_secret": SHARED, "verify_token": "vt"}),
        ),
        ("source", json!({"scheme": "github", "secret": SHARED})),
        ("source", json!({"scheme": "stripe", "secret": SHARED})),
        (
            "source",
            json!({"scheme": "standard-webhooks", "secret": STANDARD}),
        ),
        (
            "source",
            json!({"scheme": "hmac", "secret": SHARED, "signature_header": "x-signature", "timestamp_header": "x-time",
                   "dedupe_pointer": "/id", "type_pointer": "/type"}),
        ),
    ];
    settings
        .iter()
        .map(|(kind, settings)| find_open(kind, settings))
        .collect()
}

/// Sends a request, and checks what is taken.
pub fn send(channel: &dyn Channel, request: &InboundRequest<'_>) {
    let now = Timestamp::from_millis(NOW * 1_000);
    let context = InboundContext {
        now,
        channel: "ours",
        random: [7; 16],
    };
    let inbound = channel.inbound().expect("it receives");
    let Ok(received) = inbound.receive(request, &context) else {
        return;
    };
    check(received.events);
}

/// A channel of that kind.
///
/// # Panics
/// When there is no such kind, or the settings are not for it.
#[must_use]
pub fn find_open(kind: &str, settings: &Value) -> Arc<dyn Channel> {
    let kind = find(kind).expect("is registered");
    kind.open(settings).expect("are good settings")
}

/// Every event of what is taken must be a message, with an address that is one.
///
/// # Panics
/// When one is not.
pub fn check(events: Vec<InboundEvent>) {
    for event in events {
        check_text("key", "dedupe_key", &event.dedupe_key, 256).expect("is a key");
        let stamp = Stamp {
            from: event.from,
            origin: Some(event.origin),
            ..stamp()
        };
        let message = Message::accept(event.item, stamp, &Limits::default());
        let message = message.unwrap_or_else(|problem| panic!("{problem}"));
        Message::from_json(&message.to_json()).expect("is read back");
    }
}

/// What the gateway knows of a message beside what was given: a service's, of that second.
#[must_use]
pub fn stamp() -> Stamp {
    let time = Timestamp::from_millis(NOW * 1_000);
    Stamp {
        id: MessageId::lowest_at(time),
        time,
        topic: "orders".to_owned(),
        from: Sender {
            kind: SenderKind::Service,
            id: "billing".to_owned(),
            name: None,
            platform: None,
            account: None,
        },
        target_id: None,
        origin: None,
        hops: 0,
        blobs: HashMap::new(),
    }
}
