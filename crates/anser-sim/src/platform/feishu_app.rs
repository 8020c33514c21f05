//! Feishu and Lark, self-built apps: a token for the app's credentials, messages to chats and people, replies, and the
//! recall of what was sent. Refuses with HTTP 400 and a code in the body. From the open platform's server API.

mod content;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use anser_core::Timestamp;
use http::{Method, header};
use serde_json::{Value, json};

use super::fields::{gist, text};
use super::{Answer, Breach, Call, Desk, Letter, Refusal, Robot, Verdict};
use super::{same_text, whole_seconds};
use crate::limit::{Counted, Limit, Over};

const TOKEN: &str = "/open-apis/auth/v3/tenant_access_token/internal";
/// What an app's id begins with.
const APP: &str = "cli_";
/// Where messages are sent to.
pub(super) const MESSAGES: &str = "/open-apis/im/v1/messages";
/// How long a token is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(7_200);
/// A token that is valid for longer than this is given again.
const TOKEN_AGAIN: Duration = Duration::from_secs(1_800);
/// Bytes of a request with text.
const TEXT_BYTES_MAX: usize = 150 * 1024;
/// Bytes of any other request.
const RICH_BYTES_MAX: usize = 30 * 1024;
/// Characters of a `uuid`.
const KEY_MAX: usize = 50;
/// For how long a `uuid` makes one message only.
const KEY_LIFE: Duration = Duration::from_secs(3_600);
/// Messages that are known to exist, so that they can be answered and recalled.
const SENT_MAX: usize = 100_000;
/// Kinds of id, with what theirs begin with.
const ID_TYPES: [(&str, &str); 5] = [
    ("chat_id", "oc_"),
    ("open_id", "ou_"),
    ("union_id", "on_"),
    ("email", ""),
    ("user_id", ""),
];

/// 50 a second and 1,000 a minute for each app, 5 a second to each chat or person.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        Limit::sliding(Counted::App, 50, Duration::from_secs(1)),
        Limit::sliding(Counted::App, 1_000, Duration::from_secs(60)),
        Limit::sliding(Counted::Chat, 5, Duration::from_secs(1)),
    ]
}

/// An app that exists.
pub(super) fn app(number: u32) -> Robot {
    Robot {
        token: format!("{APP}sim{number:013}"),
        secret: Some(format!("SimFeishuAppSecret{number:014}")),
        keywords: Vec::new(),
    }
}

/// Whether it is an app and no robot of a group.
pub(super) fn is_app(robot: &Robot) -> bool {
    robot.token.starts_with(APP)
}

/// What there is of all apps.
#[derive(Default)]
pub(super) struct Apps {
    /// The last token of each app, and when it ends.
    tokens: HashMap<String, (String, Timestamp)>,
    /// Tokens that were given.
    given: u64,
    sent: BTreeMap<u64, Sent>,
    /// Keys with their messages, and in the order in which they came.
    keys: HashMap<String, Value>,
    keys_by_age: VecDeque<(Timestamp, String)>,
}

/// A message that exists.
struct Sent {
    chat: String,
    recalled: bool,
}

/// Where a message goes.
struct Way {
    chat: String,
    /// What it answers.
    parent: Option<String>,
}

impl Apps {
    /// Judges a request to the API of apps.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        if call.method == Method::POST && call.path == TOKEN {
            return self.give_token(call, desk);
        }
        let Some(rest) = call.path.strip_prefix(MESSAGES) else {
            return Ok(Verdict::Answered(Answer::text(404, "404 page not found")));
        };
        let app = self.authorized(call)?;
        match (&call.method, rest.strip_prefix('/')) {
            (&Method::POST, None) => {
                let body = body(call)?;
                let chat = receiver(call, &body)?;
                self.send(call, desk, &app, &body, Way { chat, parent: None })
            }
            (&Method::POST, Some(rest)) => {
                let id = rest.strip_suffix("/reply").ok_or_else(not_found)?;
                let body = body(call)?;
                let chat = self.existing(id)?.chat.clone();
                let parent = Some(id.to_owned());
                self.send(call, desk, &app, &body, Way { chat, parent })
            }
            (&Method::DELETE, Some(id)) => {
                self.existing(id)?.recalled = true;
                let done = json!({"code": 0, "msg": "success", "data": {}});
                Ok(Verdict::Answered(Answer::json(200, &done)))
            }
            _ => Err(not_found()),
        }
    }
}

