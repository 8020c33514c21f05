//! What people do to what they wrote: the events `message_changed` and `message_deleted`. From the reference of the Events API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Amendment, Change, Desk, Gone};
use super::super::events::OLD_TOKEN;
use super::super::request::{APP_ID, BOT_USER, TEAM, place};
use super::heard::written;
use super::{Messages, micros, number, ts};
use crate::emit::{Amended, Unsaid};

impl Messages {
    /// Takes what a person does to a message of theirs.
    pub(in super::super) fn amend(
        &mut self,
        amended: &Amended,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        let none = || Unsaid::new("`id` is no message that people wrote in that chat");
        let place = place(desk, &amended.chat).map_err(|_| none())?;
        let known = number(&amended.id).ok_or_else(none)?;
        let sent = self.sent.get_mut(&known);
        let sent = sent.filter(|sent| sent.channel == place.id && sent.shown["bot_id"].is_null());
        let sent = sent.ok_or_else(none)?;
        let before = sent.shown.clone();
        self.amended += 1;
        let moment = micros(now.millis()) + self.amended % 1_000;
        let at = ts(moment);
        let mut event = json!({"type": "message", "hidden": true, "channel": place.id, "ts": at, "event_ts": at,
            "channel_type": if place.id.starts_with('D') { "im" } else { "channel" }});
        let amendment = if let Some(text) = &amended.text {
            sent.shown["text"] = written(text).into();
            sent.shown["edited"] = json!({"user": before["user"], "ts": at});
            event["subtype"] = "message_changed".into();
            event["message"] = sent.shown.clone();
            let (old, new) = (sent.weight, sent.shown.to_string().len());
            sent.weight = new;
            self.bytes = self.bytes - old + new;
            Amendment::Edited(Change {
                conversation: place.id,
                id: amended.id.clone(),
                kind: "message".to_owned(),
                text: text.clone(),
                ..Change::default()
            })
        } else {
            self.forget(&amended.id);
            event["subtype"] = "message_deleted".into();
            event["deleted_ts"] = amended.id.as_str().into();
            Amendment::Recalled(Gone {
                conversation: place.id,
                id: amended.id.clone(),
            })
        };
        event["previous_message"] = before;
        let event = json!({
            "token": OLD_TOKEN, "team_id": TEAM, "api_app_id": APP_ID, "event": event, "type": "event_callback",
            "event_id": format!("EvA{moment:X}"), "event_time": now.seconds(),
            "authorizations": [{"enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
                "is_enterprise_install": false}],
            "is_ext_shared_channel": false,
        });
        Ok((amendment, event))
    }
}
