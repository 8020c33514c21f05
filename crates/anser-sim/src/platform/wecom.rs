//! WeCom, robots of a group: `POST /cgi-bin/webhook/send?key=K`, and `POST /cgi-bin/webhook/upload_media?key=K&type=T` for
//! files and speech. Answers 200 to every refusal, with `errcode` in the body.

use std::time::Duration;

use anser_core::Timestamp;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use md5::{Digest as _, Md5};
use serde_json::{Value, json};

use super::fields::{gist, list, text};
use super::wecom_app;
use super::{Answer, Breach, Call, Desk, Letter, Refusal, Stand, Verdict};
use crate::emit::{Said, Unsaid};
use crate::limit::{Counted, Limit};
use crate::shelf::Parcel;

const SEND: &str = "/cgi-bin/webhook/send";
const UPLOAD: &str = "/cgi-bin/webhook/upload_media";
/// What may be uploaded, with the bytes that it may have.
const UPLOADS: [(&str, u64); 2] = [("file", 20 << 20), ("voice", 2 << 20)];
/// Bytes that an upload must have.
const UPLOAD_MIN: u64 = 6;
/// How speech begins: AMR is taken and nothing else.
const SPEECH: &[u8] = b"#!AMR";
/// For how long an upload can be used.
const UPLOAD_LIFE: Duration = Duration::from_secs(3 * 24 * 3_600);
/// Bytes of a text.
const TEXT_MAX: usize = 2048;
/// Bytes of a markdown text.
const MARKDOWN_MAX: usize = 4096;
/// Bytes of an image, before base64.
const IMAGE_MAX: usize = 2 << 20;
/// Articles of a news message.
const ARTICLES_MAX: usize = 8;
/// What a template card may be.
const CARDS: &[&str] = &["text_notice", "news_notice"];

/// 20 a minute for each robot; and those of apps.
pub(super) fn limits() -> Vec<Limit> {
    let robot = Limit::sliding(Counted::Robot, 20, Duration::from_secs(60));
    std::iter::once(robot).chain(wecom_app::limits()).collect()
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (format!("00000000-0000-4000-8001-{number:012}"), None)
}

/// The stand-in.
#[derive(Default)]
pub(super) struct WeCom {
    apps: wecom_app::Apps,
}

impl Stand for WeCom {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        if ![SEND, UPLOAD].contains(&&*call.path) {
            return self.apps.judge(call, desk, refuse);
        }
        if call.method != http::Method::POST {
            return Ok(Verdict::Answered(Answer::text(404, "")));
        }
        let key = call.parameter("key").unwrap_or_default();
        if desk.robot(key).is_none() {
            return Err(refuse("93000", Breach::Credentials));
        }
        if call.path == UPLOAD {
            return upload(call, desk, key);
        }
        desk.take(call, &[(Counted::Robot, key)])
            .map_err(|_| refuse("45009", Breach::Rate))?;
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("47001", Breach::Content))?;
        let kind = check(&body)?;
        let uploads = uploads(call, desk, key, &kind, &body)?;
        let letter = Letter {
            robot: key.to_owned(),
            conversation: key.to_owned(),
            id: None,
            kind,
            text: gist(&body),
            body,
            uploads,
            ..Letter::default()
        };
        let done = json!({"errcode": 0, "errmsg": "ok"});
        Ok(Verdict::Taken(letter, Answer::json(200, &done)))
    }

    fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        wecom_app::hear(said, desk, now)
    }

    fn refusal(&self, code: &str, _wait: Duration) -> Answer {
        let message = match code {
            "-1" => "system error",
            "40001" => "invalid credential",
            "40013" => "invalid corpid",
            "40014" => "invalid access_token",
            "40056" => "invalid agentid",
            "41001" => "access_token missing",
            "42001" => "access_token expired",
            "86001" => "invalid chatid",
            "86003" => "chatid not exist",
            "86006" => "invalid member count",
            "86008" => "not allow to operate chat not created by self",
            "86215" => "chatid already exist",
            "81013" => "user & party & tag all invalid",
            "93000" => "invalid webhook url",
            "45009" => "api freq out of limit",
            "45033" => "api concurrency out of limit",
            "40004" => "invalid media type",
            "40005" => "invalid file type",
            "40006" => "invalid media size",
            "40007" => "invalid media_id",
            "41005" => "missing multimedia data",
            "40008" => "invalid message type",
            "40009" => "invalid image size",
            "40058" => "invalid Request Parameter",
            "44004" => "text content is empty",
            "45002" => "content size out of limit",
            "47001" => "data format error",
            "48001" => "api unauthorized",
            "60020" => "not allow to access from your ip",
            "301019" => "media md5 not match",
            "301002" => "user permission deny",
            _ => "error",
        };
        refused(code, message)
    }
}

/// The platform ends every refusal with a hint for its support.
fn refused(code: &str, message: &str) -> Answer {
    let number: Value = code.parse::<i64>().map_or_else(|_| code.into(), Into::into);
    let told = format!(
        "{message}, hint: [1700000000000000000000000], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e={code}"
    );
    Answer::json(200, &json!({"errcode": number, "errmsg": told}))
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: WeCom::default().refusal(code, Duration::ZERO),
    })
}

