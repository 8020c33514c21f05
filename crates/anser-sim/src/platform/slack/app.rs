//! Slack, apps: the methods of the Web API, `POST /api/METHOD` with a bot's token and arguments in JSON or as a form. It
//! answers 200 to every refusal but that for the rate, with `ok` and one word in the body. From the reference of the Web API.

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::super::fields::text;
use super::super::{Amendment, Answer, Breach, Call, Desk, Gone, Letter, Refusal, Verdict};
use super::files::Files;
use super::is_app;
use super::messages::Messages;
use super::request::{
    BOT_ID, BOT_USER, Place, Request, TEAM, arguments, authorized, done, known_place, place,
    refuse, refuse_about,
};
use crate::emit::{Amended, Said, Unsaid};
use crate::limit::Counted;

/// The methods, each with its weight in the window of 100 a minute: 1 for tier 4, 2 for tier 3. Messages have windows of
/// their own.
const METHODS: [(&str, usize); 10] = [
    ("auth.test", 1),
    ("chat.postMessage", 0),
    ("chat.update", 2),
    ("chat.delete", 2),
    ("conversations.open", 2),
    ("files.getUploadURLExternal", 1),
    ("files.completeUploadExternal", 1),
    ("files.info", 1),
    ("files.delete", 2),
    ("users.info", 1),
];
/// What there is of all apps.
#[derive(Default)]
pub(super) struct Apps {
    messages: Messages,
    files: Files,
}

impl Apps {
    /// Judges a call of a method.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        method: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        let Some((_, weight)) = METHODS.iter().find(|(known, _)| *known == method) else {
            let body = json!({"ok": false, "error": "unknown_method", "req_method": method});
            return Err(Box::new(Refusal {
                code: "unknown_method".to_owned(),
                breach: Breach::Content,
                answer: Answer::json(200, &body),
            }));
        };
        let body = arguments(call)?;
        let app = authorized(call, desk, &body)?;
        let request = Request { call, app, body };
        let key = format!("{app} {method}");
        request.take(desk, &vec![(Counted::Method, &*key); *weight])?;
        match method {
            "auth.test" => Ok(done(&about())),
            "chat.postMessage" => self.messages.post(request, desk),
            "chat.update" => self.messages.update(request, desk),
            "chat.delete" => self.messages.delete(&request, desk),
            "conversations.open" => open(&request, desk),
            "files.getUploadURLExternal" => self.files.announce(&request, desk),
            "files.completeUploadExternal" => self.complete(request, desk),
            "files.info" => self.files.info(&request),
            "users.info" => self.messages.person(&request),
            _ => self.delete_file(&request),
        }
    }

    /// Takes what a person writes where the first app's bot is.
    pub(super) fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let app = desk.robots.iter().find(|robot| is_app(robot));
        let app = app.ok_or_else(|| Unsaid::new("there is no app"))?;
        let app = app.token.as_str();
        self.messages.hear(said, app, (desk, &mut self.files), now)
    }

    /// Takes what a person does to a message of theirs.
    pub(super) fn amend(
        &mut self,
        amended: &Amended,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        self.messages.amend(amended, desk, now)
    }

    /// The bytes of a file, at the address that was given for it.
    pub(super) fn upload(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        ticket: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        self.files.bring(call, desk, ticket)
    }

    /// The bytes of a file that a person sent, for the token of the app that was told of it. Who has none is to sign in.
    pub(super) fn private(
        &self,
        call: &Call,
        desk: &Desk<'_>,
        path: &str,
    ) -> Result<Verdict, Box<Refusal>> {
        match authorized(call, desk, &json!({})) {
            Ok(app) => self.files.private(desk, app, path),
            Err(_) => {
                let mut answer = Answer::text(302, "");
                let place = format!("{}/?redir=%2Ffiles-pri%2F{path}", desk.base);
                answer.headers = vec![("location", place)];
                Ok(Verdict::Answered(answer))
            }
        }
    }

    /// Files that were uploaded become visible: in a conversation, or nowhere yet.
    fn complete(
        &mut self,
        request: Request<'_>,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        let place = shared_with(&request, desk)?;
        let (ids, shown) = self.files.complete(&request)?;
        let answer = Answer::json(200, &json!({"ok": true, "files": shown}));
        let Some(place) = place else {
            return Ok(Verdict::Answered(answer));
        };
        let ts = self.messages.share(&request, desk, &place, &ids)?;
        self.files.shared(&ids, &place.id, &ts);
        let comment = text(&request.body, "/initial_comment").unwrap_or_default();
        let letter = Letter {
            robot: request.app.to_owned(),
            conversation: place.id,
            id: Some(ts),
            more_ids: ids.clone(),
            kind: "file".to_owned(),
            text: comment.to_owned(),
            body: request.body,
            uploads: ids,
        };
        Ok(Verdict::Taken(letter, answer))
    }

    fn delete_file(&mut self, request: &Request<'_>) -> Result<Verdict, Box<Refusal>> {
        let gone = self.files.delete(request)?;
        if let Some((_, ts)) = &gone {
            self.messages.forget(ts);
        }
        let gone = gone.into_iter().map(|(place, ts)| Gone {
            conversation: place,
            id: ts,
        });
        let answer = Answer::json(200, &json!({"ok": true}));
        Ok(Verdict::Recalled(gone.collect(), answer))
    }
}

/// What an app is told of its bot.
fn about() -> Value {
    json!({"url": "https://anser-sim.slack.example/", "team": "Anser", "user": "anser_sim", "team_id": TEAM,
        "user_id": BOT_USER, "bot_id": BOT_ID, "is_enterprise_install": false})
}

/// `conversations.open`: the conversation with a person.
fn open(request: &Request<'_>, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
    let person = request.required("users")?;
    let found = place(desk, person).ok().filter(|_| person.starts_with('U'));
    let found = found.ok_or_else(|| refuse("user_not_found", Breach::Content))?;
    let opened = json!({"no_op": true, "already_open": true, "channel": {"id": found.id}});
    Ok(done(&opened))
}

/// Where files shall be shown. A stand-in shows them in one place only.
fn shared_with(request: &Request<'_>, desk: &Desk<'_>) -> Result<Option<Place>, Box<Refusal>> {
    let found = match (
        text(&request.body, "/channel_id"),
        text(&request.body, "/channels"),
    ) {
        (Some(id), _) => known_place(desk, id)?,
        (None, Some(ids)) if !ids.contains(',') => place(desk, ids)?,
        (None, Some(_)) => {
            let told = "[ERROR] this stand-in shares files with one channel at a time";
            return Err(refuse_about("invalid_arguments", Breach::Content, told));
        }
        (None, None) => return Ok(None),
    };
    Ok(Some(found))
}
