//! Forms, mentions, settings and the answers in plain text.

use super::*;
use crate::kit::testing::{check_refused, check_refused_urls, judge, of_url, rendered};

const HOOK: &str = "https://hooks.slack.com/services/T1/B1/X1";

fn channel() -> Arc<dyn Channel> {
    SlackWebhook.open(&json!({"webhook_url": HOOK})).unwrap()
}

#[test]
fn mentions_by_their_ids() {
    let mention = |kind: &str, id: &str| json!({"type": "mention", "kind": kind, "id": id});
    let body = json!({"segments": [
        mention("user", "U12345"), mention("role", "S12345"), mention("channel", "C12345"), mention("here", ""),
        mention("user", "ou_x"), {"type": "text", "text": "<!channel> @here"}
    ]});
    let (bodies, degraded) = rendered(&*channel(), &body, 0);
    let kinds: Vec<&str> = bodies[0]["blocks"][0]["elements"][0]["elements"]
        .as_array()
        .unwrap()
        .iter()
        .map(|element| element["type"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        ["user", "usergroup", "channel", "broadcast", "text", "text"]
    );
    assert_eq!(degraded, ["mention->text"]);
    let (bodies, _) = rendered(&*channel(), &body, 1);
    assert_eq!(
        bodies[0]["text"],
        "<@U12345><!subteam^S12345><#C12345><!here>@ou_x&lt;!channel&gt; @here"
    );
}

#[test]
fn the_platforms_name_overrides_too() {
    let body = json!({"segments": [{"type": "text", "text": "t"}], "override": {"slack": {"blocks": [{"type": "divider"}]}}});
    let (bodies, _) = rendered(&*channel(), &body, 0);
    assert_eq!(bodies, [json!({"blocks": [{"type": "divider"}]})]);
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.webhook_url"),
        (json!({"webhook_url": "https://a.example/services/T/B/hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "https://hooks.slack.com/services/T/hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://hooks.slack.com/workflows/T/B/hidden"}), "invalid_url", "settings.webhook_url"),
    ];
    check_refused(&SlackWebhook, &table);
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"webhook_url": "https://hooks.slack.com/services/T1/B1/xY"});
    assert_eq!(of_url(&SlackWebhook, "slack://T1/B1/xY"), (wanted, None));
    check_refused_urls(
        &SlackWebhook,
        &[
            "slack://T1",
            "slack://T1/B1",
            "slack://T/B/X/Y",
            "slack://T/B/X?channel=c",
        ],
    );
}

#[test]
fn answers() {
    let text = json!({"data": "hi"});
    let rich = json!({"segments": [{"type": "markdown", "text": "**b**"}]});
    let class = |body: &Value, status: u16, answer: &str| {
        format!("{:?}", judge(&*channel(), body, status, answer).class())
    };
    #[rustfmt::skip]
    let table = [
        (200, "ok", "Delivered", "Delivered"), (200, "", "Unknown", "Unknown"), (200, "<html>", "Unknown", "Unknown"),
        (200, "{\"ok\":true}", "Unknown", "Unknown"),
        (400, "invalid_payload", "Rejected", "Degrade"), (400, "no_text", "Rejected", "Degrade"),
        (403, "invalid_token", "Rejected", "Rejected"), (403, "action_prohibited", "Rejected", "Rejected"),
        (404, "no_service", "Rejected", "Rejected"), (404, "channel_not_found", "Rejected", "Rejected"),
        (410, "channel_is_archived", "Rejected", "Rejected"), (500, "rollup_error", "Retry", "Retry"),
        (429, "", "Limited", "Limited"), (408, "", "Retry", "Retry"),
    ];
    for (status, answer, plain, formatted) in table {
        assert_eq!(class(&text, status, answer), plain, "{status} {answer}");
        assert_eq!(class(&rich, status, answer), formatted, "{status} {answer}");
    }
}
