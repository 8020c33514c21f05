//! WeCom, self-built apps: a token for the app's secret, messages to members and groups, files and recalls. Answers 200 to
//! every refusal, with `errcode` in the body, and to what it drops. From the developer centre's server API. Must not know
//! robots of a group.

mod callback;
mod chats;
mod heard;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anser_core::Timestamp;
use http::Method;
use serde_json::{Value, json};

use super::fields::{gist, text};
use super::{Answer, Breach, Call, Desk, Gone, Letter, Refusal, Robot, Verdict, same_text};
use crate::limit::{Counted, Limit};
use crate::shelf::Parcel;
pub(super) use callback::Callbacks;
use chats::Chats;
pub(super) use heard::hear;

const TOKEN: &str = "/cgi-bin/gettoken";
pub(super) const SEND: &str = "/cgi-bin/message/send";
const UPLOAD: &str = "/cgi-bin/media/upload";
const GET: &str = "/cgi-bin/media/get";
/// Members that write.
pub(super) const TALKS: [&str; 2] = ["sim0001", "sim0002"];
const RECALL: &str = "/cgi-bin/message/recall";
const CHAT_CREATE: &str = "/cgi-bin/appchat/create";
const CHAT_SEND: &str = "/cgi-bin/appchat/send";
/// What the id of nobody begins with.
const NOBODY: &str = "nobody";
/// What a company's id begins with.
const CORP: &str = "ww";
/// How long a token is valid.
const TOKEN_LIFE: Duration = Duration::from_secs(7_200);
/// For how long an upload can be used.
const UPLOAD_LIFE: Duration = Duration::from_secs(3 * 24 * 3_600);
/// For how long a message can be recalled.
const RECALL_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// For how long the same message is not sent again, where it asks for that and says nothing else; and the longest.
const REPEAT_LIFE: u64 = 1_800;
const REPEAT_LIFE_MAX: u64 = 4 * 3_600;
/// What may be uploaded, with the bytes that it may have; each has more than five.
const UPLOADS: [(&str, u64); 4] = [
    ("image", 10 << 20),
    ("voice", 2 << 20),
    ("video", 10 << 20),
    ("file", 20 << 20),
];
const UPLOAD_MIN: u64 = 6;
/// Bytes of a text or markdown.
const TEXT_MAX: usize = 2048;
/// Types without a file or text of their own, which must be objects.
const OTHERS: [&str; 5] = [
    "textcard",
    "news",
    "mpnews",
    "miniprogram_notice",
    "template_card",
];
/// Messages that can be recalled.
const SENT_MAX: usize = 100_000;

/// One member gets 30 a minute and 1,000 an hour of an app, one group 200 a minute and 10,000 a day; what is above that is
/// dropped, and nobody is told.
pub(super) fn limits() -> Vec<Limit> {
    let minute = Duration::from_secs(60);
    vec![
        Limit::sliding(Counted::Chat, 30, minute),
        Limit::sliding(Counted::Chat, 1_000, 60 * minute),
        Limit::sliding(Counted::Group, 200, minute),
        Limit::sliding(Counted::Group, 10_000, 24 * 60 * minute),
    ]
}

/// An app that exists: its company's id and its own, and its secret.
pub(super) fn app(number: u32) -> Robot {
    Robot {
        token: format!("{CORP}sim{number:013}/{}", 1_000_000 + number),
        secret: Some(format!("SimWeComAppSecret{number:026}")),
        keywords: Vec::new(),
    }
}

/// Company and app; `None` for a robot of a group.
pub(super) fn ids(robot: &Robot) -> Option<(&str, &str)> {
    robot
        .token
        .split_once('/')
        .filter(|(corp, _)| corp.starts_with(CORP))
}

/// What there is of all apps.
#[derive(Default)]
pub(super) struct Apps {
    /// Tokens with their apps and ends.
    tokens: HashMap<String, (String, Timestamp)>,
    given: u64,
    sent: BTreeMap<u64, (String, String, Timestamp)>,
    /// Messages that are not to be sent twice, with when that ends.
    repeats: HashMap<String, Timestamp>,
    chats: Chats,
}

/// How this API refuses.
type Refuse = fn(&str, Breach) -> Box<Refusal>;

