//! What people do to what they wrote: they take it back, and the event `im.message.recalled_v1` tells of it. The open platform's
//! list of events has none for edits. From its reference of the event.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Amendment, Gone};
use super::heard::TENANT;
use super::{Messages, PERSON};
use crate::emit::{Amended, Unsaid};

impl Messages {
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
