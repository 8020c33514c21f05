//! Slack, incoming webhooks: `POST /services/T…/B…/X…`. Answers `ok` as a text, and a short word when it refuses.

use std::time::Duration;

use serde_json::{Value, json};
use url::form_urlencoded;

use super::fields::{chars, gist, text};
use super::{Answer, Breach, Call, Desk, Letter, Refusal, Stand, Verdict, whole_seconds};
use crate::limit::{Counted, Limit, Shape};

const SERVICES: &str = "/services/";
/// Characters of a text.
const TEXT_MAX: usize = 40_000;
/// Blocks of a message.
const BLOCKS_MAX: usize = 50;
/// Attachments of a message.
const ATTACHMENTS_MAX: usize = 100;
/// Characters of a section's text.
const SECTION_MAX: usize = 3000;
/// Characters of a header's text.
const HEADER_MAX: usize = 150;
/// Characters of all `markdown` blocks of a message.
const MARKDOWN_MAX: usize = 12_000;
/// Fields of a section.
const FIELDS_MAX: usize = 10;
/// Characters of one of them.
const FIELD_MAX: usize = 2000;
/// Elements of an `actions` block.
const ACTIONS_MAX: usize = 25;
/// Elements of a `context` block.
const CONTEXT_MAX: usize = 10;
/// Characters of a button's text.
const BUTTON_TEXT_MAX: usize = 75;
/// Characters of a button's value.
const BUTTON_VALUE_MAX: usize = 2000;

/// About one message a second for each webhook, which stands for a channel; three may go at once.
pub(super) fn limits() -> Vec<Limit> {
    vec![Limit::sliding(Counted::Robot, 3, Duration::from_secs(3)).shaped(Shape::Bucket)]
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (
        format!("T{number:08}/B{number:08}/SimSlackWebhookToken{number:04}"),
        None,
    )
}

/// The stand-in.
pub(super) struct Slack;

impl Stand for Slack {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let Some(token) = call.path.strip_prefix(SERVICES) else {
            return Ok(Verdict::Answered(Answer::text(404, "not_found")));
        };
        if call.method != http::Method::POST {
            return Ok(Verdict::Answered(Answer::text(405, "method_not_allowed")));
        }
        if desk.robot(token).is_none() {
            // The last part is the secret one: what is before it may well exist.
            let service = token.rsplit_once('/').map_or(token, |(service, _)| service);
            let known = |robot: &super::Robot| {
                let end = robot.token.rsplit_once('/');
                end.is_some_and(|(before, _)| before == service)
            };
            let code = match desk.robots.iter().any(known) {
                true => "invalid_token",
                false => "no_service",
            };
            return Err(refuse(code, Breach::Credentials));
        }
        desk.take(call, &[(Counted::Robot, token)])
            .map_err(|over| refuse_in("ratelimited", Breach::Rate, over.wait))?;
        let body = payload(call).ok_or_else(|| refuse("invalid_payload", Breach::Content))?;
        check(&body)?;
        let kind = if body["blocks"].is_array() {
            "blocks"
        } else {
            "text"
        };
        let letter = Letter {
            robot: token.to_owned(),
            conversation: token.to_owned(),
            id: None,
            kind: kind.to_owned(),
            text: gist(&body),
            body,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, Answer::text(200, "ok")))
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        let status = match code {
            "ratelimited" => {
                let seconds = whole_seconds(wait);
                let body = json!({"ok": false, "error": code});
                return Answer::json(429, &body).with("retry-after", seconds);
            }
            "action_prohibited" | "invalid_token" | "posting_to_general_channel_denied" => 403,
            "no_service" | "no_service_id" | "no_team" | "team_disabled" | "channel_not_found" => {
                404
            }
            "channel_is_archived" => 410,
            "rollup_error" => 500,
            _ => 400,
        };
        Answer::text(status, code)
    }
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    refuse_in(code, breach, Duration::ZERO)
}

fn refuse_in(code: &str, breach: Breach, wait: Duration) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: Slack.refusal(code, wait),
    })
}

/// JSON, or a form whose `payload` is JSON.
fn payload(call: &Call) -> Option<Value> {
    let body: Value = if call.media_type() == "application/x-www-form-urlencoded" {
        let found = form_urlencoded::parse(&call.body).find(|(name, _)| name == "payload");
        serde_json::from_str(&found?.1).ok()?
    } else {
        serde_json::from_slice(&call.body).ok()?
    };
    body.is_object().then_some(body)
}

