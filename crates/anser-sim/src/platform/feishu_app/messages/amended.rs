//! What people are called, and what they do to what they wrote: they take it back, and the event `im.message.recalled_v1` tells of it. The open platform's
//! list of events has none for edits. From its reference of the event.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Amendment, Answer, Breach, Gone, Refusal, Verdict};
use super::super::codes::refuse;
use super::heard::TENANT;
use super::{Messages, PERSON};
use crate::emit::{Amended, Unsaid};

/// The code of a person whom the app may not see.
const UNSEEN: &str = "41050";

impl Messages {
    /// A person of the directory: those who wrote are in it.
    pub(in super::super) fn person(&self, id: &str) -> Result<Verdict, Box<Refusal>> {
        let name = self
            .people
            .get(id)
            .ok_or_else(|| refuse(UNSEEN, Breach::Content))?;
        let user = json!({"open_id": id, "union_id": id.replacen("ou_", "on_", 1), "name": name, "en_name": ""});
        let body = json!({"code": 0, "msg": "success", "data": {"user": user}});
        Ok(Verdict::Answered(Answer::json(200, &body)))
    }

    /// Takes what a person does to a message of theirs; `app` is told.
    pub(in super::super) fn amend(
        &mut self,
        amended: &Amended,
        app: &str,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        if amended.text.is_some() {
            return Err(Unsaid::new("Feishu tells bots of no edits"));
        }
        let none = || Unsaid::new("`id` is no message that people wrote in that chat");
        let sent = self.existing(&amended.id).map_err(|_| none())?;
        if sent.way.chat != amended.chat || !sent.app.starts_with(PERSON) {
            return Err(none());
        }
        sent.recalled = true;
        let time = now.millis().to_string();
        let event = json!({
            "schema": "2.0",
            "header": {"event_id": format!("recalled_{}", amended.id), "event_type": "im.message.recalled_v1",
                "create_time": time, "token": "", "app_id": app, "tenant_key": TENANT},
            "event": {"message_id": amended.id, "chat_id": amended.chat, "recall_time": time,
                "recall_type": "message_owner"},
        });
        let gone = Gone {
            conversation: amended.chat.clone(),
            id: amended.id.clone(),
        };
        Ok((Amendment::Recalled(gone), event))
    }
}
