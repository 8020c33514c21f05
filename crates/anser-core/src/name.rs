//! The grammar of names: topics, resources, event types, tags, routing keys and direct addresses. Each check answers
//! with a [`Problem`] that names the rule; callers add the field's path.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{
    ADDRESS_BYTES_MAX, NAME_BYTES_MAX, ROUTING_KEY_BYTES_MAX, ROUTING_KEY_DOTS_MAX, TAG_BYTES_MAX,
    TYPE_BYTES_MAX,
};
use crate::problem::Problem;

/// The system topic of messages that have only direct addresses.
pub const TOPIC_DIRECT: &str = "$direct";
/// The system topic of deliveries that ended as dead.
pub const TOPIC_DEAD: &str = "$dead";
/// The system topic of operator messages.
pub const TOPIC_OPS: &str = "$ops";
/// The system topic of changes of users' presence.
pub const TOPIC_PRESENCE: &str = "$presence";

const NAME_RULE: &str = "[A-Za-z][A-Za-z0-9._-]{0,126}";

/// Checks the name of a resource (topic, channel, subscription, key): a letter, then at most 126 letters, digits,
/// `.`, `_` or `-`. System topics (`$…`) are refused: clients cannot create or publish to them.
///
/// # Errors
/// `invalid_name` or, for a system topic, `system_topic`.
pub fn check_name(field: &str, name: &str) -> Result<(), Problem> {
    if name.strip_prefix('$').is_some_and(is_name) {
        return Err(Problem::invalid(
            "system_topic",
            field,
            "names that begin with $ belong to the system; choose another",
        ));
    }
    if is_name(name) {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_name",
        field,
        "a name is a letter followed by at most 126 letters, digits, '.', '_' or '-'",
    )
    .accepted(NAME_RULE))
}

/// Whether `topic` is a system topic.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    topic.starts_with('$')
}

/// The form in which names are compared: unique ignoring (ASCII) case.
#[must_use]
pub fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
}

fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() <= NAME_BYTES_MAX
        && bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte))
}

/// Checks an event type: 1 to 128 letters, digits, `_`, `.` or `-`.
///
/// # Errors
/// `invalid_type`.
pub fn check_type(field: &str, name: &str) -> Result<(), Problem> {
    let valid = (1..=TYPE_BYTES_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    if valid {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_type",
        field,
        "a type is 1 to 128 letters, digits, '_', '.' or '-', its words split at '.'",
    )
    .accepted("[A-Za-z0-9_.-]{1,128}"))
}

/// Checks a tag: 1 to 64 bytes without control characters.
///
/// # Errors
/// `invalid_tag`.
pub fn check_tag(field: &str, tag: &str) -> Result<(), Problem> {
    check_text("invalid_tag", field, tag, TAG_BYTES_MAX)
}

/// Checks a routing key: at most 128 bytes without control characters, at most 15 dots.
///
/// # Errors
/// `invalid_routing_key`.
pub fn check_routing_key(field: &str, key: &str) -> Result<(), Problem> {
    check_text("invalid_routing_key", field, key, ROUTING_KEY_BYTES_MAX)?;
    if key.bytes().filter(|byte| *byte == b'.').count() > ROUTING_KEY_DOTS_MAX {
        return Err(Problem::invalid(
            "invalid_routing_key",
            field,
            "a routing key has at most 15 dots",
        ));
    }
    Ok(())
}

/// Checks a free text such as an ordering key: 1 to `most` bytes without control characters.
///
/// # Errors
/// The given `code`.
pub fn check_text(code: &'static str, field: &str, text: &str, most: usize) -> Result<(), Problem> {
    if text.is_empty() || text.len() > most {
        return Err(Problem::invalid(
            code,
            field,
            format!("must have 1 to {most} bytes, has {}", text.len()),
        ));
    }
    if text.chars().any(char::is_control) {
        return Err(Problem::invalid(
            code,
            field,
            "must not contain control characters",
        ));
    }
    Ok(())
}

/// Bytes of a user's id.
const USER_BYTES_MAX: usize = 128;
/// Bytes of a session's resource.
const RESOURCE_BYTES_MAX: usize = 64;

/// The id of a user: 1 to 128 bytes without spaces, control characters and `/`. Compared exactly, case too: it comes
/// from an application's own tokens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, JsonSchema)]
#[serde(transparent)]
pub struct UserId(String);

impl UserId {
    /// Checks an id.
    ///
    /// # Errors
    /// `invalid_user`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        check_user(field, text)?;
        Ok(Self(text.to_owned()))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that reaches every session of the user: `user:ID`.
    #[must_use]
    pub fn address(&self) -> String {
        format!("{USER_PREFIX}{}", self.0)
    }
}

impl fmt::Display for UserId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::borrow::Borrow<str> for UserId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        let text = text.strip_prefix(USER_PREFIX).unwrap_or(&text);
        Self::parse("", text).map_err(|problem| serde::de::Error::custom(problem.detail))
    }
}

/// Checks a user's id.
///
/// # Errors
/// `invalid_user`.
pub fn check_user(field: &str, text: &str) -> Result<(), Problem> {
    check_text("invalid_user", field, text, USER_BYTES_MAX)?;
    if text.contains('/') || text.chars().any(char::is_whitespace) {
        return Err(Problem::invalid(
            "invalid_user",
            field,
            "a user's id has no spaces and no '/'",
        ));
    }
    Ok(())
}

/// Checks the resource of a session, which tells a user's sessions apart: 1 to 64 bytes without spaces and control
/// characters.
///
/// # Errors
/// `invalid_resource`.
pub fn check_resource(field: &str, text: &str) -> Result<(), Problem> {
    check_text("invalid_resource", field, text, RESOURCE_BYTES_MAX)?;
    if text.chars().any(char::is_whitespace) {
        return Err(Problem::invalid(
            "invalid_resource",
            field,
            "a resource has no spaces",
        ));
    }
    Ok(())
}