impl Apps {
    /// Judges a request to the API of apps.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        match (&call.method, &*call.path) {
            (&Method::GET, TOKEN) => return self.give_token(call, desk, refuse),
            (&Method::POST, SEND | UPLOAD | RECALL | CHAT_CREATE | CHAT_SEND)
            | (&Method::GET, GET) => {}
            _ => return Ok(Verdict::Answered(Answer::text(404, ""))),
        }
        let token = call.parameter("access_token").unwrap_or_default();
        let (app, end) = self.tokens.get(token).ok_or_else(|| {
            let code = if token.is_empty() { "41001" } else { "40014" };
            refuse(code, Breach::Credentials)
        })?;
        if call.now >= *end {
            return Err(refuse("42001", Breach::Credentials));
        }
        let app = app.clone();
        match &*call.path {
            UPLOAD => return upload(call, desk, &app, refuse),
            GET => return download(call, desk, &app, refuse),
            _ => {}
        }
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("47001", Breach::Content))?;
        match &*call.path {
            RECALL => self.recall(call, &app, &body, refuse),
            CHAT_CREATE => self.chats.create(&app, &body, refuse),
            CHAT_SEND => self.chats.send(call, desk, &app, body, refuse),
            _ => self.send(call, desk, &app, body, refuse),
        }
    }

    fn give_token(
        &mut self,
        call: &Call,
        desk: &Desk<'_>,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        let corp = call.parameter("corpid").unwrap_or_default();
        let secret = call.parameter("corpsecret").unwrap_or_default();
        let mut apps = desk
            .robots
            .iter()
            .filter(|robot| ids(robot).is_some_and(|(known, _)| known == corp));
        let first = apps
            .next()
            .ok_or_else(|| refuse("40013", Breach::Credentials))?;
        let app = std::iter::once(first)
            .chain(apps)
            .find(|app| same_text(secret, app.secret.as_deref().unwrap_or_default()))
            .ok_or_else(|| refuse("40001", Breach::Credentials))?;
        let mut held = self.tokens.iter();
        let lasting = held.find(|(_, (owner, end))| *owner == app.token && call.now < *end);
        let (token, end) = match lasting {
            Some((token, (_, end))) => (token.clone(), *end),
            None => {
                // An old token is told apart from a wrong one for as long as its app has no new one.
                self.tokens.retain(|_, (owner, _)| *owner != app.token);
                self.given += 1;
                let token = format!("SimWeComAccessToken{:030}", self.given);
                let end = call.now.plus(TOKEN_LIFE);
                self.tokens.insert(token.clone(), (app.token.clone(), end));
                (token, end)
            }
        };
        let left = end.since(call.now).as_secs();
        let given =
            json!({"errcode": 0, "errmsg": "ok", "access_token": token, "expires_in": left});
        Ok(Verdict::Answered(Answer::json(200, &given)))
    }

    fn send(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: &str,
        body: Value,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        let agent = match &body["agentid"] {
            Value::String(agent) => agent.clone(),
            other => other.to_string(),
        };
        if app.split_once('/').is_none_or(|(_, known)| known != agent) {
            return Err(refuse("40056", Breach::Credentials));
        }
        let mut reach = Reach::of(&body);
        let target = reach
            .target()
            .ok_or_else(|| refuse("81013", Breach::Content))?;
        let uploads = check(call, desk, app, &body, refuse)?;
        let msgid = format!("SimWeComMsg{:040}", desk.number);
        let mut done = json!({"errcode": 0, "errmsg": "ok", "msgid": msgid});
        if !reach.strangers.is_empty() {
            done["invaliduser"] = reach.strangers.join("|").into();
        }
        self.repeats.retain(|_, end| call.now < *end);
        if body["enable_duplicate_check"] == 1 {
            let seconds = body["duplicate_check_interval"]
                .as_u64()
                .unwrap_or(REPEAT_LIFE);
            let end = call
                .now
                .plus(Duration::from_secs(seconds.min(REPEAT_LIFE_MAX)));
            // Told as sent, and not sent.
            if self.repeats.insert(format!("{app} {body}"), end).is_some() {
                return Ok(Verdict::Answered(Answer::json(200, &done)));
            }
        }
        if !reach.shows(call, desk, app) {
            return Err(dropped(Answer::json(200, &done)));
        }
        self.sent
            .insert(desk.number, (app.to_owned(), target.clone(), call.now));
        if self.sent.len() > SENT_MAX {
            self.sent.pop_first();
        }
        let letter = Letter {
            robot: app.to_owned(),
            conversation: target,
            id: Some(msgid),
            kind: body["msgtype"].as_str().unwrap_or_default().to_owned(),
            text: gist(&body),
            body,
            uploads,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, Answer::json(200, &done)))
    }

    fn recall(
        &mut self,
        call: &Call,
        app: &str,
        body: &Value,
        refuse: Refuse,
    ) -> Result<Verdict, Box<Refusal>> {
        let id = body["msgid"].as_str().unwrap_or_default();
        let number = id
            .strip_prefix("SimWeComMsg")
            .and_then(|number| number.parse().ok());
        let known = number.and_then(|number: u64| Some((number, self.sent.get(&number)?)));
        let known = known
            .filter(|(_, (owner, _, at))| owner == app && call.now.since(*at) <= RECALL_AGE_MAX);
        let (number, (_, target, _)) = known.ok_or_else(|| refuse("40058", Breach::Content))?;
        let gone = Gone {
            conversation: target.clone(),
            id: id.to_owned(),
        };
        self.sent.remove(&number);
        let done = json!({"errcode": 0, "errmsg": "ok"});
        Ok(Verdict::Recalled(vec![gone], Answer::json(200, &done)))
    }
}

/// Whom of those that a message names it reaches.
struct Reach {
    /// Members, and departments and tags as one each.
    met: Vec<String>,
    strangers: Vec<String>,
}

