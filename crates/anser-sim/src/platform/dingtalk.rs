//! DingTalk, robots of a group: `POST /robot/send?access_token=T[&timestamp=MS&sign=S]`. Answers 200 to every refusal,
//! with `errcode` in the body, and blocks a robot that sent too fast for ten minutes. Apps have a module of their own.

use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::dingtalk_app;
use super::fields::{gist, list, text};
use super::{Answer, Breach, Call, Desk, Letter, Moment, Refusal, Robot, Stand, Verdict};
use super::{hmac_base64, is_near, same_text};
use crate::emit::{Said, Unsaid};
use crate::limit::{Counted, Limit};
use crate::line::{Heard, Told};

const SEND: &str = "/robot/send";
/// Bytes of a request's body.
const BODY_MAX: usize = 20 * 1024;
/// How far a signature's time may be from now.
const SIGN_AGE_MAX: Duration = Duration::from_secs(3600);

const SIGN_WRONG: &str = "description:机器人发送签名不匹配;solution:请确认签名和生成签名的时间戳必须都放在调用的网址中，请确认机器人的密钥加密和填写正确;link:请参考本接口对应文档获得具体要求，或者在https://open.dingtalk.com/document/  搜索相关文档;";
const SIGN_OLD: &str = "description:机器人发送签名过期;solution:签名生成时间和发送时间请保持在 timestampms 以内;link:请参考本接口对应文档获得具体要求，或者在https://open.dingtalk.com/document/  搜索相关文档;";
const NO_KEYWORD: &str = "description:关键词不匹配;solution:请联系群管理员查看此机器人的关键词，并在发送的信息中包含此关键词;link:请参考本接口对应文档获得具体要求，或者在https://open.dingtalk.com/document/  搜索相关文档;";

/// 20 a minute for each robot, then nothing for ten minutes; and those of apps.
pub(super) fn limits() -> Vec<Limit> {
    let minute = Duration::from_secs(60);
    let robot = Limit::sliding(Counted::Robot, 20, minute).with_penalty(10 * minute);
    std::iter::once(robot)
        .chain(dingtalk_app::limits())
        .collect()
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (format!("{number:064x}"), Some(format!("SEC{number:064x}")))
}

/// The stand-in.
#[derive(Default)]
pub(super) struct DingTalk {
    apps: dingtalk_app::Apps,
}

impl Stand for DingTalk {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        if call.path != SEND || call.method != http::Method::POST {
            return self.apps.judge(call, desk);
        }
        if call.media_type() != "application/json" {
            return Err(refuse("43004", Breach::Content));
        }
        let token = call.parameter("access_token").unwrap_or_default();
        let robot = desk
            .robot(token)
            .filter(|robot| !dingtalk_app::is_app(robot))
            .ok_or_else(|| refuse("300001", Breach::Credentials))?;
        if call.body.len() > BODY_MAX {
            return Err(refuse("460101", Breach::Size));
        }
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("40035", Breach::Content))?;
        check_sign(robot, call)?;
        let said = gist(&body);
        if !robot.keywords.is_empty() && !robot.keywords.iter().any(|word| said.contains(word)) {
            return Err(security(NO_KEYWORD));
        }
        desk.take(call, &[(Counted::Robot, token)])
            .map_err(|_| refuse("130101", Breach::Rate))?;
        let kind = check(&body)?;
        let letter = Letter {
            robot: token.to_owned(),
            conversation: token.to_owned(),
            id: None,
            kind,
            text: said,
            body,
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
        self.apps.hear(said, desk, now)
    }

    fn spread(&mut self, event: Value, copies: usize, moment: Moment) {
        self.apps.spread(&event, copies, moment);
    }

    fn admit(&mut self, call: &Call, line: u64, _: &mut Desk<'_>) -> Result<(), Answer> {
        self.apps.admit(call, line)
    }

    fn hear_line(
        &mut self,
        line: u64,
        heard: Heard,
        _: &mut Desk<'_>,
        moment: Moment,
    ) -> Vec<Told> {
        self.apps.hear_line(line, heard, moment)
    }

    fn refusal(&self, code: &str, _wait: Duration) -> Answer {
        let message = match code {
            "-1" => "系统繁忙",
            "130101" => "send too fast, exceed 20 times per minute",
            "410100" => "发送速度太快而限流",
            "310000" => SIGN_WRONG,
            "300001" => "token is not exist",
            "400101" => "access_token不存在",
            "400013" => "群已被解散",
            "400102" => "机器人已停用",
            "400106" => "机器人不存在",
            "400105" => "不支持的消息类型",
            "40035" => "缺少参数 json",
            "43004" => "无效的HTTP HEADER Content-Type",
            "430101" => "含有不安全的外链",
            "430102" => "含有不合适的文本",
            "430103" => "含有不合适的图片",
            "430104" => "含有不合适的内容",
            "460101" => "消息长度过长",
            _ => "error",
        };
        // Apps have words for codes.
        let Ok(number) = code.parse::<i64>() else {
            return dingtalk_app::refusal(code);
        };
        let mut body = json!({"errcode": number, "errmsg": message});
        if code == "130101" {
            body["status"] = 1111.into();
            body["punish"] = "deny".into();
            body["wait"] = 5.into();
        }
        Answer::json(200, &body)
    }
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: DingTalk::default().refusal(code, Duration::ZERO),
    })
}

