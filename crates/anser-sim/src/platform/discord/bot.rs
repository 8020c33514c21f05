//! Discord, the routes of bots: who they are, channels of people, and the messages of a channel. Must not know webhooks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::{Method, header};
use serde_json::{Value, json};

use super::super::{Answer, Breach, Call, Chat, ChatKind, Desk, Refusal, Robot, Verdict};
use super::codes::{invalid, limited, refuse};
use super::messages::{Messages, Posted, Writer};
use super::{GUILD_ID, content, files, gateway, is_bot, no_content};
use crate::limit::Counted;

/// How much the id of a conversation with a person is above the person's.
const CONVERSATION: i64 = 900_000_000;

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

/// The id of a chat's channel: a person's is another than the person's own.
pub(super) fn channel_id(chat: &Chat) -> String {
    match chat.kind {
        ChatKind::Private => (chat.id + CONVERSATION).to_string(),
        ChatKind::Group | ChatKind::Channel => chat.id.to_string(),
    }
}

/// The channels of the server, as the API shows them.
pub(super) fn channels(desk: &Desk<'_>) -> Vec<Value> {
    let open = desk
        .chats
        .iter()
        .filter(|chat| chat.kind != ChatKind::Private);
    open.map(shown).collect()
}

/// A channel as the API shows it.
fn shown(chat: &Chat) -> Value {
    let id = channel_id(chat);
    let last = json!(null);
    match chat.kind {
        ChatKind::Private => json!({"id": id, "type": 1, "last_message_id": last, "flags": 0,
            "recipients": [content::user(&chat.id.to_string(), &chat.title)]}),
        kind => {
            json!({"id": id, "type": if kind == ChatKind::Channel { 5 } else { 0 }, "guild_id": GUILD_ID,
            "name": chat.title, "position": 0, "permission_overwrites": [], "nsfw": false, "topic": null,
            "parent_id": null, "last_message_id": last, "rate_limit_per_user": 0, "flags": 0})
        }
    }
}

/// The bot's own id, which its token begins with.
fn bot_id(bot: &Robot) -> String {
    let first = bot.token.split('.').next().unwrap_or_default();
    let id = STANDARD_NO_PAD.decode(first).ok();
    id.and_then(|id| String::from_utf8(id).ok())
        .unwrap_or_default()
}

/// What a bot is told of itself.
pub(super) fn about(bot: &Robot) -> Value {
    let mut about = content::user(&bot_id(bot), "anser-sim");
    about["bot"] = true.into();
    about
}

/// What a bot is told of its application.
pub(super) fn application(bot: &Robot) -> Value {
    json!({"id": bot_id(bot), "name": "Anser", "icon": null, "description": "", "bot_public": false,
        "bot_require_code_grant": false, "verify_key": "0".repeat(64), "flags": 0, "bot": about(bot),
        "owner": content::user("1000000000000001001", "tom"), "summary": "", "team": null})
}

fn answered(body: &Value) -> Verdict {
    Verdict::Answered(Answer::json(200, body))
}
