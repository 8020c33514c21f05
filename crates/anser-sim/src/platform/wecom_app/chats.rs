//! Groups of apps: made by the API, and written to by the app that made them. Must not know other targets.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::super::fields::{gist, text};
use super::super::{Answer, Breach, Call, Desk, Letter, Refusal, Verdict};
use super::{Refuse, check};
use crate::limit::Counted;

/// The group that every app has from the start.
pub(super) const FIRST: &str = "simgroup";
/// Characters of a group's id.
const ID_MAX: usize = 32;
/// Members of a group.
const MEMBERS: std::ops::RangeInclusive<usize> = 2..=500;
/// Groups that are known.
const CHATS_MAX: usize = 10_000;
/// What a group takes (<https://developer.work.weixin.qq.com/document/path/90248>): no template card.
const TYPES: [&str; 9] = [
    "text", "image", "voice", "video", "file", "textcard", "news", "mpnews", "markdown",
];

/// Groups with the apps that made them.
#[derive(Default)]
pub(super) struct Chats {
    owners: HashMap<String, String>,
}

impl Chats {
    /// `POST /cgi-bin/appchat/create`.
    pub(super) fn create(
        &mut self,
        app: &str,
        body: &Value,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        let members = body["userlist"].as_array().map_or(0, Vec::len);
        if !MEMBERS.contains(&members) {
            return Err(refuse("86006", Breach::Content));
        }
        let made = format!("simchat{}", self.owners.len() + 1);
        let id = text(body, "/chatid").unwrap_or(&made);
        let is_id = id.len() <= ID_MAX && id.bytes().all(|byte| byte.is_ascii_alphanumeric());
        if !is_id || self.owners.len() >= CHATS_MAX {
            return Err(refuse("86001", Breach::Content));
        }
        if id == FIRST || self.owners.contains_key(id) {
            return Err(refuse("86215", Breach::Content));
        }
        self.owners.insert(id.to_owned(), app.to_owned());
        let done = json!({"errcode": 0, "errmsg": "ok", "chatid": id});
        Ok(Verdict::Answered(Answer::json(200, &done)))
    }

    /// `POST /cgi-bin/appchat/send`. The answer names no message, so none can be recalled.
    pub(super) fn send(
        &self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        body: Value,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        let chat = text(&body, "/chatid").ok_or_else(|| refuse("86001", Breach::Content))?;
        if chat != FIRST {
            let owner = self.owners.get(chat);
            let owner = owner.ok_or_else(|| refuse("86003", Breach::Content))?;
            if owner != app {
                return Err(refuse("86008", Breach::Credentials));
            }
        }
        let kind = body["msgtype"].as_str().unwrap_or_default();
        if !TYPES.contains(&kind) {
            return Err(refuse("40008", Breach::Content));
        }
        let uploads = check(call, desk, app, &body, refuse)?;
        let chat = chat.to_owned();
        let done = Answer::json(200, &json!({"errcode": 0, "errmsg": "ok"}));
        let counted = format!("{app} chat/{chat}");
        if desk.take(call, &[(Counted::Group, &counted)]).is_err() {
            return Err(super::dropped(done));
        }
        let letter = Letter {
            robot: app.to_owned(),
            conversation: chat,
            id: None,
            kind: kind.to_owned(),
            text: gist(&body),
            body,
            uploads,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, done))
    }
}