impl Reach {
    fn of(body: &Value) -> Self {
        let users = text(body, "/touser").unwrap_or_default().split('|');
        let (strangers, mut met): (Vec<String>, Vec<String>) = users
            .filter(|user| !user.is_empty())
            .map(str::to_owned)
            .partition(|user| user.starts_with(NOBODY));
        for name in ["toparty", "totag"] {
            met.extend(text(body, &format!("/{name}")).map(|ids| format!("{name}/{ids}")));
        }
        Self { met, strangers }
    }

    /// What stands for all of them; `None` where there is nobody.
    fn target(&self) -> Option<String> {
        (!self.met.is_empty()).then(|| self.met.join("|"))
    }

    /// Counts the message for each that it reaches; whether anybody is shown it.
    fn shows(&mut self, call: &Call, desk: &mut Desk<'_>, app: &str) -> bool {
        self.met.retain(|member| {
            let member = format!("{app} {member}");
            desk.take(call, &[(Counted::Chat, &member)]).is_ok()
        });
        !self.met.is_empty()
    }
}

/// A message that was answered like any other and that nobody is shown.
fn dropped(answer: Answer) -> Box<Refusal> {
    Box::new(Refusal {
        code: "dropped".to_owned(),
        breach: Breach::Rate,
        answer,
    })
}

/// Takes a file; answers the id that messages of that type name it by.
fn upload(
    call: &Call,
    desk: &mut Desk<'_>,
    app: &str,
    refuse: Refuse,
) -> Result<Verdict, Box<Refusal>> {
    let kind = call.parameter("type").unwrap_or_default();
    let known = UPLOADS.iter().find(|(known, _)| *known == kind);
    let (kind, most) = known.ok_or_else(|| refuse("40004", Breach::Content))?;
    let media = call
        .part("media")
        .ok_or_else(|| refuse("41005", Breach::Content))?;
    if !(UPLOAD_MIN..=*most).contains(&media.content.size) {
        return Err(refuse("40006", Breach::Size));
    }
    let media_id = format!("3bSimWeComMedia{:040}", desk.shelf.next_number());
    let parcel = Parcel {
        robot: app,
        kind,
        key: media_id.clone(),
        name: media.file_name.as_deref(),
        media_type: media.media_type.as_deref(),
        content: &media.content,
    };
    desk.shelf.put(call.now, parcel);
    let done = json!({"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id,
        "created_at": call.now.seconds().to_string()});
    Ok(Verdict::Answered(Answer::json(200, &done)))
}

/// Gives a file back, the app's own or one that it was sent, for as long as it is kept.
fn download(
    call: &Call,
    desk: &Desk<'_>,
    app: &str,
    refuse: Refuse,
) -> Result<Verdict, Box<Refusal>> {
    let media_id = call.parameter("media_id").unwrap_or_default();
    let known = desk.shelf.get(media_id);
    let known = known.filter(|known| known.robot == app && call.now.since(known.at) < UPLOAD_LIFE);
    let found = known.and_then(|known| Some((known, known.content()?)));
    let (known, bytes) = found.ok_or_else(|| refuse("40007", Breach::Content))?;
    let media_type = known.media_type.as_deref();
    let media_type = media_type.unwrap_or("application/octet-stream").to_owned();
    let name = known.name.as_deref().unwrap_or(media_id);
    let name = name.replace(['"', '\\'], "_");
    let mut answer = Answer::bytes(bytes.clone());
    answer.headers = vec![
        ("content-type", media_type),
        (
            "content-disposition",
            format!("attachment; filename=\"{name}\""),
        ),
    ];
    Ok(Verdict::Answered(answer))
}

/// Checks what a message says by its type; answers the file that it names.
fn check(
    call: &Call,
    desk: &Desk<'_>,
    app: &str,
    body: &Value,
    refuse: Refuse,
) -> Result<Vec<String>, Box<Refusal>> {
    let kind = body["msgtype"].as_str().unwrap_or_default();
    if ["text", "markdown"].contains(&kind) {
        let said = text(&body[kind], "/content").ok_or_else(|| refuse("44004", Breach::Content))?;
        return match said.len() > TEXT_MAX {
            true => Err(refuse("45002", Breach::Size)),
            false => Ok(Vec::new()),
        };
    }
    if UPLOADS.iter().any(|(known, _)| *known == kind) {
        let media_id = body[kind]["media_id"].as_str().unwrap_or_default();
        let known = desk.shelf.get(media_id).filter(|known| {
            known.robot == app && known.kind == kind && call.now.since(known.at) < UPLOAD_LIFE
        });
        let known = known.ok_or_else(|| refuse("40007", Breach::Content))?;
        return Ok(vec![known.key.clone()]);
    }
    match OTHERS.contains(&kind) && body[kind].is_object() {
        true => Ok(Vec::new()),
        false => Err(refuse("40008", Breach::Content)),
    }
}

#[cfg(test)]
mod tests;
