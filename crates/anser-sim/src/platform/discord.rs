//! Discord, webhooks: `POST /api[/v10]/webhooks/{id}/{token}`. Tells the state of its rate window in every answer, and
//! bans an address that goes on being refused.

use std::collections::VecDeque;
use std::time::Duration;

use anser_core::Timestamp;
use serde_json::{Value, json};

use super::fields::{chars, gist};
use super::{Answer, Breach, Call, Desk, Letter, Refusal, Robot, Stand, Verdict, whole_seconds};
use crate::limit::{Counted, Limit, Shape};

/// The first second of 2015 in milliseconds since the Unix epoch, from which the platform's ids count.
const EPOCH_MS: i64 = 1_420_070_400_000;
/// Bits of an id below its time.
const ID_TIME_SHIFT: u32 = 22;
/// Characters of the content.
const CONTENT_MAX: usize = 2000;
/// Embeds of a message.
const EMBEDS_MAX: usize = 10;
/// Characters of all embeds of a message.
const EMBEDS_CHARS_MAX: usize = 6000;
/// Fields of an embed.
const FIELDS_MAX: usize = 25;
/// Characters of the parts of an embed.
const PARTS: &[(&str, usize)] = &[
    ("/title", 256),
    ("/description", 4096),
    ("/footer/text", 2048),
    ("/author/name", 256),
];
/// Characters of the parts of an embed's field.
const FIELD_PARTS: &[(&str, usize)] = &[("/name", 256), ("/value", 1024)];
/// Answers of 401, 403 and 429 in [`BAN_WINDOW`] that get an address banned.
const BAN_AFTER: usize = 10_000;
const BAN_WINDOW: Duration = Duration::from_secs(600);
/// The webhook that answers name as the author.
const CHANNEL_ID: &str = "1000000000000000001";

/// 5 in 2 seconds for each webhook, as its answers have told in practice.
pub(super) fn limits() -> Vec<Limit> {
    vec![Limit::sliding(Counted::Robot, 5, Duration::from_secs(2)).shaped(Shape::Fixed)]
}

pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    let id = 1_100_000_000_000_000_000_u64 + u64::from(number);
    (format!("{id}/SimDiscordWebhookToken{number:046}"), None)
}

/// The stand-in.
#[derive(Default)]
pub(super) struct Discord {
    /// When answers of 401, 403 and 429 were given.
    invalid: VecDeque<Duration>,
}

impl Stand for Discord {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        while self
            .invalid
            .front()
            .is_some_and(|at| *at + BAN_WINDOW <= call.monotonic)
        {
            self.invalid.pop_front();
        }
        if self.invalid.len() >= BAN_AFTER {
            return Err(banned());
        }
        let judged = judge(call, desk);
        if let Err(refusal) = &judged
            && matches!(refusal.answer.status, 401 | 403 | 429)
        {
            self.invalid.push_back(call.monotonic);
        }
        judged
    }

    fn refusal(&self, code: &str, wait: Duration) -> Answer {
        refusal(code, wait)
    }

    fn finish(&self, call: &Call, desk: &Desk<'_>, answer: Answer) -> Answer {
        let banned = answer.status == 429 && answer.body.starts_with(b"error");
        let Some(robot) = robot(call, desk).filter(|_| !banned) else {
            return answer;
        };
        let Some(left) = desk
            .limiter
            .left(Counted::Robot, &robot.token, call.monotonic)
        else {
            return answer.with("via", "1.1 google");
        };
        let reset = call.now.plus(left.reset).millis();
        answer
            .with("via", "1.1 google")
            .with("x-ratelimit-limit", left.max)
            .with("x-ratelimit-remaining", left.remaining)
            .with(
                "x-ratelimit-reset",
                format!("{}.{:03}", reset / 1000, reset % 1000),
            )
            .with(
                "x-ratelimit-reset-after",
                format!("{:.3}", left.reset.as_secs_f64()),
            )
            .with("x-ratelimit-bucket", "a1b2c3d4e5f60718293a4b5c6d7e8f90")
    }
}

