//! What holds for the bodies of each platform, whatever a message says: its limits, and that nobody is mentioned by text.

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use serde_json::{Value, json};

/// The limits of `platforms.md`, section 10, by the platform's name.
pub(crate) fn check_limits(kind: &str, body: &Value, bytes: usize) -> Result<(), TestCaseError> {
    let length = |path: &str| {
        body.pointer(path)
            .and_then(Value::as_str)
            .map_or(0, str::len)
    };
    match kind.split('-').next().unwrap() {
        "feishu" if kind == "feishu-app" => {
            let most = if body["msg_type"] == "text" {
                150_000
            } else {
                30_000
            };
            prop_assert!(bytes <= most, "{kind}: {bytes}");
        }
        "feishu" | "dingtalk" => prop_assert!(bytes <= 20_000, "{kind}: {bytes}"),
        "wecom" => {
            prop_assert!(length("/text/content") <= 2_048);
            prop_assert!(length("/markdown/content") <= 4_096);
            prop_assert!(length("/markdown_v2/content") <= 4_096);
        }
        "slack" => {
            prop_assert!(length("/text") <= 4 * 4_000);
            let blocks = body["blocks"].as_array().map_or(0, Vec::len);
            prop_assert!(blocks <= 50, "{blocks}");
        }
        "discord" => {
            let chars = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
            prop_assert!(chars(&body["content"]) <= 2_000);
            let embeds = body["embeds"].as_array().cloned().unwrap_or_default();
            prop_assert!(embeds.len() <= 10);
            for embed in embeds {
                prop_assert!(chars(&embed["title"]) <= 256);
                prop_assert!(chars(&embed["description"]) <= 4_096);
            }
        }
        "telegram" => {
            let text = body["text"].as_str().unwrap_or_default();
            prop_assert!(text.encode_utf16().count() <= 4_096, "{text}");
        }
        "whatsapp" => {
            let text = length("/text/body");
            prop_assert!(text <= 4 * 4_096, "{kind}: {text}");
        }
        // Mail has no limit that a message of ours could reach.
        "email" => {}
        other => prop_assert!(false, "say what the limits of {other} are"),
    }
    Ok(())
}

/// The hostile messages mention nobody whom the platform could know: no platform has such an id of a user.
pub(crate) fn check_mentions(kind: &str, body: &Value) -> Result<(), TestCaseError> {
    let text = body.to_string();
    match kind.split('-').next().unwrap() {
        "feishu" => prop_assert!(!text.contains("<at ") && !text.contains("\"at\""), "{text}"),
        "dingtalk" => prop_assert!(
            body.get("at").is_none_or(|at| at["isAtAll"] == false),
            "{text}"
        ),
        "wecom" => {
            let listed = body
                .pointer("/text/mentioned_list")
                .and_then(Value::as_array);
            prop_assert!(listed.is_none_or(Vec::is_empty), "{text}");
            prop_assert!(!body["markdown"].to_string().contains("<@"), "{text}");
        }
        "slack" => {
            for mark in [
                "\"user\"",
                "\"broadcast\"",
                "\"usergroup\"",
                "mrkdwn\":true",
            ] {
                prop_assert!(!text.contains(mark), "{text}");
            }
            prop_assert!(!body["text"].to_string().contains('<'), "{text}");
        }
        "discord" => {
            let allowed = &body["allowed_mentions"];
            // A role of that id is one of the segments; nobody else.
            let nobody = allowed["parse"] == json!([]) && allowed["users"] == json!([]);
            prop_assert!(nobody, "{text}");
        }
        "telegram" => {
            // A link to a user is the only mark of a mention, and no text holds an open bracket.
            let html = body.get("parse_mode").is_some();
            let shown = body["text"].as_str().unwrap_or_default();
            prop_assert!(!html || !shown.contains("<a href=\"tg:"), "{text}");
        }
        _ => {}
    }
    Ok(())
}
