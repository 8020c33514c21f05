//! Whom an app writes to: people, or a group. Must not send to more than were named.

use anser_core::Problem;
use serde_json::{Value, json};

/// What a target looks like.
const RULE: &str =
    "user/USERID, up to 20 as in user/ann|bob; or chat/cid…, a group's openConversationId";
/// People in one request (<https://open.dingtalk.com/document/development/chatbots-send-one-on-one-chat-messages-in-batches>).
const USERS_MAX: usize = 20;
/// Bytes of the id of a person.
const USER_BYTES_MAX: usize = 64;
/// Bytes of the id of a group.
const CHAT_BYTES_MAX: usize = 256;

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// People, by their userId.
    Users(Vec<String>),
    /// A group, by its openConversationId.
    Chat(String),
}

impl Target {
    /// Reads a target. What begins with `cid` is a group, and another word without a slash a person, or people.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let chat = text
            .strip_prefix("chat/")
            .or_else(|| text.starts_with("cid").then_some(text));
        if let Some(chat) = chat {
            return if is_chat(chat) {
                Ok(Self::Chat(chat.to_owned()))
            } else {
                Err(invalid(field))
            };
        }
        let users: Vec<String> = text
            .strip_prefix("user/")
            .unwrap_or(text)
            .split('|')
            .map(str::to_owned)
            .collect();
        if users.len() > USERS_MAX || !users.iter().all(|user| is_user(user)) {
            return Err(invalid(field));
        }
        Ok(Self::Users(users))
    }

    /// The member of a body that names it.
    pub(super) fn member(&self) -> (&'static str, Value) {
        match self {
            Self::Users(users) => ("userIds", json!(users)),
            Self::Chat(chat) => ("openConversationId", chat.as_str().into()),
        }
    }

    /// Where messages to it are sent to.
    pub(super) const fn send_path(&self) -> &'static str {
        match self {
            Self::Users(_) => "/v1.0/robot/oToMessages/batchSend",
            Self::Chat(_) => "/v1.0/robot/groupMessages/send",
        }
    }

    /// Where messages to it are taken back.
    pub(super) const fn recall_path(&self) -> &'static str {
        match self {
            Self::Users(_) => "/v1.0/robot/otoMessages/batchRecall",
            Self::Chat(_) => "/v1.0/robot/groupMessages/recall",
        }
    }

    /// Whether nobody of it is left but those.
    pub(super) fn is_within(&self, ids: &[&str]) -> bool {
        match self {
            Self::Users(users) => users.iter().all(|user| ids.contains(&user.as_str())),
            Self::Chat(_) => false,
        }
    }
}

fn invalid(field: &str) -> Problem {
    let detail = "is nobody whom an app of DingTalk could write to";
    Problem::invalid("invalid_target", field, detail).accepted(RULE)
}

fn is_user(id: &str) -> bool {
    (1..=USER_BYTES_MAX).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@$:+".contains(&byte))
}

/// Base64 after `cid`.
fn is_chat(id: &str) -> bool {
    (4..=CHAT_BYTES_MAX).contains(&id.len())
        && id.starts_with("cid")
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+/=-_".contains(&byte))
}