fn judge(call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
    let Some((id, _)) = webhook(&call.path) else {
        return Ok(Verdict::Answered(Answer::json(
            404,
            &json!({"message": "404: Not Found", "code": 0}),
        )));
    };
    let Some(robot) = robot(call, desk) else {
        let known = |robot: &Robot| robot.token.split('/').next() == Some(id);
        let code = match desk.robots.iter().any(known) {
            true => "50027",
            false => "10015",
        };
        return Err(refuse(code, Breach::Credentials));
    };
    if call.method == http::Method::GET {
        let shown = json!({"application_id": null, "avatar": null, "channel_id": CHANNEL_ID,
            "guild_id": "1000000000000000000", "id": id, "name": "Anser", "type": 1,
            "token": robot.token.split('/').next_back()});
        return Ok(Verdict::Answered(Answer::json(200, &shown)));
    }
    if call.method != http::Method::POST {
        return Ok(Verdict::Answered(Answer::json(
            405,
            &json!({"message": "405: Method Not Allowed", "code": 0}),
        )));
    }
    desk.take(call, &[(Counted::Robot, &robot.token)])
        .map_err(|over| refuse_in("ratelimited", Breach::Rate, over.wait))?;
    let body: Value =
        serde_json::from_slice(&call.body).map_err(|_| refuse("50109", Breach::Content))?;
    check(&body)?;
    let message_id = snowflake(call.now, desk.number);
    let thread = call.parameter("thread_id");
    let channel = thread.unwrap_or(CHANNEL_ID);
    let shown = message(&body, id, &message_id, channel, call.now);
    let letter = Letter {
        robot: robot.token.clone(),
        conversation: thread.map_or_else(|| robot.token.clone(), str::to_owned),
        id: Some(message_id),
        kind: if body["embeds"].is_array() {
            "embeds"
        } else {
            "content"
        }
        .to_owned(),
        text: gist(&body),
        body,
        ..Letter::default()
    };
    let waits = matches!(call.parameter("wait"), Some("true" | "1" | "True"));
    let answer = if waits {
        Answer::json(200, &shown)
    } else {
        Answer {
            status: 204,
            headers: Vec::new(),
            ..Answer::bytes(bytes::Bytes::new())
        }
    };
    Ok(Verdict::Taken(letter, answer))
}

/// Id and token of the webhook that a path names, with or without the API's version.
fn webhook(path: &str) -> Option<(&str, &str)> {
    let rest = path.strip_prefix("/api/")?;
    let rest = match rest.strip_prefix('v').and_then(|rest| rest.split_once('/')) {
        Some((version, rest)) if version.parse::<u8>().is_ok() => rest,
        _ => rest,
    };
    let (id, token) = rest.strip_prefix("webhooks/")?.split_once('/')?;
    (!token.is_empty() && !token.contains('/')).then_some((id, token))
}

fn robot<'a>(call: &Call, desk: &Desk<'a>) -> Option<&'a Robot> {
    let (id, token) = webhook(&call.path)?;
    desk.robot(&format!("{id}/{token}"))
}

fn snowflake(now: Timestamp, number: u64) -> String {
    let since = u64::try_from(now.millis().saturating_sub(EPOCH_MS)).unwrap_or(0);
    let below = number & ((1 << ID_TIME_SHIFT) - 1);
    ((since << ID_TIME_SHIFT) | below).to_string()
}

/// What the platform shows of a message that was posted.
fn message(body: &Value, webhook: &str, id: &str, channel: &str, now: Timestamp) -> Value {
    let name = body["username"].as_str().unwrap_or("Anser");
    json!({"type": 0, "content": body["content"].as_str().unwrap_or_default(), "mentions": [], "mention_roles": [],
        "attachments": [], "embeds": body.get("embeds").cloned().unwrap_or_else(|| json!([])),
        "timestamp": now.to_string(), "edited_timestamp": null, "flags": body["flags"].as_u64().unwrap_or(0),
        "components": [], "id": id, "channel_id": channel,
        "author": {"id": webhook, "username": name, "avatar": null, "discriminator": "0000", "public_flags": 0,
            "flags": 0, "bot": true, "global_name": null, "clan": null, "primary_guild": null},
        "pinned": false, "mention_everyone": false, "tts": body["tts"].as_bool().unwrap_or(false),
        "webhook_id": webhook})
}

