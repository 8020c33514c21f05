//! Slack, a call of the Web API: its arguments, the app that makes it, the conversations that it can name, and the form of
//! every answer. Must not know what a method does.

use std::time::Duration;

use http::header;
use serde_json::{Map, Value, json};
use url::form_urlencoded;

use super::super::fields::text;
use super::super::{Answer, Breach, Call, Chat, ChatKind, Desk, Refusal, Verdict};
use super::{chat_id, is_app, too_many};
use crate::intake::Part;
use crate::limit::Counted;

/// Arguments that are JSON also where the rest is a form, and what is said of one that is none.
const NESTED: [(&str, &str); 4] = [
    ("blocks", "invalid_blocks_format"),
    ("attachments", "invalid_attachments"),
    ("metadata", "invalid_metadata_format"),
    ("files", "invalid_arguments"),
];
const JSON: &str = "application/json";
/// The workspace, and the bot in it.
pub(super) const TEAM: &str = "T0000000001";
pub(super) const BOT_USER: &str = "U0000000007";
pub(super) const BOT_ID: &str = "B0000000007";
pub(super) const APP_ID: &str = "A0000000007";

/// A call of a method by an app that is known.
pub(super) struct Request<'a> {
    pub(super) call: &'a Call,
    /// The token of its bot.
    pub(super) app: &'a str,
    /// The arguments.
    pub(super) body: Value,
}

/// A conversation that a message can go to.
pub(super) struct Place {
    pub(super) id: String,
    /// Whether only administrators write there.
    pub(super) is_closed: bool,
}

impl Request<'_> {
    /// Counts the call.
    pub(super) fn take(
        &self,
        desk: &mut Desk<'_>,
        keys: &[(Counted, &str)],
    ) -> Result<(), Box<Refusal>> {
        desk.take(self.call, keys).map_err(|over| {
            Box::new(Refusal {
                code: "ratelimited".to_owned(),
                breach: Breach::Rate,
                answer: too_many(over.wait),
            })
        })
    }

    /// An argument that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, Box<Refusal>> {
        text(&self.body, &format!("/{name}")).ok_or_else(|| {
            let told = format!("[ERROR] missing required field: {name}");
            refuse_about("invalid_arguments", Breach::Content, &told)
        })
    }
}

/// The arguments of the query and the body, as one object.
pub(super) fn arguments(call: &Call) -> Result<Value, Box<Refusal>> {
    let mut all = Map::new();
    let mut form: Vec<(String, String)> = call.query.clone();
    match call.media_type().as_str() {
        JSON if !call.body.is_empty() => {
            let body: Value = serde_json::from_slice(&call.body)
                .map_err(|_| refuse("invalid_json", Breach::Content))?;
            let Value::Object(members) = body else {
                return Err(refuse("json_not_object", Breach::Content));
            };
            all = members;
        }
        "application/x-www-form-urlencoded" => {
            form.extend(form_urlencoded::parse(&call.body).into_owned());
        }
        "" if !call.body.is_empty() => return Err(refuse("missing_post_type", Breach::Content)),
        _ if !call.body.is_empty() => return Err(refuse("invalid_post_type", Breach::Content)),
        _ => form.extend(call.parts.iter().filter_map(field)),
    }
    for (name, value) in form {
        all.insert(name, Value::String(value));
    }
    for (name, word) in NESTED {
        if let Some(Value::String(nested)) = all.get(name) {
            let nested = serde_json::from_str(nested).map_err(|_| refuse(word, Breach::Content))?;
            all.insert(name.to_owned(), nested);
        }
    }
    Ok(Value::Object(all))
}

/// A field of a form that is no file.
fn field(part: &Part) -> Option<(String, String)> {
    let text = part.text().filter(|_| part.file_name.is_none())?;
    Some((part.name.clone(), text.to_owned()))
}

/// The token in the call's header.
pub(super) fn bearer(call: &Call) -> Option<&str> {
    let value = call.headers.get(header::AUTHORIZATION)?;
    value.to_str().ok()?.strip_prefix("Bearer ")
}

/// The app whose token the call has in its header, or among its arguments.
pub(super) fn authorized<'a>(
    call: &Call,
    desk: &Desk<'a>,
    body: &Value,
) -> Result<&'a str, Box<Refusal>> {
    let token = bearer(call).or_else(|| text(body, "/token"));
    let token = token.ok_or_else(|| refuse("not_authed", Breach::Credentials))?;
    let app = desk.robot(token).filter(|robot| is_app(robot));
    app.map(|robot| robot.token.as_str())
        .ok_or_else(|| refuse("invalid_auth", Breach::Credentials))
}

/// The conversation that an id or a name means. A person's has an id of its own.
pub(super) fn place(desk: &Desk<'_>, named: &str) -> Result<Place, Box<Refusal>> {
    let name = named.strip_prefix('#').unwrap_or(named);
    let means = |chat: &&Chat| {
        let by_name = chat.kind != ChatKind::Private && chat.username.as_deref() == Some(name);
        by_name || chat_id(chat) == named || conversation(chat) == named
    };
    let chat = desk.chats.iter().find(means);
    let chat = chat.ok_or_else(|| refuse("channel_not_found", Breach::Content))?;
    Ok(Place {
        id: conversation(chat),
        is_closed: chat.kind == ChatKind::Channel,
    })
}

/// The conversation that an id is of: neither a person nor a name.
pub(super) fn known_place(desk: &Desk<'_>, id: &str) -> Result<Place, Box<Refusal>> {
    let found = place(desk, id)?;
    match found.id == id {
        true => Ok(found),
        false => Err(refuse("channel_not_found", Breach::Content)),
    }
}

/// The id of a chat's conversation.
pub(super) fn conversation(chat: &Chat) -> String {
    chat_id(chat).replacen('U', "D", 1)
}

/// A success with these members.
pub(super) fn done(members: &Value) -> Verdict {
    let mut body = json!({"ok": true});
    if let (Some(body), Some(members)) = (body.as_object_mut(), members.as_object()) {
        body.extend(members.clone());
    }
    Verdict::Answered(Answer::json(200, &body))
}

/// The answer to a call that is refused with that word.
pub(super) fn refusal(code: &str, wait: Duration) -> Answer {
    match code {
        "ratelimited" => too_many(wait),
        "missing_scope" => Answer::json(
            200,
            &json!({"ok": false, "error": code, "needed": "chat:write", "provided": "incoming-webhook"}),
        ),
        _ => Answer::json(200, &json!({"ok": false, "error": code})),
    }
}

pub(super) fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: refusal(code, Duration::ZERO),
    })
}

/// A refusal that says what it is about.
pub(super) fn refuse_about(code: &str, breach: Breach, told: &str) -> Box<Refusal> {
    let body = json!({"ok": false, "error": code, "response_metadata": {"messages": [told]}});
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: Answer::json(200, &body),
    })
}

/// The answer, with a warning to who sends JSON and does not name its character set.
pub(super) fn finish(call: &Call, mut answer: Answer) -> Answer {
    let media_type = call.headers.get(header::CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let names_none = media_type.is_some_and(|value| !value.contains("charset"));
    if call.media_type() != JSON || !names_none {
        return answer;
    }
    if let Ok(Value::Object(mut body)) = serde_json::from_slice(&answer.body) {
        let warning = "missing_charset";
        body.insert("warning".to_owned(), warning.into());
        let metadata = body.entry("response_metadata").or_insert_with(|| json!({}));
        metadata["warnings"] = json!([warning]);
        answer.body = Value::Object(body).to_string().into();
    }
    answer
}
