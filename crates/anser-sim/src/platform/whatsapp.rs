//! WhatsApp Cloud API: messages and media of a number of a business, and questions about both. Refuses with an HTTP status and
//! an `error` with a code, from Meta's reference of the Cloud API. What the platform tells later by an event, such as that a
//! person cannot be reached, is told at once. Must not fetch what a link names.

mod callback;
mod codes;
mod content;
mod heard;
mod media;

use std::time::Duration;

use anser_core::Timestamp;
use http::{Method, header};
use serde_json::{Value, json};

use super::fields::gist;
use super::same_text;
use super::{Answer, Breach, Call, Desk, Letter, Refusal, Robot, Stand, Verdict};
use crate::emit::{Said, Unsaid};
use crate::limit::{Counted, Limit, Shape};
pub(super) use callback::Webhooks;
use codes::{refuse, told, without_number};
pub(super) use heard::TALKS;

/// The version that the stand-in's own URL names; others are taken.
const VERSION: &str = "v24.0";
/// Where files are got back from.
const ATTACHMENTS: &str = "/whatsapp_business/attachments/";
/// A number that ends so has no WhatsApp.
const STRANGER: &str = "131026";
/// A number that ends so has not written for a day: it takes templates only.
const SILENT: &str = "131047";
/// Digits of a telephone number with its country code.
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// 80 messages a second of a number; to one person one in 6 seconds, with up to 45 ahead of their time.
pub(super) fn limits() -> Vec<Limit> {
    let pair = Limit::sliding(Counted::Chat, 45, Duration::from_secs(45 * 6));
    vec![
        Limit::sliding(Counted::Robot, 80, Duration::from_secs(1)),
        pair.shaped(Shape::Bucket),
    ]
}

/// The id of a number, and the token that opens it.
pub(super) fn credentials(number: u32) -> (String, Option<String>) {
    let token = format!("EAASimWhatsAppToken{number:030}");
    (format!("1065403522{number:05}"), Some(token))
}

/// Where a number's messages go.
pub(super) fn path(id: &str) -> String {
    format!("/{VERSION}/{id}/messages")
}

/// The stand-in.
pub(super) struct WhatsApp;

impl Stand for WhatsApp {
    fn judge(&mut self, call: &Call, desk: &mut Desk<'_>) -> Result<Verdict, Box<Refusal>> {
        if call.path == ATTACHMENTS && call.method == Method::GET {
            let number = authorized(call, desk)?;
            return media::download(call, desk, &number.token);
        }
        let Some((id, edge)) = route(&call.path) else {
            return Err(refuse("2500", Breach::Content));
        };
        let number = authorized(call, desk)?;
        let own = id == number.token;
        match (&call.method, edge) {
            (&Method::POST, Some("messages")) if own => send(call, desk, number),
            (&Method::POST, Some("media")) if own => media::upload(call, desk, number),
            (&Method::GET, None) if own => Ok(Verdict::Answered(about(call, number))),
            (&Method::GET, None) => media::about(call, desk, &number.token, id),
            _ => Err(without_number(id)),
        }
    }

    fn hear(
        &mut self,
        said: &Said,
        desk: &mut Desk<'_>,
        now: Timestamp,
    ) -> Result<(Letter, Value), Unsaid> {
        heard::hear(said, desk, now)
    }

    fn refusal(&self, code: &str, _wait: Duration) -> Answer {
        told(code, None)
    }
}

/// What a path names below the version: a number or a file, and what of it.
fn route(path: &str) -> Option<(&str, Option<&str>)> {
    let (version, rest) = path.strip_prefix('/')?.split_once('/')?;
    let numbers = version.strip_prefix('v')?;
    let is_version = numbers
        .split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let (id, edge) = match rest.split_once('/') {
        Some((id, edge)) => (id, Some(edge)),
        None => (rest, None),
    };
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
    (is_version && is_id).then_some((id, edge))
}

/// The number that the token opens.
fn authorized<'a>(call: &Call, desk: &Desk<'a>) -> Result<&'a Robot, Box<Refusal>> {
    let value = call.headers.get(header::AUTHORIZATION);
    let bearer = value.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    let token = bearer
        .or_else(|| call.parameter("access_token"))
        .ok_or_else(|| refuse("104", Breach::Credentials))?;
    let held = |robot: &&Robot| {
        let secret = robot.secret.as_deref();
        secret.is_some_and(|secret| same_text(secret, token))
    };
    let found = desk.robots.iter().find(held);
    found.ok_or_else(|| refuse("190", Breach::Credentials))
}

/// What is known of a number: the fields that are asked for, and its id.
fn about(call: &Call, number: &Robot) -> Answer {
    let digits = number.token.get(number.token.len().saturating_sub(4)..);
    let display = format!("+1 555-010-{}", digits.unwrap_or_default());
    let mut known = json!({"verified_name": "Anser", "display_phone_number": display, "quality_rating": "GREEN",
        "code_verification_status": "VERIFIED", "platform_type": "CLOUD_API", "id": number.token});
    if let (Some(fields), Some(members)) = (call.parameter("fields"), known.as_object_mut()) {
        let wanted: Vec<&str> = fields.split(',').map(str::trim).collect();
        members.retain(|name, _| name == "id" || wanted.contains(&name.as_str()));
    }
    Answer::json(200, &known)
}

/// A message that is whole, to somebody who can have it.
fn send(call: &Call, desk: &mut Desk<'_>, number: &Robot) -> Result<Verdict, Box<Refusal>> {
    let body: Value =
        serde_json::from_slice(&call.body).map_err(|_| refuse("100", Breach::Content))?;
    let (kind, uploads) = content::check(desk, &number.token, &body)?;
    let written = body["to"].as_str().unwrap_or_default();
    let to = digits(written).ok_or_else(|| codes::parameter("to", Breach::Content))?;
    let chat = format!("{} {to}", number.token);
    desk.take(
        call,
        &[(Counted::Robot, &number.token), (Counted::Chat, &chat)],
    )
    .map_err(|over| match over.counted {
        Counted::Chat => refuse("131056", Breach::Rate),
        _ => refuse("130429", Breach::Rate),
    })?;
    if to.ends_with(STRANGER) {
        return Err(refuse("131026", Breach::Content));
    }
    if to.ends_with(SILENT) && kind != "template" {
        return Err(refuse("131047", Breach::Content));
    }
    let id = format!("wamid.SimWhatsApp{:020}", desk.number);
    let mut message = json!({"id": id});
    if kind == "template" {
        message["message_status"] = "accepted".into();
    }
    let done = json!({"messaging_product": "whatsapp", "contacts": [{"input": written, "wa_id": to}],
        "messages": [message]});
    let said = body["text"]["body"].as_str();
    let letter = Letter {
        robot: number.token.clone(),
        conversation: to,
        id: Some(id),
        kind,
        text: said.map_or_else(|| gist(&body), str::to_owned),
        body,
        uploads,
        ..Letter::default()
    };
    Ok(Verdict::Taken(letter, Answer::json(200, &done)))
}

/// A telephone number, however people write it.
fn digits(written: &str) -> Option<String> {
    let number: String = written.chars().filter(|c| !"+-() ".contains(*c)).collect();
    let good =
        NUMBER_DIGITS.contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    good.then_some(number)
}

#[cfg(test)]
mod tests;
