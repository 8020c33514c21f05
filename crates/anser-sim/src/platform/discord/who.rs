//! Discord, who is there: bots, their applications, and channels, as the API shows them. Must not know what they do.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use serde_json::{Value, json};

use super::super::{Chat, ChatKind, Desk, Robot};
use super::{GUILD_ID, content};

/// How much the id of a conversation with a person is above the person's.
const CONVERSATION: i64 = 900_000_000;

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
pub(super) fn shown(chat: &Chat) -> Value {
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
