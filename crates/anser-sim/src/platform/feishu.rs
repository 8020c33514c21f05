//! Feishu and Lark, robots of a group: `POST /open-apis/bot/v2/hook/{token}`. Answers 200 to nearly every refusal, with
//! a code in the body. From the open platform's guide to custom bots. Apps are in a module of their own.

use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::feishu_app;
use super::feishu_forms::{check_card, check_post};
use super::fields::{gist, text};
use super::{
    Amendment, Answer, Breach, Call, Desk, Letter, Moment, Refusal, Robot, Stand, Verdict,
};
use super::{hmac_base64, is_near, same_text};
use crate::emit::{Amended, Said, Unsaid};
use crate::limit::{Counted, Limit};
use crate::line::{Heard, Told};

const HOOK: &str = "/open-apis/bot/v2/hook/";
/// Bytes of a request's body.
const BODY_MAX: usize = 20 * 1024;
/// How far a signature's time may be from now.
const SIGN_AGE_MAX: Duration = Duration::from_secs(3600);

/// 100 a minute and 5 a second for each robot; those of an app.
pub(super) fn limits() -> Vec<Limit> {
    vec![
        Limit::sliding(Counted::Robot, 5, Duration::from_secs(1)),
        Limit::sliding(Counted::Robot, 100, Duration::from_secs(60)),
    ]
    .into_iter()
    .chain(feishu_app::limits())
    .collect()
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    (
        format!("00000000-0000-4000-8000-{number:012}"),
        Some(format!("SimFeishuSecret{number:07}")),
    )
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Feishu {
    apps: feishu_app::Apps,
}

impl Stand for Feishu {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        let Some(token) = call.path.strip_prefix(HOOK) else {
            return self.apps.judge(call, desk);
        };
        if call.method != http::Method::POST {
            return Ok(Verdict::Answered(Answer::text(404, "404 page not found")));
        }
        let robot = desk
            .robot(token)
            .ok_or_else(|| refuse("19001", Breach::Credentials))?;
        if call.body.len() > BODY_MAX {
            return Err(refuse("9499", Breach::Size));
        }
        let body: Value =
            serde_json::from_slice(&call.body).map_err(|_| refuse("9499", Breach::Content))?;
        check_sign(robot, &body, call)?;
        let said = gist(&body);
        if !robot.keywords.is_empty() && !robot.keywords.iter().any(|word| said.contains(word)) {
            return Err(refuse("19024", Breach::Credentials));
        }
        desk.take(call, &[(Counted::Robot, token)])
            .map_err(|_| refuse("11232", Breach::Rate))?;
        let kind = check(&body).ok_or_else(|| refuse("9499", Breach::Content))?;
        let letter = Letter {
            robot: token.to_owned(),
            conversation: token.to_owned(),
            id: None,
            kind: kind.to_owned(),
            text: said,
            body,
            ..Letter::default()
        };
        let done = json!({"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success",
            "Extra": null});
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

    fn amend(
        &mut self,
        amended: &Amended,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Amendment, Value), Unsaid> {
        self.apps.amend(amended, desk, now)
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        if let Some(answer) = feishu_app::refusal(code, wait) {
            return answer;
        }
        let message = match code {
            "9499" => "Bad Request",
            "19001" => "param invalid: incoming webhook access token invalid",
            "19021" => "sign match fail or timestamp is not within one hour from current time",
            "19022" => "Ip Not Allowed",
            "19024" => "Key Words Not Found",
            "19036" => "request body too large",
            "11232" => "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]",
            "2200" => "internal error",
            _ => "error",
        };
        // The gateway in front of the platform refuses a malformed request with its status as well.
        let status = if code == "9499" { 400 } else { 200 };
        let code: Value = code.parse::<i64>().map_or_else(|_| code.into(), Into::into);
        Answer::json(status, &json!({"code": code, "msg": message, "data": {}}))
    }
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: Feishu::default().refusal(code, Duration::ZERO),
    })
}

/// base64(HMAC-SHA256(key = `timestamp LF secret`, empty message)), with the time in seconds.
fn check_sign(robot: &Robot, body: &Value, call: &Call) -> Result<(), Box<Refusal>> {
    let Some(secret) = &robot.secret else {
        return Ok(());
    };
    // The guide shows the time as a text; a number is taken as well.
    let time = match &body["timestamp"] {
        Value::String(time) => time.clone(),
        Value::Number(time) => time.to_string(),
        _ => String::new(),
    };
    let sign = body["sign"].as_str().unwrap_or_default();
    let near = time
        .parse::<i64>()
        .is_ok_and(|seconds| is_near(seconds.saturating_mul(1000), call.now, SIGN_AGE_MAX));
    if near && same_text(sign, &hmac_base64(&format!("{time}\n{secret}"), "")) {
        Ok(())
    } else {
        Err(refuse("19021", Breach::Credentials))
    }
}

/// The type of a message that is whole.
fn check(body: &Value) -> Option<&str> {
    let kind = text(body, "/msg_type")?;
    let whole = match kind {
        "text" => text(body, "/content/text").is_some(),
        "post" => {
            let post = body.pointer("/content/post")?.as_object()?;
            !post.is_empty() && post.values().all(|locale| check_post(locale).is_some())
        }
        "image" => text(body, "/content/image_key")?.starts_with("img_"),
        "share_chat" => text(body, "/content/share_chat_id").is_some(),
        "interactive" => check_card(body.get("card")?).is_some(),
        _ => false,
    };
    whole.then_some(kind)
}

#[cfg(test)]
mod tests;