/// The answer to a request that is refused with that code; `None` for one that is none of this API.
pub(super) fn refusal(code: &str, wait: Duration) -> Option<Answer> {
    let message = match code {
        "10003" => "invalid param",
        "10014" => "app secret invalid",
        "99991400" => "request trigger frequency limit",
        "99991661" => "Missing access token for authorization",
        "99991663" | "99991668" => "Invalid access token for authorization",
        "99991672" => "Access denied. One of the following scopes is required: [im:message]",
        "230001" => "Your request contains an invalid request parameter",
        "230002" => "Bot/User can NOT be out of the chat.",
        "230011" => "The message is recalled.",
        "230020" => "The request triggers the frequency limit, ext=chat rate limit",
        "230025" => "The length of the message content reaches its limit.",
        "230099" => "Failed to create card content, ext=ErrCode: 11310",
        _ => return None,
    };
    let code: i64 = code.parse().ok()?;
    let answer = json!({"code": code, "msg": message});
    Some(match code {
        // The endpoint of tokens says no with a 200.
        10_003 | 10_014 => Answer::json(200, &answer),
        99_991_400 => Answer::json(429, &answer).with("x-ogw-ratelimit-reset", whole_seconds(wait)),
        _ => Answer::json(400, &answer),
    })
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    refuse_for(code, breach, Duration::ZERO)
}

fn refuse_for(code: &str, breach: Breach, wait: Duration) -> Box<Refusal> {
    let answer = refusal(code, wait).expect("it is one of the codes above");
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer,
    })
}

fn not_found() -> Box<Refusal> {
    Box::new(Refusal {
        code: "404".to_owned(),
        breach: Breach::Content,
        answer: Answer::text(404, "404 page not found"),
    })
}

fn invalid() -> Box<Refusal> {
    refuse("230001", Breach::Content)
}

fn body(call: &Call) -> Result<Value, Box<Refusal>> {
    serde_json::from_slice(&call.body).map_err(|_| invalid())
}

/// The number of a message, by its id.
fn number(id: &str) -> Option<u64> {
    u64::from_str_radix(id.strip_prefix("om_sim")?, 16).ok()
}

/// Whom a message is for: an id of the kind that the query names.
fn receiver(call: &Call, body: &Value) -> Result<String, Box<Refusal>> {
    let id = text(body, "/receive_id").ok_or_else(invalid)?;
    let named = call.parameter("receive_id_type").unwrap_or("open_id");
    let known = ID_TYPES.iter().find(|(id_type, _)| *id_type == named);
    let (id_type, prefix) = known.ok_or_else(invalid)?;
    let good = id.starts_with(prefix) && (*id_type != "email" || id.contains('@'));
    good.then(|| id.to_owned()).ok_or_else(invalid)
}

