//! DingTalk, robots of apps: a token for the app's key and secret, messages to people and groups, files and recalls. Refuses
//! with HTTP 4xx and a word as `code`; the older part, which takes files, with `errcode` inside HTTP 200. From the open
//! platform's server API. Must not know robots of a group.

mod callback;
mod heard;
mod lines;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anser_core::Timestamp;
use http::Method;
use serde_json::{Map, Value, json};

use super::fields::{gist, text};
use super::{Answer, Breach, Call, Desk, Gone, Letter, Moment, Refusal, Robot, Verdict, same_text};
use crate::emit::{Said, Unsaid};
use crate::limit::{Counted, Limit};
use crate::line::{Heard, Told};
use crate::shelf::Parcel;
pub(super) use callback::Callbacks;
use heard::HeardMessages;
use lines::Lines;

const TOKEN: &str = "/v1.0/oauth2/accessToken";
/// Where messages to people are sent to.
pub(super) const TO_USERS: &str = "/v1.0/robot/oToMessages/batchSend";
/// Chats that people can write in: a group, and a person with the robot alone.
pub(super) const TALKS: [&str; 2] = ["cidSim0000000000000000001==", "sim0001"];
const TO_GROUP: &str = "/v1.0/robot/groupMessages/send";
const USERS_RECALL: &str = "/v1.0/robot/otoMessages/batchRecall";
const GROUP_RECALL: &str = "/v1.0/robot/groupMessages/recall";
const UPLOAD: &str = "/media/upload";
/// What the key of an app begins with.
const APP: &str = "ding";
/// The header that holds the token.
const TOKEN_HEADER: &str = "x-acs-dingtalk-access-token";
/// How long a token is valid after it was given last.
const TOKEN_LIFE: Duration = Duration::from_secs(7_200);
/// For how long a message can be recalled.
const RECALL_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// People in one request, and messages in one recall.
const MANY_MAX: usize = 20;
/// Bytes of a message's parameters.
const PARAM_MAX: usize = 15_000;
/// What the id of nobody begins with.
const NOBODY: &str = "nobody";
/// What may be uploaded, with the bytes that it may have.
const UPLOADS: [(&str, u64); 4] = [
    ("image", 20 << 20),
    ("voice", 2 << 20),
    ("video", 20 << 20),
    ("file", 20 << 20),
];
/// Messages that can be recalled.
const SENT_MAX: usize = 100_000;
/// Messages by their key, with the parameters that each must have
/// (<https://open.dingtalk.com/document/orgapp/types-of-messages-sent-by-robots>).
const MESSAGES: &[(&str, &[&str])] = &[
    ("sampleText", &["content"]),
    ("sampleMarkdown", &["title", "text"]),
    ("sampleImageMsg", &["photoURL"]),
    ("sampleLink", &["title", "text", "messageUrl"]),
    (
        "sampleActionCard",
        &["title", "text", "singleTitle", "singleURL"],
    ),
    ("sampleActionCard2", &["title", "text"]),
    ("sampleActionCard3", &["title", "text"]),
    ("sampleActionCard4", &["title", "text"]),
    ("sampleActionCard5", &["title", "text"]),
    (
        "sampleActionCard6",
        &[
            "title",
            "text",
            "buttonTitle1",
            "buttonUrl1",
            "buttonTitle2",
            "buttonUrl2",
        ],
    ),
    ("sampleAudio", &["mediaId", "duration"]),
    ("sampleFile", &["mediaId", "fileName", "fileType"]),
    (
        "sampleVideo",
        &["duration", "videoMediaId", "videoType", "picMediaId"],
    ),
];
/// Parameters that name an upload, by message and with the type that it must be of. A picture may be named by its URL too.
const FILES: [(&str, &str, &str); 5] = [
    ("sampleImageMsg", "photoURL", "image"),
    ("sampleAudio", "mediaId", "voice"),
    ("sampleFile", "mediaId", "file"),
    ("sampleVideo", "videoMediaId", "video"),
    ("sampleVideo", "picMediaId", "image"),
];
/// Files that can be shown.
const FILE_TYPES: [&str; 6] = ["xlsx", "pdf", "zip", "rar", "doc", "docx"];