/// Where a message goes directly, beside its topic's subscriptions.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A channel.
    Channel {
        /// The channel's name.
        name: String,
        /// Whom in that channel: a chat, a user, an e-mail address; its meaning is the channel's.
        target: Option<String>,
    },
    /// A queue, by name.
    Queue(String),
    /// A user: all sessions, or the mailbox.
    User {
        /// The user's id.
        id: UserId,
        /// Only the session of this resource.
        resource: Option<String>,
    },
    /// A room, by name.
    Room(String),
}

/// What an address of a queue begins with.
pub const QUEUE_PREFIX: &str = "queue:";
/// What an address of a user begins with.
pub const USER_PREFIX: &str = "user:";
/// What an address of a room begins with.
pub const ROOM_PREFIX: &str = "room:";

/// What the name of a room's topic begins with.
const ROOM_TOPIC_PREFIX: &str = "$room.";

/// The address of the room of that name.
#[must_use]
pub fn room_address(name: &str) -> String {
    format!("{ROOM_PREFIX}{name}")
}

/// The system topic that the messages of the room of that name are on.
#[must_use]
pub fn room_topic(name: &str) -> String {
    format!("{ROOM_TOPIC_PREFIX}{name}")
}

/// The address of the queue of that name.
#[must_use]
pub fn queue_address(name: &str) -> String {
    format!("{QUEUE_PREFIX}{name}")
}

impl Address {
    /// Reads `CHANNEL[/TARGET]`, `queue:NAME`, `user:ID[/RESOURCE]` or `room:NAME`.
    ///
    /// # Errors
    /// `invalid_address`; `invalid_user` or `invalid_resource` behind `user:`.
    pub fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        check_text("invalid_address", field, text, ADDRESS_BYTES_MAX)?;
        if let Some(user) = text.strip_prefix(USER_PREFIX) {
            let (id, resource) = match user.split_once('/') {
                Some((id, resource)) => (id, Some(resource)),
                None => (user, None),
            };
            if let Some(resource) = resource {
                check_resource(field, resource)?;
            }
            return Ok(Self::User {
                id: UserId::parse(field, id)?,
                resource: resource.map(str::to_owned),
            });
        }
        let invalid = || {
            Problem::invalid(
                "invalid_address",
                field,
                "an address is a channel's name, alone or followed by / and a target, or queue:, user: or room: and a name",
            )
            .accepted("CHANNEL, CHANNEL/TARGET, queue:NAME, user:ID, user:ID/RESOURCE or room:NAME")
        };
        let name = |name: &str| is_name(name).then(|| name.to_owned()).ok_or_else(invalid);
        if let Some(queue) = text.strip_prefix(QUEUE_PREFIX) {
            return name(queue).map(Self::Queue);
        }
        if let Some(room) = text.strip_prefix(ROOM_PREFIX) {
            return name(room).map(Self::Room);
        }
        let (channel, target) = match text.split_once('/') {
            Some((channel, target)) => (channel, Some(target.to_owned())),
            None => (text, None),
        };
        if !is_name(channel) || target.as_deref() == Some("") {
            return Err(invalid());
        }
        Ok(Self::Channel {
            name: channel.to_owned(),
            target,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["a", "orders", "Orders.eu-1_x", &"a".repeat(127)] {
            assert!(check_name("name", good).is_ok(), "{good}");
        }
        for bad in ["", "1a", "a b", "a/b", "é", ".a", &"a".repeat(128), "a\0"] {
            assert_eq!(
                check_name("name", bad).unwrap_err().code,
                "invalid_name",
                "{bad}"
            );
        }
        assert_eq!(
            check_name("topic", "$ops").unwrap_err().code,
            "system_topic"
        );
    }

    #[test]
    fn addresses() {
        let channel = |name: &str, target: Option<&str>| Address::Channel {
            name: name.to_owned(),
            target: target.map(str::to_owned),
        };
        let parse = |text| Address::parse("to[0]", text).unwrap();
        assert_eq!(parse("ops/oc_x/y"), channel("ops", Some("oc_x/y")));
        assert_eq!(parse("ops"), channel("ops", None));
        assert_eq!(parse("queue:jobs"), Address::Queue("jobs".to_owned()));
        assert_eq!(parse("room:dev"), Address::Room("dev".to_owned()));
        let user = |id: &str, resource: Option<&str>| Address::User {
            id: UserId::parse("id", id).unwrap(),
            resource: resource.map(str::to_owned),
        };
        assert_eq!(parse("user:auth0|a@b"), user("auth0|a@b", None));
        assert_eq!(parse("user:a/phone/1"), user("a", Some("phone/1")));
        for (bad, code) in [
            ("", "invalid_address"),
            ("/x", "invalid_address"),
            ("ops/", "invalid_address"),
            ("user:", "invalid_user"),
            ("user:a b", "invalid_user"),
            ("user:a/", "invalid_resource"),
            ("room:", "invalid_address"),
            ("room:a b", "invalid_address"),
            ("queue:", "invalid_address"),
            ("queue:a/b", "invalid_address"),
        ] {
            assert_eq!(
                Address::parse("to[0]", bad).unwrap_err().code,
                code,
                "{bad}"
            );
        }
    }

    #[test]
    fn routing_keys() {
        assert!(check_routing_key("k", "a.b.c").is_ok());
        assert!(check_routing_key("k", &"a.".repeat(16)).is_err());
        assert!(check_routing_key("k", "").is_err());
    }
}
