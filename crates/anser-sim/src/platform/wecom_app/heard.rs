//! What people write to an app: the message that tells it. An app is written to by one member at a time, and nobody can answer
//! a message. From the developer centre's reference of received messages.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::{Desk, Letter};
use super::ids;
use crate::emit::{Said, Unsaid};

/// What ids of members that write begin with.
const MEMBER: &str = "sim";
/// Of a message's number: where the time is that makes it unlike those of earlier starts, by which events are known again.
const TIME_SHIFT: u32 = 20;

/// Takes what a member writes to the first app. The chat is the member's id.
pub(in crate::platform) fn hear(
    said: &Said,
    desk: &mut Desk<'_>,
    now: Timestamp,
) -> Result<(Letter, Value), Unsaid> {
    let app = desk.robots.iter().find(|robot| ids(robot).is_some());
    let app = app.ok_or_else(|| Unsaid::new("there is no app"))?;
    let (company, agent) = ids(app).unwrap_or_default();
    let is_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.@".contains(&byte);
    let member = said.chat.strip_prefix(MEMBER);
    if !member.is_some_and(|rest| !rest.is_empty() && rest.bytes().all(is_id)) {
        return Err(Unsaid::new(
            "a chat of WeCom is a member, whose id begins with sim here",
        ));
    }
    if said.reply_to.is_some() {
        return Err(Unsaid::new("messages to an app answer none"));
    }
    let millis = u64::try_from(now.millis()).unwrap_or(0);
    let number = (millis << TIME_SHIFT | desk.number & ((1 << TIME_SHIFT) - 1)).to_string();
    let mut event =
        json!({"ToUserName": company, "FromUserName": said.chat, "CreateTime": now.seconds()});
    let mut uploads = Vec::new();
    match &said.file {
        None => {
            event["MsgType"] = "text".into();
            event["Content"] = said.text.as_str().into();
        }
        Some(file) if file.is_picture() && said.text.is_empty() => {
            let shelf = desk.shelf.next_number();
            let media_id = format!("3bSimWeComMedia{shelf:040}");
            let of = (app.token.as_str(), "image");
            desk.shelf.put_said(now, of, media_id.clone(), file);
            event["MsgType"] = "image".into();
            event["PicUrl"] = format!("{}/_sim/uploads/{shelf}/content", desk.base).into();
            event["MediaId"] = media_id.as_str().into();
            uploads.push(media_id);
        }
        Some(_) => {
            return Err(Unsaid::new(
                "an app of WeCom gets text, or a picture without text",
            ));
        }
    }
    event["MsgId"] = number.parse::<u64>().unwrap_or_default().into();
    event["AgentID"] = agent.parse::<u64>().unwrap_or_default().into();
    let letter = Letter {
        robot: app.token.clone(),
        conversation: said.chat.clone(),
        id: Some(number),
        kind: event["MsgType"].as_str().unwrap_or_default().to_owned(),
        text: said.text.clone(),
        body: event.clone(),
        uploads,
        ..Letter::default()
    };
    Ok((letter, event))
}
