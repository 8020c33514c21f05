//! One message with text, mention, image, card and file to all platforms at once: each takes it, in its own form.

use anser_sim::{Platform, Received};
use serde_json::{Value, json};

use super::{PLATFORMS, Stage};
use crate::harness::eventually;

/// Says something that every platform would read as markup or a mention if it were not escaped.
const TEXT: &str = "Paid <at user_id=\"all\"></at> <!channel> <@all> @everyone <b>& *now*";

fn message() -> Value {
    let to: Vec<&str> = PLATFORMS.iter().map(|platform| platform.name()).collect();
    json!({"header": {"to": to},
        "body": {"segments": [
            {"type": "text", "text": TEXT},
            {"type": "mention", "kind": "user", "id": "1234567890123456", "name": "Tom"},
            {"type": "mention", "kind": "user", "id": "U0ANN1234", "name": "Ann"},
            {"type": "image", "att": "a1", "alt": "receipt"},
            {"type": "card", "title": "Order 42", "level": "success", "sections": ["Total 9.90"],
                "fields": [{"name": "City", "value": "Oslo", "short": true}],
                "actions": [{"id": "open", "label": "Open", "kind": "url", "value": "https://shop.example/o/42"}]},
            {"type": "file", "att": "a2"}]},
        "attachments": [
            {"id": "a1", "name": "r.png", "media_type": "image/png", "source": {"url": "https://files.example/r.png"}},
            {"id": "a2", "name": "r.pdf", "media_type": "application/pdf", "source": {"url": "https://files.example/r.pdf"}}]})
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_arrives_everywhere_in_native_form() {
    // Windows have their own tests: the parts of one message go out together.
    let stage = Stage::set(Some(&[]), None).await;
    let api = stage.api();
    let answer = api.make("/v1/messages", &message()).await;
    let id = answer["id"].as_str().unwrap();
    let deliveries = eventually("it is delivered everywhere", || async {
        let deliveries = api.deliveries(id).await;
        let ended =
            |delivery: &Value| ["delivered", "dead"].contains(&delivery["state"].as_str().unwrap());
        deliveries.iter().all(ended).then_some(deliveries)
    })
    .await;
    assert_eq!(deliveries.len(), PLATFORMS.len());
    for (platform, sim) in &stage.sims {
        let name = platform.name();
        let counters = sim.counters();
        assert!(counters.refused.is_empty(), "{name}: {counters:?}");
        let mine = deliveries
            .iter()
            .find(|delivery| delivery["channel"] == name);
        assert_eq!(mine.unwrap()["state"], "delivered", "{name}: {mine:?}");
        let messages = sim.messages();
        let all: String = messages
            .iter()
            .map(|message| message.body.to_string())
            .collect();
        for needed in [
            "Order 42",
            "9.90",
            "Oslo",
            "https://shop.example/o/42",
            "r.png",
            "r.pdf",
        ] {
            assert!(all.contains(needed), "{name}: {needed}: {all}");
        }
        let places = ["Paid", "Order 42", "r.pdf"].map(|part| all.find(part));
        assert!(
            places.is_sorted(),
            "{name}: its parts came in another order: {all}"
        );
        native(*platform, &messages);
    }
}

/// The card and the mention are the platform's own, and what a text says is neither.
fn native(platform: Platform, messages: &[Received]) {
    let bodies: Vec<&Value> = messages.iter().map(|message| &message.body).collect();
    let all = serde_json::to_string(&bodies).unwrap();
    let kinds: Vec<&str> = messages
        .iter()
        .map(|message| message.kind.as_str())
        .collect();
    let mentioned = r#""atUserIds":["1234567890123456","U0ANN1234"]"#;
    let (card, mention, forged) = match platform {
        Platform::Feishu => (
            kinds.contains(&"interactive"),
            "<at id=1234567890123456>",
            "<at user_id",
        ),
        Platform::DingTalk => (
            kinds.contains(&"actionCard"),
            mentioned,
            r#""isAtAll":true"#,
        ),
        Platform::WeCom => (
            kinds.contains(&"template_card"),
            "<@1234567890123456>",
            "<@all>",
        ),
        Platform::Slack => (
            all.contains(r#""type":"header""#),
            r#"{"type":"user","user_id":"U0ANN1234"}"#,
            r#""type":"broadcast""#,
        ),
        Platform::Discord => (
            kinds.contains(&"embeds"),
            "<@1234567890123456>",
            r#""everyone""#,
        ),
        Platform::Telegram => (
            all.contains("inline_keyboard"),
            "tg://user?id=1234567890123456",
            "<b>&",
        ),
        Platform::WhatsApp => (kinds.contains(&"interactive"), "@Tom", "*now*"),
    };
    let name = platform.name();
    assert!(card, "{name}: {all}");
    assert!(all.contains(mention), "{name}: {all}");
    assert!(!all.contains(forged), "{name}: {all}");
}
