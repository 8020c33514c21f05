//! What people are called, and what they do to what they wrote: the events `message_changed` and `message_deleted`. From the references of
//! the Web API and the Events API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Amendment, Breach, Change, Desk, Gone, Refusal, Verdict};
use super::super::request::{Request, TEAM, done, place, refuse};
use super::heard::{envelope, written};
use super::{Messages, micros, number, ts};
use crate::emit::{Amended, Unsaid};

impl Messages {
    /// `users.info`, of those who wrote.
    pub(in super::super) fn person(&self, request: &Request<'_>) -> Result<Verdict, Box<Refusal>> {
        let id = request.required("user")?;
        let name = self.people.get(id);
        let name = name.ok_or_else(|| refuse("user_not_found", Breach::Content))?;
        let user = json!({"id": id, "team_id": TEAM, "name": name.to_lowercase(), "real_name": name, "deleted": false,
            "profile": {"real_name": name, "display_name": name}, "is_bot": false});
        Ok(done(&json!({"user": user})))
    }

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
        let event = envelope(event, &format!("EvA{moment:X}"), now);
        Ok((amendment, event))
    }
}