fn argument(message: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: "40058".to_owned(),
        breach,
        answer: refused("40058", &format!("{message} invalid Request Parameter")),
    })
}

/// The type of a message that is whole and within its limits.
fn check(body: &Value) -> Result<String, Box<Refusal>> {
    let kind = body["msgtype"].as_str().unwrap_or_default();
    match kind {
        "text" => within(body, "/text/content", TEXT_MAX)?,
        "markdown" => within(body, "/markdown/content", MARKDOWN_MAX)?,
        "markdown_v2" => within(body, "/markdown_v2/content", MARKDOWN_MAX)?,
        "image" => check_image(&body["image"])?,
        "news" => check_news(body)?,
        // Looked for among the uploads.
        "file" | "voice" => {}
        "template_card" => check_card(&body["template_card"])?,
        _ => return Err(refuse("40008", Breach::Content)),
    }
    Ok(kind.to_owned())
}

/// Takes a file or speech; answers the id that messages of that type name it by.
fn upload(call: &Call, desk: &mut Desk<'_>, key: &str) -> Result<Verdict, Box<Refusal>> {
    let kind = call.parameter("type").unwrap_or_default();
    let known = UPLOADS.iter().find(|(known, _)| *known == kind);
    let (kind, most) = known.ok_or_else(|| refuse("40004", Breach::Content))?;
    let media = call
        .part("media")
        .ok_or_else(|| refuse("41005", Breach::Content))?;
    if !(UPLOAD_MIN..=*most).contains(&media.content.size) {
        return Err(refuse("40006", Breach::Size));
    }
    if *kind == "voice" && !media.content.head.starts_with(SPEECH) {
        return Err(refuse("40005", Breach::Content));
    }
    let media_id = format!("3aSimWeComMedia{:040}", desk.shelf.next_number());
    let parcel = Parcel {
        robot: key,
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

/// What a file or speech names: an upload of the robot's own, of that type, and not too old.
fn uploads(
    call: &Call,
    desk: &Desk<'_>,
    key: &str,
    kind: &str,
    body: &Value,
) -> Result<Vec<String>, Box<Refusal>> {
    if !UPLOADS.iter().any(|(known, _)| *known == kind) {
        return Ok(Vec::new());
    }
    let media_id = body[kind]["media_id"].as_str().unwrap_or_default();
    desk.shelf
        .get(media_id)
        .filter(|known| known.robot == key && known.kind == kind)
        .filter(|known| call.now.since(known.at) < UPLOAD_LIFE)
        .map(|known| vec![known.key.clone()])
        .ok_or_else(|| refuse("40007", Breach::Content))
}

fn within(body: &Value, member: &str, most: usize) -> Result<(), Box<Refusal>> {
    let content = text(body, member).ok_or_else(|| refuse("44004", Breach::Content))?;
    if content.len() > most {
        let name = member[1..].replace('/', ".");
        return Err(argument(
            &format!("{name} exceed max length {most}."),
            Breach::Size,
        ));
    }
    Ok(())
}

/// Base64 of the bytes, and the MD5 of the bytes themselves.
fn check_image(image: &Value) -> Result<(), Box<Refusal>> {
    let encoded = image["base64"].as_str().unwrap_or_default();
    let bytes = BASE64.decode(encoded).unwrap_or_default();
    if bytes.is_empty() {
        return Err(argument("image.base64", Breach::Content));
    }
    if bytes.len() > IMAGE_MAX {
        return Err(refuse("40009", Breach::Size));
    }
    let known = bytes.starts_with(b"\x89PNG") || bytes.starts_with(b"\xff\xd8\xff");
    if !known {
        return Err(argument("image.base64", Breach::Content));
    }
    let digest: String = Md5::digest(&bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    if image["md5"].as_str().map(str::to_lowercase) != Some(digest) {
        return Err(refuse("301019", Breach::Content));
    }
    Ok(())
}

fn check_news(body: &Value) -> Result<(), Box<Refusal>> {
    let articles =
        list(body, "/news/articles").ok_or_else(|| argument("news.articles", Breach::Content))?;
    if articles.len() > ARTICLES_MAX {
        return Err(argument("news.articles", Breach::Size));
    }
    for article in articles {
        if text(article, "/title").is_none() || text(article, "/url").is_none() {
            return Err(argument("news.articles", Breach::Content));
        }
    }
    Ok(())
}

/// Both kinds of card must name an action, and say something.
fn check_card(card: &Value) -> Result<(), Box<Refusal>> {
    let kind = card["card_type"].as_str().unwrap_or_default();
    let acts = match card.pointer("/card_action/type").and_then(Value::as_i64) {
        Some(1) => text(card, "/card_action/url").is_some(),
        Some(2) => text(card, "/card_action/appid").is_some(),
        _ => false,
    };
    let says = text(card, "/main_title/title").is_some() || text(card, "/sub_title_text").is_some();
    let shows = kind != "news_notice" || text(card, "/card_image/url").is_some();
    if CARDS.contains(&kind) && acts && says && shows {
        Ok(())
    } else {
        Err(argument("template_card", Breach::Content))
    }
}

#[cfg(test)]
mod tests;