fn check(body: &Value) -> Result<(), Box<Refusal>> {
    let list = |name: &str| body[name].as_array().map_or(&[][..], Vec::as_slice);
    let (blocks, attachments) = (list("blocks"), list("attachments"));
    let said = text(body, "/text");
    if said.is_none() && blocks.is_empty() && attachments.is_empty() {
        return Err(refuse("no_text", Breach::Content));
    }
    if said.is_some_and(|text| chars(text) > TEXT_MAX) {
        return Err(refuse("msg_too_long", Breach::Size));
    }
    if attachments.len() > ATTACHMENTS_MAX {
        return Err(refuse("too_many_attachments", Breach::Size));
    }
    if body.get("blocks").is_some_and(|blocks| !blocks.is_array()) {
        return Err(refuse("invalid_blocks_format", Breach::Content));
    }
    if blocks.len() > BLOCKS_MAX {
        return Err(refuse("invalid_blocks", Breach::Size));
    }
    let attached = attachments
        .iter()
        .filter_map(|attachment| attachment["blocks"].as_array())
        .flatten();
    let mut markdown = 0;
    for block in blocks.iter().chain(attached) {
        check_block(block)?;
        if block["type"] == "markdown" {
            markdown += chars(block["text"].as_str().unwrap_or_default());
        }
    }
    if markdown > MARKDOWN_MAX {
        return Err(refuse("msg_blocks_too_long", Breach::Size));
    }
    Ok(())
}

fn check_block(block: &Value) -> Result<(), Box<Refusal>> {
    let invalid = || refuse("invalid_blocks", Breach::Content);
    let elements = block["elements"].as_array().map_or(&[][..], Vec::as_slice);
    match block["type"].as_str().unwrap_or_default() {
        "section" => {
            let fields = block["fields"].as_array().map_or(&[][..], Vec::as_slice);
            if block.get("text").is_none() && fields.is_empty() {
                return Err(invalid());
            }
            if block.get("text").is_some() {
                text_object(&block["text"], SECTION_MAX)?;
            }
            if fields.len() > FIELDS_MAX {
                return Err(refuse("invalid_blocks", Breach::Size));
            }
            for field in fields {
                text_object(field, FIELD_MAX)?;
            }
        }
        "header" => {
            if block["text"]["type"] != "plain_text" {
                return Err(invalid());
            }
            text_object(&block["text"], HEADER_MAX)?;
        }
        "actions" => {
            if elements.len() > ACTIONS_MAX {
                return Err(refuse("invalid_blocks", Breach::Size));
            }
            if elements.is_empty() {
                return Err(invalid());
            }
            for element in elements {
                check_element(element)?;
            }
        }
        "context" => {
            if elements.len() > CONTEXT_MAX {
                return Err(refuse("invalid_blocks", Breach::Size));
            }
            if elements.is_empty() {
                return Err(invalid());
            }
        }
        "image" => {
            let shown = text(block, "/image_url").or(text(block, "/slack_file/id"));
            if shown.is_none() || text(block, "/alt_text").is_none() {
                return Err(invalid());
            }
        }
        "markdown" => {
            text(block, "/text").ok_or_else(invalid)?;
        }
        "rich_text" => {
            if elements.is_empty() || !elements.iter().all(is_rich) {
                return Err(invalid());
            }
        }
        "divider" | "video" | "file" | "input" | "table" => {}
        _ => return Err(invalid()),
    }
    Ok(())
}

/// A section, list, quote or preformatted part of rich text, with something in it.
fn is_rich(part: &Value) -> bool {
    let kind = part["type"].as_str().unwrap_or_default();
    let elements = part["elements"].as_array().map_or(&[][..], Vec::as_slice);
    let whole = |element: &Value| match element["type"].as_str().unwrap_or_default() {
        "text" => element["text"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "link" => text(element, "/url").is_some(),
        "user" => text(element, "/user_id").is_some(),
        "usergroup" => text(element, "/usergroup_id").is_some(),
        "channel" => text(element, "/channel_id").is_some(),
        "emoji" => text(element, "/name").is_some(),
        "broadcast" => ["here", "channel", "everyone"]
            .iter()
            .any(|range| element["range"] == *range),
        "rich_text_section" => kind == "rich_text_list" && is_rich(element),
        "color" | "date" | "team" => true,
        _ => false,
    };
    kind.starts_with("rich_text_") && !elements.is_empty() && elements.iter().all(whole)
}

fn check_element(element: &Value) -> Result<(), Box<Refusal>> {
    if element["type"] != "button" {
        return Ok(());
    }
    if element["text"]["type"] != "plain_text" {
        return Err(refuse("invalid_blocks", Breach::Content));
    }
    text_object(&element["text"], BUTTON_TEXT_MAX)?;
    let value = element["value"].as_str().unwrap_or_default();
    if chars(value) > BUTTON_VALUE_MAX {
        return Err(refuse("invalid_blocks", Breach::Size));
    }
    Ok(())
}

/// `{"type": "plain_text" | "mrkdwn", "text": "…"}`, of at most `most` characters.
fn text_object(object: &Value, most: usize) -> Result<(), Box<Refusal>> {
    let kind = object["type"].as_str().unwrap_or_default();
    let said = object["text"].as_str().unwrap_or_default();
    if !matches!(kind, "plain_text" | "mrkdwn") || said.is_empty() {
        return Err(refuse("invalid_blocks", Breach::Content));
    }
    if chars(said) > most {
        return Err(refuse("invalid_blocks", Breach::Size));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
