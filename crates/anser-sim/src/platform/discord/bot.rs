//! Discord, the routes of bots: who they are, channels of people, and the messages of a channel. Must not know webhooks.

use http::{Method, header};
use serde_json::Value;

use super::super::{Answer, Breach, Call, Chat, ChatKind, Desk, Refusal, Robot, Verdict};
use super::codes::{invalid, limited, refuse};
use super::messages::{Messages, Posted, Writer};
use super::who::{about, application, channel_id, shown};
use super::{files, gateway, is_bot, no_content};
use crate::limit::Counted;

/// The bot whose token the request has.
pub(super) fn bot<'a>(call: &Call, desk: &Desk<'a>) -> Option<&'a Robot> {
    let value = call.headers.get(header::AUTHORIZATION)?;
    let token = value.to_str().ok()?.strip_prefix("Bot ")?;
    desk.robot(token).filter(|robot| is_bot(robot))
}

/// The window that a request counts in, by its method and channel; `None` where the stand-in has none.
pub(super) fn window(call: &Call, bot: &Robot, parts: &[&str]) -> Option<String> {
    match parts {
        ["channels", channel, "messages", ..] => {
            Some(format!("{} {} {channel}", bot.token, call.method))
        }
        _ => None,
    }
}

/// Judges a request to a route.
pub(super) fn judge(
    messages: &mut Messages,
    call: &Call,
    desk: &mut Desk<'_>,
    parts: &[&str],
) -> Result<Verdict, Box<Refusal>> {
    let known = matches!(
        parts,
        ["users", "@me"]
            | ["users", "@me", "channels"]
            | ["applications", "@me"]
            | ["oauth2", "applications", "@me"]
            | ["gateway", "bot"]
            | ["channels", _]
            | ["channels", _, "messages"]
            | ["channels", _, "messages", _]
    );
    if !known {
        return Err(refuse("404", Breach::Content));
    }
    let bot = bot(call, desk).ok_or_else(|| refuse("401", Breach::Credentials))?;
    let window = window(call, bot, parts);
    let mut keys = vec![(Counted::App, &*bot.token)];
    keys.extend(window.as_deref().map(|window| (Counted::Chat, window)));
    desk.take(call, &keys)
        .map_err(|over| limited(over, over.counted == Counted::App))?;
    match (&call.method, parts) {
        (&Method::GET, ["users", "@me"]) => Ok(answered(&about(bot))),
        (&Method::GET, ["applications", "@me"] | ["oauth2", "applications", "@me"]) => {
            Ok(answered(&application(bot)))
        }
        (&Method::POST, ["users", "@me", "channels"]) => open(call, desk),
        (&Method::GET, ["gateway", "bot"]) => Ok(answered(&gateway::address(desk.base))),
        (&Method::GET, ["channels", id]) => {
            let (chat, _) = channel(desk, id)?;
            Ok(answered(&shown(chat)))
        }
        (method, ["channels", id, "messages", rest @ ..]) => {
            let (chat, channel) = channel(desk, id)?;
            let writer = Writer {
                token: &bot.token,
                author: about(bot),
                webhook: None,
                channel: &channel,
                conversation: &channel,
            };
            match (method, rest) {
                (&Method::POST, []) => post(messages, call, desk, chat, &writer),
                (&Method::GET, [id]) => Ok(answered(&messages.show(&writer, id)?)),
                (&Method::PATCH, [id]) => {
                    let body = files::payload(call)?;
                    let (change, shown) = messages.edit(call, desk, &writer, id, body)?;
                    Ok(Verdict::Edited(change, Answer::json(200, &shown)))
                }
                (&Method::DELETE, [id]) => Ok(Verdict::Recalled(
                    messages.delete(&writer, id)?,
                    no_content(),
                )),
                _ => Err(refuse("405", Breach::Content)),
            }
        }
        _ => Err(refuse("405", Breach::Content)),
    }
}

fn post(
    messages: &mut Messages,
    call: &Call,
    desk: &mut Desk<'_>,
    chat: &Chat,
    writer: &Writer<'_>,
) -> Result<Verdict, Box<Refusal>> {
    if chat.kind == ChatKind::Channel {
        return Err(refuse("50013", Breach::Content));
    }
    let body = files::payload(call)?;
    Ok(match messages.post(call, desk, writer, body)? {
        Posted::New(letter, shown) => Verdict::Taken(*letter, Answer::json(200, &shown)),
        Posted::Before(shown) => answered(&shown),
    })
}

/// `POST /users/@me/channels`: the conversation with a person.
fn open(call: &Call, desk: &Desk<'_>) -> Result<Verdict, Box<Refusal>> {
    let body = files::payload(call)?;
    let id = &body["recipient_id"];
    let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
    let person = |chat: &&Chat| chat.kind == ChatKind::Private && chat.id.to_string() == id;
    match desk.chats.iter().find(person) {
        Some(chat) => Ok(answered(&shown(chat))),
        None => Err(refuse("50033", Breach::Content)),
    }
}

/// The chat whose channel has that id.
fn channel<'a>(desk: &Desk<'a>, id: &str) -> Result<(&'a Chat, String), Box<Refusal>> {
    if id.parse::<u64>().is_err() {
        let message = format!("Value \"{id}\" is not snowflake.");
        return Err(invalid(
            "/channel_id",
            "NUMBER_TYPE_COERCE",
            &message,
            Breach::Content,
        ));
    }
    let chat = desk.chats.iter().find(|chat| channel_id(chat) == id);
    let chat = chat.ok_or_else(|| refuse("10003", Breach::Content))?;
    Ok((chat, id.to_owned()))
}

fn answered(body: &Value) -> Verdict {
    Verdict::Answered(Answer::json(200, body))
}
