//! The grammar of names: topics, resources, event types, tags, routing keys and direct addresses. Each check answers
//! with a [`Problem`] that names the rule; callers add the field's path.

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
}

/// What an address of a queue begins with.
pub const QUEUE_PREFIX: &str = "queue:";

/// The address of the queue of that name.
#[must_use]
pub fn queue_address(name: &str) -> String {
    format!("{QUEUE_PREFIX}{name}")
}

impl Address {
    /// Reads `CHANNEL[/TARGET]` or `queue:NAME`.
    ///
    /// # Errors
    /// `not_available` for `user:` and `room:` addresses, `invalid_address` otherwise.
    pub fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        check_text("invalid_address", field, text, ADDRESS_BYTES_MAX)?;
        if let Some(kind) = ["user:", "room:"]
            .iter()
            .find(|kind| text.starts_with(**kind))
        {
            return Err(Problem::not_available(
                field,
                &format!("an address of the form {kind}NAME"),
            ));
        }
        let invalid = || {
            Problem::invalid(
                "invalid_address",
                field,
                "an address is a channel's name, alone or followed by / and a target, or queue: and a queue's name",
            )
            .accepted("CHANNEL, CHANNEL/TARGET or queue:NAME")
        };
        if let Some(queue) = text.strip_prefix(QUEUE_PREFIX) {
            return if is_name(queue) {
                Ok(Self::Queue(queue.to_owned()))
            } else {
                Err(invalid())
            };
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
        for (bad, code) in [
            ("", "invalid_address"),
            ("/x", "invalid_address"),
            ("ops/", "invalid_address"),
            ("user:a", "not_available"),
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