fn security(message: &str) -> Box<Refusal> {
    Box::new(Refusal {
        code: "310000".to_owned(),
        breach: Breach::Credentials,
        answer: Answer::json(200, &json!({"errcode": 310_000, "errmsg": message})),
    })
}

fn lacks(member: &str) -> Box<Refusal> {
    Box::new(Refusal {
        code: "40035".to_owned(),
        breach: Breach::Content,
        answer: Answer::json(
            200,
            &json!({"errcode": 40_035, "errmsg": format!("缺少参数 {member}")}),
        ),
    })
}

/// base64(HMAC-SHA256(secret, `timestamp LF secret`)) in the query, with the time in milliseconds.
fn check_sign(robot: &Robot, call: &Call) -> Result<(), Box<Refusal>> {
    let Some(secret) = &robot.secret else {
        return Ok(());
    };
    let (Some(time), Some(sign)) = (call.parameter("timestamp"), call.parameter("sign")) else {
        return Err(security(SIGN_WRONG));
    };
    if !same_text(sign, &hmac_base64(secret, &format!("{time}\n{secret}"))) {
        return Err(security(SIGN_WRONG));
    }
    let near = time
        .parse::<i64>()
        .is_ok_and(|millis| is_near(millis, call.now, SIGN_AGE_MAX));
    if near {
        Ok(())
    } else {
        Err(security(SIGN_OLD))
    }
}

/// The type of a message that has every member it must have.
fn check(body: &Value) -> Result<String, Box<Refusal>> {
    let kind = text(body, "/msgtype").ok_or_else(|| lacks("msgtype"))?;
    let texts: &[&str] = match kind {
        "text" => &["/text/content"],
        "link" => &["/link/title", "/link/text", "/link/messageUrl"],
        "markdown" => &["/markdown/title", "/markdown/text"],
        "actionCard" => &["/actionCard/title", "/actionCard/text"],
        "feedCard" => &[],
        _ => return Err(refuse("400105", Breach::Content)),
    };
    for member in texts {
        need(body, member)?;
    }
    if kind == "actionCard" {
        match list(body, "/actionCard/btns") {
            Some(buttons) => need_each(buttons, &["/title", "/actionURL"])?,
            None => {
                need(body, "/actionCard/singleTitle")?;
                need(body, "/actionCard/singleURL")?;
            }
        }
    }
    if kind == "feedCard" {
        let links = list(body, "/feedCard/links").ok_or_else(|| lacks("feedCard.links"))?;
        need_each(links, &["/title", "/messageURL", "/picURL"])?;
    }
    Ok(kind.to_owned())
}

fn need(body: &Value, member: &str) -> Result<(), Box<Refusal>> {
    let named = || lacks(&member[1..].replace('/', "."));
    text(body, member).map(drop).ok_or_else(named)
}

fn need_each(values: &[Value], members: &[&str]) -> Result<(), Box<Refusal>> {
    for value in values {
        for member in members {
            need(value, member)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
