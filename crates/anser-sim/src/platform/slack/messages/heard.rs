//! What people write in a conversation that an app is in: a message that exists from then on, and the event `message` that
//! tells of it. From the reference of the Events API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::super::{Desk, Letter, person};
use super::super::events::OLD_TOKEN;
use super::super::files::Files;
use super::super::request::{APP_ID, BOT_USER, TEAM, place};
use super::{Messages, Sent, micros, number, ts};
use crate::emit::{Said, Unsaid};

/// How people mention the bot.
const MENTION: &str = "@anser_sim";

impl Messages {
    /// Takes what a person writes; `app` is told.
    pub(in super::super) fn hear(
        &mut self,
        said: &Said,
        app: &str,
        (desk, files): (&mut Desk<'_>, &mut Files),
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let place = place(desk, &said.chat)
            .ok()
            .filter(|place| !place.is_closed);
        let place =
            place.ok_or_else(|| Unsaid::new("there is no such conversation, or it is closed"))?;
        let thread = said.reply_to.as_deref().map(|answered| {
            let sent = number(answered).and_then(|number| self.sent.get(&number));
            let sent = sent.filter(|sent| sent.channel == place.id);
            let sent = sent.ok_or_else(|| Unsaid::new("`reply_to` is no message of that chat"))?;
            let thread = sent.shown["thread_ts"].as_str().unwrap_or(answered);
            Ok(thread.to_owned())
        });
        let mut known = micros(now.millis());
        while self.sent.contains_key(&known) {
            known += 1;
        }
        let is_direct = place.id.starts_with('D');
        let user = match is_direct {
            true => place.id.replacen('D', "U", 1),
            false => format!("U{:010X}", person(&said.name) >> 8),
        };
        self.people.insert(user.clone(), said.name.clone());
        let mut shown = json!({"type": "message", "user": user, "ts": ts(known), "text": written(&said.text),
            "team": TEAM});
        if let Some(thread) = thread.transpose()? {
            shown["thread_ts"] = thread.into();
        }
        if let Some(file) = &said.file {
            let number = files.said(desk, app, &user, file, now);
            shown["subtype"] = "file_share".into();
            shown["upload"] = false.into();
            shown["files"] = json!([files.shown_to_apps(number, desk)]);
        }
        let mut event = shown.clone();
        event["channel"] = place.id.as_str().into();
        event["channel_type"] = if is_direct { "im" } else { "channel" }.into();
        event["event_ts"] = ts(known).into();
        let event = envelope(event, &format!("Ev{known:X}"), now);
        let weight = shown.to_string().len();
        let sent = Sent {
            app: user,
            channel: place.id.clone(),
            is_file: false,
            shown,
            weight,
        };
        self.keep(known, sent);
        let letter = Letter {
            robot: app.to_owned(),
            conversation: place.id,
            id: Some(ts(known)),
            kind: "message".to_owned(),
            text: said.text.clone(),
            body: event.clone(),
            ..Letter::default()
        };
        Ok((letter, event))
    }
}

/// An event as it is sent to the app.
pub(super) fn envelope(event: Value, id: &str, now: Timestamp) -> Value {
    json!({
        "token": OLD_TOKEN, "team_id": TEAM, "api_app_id": APP_ID, "event": event, "type": "event_callback",
        "event_id": id, "event_time": now.seconds(),
        "authorizations": [{"enterprise_id": null, "team_id": TEAM, "user_id": BOT_USER, "is_bot": true,
            "is_enterprise_install": false}],
        "is_ext_shared_channel": false,
    })
}

/// A text as Slack writes it, with the mention of the bot.
pub(super) fn written(text: &str) -> String {
    let escaped = text
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    escaped.replace(MENTION, &format!("<@{BOT_USER}>"))
}