/// 20 a second of each API of an app. How much one person gets is not told: where a limit of a chat is set, those above it
/// are named as held back.
pub(super) fn limits() -> Vec<Limit> {
    vec![Limit::sliding(Counted::App, 20, Duration::from_secs(1))]
}

/// An app that exists: its key, which is its robot's code too, and its secret.
pub(super) fn app(number: u32) -> Robot {
    Robot {
        token: format!("{APP}sim{number:013}"),
        secret: Some(format!("SimDingTalkAppSecret{number:044}")),
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
    /// Tokens with their apps and ends.
    tokens: HashMap<String, (String, Timestamp)>,
    given: u64,
    /// Messages by their number: the app, the chat, and when.
    sent: BTreeMap<u64, (String, String, Timestamp)>,
    heard: HeardMessages,
    lines: Lines,
}

impl Apps {
    /// Judges a request to the API of apps.
    pub(super) fn judge(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
    ) -> Result<Verdict, Box<Refusal>> {
        match (&call.method, &*call.path) {
            (&Method::POST, TOKEN) => return self.give_token(call, desk),
            (_, lines::OPEN) => return self.lines.ticket(call, desk),
            (&Method::POST, UPLOAD) => return self.upload(call, desk),
            (&Method::POST, TO_USERS | TO_GROUP | USERS_RECALL | GROUP_RECALL) => {}
            _ => return Ok(Verdict::Answered(Answer::text(404, "Not Found"))),
        }
        let token = call.headers.get(TOKEN_HEADER);
        let token = token.and_then(|token| token.to_str().ok());
        let app = self
            .owner(call, token.unwrap_or_default())
            .ok_or_else(|| refuse("InvalidAuthentication", Breach::Credentials))?;
        let body: Value = serde_json::from_slice(&call.body)
            .map_err(|_| refuse("invalidParameter.param.invalid", Breach::Content))?;
        match body["robotCode"].as_str().unwrap_or_default() {
            "" => {
                let code = "invalidParameter.robotCode.empty";
                return Err(refuse(code, Breach::Content));
            }
            code if code != app => {
                let code = "invalidParameter.robotCode.auth";
                return Err(refuse(code, Breach::Credentials));
            }
            _ => {}
        }
        let api = format!("{app} {}", call.path);
        desk.take(call, &[(Counted::App, &api)])
            .map_err(|_| refuse("Forbidden.AccessDenied.QpsLimitForApi", Breach::Rate))?;
        match &*call.path {
            USERS_RECALL | GROUP_RECALL => self.recall(call, &app, &body),
            _ => self.send(call, desk, app, body),
        }
    }

    /// Takes what a person writes to the first app's robot.
    pub(super) fn hear(
        &mut self,
        said: &Said,
        desk: &Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        let app = desk.robots.iter().find(|robot| is_app(robot));
        let app = app.ok_or_else(|| Unsaid::new("there is no app"))?;
        self.heard.hear(said, &app.token, desk.number, now)
    }

    /// Takes what was said for the apps that are connected.
    pub(super) fn spread(&mut self, event: &Value, copies: usize, moment: Moment) {
        self.lines.spread(event, copies, moment);
    }

    /// Opens the WebSocket of an app.
    pub(super) fn admit(&mut self, call: &Call, line: u64) -> Result<(), Answer> {
        self.lines.admit(call, line)
    }

    /// What is said on a WebSocket.
    pub(super) fn hear_line(&mut self, line: u64, heard: Heard, moment: Moment) -> Vec<Told> {
        self.lines.hear(line, heard, moment)
    }

    fn owner(&self, call: &Call, token: &str) -> Option<String> {
        let held = self.tokens.get(token).filter(|(_, end)| call.now < *end);
        held.map(|(app, _)| app.clone())
    }

    /// The same token for as long as it is valid, which begins anew each time that it is asked for.
    fn give_token(&mut self, call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let wrong = || refuse("invalidClientIdOrSecret", Breach::Credentials);
        let body: Value = serde_json::from_slice(&call.body).map_err(|_| wrong())?;
        let app = body["appKey"].as_str().and_then(|key| desk.robot(key));
        let app = app.filter(|app| is_app(app)).ok_or_else(wrong)?;
        let secret = body["appSecret"].as_str().unwrap_or_default();
        if !same_text(secret, app.secret.as_deref().unwrap_or_default()) {
            return Err(wrong());
        }
        self.tokens.retain(|_, (_, end)| call.now < *end);
        let held = self
            .tokens
            .iter()
            .find(|(_, (owner, _))| *owner == app.token);
        let token = match held {
            Some((token, _)) => token.clone(),
            None => {
                self.given += 1;
                format!("simdingtalktoken{:016x}", self.given)
            }
        };
        let end = call.now.plus(TOKEN_LIFE);
        self.tokens.insert(token.clone(), (app.token.clone(), end));
        let given = json!({"accessToken": token, "expireIn": TOKEN_LIFE.as_secs()});
        Ok(Verdict::Answered(Answer::json(200, &given)))
    }

    /// Takes a file, in the older part of the API.
    fn upload(&self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let token = call.parameter("access_token").unwrap_or_default();
        let app = self
            .owner(call, token)
            .ok_or_else(|| old("40014", Breach::Credentials))?;
        let kind = call.field("type").or_else(|| call.parameter("type"));
        let known = UPLOADS.iter().find(|(known, _)| Some(*known) == kind);
        let (kind, most) = known.ok_or_else(|| old("40004", Breach::Content))?;
        let media = call.part("media").filter(|media| media.file_name.is_some());
        let media = media.ok_or_else(|| old("40035", Breach::Content))?;
        if !(1..=*most).contains(&media.content.size) {
            return Err(old("40006", Breach::Size));
        }
        let media_id = format!("@lSimDingTalk{:020}", desk.shelf.next_number());
        let parcel = Parcel {
            robot: &app,
            kind,
            key: media_id.clone(),
            name: media.file_name.as_deref(),
            media_type: media.media_type.as_deref(),
            content: &media.content,
        };
        desk.shelf.put(call.now, parcel);
        let done = json!({"errcode": 0, "errmsg": "ok", "type": kind, "media_id": media_id,
            "created_at": call.now.millis()});
        Ok(Verdict::Answered(Answer::json(200, &done)))
    }

    fn send(
        &mut self,
        call: &Call,
        desk: &mut Desk<'_>,
        app: String,
        body: Value,
    ) -> Result<Verdict, Box<Refusal>> {
        let (kind, param, uploads) = message(desk, &app, &body)?;
        let key = format!("SimDingTalkQuery{:028}", desk.number);
        let mut done = json!({"processQueryKey": key});
        let conversation = if call.path == TO_GROUP {
            group(&body)?.to_owned()
        } else {
            let reach = Reach::of(call, desk, &app, &body)?;
            done["invalidStaffIdList"] = json!(reach.strangers);
            done["flowControlledStaffIdList"] = json!(reach.held_back);
            if reach.met.is_empty() {
                return reach.nobody(&done);
            }
            reach.met.join("|")
        };
        let sent = (app.clone(), conversation.clone(), call.now);
        self.sent.insert(desk.number, sent);
        if self.sent.len() > SENT_MAX {
            self.sent.pop_first();
        }
        let letter = Letter {
            robot: app,
            conversation,
            id: Some(key),
            kind,
            text: gist(&param),
            body,
            uploads,
            ..Letter::default()
        };
        Ok(Verdict::Taken(letter, Answer::json(200, &done)))
    }

    /// What was taken back is listed, and what was not with the reason.
    fn recall(&mut self, call: &Call, app: &str, body: &Value) -> Result<Verdict, Box<Refusal>> {
        let keys = body["processQueryKeys"].as_array();
        let keys = keys.filter(|keys| (1..=MANY_MAX).contains(&keys.len()));
        let keys = keys.ok_or_else(|| refuse("invalidParameter.param.invalid", Breach::Content))?;
        let chat = match call.path == GROUP_RECALL {
            true => Some(group(body)?),
            false => None,
        };
        let (mut gone, mut done, mut failed) = (Vec::new(), Vec::new(), Map::new());
        for key in keys.iter().filter_map(Value::as_str) {
            let number = key.strip_prefix("SimDingTalkQuery");
            let number: Option<u64> = number.and_then(|number| number.parse().ok());
            let known = number.and_then(|number| Some((number, self.sent.get(&number)?)));
            let known = known
                .filter(|(_, (owner, to, _))| owner == app && chat.is_none_or(|chat| chat == to));
            match known {
                Some((number, (_, to, at))) if call.now.since(*at) <= RECALL_AGE_MAX => {
                    gone.push(Gone {
                        conversation: to.clone(),
                        id: key.to_owned(),
                    });
                    done.push(key);
                    self.sent.remove(&number);
                }
                Some(_) => drop(failed.insert(key.to_owned(), "超出可撤回时间".into())),
                None => drop(failed.insert(key.to_owned(), "无效的processQueryKey".into())),
            }
        }
        let answer = Answer::json(200, &json!({"successResult": done, "failedResult": failed}));
        Ok(Verdict::Recalled(gone, answer))
    }
}

/// The group of a body.
fn group(body: &Value) -> Result<&str, Box<Refusal>> {
    text(body, "/openConversationId")
        .filter(|id| id.starts_with("cid"))
        .ok_or_else(|| refuse("invalid.openConversationId", Breach::Content))
}

/// Whom of those that a message names it reaches.
struct Reach {
    met: Vec<String>,
    strangers: Vec<String>,
    held_back: Vec<String>,
}

impl Reach {
    fn of(call: &Call, desk: &mut Desk<'_>, app: &str, body: &Value) -> Result<Self, Box<Refusal>> {
        let users = body["userIds"].as_array().map_or(&[][..], Vec::as_slice);
        let users: Vec<&str> = users.iter().filter_map(Value::as_str).collect();
        if users.is_empty() {
            let code = "invalidParameter.userIds.empty";
            return Err(refuse(code, Breach::Content));
        }
        if users.len() > MANY_MAX {
            let code = "invalidParameter.userIds.overMax";
            return Err(refuse(code, Breach::Size));
        }
        let (mut met, mut strangers, mut held_back) = (Vec::new(), Vec::new(), Vec::new());
        for user in users {
            let chat = format!("{app} {user}");
            if user.starts_with(NOBODY) {
                strangers.push(user.to_owned());
            } else if desk.take(call, &[(Counted::Chat, &chat)]).is_err() {
                held_back.push(user.to_owned());
            } else {
                met.push(user.to_owned());
            }
        }
        Ok(Self {
            met,
            strangers,
            held_back,
        })
    }

    /// A message that nobody gets is answered as one that somebody gets; what is wrong is in the lists.
    fn nobody(&self, done: &Value) -> Result<Verdict, Box<Refusal>> {
        let (code, breach) = match self.held_back.is_empty() {
            true => ("invalidStaffIdList", Breach::Content),
            false => ("flowControlledStaffIdList", Breach::Rate),
        };
        Err(Box::new(Refusal {
            code: code.to_owned(),
            breach,
            answer: Answer::json(200, done),
        }))
    }
}

/// The key of a message that is whole, its parameters, and the files that it shows.
fn message(
    desk: &Desk<'_>,
    app: &str,
    body: &Value,
) -> Result<(String, Value, Vec<String>), Box<Refusal>> {
    let key = text(body, "/msgKey")
        .ok_or_else(|| refuse("invalidParameter.msgKey.empty", Breach::Content))?;
    let known = MESSAGES.iter().find(|(known, _)| *known == key);
    let (key, needed) =
        known.ok_or_else(|| refuse("invalidParameter.msgKey.invalid", Breach::Content))?;
    let wrong = || refuse("invalidParameter.msgParam.invalid", Breach::Content);
    let written = body["msgParam"].as_str().ok_or_else(wrong)?;
    if written.len() > PARAM_MAX {
        return Err(refuse("invalidParameter.param.invalid", Breach::Size));
    }
    let param: Value = serde_json::from_str(written).map_err(|_| wrong())?;
    let whole = |name: &&str| text(&param, &format!("/{name}")).is_some();
    let buttons = key.strip_prefix("sampleActionCard");
    let buttons: u32 = buttons.map_or(0, |count| count.parse().unwrap_or(0));
    // Six is a card with two buttons beside each other, which have other names.
    let buttons = (1..=buttons).filter(|_| buttons < 6).all(|number| {
        ["actionTitle", "actionURL"]
            .iter()
            .all(|name| text(&param, &format!("/{name}{number}")).is_some())
    });
    let shown = *key != "sampleFile" || FILE_TYPES.iter().any(|known| param["fileType"] == *known);
    if !(needed.iter().all(whole) && buttons && shown) {
        return Err(wrong());
    }
    let mut uploads = Vec::new();
    for (_, name, kind) in FILES.iter().filter(|(of, ..)| of == key) {
        let id = param[name].as_str().unwrap_or_default();
        if *name == "photoURL" && !id.starts_with('@') {
            continue;
        }
        let upload = desk.shelf.get(id);
        let upload = upload.filter(|upload| upload.robot == app && upload.kind == *kind);
        uploads.push(upload.ok_or_else(wrong)?.key.clone());
    }
    Ok(((*key).to_owned(), param, uploads))
}

/// The answer to a request that is refused with one of the codes of this API.
pub(super) fn refusal(code: &str) -> Answer {
    let (status, message) = match code {
        "InvalidAuthentication" => (400, "不合法的access_token"),
        "authFailed" => (401, "鉴权失败"),
        "Unauthorized" => (401, "未授权的访问"),
        "invalidClientIdOrSecret" => (400, "无效的clientId或者clientSecret"),
        "Forbidden.AccessDenied.QpsLimitForApi" => (403, "钉钉开放平台qps限流"),
        "Forbidden.AccessDenied.AccessTokenPermissionDenied" => {
            (403, "应用尚未开通所需的权限：[qyapi_robot_sendmsg]")
        }
        "invalidParameter.robotCode.empty" => (400, "robotCode为空"),
        "invalidParameter.robotCode.auth" => (400, "应用appKey与机器人robotCode不匹配"),
        "invalidParameter.userIds.empty" => (400, "用户userId列表为空"),
        "invalidParameter.userIds.overMax" => (400, "用户userId列表超过最大限制"),
        "invalidParameter.msgKey.empty" => (400, "缺少msgKey"),
        "invalidParameter.msgKey.invalid" => (400, "无效的msgKey"),
        "invalidParameter.msgParam.invalid" => (400, "msgParam必须为json格式"),
        "invalidParameter.param.invalid" => (400, "参数不合法"),
        "invalid.openConversationId" => (400, "无效的openConversationId"),
        "bot.stopped" => (400, "群机器人已经停用"),
        "ServiceUnavailable" => (
            503,
            "The request has failed due to a temporary failure of the server.",
        ),
        "systemError" => (500, "系统异常"),
        _ => (400, "error"),
    };
    Answer::json(
        status,
        &json!({"code": code, "message": message, "requestid": "51M00000-0000-7000-8000-000000000000"}),
    )
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: refusal(code),
    })
}

/// A refusal of the older part of the API.
fn old(code: &str, breach: Breach) -> Box<Refusal> {
    let message = match code {
        "40014" => "不合法的access_token",
        "40004" => "不合法的媒体文件类型",
        "40006" => "不合法的文件大小",
        _ => "缺少参数 media",
    };
    let number: Value = code.parse::<i64>().map_or_else(|_| code.into(), Into::into);
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: Answer::json(200, &json!({"errcode": number, "errmsg": message})),
    })
}

#[cfg(test)]
mod tests;
