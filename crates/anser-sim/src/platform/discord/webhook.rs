//! Discord, webhooks: `/webhooks/{id}/{token}` executes one, and what it posted is shown, edited and deleted below it. Must not
//! know bots.

use http::Method;
use serde_json::{Value, json};

use super::super::{Answer, Breach, Call, Desk, Refusal, Robot, Verdict};
use super::codes::{limited, refuse};
use super::interactions::Interaction;
use super::messages::{Messages, Posted, Writer};
use super::who::about;
use super::{CHANNEL_ID, GUILD_ID, files, no_content};
use crate::limit::Counted;

/// The webhook that a path names.
pub(super) fn webhook<'a>(desk: &Desk<'a>, parts: &[&str]) -> Option<&'a Robot> {
    match parts {
        ["webhooks", id, token, ..] => desk.robot(&format!("{id}/{token}")),
        _ => None,
    }
}

/// Judges what answers an interaction: it is posted where that was given, in the bot's name, and nobody counts it.
pub(super) fn answer(
    messages: &mut Messages,
    call: &Call,
    desk: &mut Desk<'_>,
    open: &Interaction,
    rest: &[&str],
) -> Result<Verdict, Box<Refusal>> {
    let bot = desk
        .robot(&open.bot)
        .ok_or_else(|| refuse("10015", Breach::Credentials))?;
    let writer = Writer {
        token: &open.bot,
        author: about(bot),
        webhook: Some(&open.app),
        channel: &open.channel,
        conversation: &open.channel,
    };
    match (&call.method, rest) {
        (&Method::POST, []) => {
            let body = files::payload(call)?;
            Ok(match messages.post(call, desk, &writer, body)? {
                Posted::New(letter, shown) => Verdict::Taken(*letter, Answer::json(200, &shown)),
                Posted::Before(shown) => Verdict::Answered(Answer::json(200, &shown)),
            })
        }
        (&Method::PATCH, ["messages", message]) => {
            let body = files::payload(call)?;
            let (change, shown) = messages.edit(call, desk, &writer, message, body)?;
            Ok(Verdict::Edited(change, Answer::json(200, &shown)))
        }
        (&Method::DELETE, ["messages", message]) => Ok(Verdict::Recalled(
            messages.delete(&writer, message)?,
            no_content(),
        )),
        _ => Err(refuse("404", Breach::Content)),
    }
}

/// Judges a request to a webhook; `parts` begin with its id and token.
pub(super) fn judge(
    messages: &mut Messages,
    call: &Call,
    desk: &mut Desk<'_>,
    (id, token, rest): (&str, &str, &[&str]),
) -> Result<Verdict, Box<Refusal>> {
    let Some(robot) = desk.robot(&format!("{id}/{token}")) else {
        let known = |robot: &Robot| robot.token.split('/').next() == Some(id);
        let code = match desk.robots.iter().any(known) {
            true => "50027",
            false => "10015",
        };
        return Err(refuse(code, Breach::Credentials));
    };
    if call.method == Method::GET && rest.is_empty() {
        let shown = json!({"application_id": null, "avatar": null, "channel_id": CHANNEL_ID,
            "guild_id": GUILD_ID, "id": id, "name": "Anser", "type": 1, "token": token});
        return Ok(Verdict::Answered(Answer::json(200, &shown)));
    }
    let message = match (&call.method, rest) {
        (&Method::POST, []) => None,
        (&Method::GET | &Method::PATCH | &Method::DELETE, ["messages", message]) => Some(*message),
        (_, [] | ["messages", _]) => return Err(refuse("405", Breach::Content)),
        _ => return Err(refuse("404", Breach::Content)),
    };
    desk.take(call, &[(Counted::Robot, &robot.token)])
        .map_err(|over| limited(over, false))?;
    let thread = call.parameter("thread_id");
    let body = match call.method {
        Method::POST | Method::PATCH => files::payload(call)?,
        _ => Value::Null,
    };
    let name = body["username"].as_str().unwrap_or("Anser");
    let writer = Writer {
        token: &robot.token,
        author: json!({"id": id, "username": name, "avatar": null, "discriminator": "0000", "public_flags": 0,
            "flags": 0, "bot": true, "global_name": null, "clan": null, "primary_guild": null}),
        webhook: Some(id),
        channel: thread.unwrap_or(CHANNEL_ID),
        conversation: thread.unwrap_or(&robot.token),
    };
    match (&call.method, message) {
        (&Method::GET, Some(message)) => {
            let shown = messages.show(&writer, message)?;
            Ok(Verdict::Answered(Answer::json(200, &shown)))
        }
        (&Method::PATCH, Some(message)) => {
            let (change, shown) = messages.edit(call, desk, &writer, message, body)?;
            Ok(Verdict::Edited(change, Answer::json(200, &shown)))
        }
        (_, Some(message)) => Ok(Verdict::Recalled(
            messages.delete(&writer, message)?,
            no_content(),
        )),
        (_, None) => {
            let waits = matches!(call.parameter("wait"), Some("true" | "1" | "True"));
            let posted = messages.post(call, desk, &writer, body)?;
            Ok(match posted {
                Posted::New(letter, shown) if waits => {
                    Verdict::Taken(*letter, Answer::json(200, &shown))
                }
                Posted::New(letter, _) => Verdict::Taken(*letter, no_content()),
                Posted::Before(shown) => Verdict::Answered(Answer::json(200, &shown)),
            })
        }
    }
}