impl Apps {
    fn give_token(&mut self, call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("10003", Breach::Credentials))?;
        let app = body["app_id"]
            .as_str()
            .and_then(|app| desk.robot(app))
            .filter(|app| is_app(app));
        let app = app.ok_or_else(|| refuse("10003", Breach::Credentials))?;
        let secret = body["app_secret"].as_str().unwrap_or_default();
        if !same_text(secret, app.secret.as_deref().unwrap_or_default()) {
            return Err(refuse("10014", Breach::Credentials));
        }
        let held = self.tokens.get(&app.token);
        let held = held.filter(|(_, end)| call.now.plus(TOKEN_AGAIN) <= *end);
        let (token, end) = held.cloned().unwrap_or_else(|| {
            self.given += 1;
            let token = format!("t-sim{:028}", self.given);
            (token, call.now.plus(TOKEN_LIFE))
        });
        let expire = end.since(call.now).as_secs();
        let answer =
            json!({"code": 0, "msg": "ok", "tenant_access_token": token, "expire": expire});
        self.tokens.insert(app.token.clone(), (token, end));
        Ok(Verdict::Answered(Answer::json(200, &answer)))
    }

    /// The app whose token it is.
    fn authorized(&self, call: &Call) -> Result<String, Box<Refusal>> {
        let value = call.headers.get(header::AUTHORIZATION);
        let token = value
            .and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "))
            .ok_or_else(|| refuse("99991661", Breach::Credentials))?;
        let valid = |(given, end): &(String, Timestamp)| same_text(given, token) && call.now < *end;
        let mut apps = self.tokens.iter();
        apps.find(|(_, given)| valid(given))
            .map(|(app, _)| app.clone())
            .ok_or_else(|| refuse("99991663", Breach::Credentials))
    }

    fn existing(&mut self, id: &str) -> Result<&mut Sent, Box<Refusal>> {
        let sent = number(id).and_then(|number| self.sent.get_mut(&number));
        let sent = sent.ok_or_else(invalid)?;
        if sent.recalled {
            return Err(refuse("230011", Breach::Content));
        }
        Ok(sent)
    }

    fn send(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        body: &Value,
        way: Way,
    ) -> Result<Verdict, Box<Refusal>> {
        take(call, desk, app, &way.chat)?;
        let kind = text(body, "/msg_type").ok_or_else(invalid)?;
        let most = if kind == "text" {
            TEXT_BYTES_MAX
        } else {
            RICH_BYTES_MAX
        };
        if call.body.len() > most {
            return Err(refuse("230025", Breach::Size));
        }
        let content = body["content"].as_str().ok_or_else(invalid)?;
        let content: Value = serde_json::from_str(content).map_err(|_| invalid())?;
        content::check(kind, &content).ok_or_else(invalid)?;
        let key = body["uuid"].as_str().unwrap_or_default();
        if key.chars().count() > KEY_MAX {
            return Err(invalid());
        }
        self.forget_keys(call.now);
        let key = format!("{app}/{key}");
        if let Some(sent) = self.keys.get(&key) {
            return Ok(Verdict::Answered(Answer::json(200, sent)));
        }
        let id = format!("om_sim{:026x}", desk.number);
        let answer = answer(call, app, body, &way, &id);
        if !key.ends_with('/') {
            self.keys.insert(key.clone(), answer.clone());
            self.keys_by_age.push_back((call.now, key));
        }
        self.note(desk.number, &way.chat);
        let letter = Letter {
            robot: app.to_owned(),
            conversation: way.chat,
            id: Some(id),
            kind: kind.to_owned(),
            text: gist(&content),
            body: body.clone(),
        };
        Ok(Verdict::Taken(letter, Answer::json(200, &answer)))
    }

    fn note(&mut self, number: u64, chat: &str) {
        if self.sent.len() >= SENT_MAX {
            self.sent.pop_first();
        }
        let sent = Sent {
            chat: chat.to_owned(),
            recalled: false,
        };
        self.sent.insert(number, sent);
    }

    fn forget_keys(&mut self, now: Timestamp) {
        while let Some((at, _)) = self.keys_by_age.front()
            && now.since(*at) >= KEY_LIFE
        {
            let old = self.keys_by_age.pop_front();
            old.and_then(|(_, key)| self.keys.remove(&key));
        }
    }
}

/// Counts a message of the app, and to the chat.
fn take(call: &Call, desk: &mut Desk<'_>, app: &str, chat: &str) -> Result<(), Box<Refusal>> {
    let counted = desk.take(call, &[(Counted::App, app), (Counted::Chat, chat)]);
    counted.map_err(|Over { counted, wait }| match counted {
        Counted::App | Counted::Robot => refuse_for("99991400", Breach::Rate, wait),
        Counted::Chat | Counted::Group => refuse("230020", Breach::Rate),
    })
}

/// The message as the API answers it.
fn answer(call: &Call, app: &str, body: &Value, way: &Way, id: &str) -> Value {
    let now = call.now.millis().to_string();
    let mut data = json!({"message_id": id, "msg_type": body["msg_type"], "create_time": now, "update_time": now,
        "deleted": false, "updated": false, "chat_id": way.chat,
        "sender": {"id": app, "id_type": "app_id", "sender_type": "app", "tenant_key": "sim"},
        "body": {"content": body["content"]}});
    if let Some(parent) = &way.parent {
        data["root_id"] = parent.as_str().into();
        data["parent_id"] = parent.as_str().into();
        if body["reply_in_thread"] == true {
            data["thread_id"] = parent.replacen("om_", "omt_", 1).into();
        }
    }
    json!({"code": 0, "msg": "success", "data": data})
}

#[cfg(test)]
mod tests;
