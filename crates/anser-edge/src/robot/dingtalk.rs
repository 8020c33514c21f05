//! The dialect of DingTalk's group robots: text, link, markdown, action card, feed card. Formats, signature and codes:
//! platforms.md §2.1.

use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::draft::{CardDraft, Draft};
use super::member::{list, text};
use super::proof::{self, SKEW_MAX};
use super::reply::{Reply, json as reply};
use super::told::{Fault, Posted, Told};

/// Members of `at` that are looked for in the text.
const MENTIONS_MAX: usize = 200;
/// The kind of channel that what is native here goes to as it is.
const KIND: &str = "dingtalk-robot";

const SIGN_WRONG: &str = "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确";
const SIGN_OLD: &str =
    "description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内";

/// The signature in the query: the HMAC-SHA256 of the time in milliseconds, a line feed and the secret, its key the secret.
pub(super) fn prove(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let time = posted.parameter("timestamp").ok_or(Fault::Unsigned)?;
    let sign = posted.parameter("sign").ok_or(Fault::Unsigned)?;
    // Base64 that was put into the query as it is has its plus signs read as blanks.
    let sign = sign.replace(' ', "+");
    proof::hmac_base64(
        secret.as_bytes(),
        format!("{time}\n{secret}").as_bytes(),
        &sign,
    )?;
    let millis: i64 = time.parse().map_err(|_| Fault::Stale)?;
    proof::fresh(posted, millis, SKEW_MAX)
}

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the body is no JSON object".to_owned()));
    }
    let kind = text(&body, "/msgtype").ok_or(Fault::Missing("msgtype"))?;
    let mut draft = Draft::default();
    match kind {
        "text" => {
            let said = text(&body, "/text/content").ok_or(Fault::Missing("text.content"))?;
            with_mentions(&mut draft, said, &body, Draft::text);
        }
        "markdown" => {
            text(&body, "/markdown/title").ok_or(Fault::Missing("markdown.title"))?;
            let said = text(&body, "/markdown/text").ok_or(Fault::Missing("markdown.text"))?;
            with_mentions(&mut draft, said, &body, Draft::markdown);
        }
        "link" => {
            let title = text(&body, "/link/title").ok_or(Fault::Missing("link.title"))?;
            let url = text(&body, "/link/messageUrl").ok_or(Fault::Missing("link.messageUrl"))?;
            let picture = text(&body, "/link/picUrl");
            draft.preview(url, title, text(&body, "/link/text"), picture);
        }
        "actionCard" => action_card(&mut draft, &body)?,
        "feedCard" => {
            let links = list(&body, "/feedCard/links");
            if links.is_empty() {
                return Err(Fault::Missing("feedCard.links"));
            }
            for link in links {
                let url =
                    text(link, "/messageURL").ok_or(Fault::Missing("feedCard.links.messageURL"))?;
                draft.line();
                let title = text(link, "/title").unwrap_or(url);
                draft.preview(url, title, None, text(link, "/picURL"));
            }
        }
        _ => return Err(Fault::UnknownType(kind.to_owned())),
    }
    let kind = kind.to_owned();
    draft.keep(KIND, body);
    draft.finish(&kind)
}

fn action_card(draft: &mut Draft, body: &Value) -> Result<(), Fault> {
    let title = text(body, "/actionCard/title").ok_or(Fault::Missing("actionCard.title"))?;
    let said = text(body, "/actionCard/text").ok_or(Fault::Missing("actionCard.text"))?;
    let buttons = list(body, "/actionCard/btns");
    let single = text(body, "/actionCard/singleURL");
    if buttons.is_empty() && single.is_none() {
        return Err(Fault::Missing("actionCard.singleURL"));
    }
    let mut card = CardDraft::new(title, None);
    card.section(said);
    for button in buttons {
        let label = text(button, "/title").unwrap_or("Open");
        card.button(label, text(button, "/actionURL"));
    }
    card.button(
        text(body, "/actionCard/singleTitle").unwrap_or("Open"),
        single,
    );
    draft.card(card);
    Ok(())
}

/// The text with those who are named in `at` made mentions where it says `@` and their number or id; everybody else that
/// `at` names is mentioned after it, as DingTalk shows them.
fn with_mentions(draft: &mut Draft, said: &str, body: &Value, write: fn(&mut Draft, &str)) {
    let ids = ["/at/atMobiles", "/at/atUserIds"];
    let ids = ids.iter().flat_map(|at| list(body, at));
    let mut ids: Vec<&str> = ids
        .filter_map(Value::as_str)
        .filter(|id| !id.is_empty())
        .take(MENTIONS_MAX)
        .collect();
    // The longest first: one id may begin with another.
    ids.sort_by_key(|id| std::cmp::Reverse(id.len()));
    ids.dedup();
    let mut missing = ids.clone();
    let mut plain = 0;
    let mut place = 0;
    while let Some(found) = said[place..].find('@') {
        let at = place + found;
        let after = &said[at + 1..];
        place = at + 1;
        if let Some(id) = ids.iter().find(|id| after.starts_with(**id)) {
            write(draft, &said[plain..at]);
            draft.mention(MentionKind::User, Some(id), None);
            missing.retain(|missed| missed != id);
            place += id.len();
            plain = place;
        }
    }
    write(draft, &said[plain..]);
    for id in missing {
        draft.text(" ");
        draft.mention(MentionKind::User, Some(id), None);
    }
    let all = body.pointer("/at/isAtAll");
    if all.is_some_and(|all| *all == true || all == "true") {
        draft.text(" ");
        draft.mention(MentionKind::All, None, None);
    }
}

/// What is answered to a message that was taken.
pub(super) fn done() -> Reply {
    reply(200, &json!({"errcode": 0, "errmsg": "ok"}))
}

/// What is answered to a request that was not.
pub(super) fn refused(fault: &Fault) -> Reply {
    let (status, code, message) = match fault {
        Fault::Unknown => (404, 300_001, "token is not exist".to_owned()),
        Fault::Unsigned | Fault::Forged => (200, 310_000, SIGN_WRONG.to_owned()),
        Fault::Stale => (200, 310_000, SIGN_OLD.to_owned()),
        Fault::Malformed(detail) => (200, 40_035, format!("缺少参数 json: {detail}")),
        Fault::Missing(member) => (200, 40_035, format!("缺少参数 {member}")),
        Fault::UnknownType(_) => (
            200,
            400_105,
            format!("不支持的消息类型: {}", fault.detail()),
        ),
        Fault::Empty => (200, 40_035, "缺少参数 content".to_owned()),
        Fault::TooLarge(detail) => (413, 460_101, format!("消息长度过长: {detail}")),
        Fault::Refused(detail) => (200, 430_104, format!("含有不合适的内容: {detail}")),
        Fault::Busy(detail) => (503, -1, format!("系统繁忙: {detail}")),
        Fault::NoSuchCall | Fault::Method | Fault::Slow | Fault::Internal => {
            (fault.status(), -1, format!("系统繁忙: {}", fault.detail()))
        }
    };
    reply(status, &json!({"errcode": code, "errmsg": message}))
}
