//! Messages to the app's robot, of each type (<https://open.dingtalk.com/document/orgapp/receive-message>). Must not pass on
//! `sessionWebhook`, by which anybody could answer.

use anser_core::inbound::{InboundContext, InboundEvent, Refusal};
use anser_core::message::{Kind, Origin, SenderKind};
use serde_json::{Value, json};

use super::{PLATFORM, target};
use crate::kit::arrival::{Content, is_word, key, moment, sender, shallow, word};
use crate::kit::inbound::{malformed, raw};

/// The type of a conversation of two.
const DIRECT: &str = "1";

/// The message in the standard format.
///
/// # Errors
/// `malformed_event` without an id, by which a repeat is known.
pub(in crate::dingtalk_app) fn normalised(
    body: &Value,
    context: &InboundContext<'_>,
) -> Result<InboundEvent, Refusal> {
    let id = word(body, "msgId").ok_or_else(|| malformed("the body has no text \"msgId\""))?;
    let msg_type = word(body, "msgtype").unwrap_or("unknown");
    let is_direct = body["conversationType"] == DIRECT;
    let mut content = Content::default();
    if !is_direct {
        mentions(&mut content, body);
    }
    read(&mut content, msg_type, body);
    let mut item = content.into_item(PLATFORM, &body[msg_type]);
    let staff = word(body, "senderStaffId");
    (item.header.kind, item.header.conversation) = if is_direct {
        (Kind::Chat, target::person(staff, context))
    } else {
        (
            Kind::Groupchat,
            target::group(word(body, "conversationId"), context),
        )
    };
    let replied = [&body["text"]["repliedMsg"]["msgId"], &body["originalMsgId"]];
    item.header.reply_to = replied
        .into_iter()
        .find_map(|id| id.as_str())
        .filter(|id| is_word(id))
        .map(str::to_owned);
    item.header.occurred_at = moment(&body["createAt"]);
    let from = staff
        .or_else(|| word(body, "senderId"))
        .unwrap_or("unknown");
    let from = sender(SenderKind::User, from, body["senderNick"].as_str());
    let origin = Origin {
        platform: PLATFORM.to_owned(),
        account: None,
        r#type: Some(msg_type.to_owned()),
        event_id: None,
        message_id: Some(id.to_owned()),
    };
    Ok(InboundEvent::new(context, key(&[id]), from, origin, item))
}

/// Whom a message to a group mentions; DingTalk cuts the robot's name out of the text, and begins that with a blank.
fn mentions(content: &mut Content, body: &Value) {
    for user in body["atUsers"].as_array().into_iter().flatten() {
        let id = word(user, "staffId").or_else(|| word(user, "dingtalkId"));
        if id.is_some() {
            content.mention("user", id, None);
            content.text(" ", &[]);
        }
    }
}

fn read(content: &mut Content, msg_type: &str, body: &Value) {
    let of = &body["content"];
    match msg_type {
        "text" => {
            let text = body["text"]["content"].as_str().unwrap_or_default();
            content.text(text.trim_start_matches(' '), &[]);
        }
        "picture" => content.media("image", None, file(of)),
        "richText" => {
            for part in of["richText"].as_array().into_iter().flatten() {
                match part["text"].as_str() {
                    Some(text) => content.text(text, &[]),
                    None if part["type"] == "picture" => content.media("image", None, file(part)),
                    None => content.push(raw(PLATFORM, &shallow(part))),
                }
            }
        }
        "audio" => {
            content.media("voice", None, file(of));
            if let Some(said) = of["recognition"].as_str() {
                content.text(&format!(" {said}"), &[]);
            }
        }
        "video" => content.media("video", None, file(of)),
        "file" => content.media("file", of["fileName"].as_str(), file(of)),
        _ => {
            content.text(&format!("[{msg_type}]"), &[]);
            let payload = if of.is_null() { &body[msg_type] } else { of };
            let payload = json!({"msgtype": msg_type, "content": shallow(payload)});
            content.push(raw(PLATFORM, &payload));
        }
    }
}

/// By what a file is fetched.
fn file(of: &Value) -> Value {
    json!({"key": of["downloadCode"], "duration_ms": of["duration"]})
}