fn refusal(code: &str, wait: Duration) -> Answer {
    let (status, message) = match code {
        "ratelimited" => {
            let after = wait.as_secs_f64();
            let body = json!({"message": "You are being rate limited.", "retry_after": after, "global": false});
            return Answer::json(429, &body)
                .with("retry-after", whole_seconds(wait))
                .with("x-ratelimit-scope", "user");
        }
        "10003" => (404, "Unknown Channel"),
        "10015" => (404, "Unknown Webhook"),
        "40005" => (413, "Request entity too large"),
        "50001" => (403, "Missing Access"),
        "50006" => (400, "Cannot send an empty message"),
        "50007" => (403, "Cannot send messages to this user"),
        "50013" => (403, "Missing Permissions"),
        "50027" => (401, "Invalid Webhook Token"),
        "50035" => (400, "Invalid Form Body"),
        "50109" => (400, "The request body contains invalid JSON."),
        _ => (400, "error"),
    };
    let code: Value = code.parse::<i64>().map_or_else(|_| code.into(), Into::into);
    Answer::json(status, &json!({"message": message, "code": code}))
}

fn refuse(code: &str, breach: Breach) -> Box<Refusal> {
    refuse_in(code, breach, Duration::ZERO)
}

fn refuse_in(code: &str, breach: Breach, wait: Duration) -> Box<Refusal> {
    Box::new(Refusal {
        code: code.to_owned(),
        breach,
        answer: refusal(code, wait),
    })
}

/// What stands before the platform answers by itself, without the platform's headers.
fn banned() -> Box<Refusal> {
    Box::new(Refusal {
        code: "banned".to_owned(),
        breach: Breach::Rate,
        answer: Answer::text(429, "error code: 1015").with("retry-after", BAN_WINDOW.as_secs()),
    })
}

/// `50035`, with what is wrong at the place where it is.
fn invalid(pointer: &str, code: &str, message: &str, breach: Breach) -> Box<Refusal> {
    let mut errors = json!({"_errors": [{"code": code, "message": message}]});
    for part in pointer.rsplit('/').filter(|part| !part.is_empty()) {
        errors = json!({part: errors});
    }
    let body = json!({"message": "Invalid Form Body", "code": 50_035, "errors": errors});
    Box::new(Refusal {
        code: "50035".to_owned(),
        breach,
        answer: Answer::json(400, &body),
    })
}

fn too_long(pointer: &str, most: usize) -> Box<Refusal> {
    let message = format!("Must be {most} or fewer in length.");
    invalid(pointer, "BASE_TYPE_MAX_LENGTH", &message, Breach::Size)
}

fn check(body: &Value) -> Result<(), Box<Refusal>> {
    let content = body["content"].as_str().unwrap_or_default();
    let embeds = body["embeds"].as_array().map_or(&[][..], Vec::as_slice);
    if content.trim().is_empty() && embeds.is_empty() {
        return Err(refuse("50006", Breach::Content));
    }
    if chars(content) > CONTENT_MAX {
        return Err(too_long("/content", CONTENT_MAX));
    }
    if embeds.len() > EMBEDS_MAX {
        return Err(too_long("/embeds", EMBEDS_MAX));
    }
    let mut all = 0;
    for (index, embed) in embeds.iter().enumerate() {
        all += check_embed(&format!("/embeds/{index}"), embed)?;
    }
    if all > EMBEDS_CHARS_MAX {
        let message = format!("Embed size exceeds maximum size of {EMBEDS_CHARS_MAX}");
        return Err(invalid(
            "/embeds",
            "MAX_EMBED_SIZE_EXCEEDED",
            &message,
            Breach::Size,
        ));
    }
    Ok(())
}

/// Checks an embed and counts its characters.
fn check_embed(at: &str, embed: &Value) -> Result<usize, Box<Refusal>> {
    let mut all = check_parts(at, embed, PARTS)?;
    let fields = embed["fields"].as_array().map_or(&[][..], Vec::as_slice);
    if fields.len() > FIELDS_MAX {
        return Err(too_long(&format!("{at}/fields"), FIELDS_MAX));
    }
    for (index, field) in fields.iter().enumerate() {
        let at = format!("{at}/fields/{index}");
        for (part, _) in FIELD_PARTS {
            if super::fields::text(field, part).is_none() {
                let message = "This field is required";
                return Err(invalid(
                    &format!("{at}{part}"),
                    "BASE_TYPE_REQUIRED",
                    message,
                    Breach::Content,
                ));
            }
        }
        all += check_parts(&at, field, FIELD_PARTS)?;
    }
    Ok(all)
}

fn check_parts(at: &str, value: &Value, parts: &[(&str, usize)]) -> Result<usize, Box<Refusal>> {
    let mut all = 0;
    for (part, most) in parts {
        let said = value.pointer(part).and_then(Value::as_str).unwrap_or("");
        if chars(said) > *most {
            return Err(too_long(&format!("{at}{part}"), *most));
        }
        all += chars(said);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
