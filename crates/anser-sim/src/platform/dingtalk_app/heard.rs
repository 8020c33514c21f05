//! What people write to an app's robot: the message that it is told of. From the open platform's page on receiving messages. Must
//! not know how it gets there.

use std::collections::BTreeMap;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::{Letter, hex, person};
use crate::emit::{Said, Unsaid};

/// What ids of groups begin with.
const GROUP: &str = "cid";
/// How people mention the robot, which is cut out of the text.
const MENTION: &str = "@Anser";
/// Messages that can be answered.
const HEARD_MAX: usize = 100_000;
const CORP: &str = "dingsimcorp";
/// Of a message's number: where the time is that makes it unlike those of earlier starts, by which messages are known again.
const TIME_SHIFT: u32 = 20;

/// What people wrote: the chats of messages, by their numbers.
#[derive(Debug, Default)]
pub(super) struct HeardMessages(BTreeMap<u64, String>);

impl HeardMessages {
    /// Takes what a person writes, to a group or, where the chat is a userId, as that person to the robot alone.
    pub(super) fn hear(
        &mut self,
        said: &Said,
        app: &str,
        number: u64,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let is_group = said.chat.starts_with(GROUP);
        if !is_group && !said.chat.starts_with("sim") {
            return Err(Unsaid::new(
                "a group of DingTalk has an id that begins with cid, and people here one that begins with sim",
            ));
        }
        if said.file.is_some() {
            return Err(Unsaid::new("files are not sent to robots here"));
        }
        let answered = said.reply_to.as_deref().map(|id| {
            let number = id
                .strip_prefix("msg")
                .and_then(|number| u64::from_str_radix(number, 16).ok());
            let chat = number.and_then(|number| self.0.get(&number));
            let none = || Unsaid::new("`reply_to` is no message of that chat");
            chat.filter(|chat| **chat == said.chat)
                .map(|_| id)
                .ok_or_else(none)
        });
        let answered = answered.transpose()?;
        let millis = u64::try_from(now.millis()).unwrap_or(0);
        let number = millis << TIME_SHIFT | number & ((1 << TIME_SHIFT) - 1);
        let id = format!("msg{number:016x}");
        let event = event(said, app, &id, answered, now);
        self.0.insert(number, said.chat.clone());
        if self.0.len() > HEARD_MAX {
            self.0.pop_first();
        }
        let letter = Letter {
            robot: app.to_owned(),
            conversation: said.chat.clone(),
            id: Some(id),
            kind: "text".to_owned(),
            text: said.text.clone(),
            body: event.clone(),
            ..Letter::default()
        };
        Ok((letter, event))
    }
}

fn event(said: &Said, app: &str, id: &str, answered: Option<&str>, now: Timestamp) -> Value {
    let is_group = said.chat.starts_with(GROUP);
    let is_mentioned = said.text.contains(MENTION);
    let robot = format!("$:LWCP_v1:${app}");
    let staff = if is_group {
        format!("sim{}", hex(&person(&said.name).to_be_bytes()))
    } else {
        said.chat.clone()
    };
    let mut text = json!({"content": said.text.replace(MENTION, "")});
    if let Some(answered) = answered {
        text["isReplyMsg"] = true.into();
        text["repliedMsg"] = json!({"msgId": answered, "msgType": "text"});
    }
    let mut event = json!({
        "conversationId": said.chat, "conversationType": if is_group { "2" } else { "1" },
        "chatbotUserId": robot, "chatbotCorpId": CORP, "msgId": id, "senderNick": said.name,
        "senderStaffId": staff, "senderId": format!("$:LWCP_v1:${staff}"), "senderCorpId": CORP, "isAdmin": false,
        "isInAtList": is_mentioned, "createAt": now.millis(), "robotCode": app, "msgtype": "text", "text": text,
    });
    if is_group {
        event["conversationTitle"] = "Simulated group".into();
        event["atUsers"] = json!([{"dingtalkId": robot}]);
    }
    event
}
