//! Robots as written: an address that whatever posts to a group robot can post to, and where its messages go. Must not know
//! which dialects there are: that is the door's.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::check_description;
use crate::name::{Address, check_name};
use crate::problem::Problem;

/// Addresses of one robot.
pub const ROBOT_ADDRESSES_MAX: usize = 100;
/// Dialects in one robot's list.
pub const ROBOT_DIALECTS_MAX: usize = 32;
/// Bytes of the name of a dialect.
const DIALECT_BYTES_MAX: usize = 32;
/// Bytes of a robot's secret.
pub const ROBOT_SECRET_BYTES_MAX: usize = 512;

/// A robot: a URL that programs post to as they would to a group robot of a chat platform, or as their own webhook.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct RobotSpec {
    /// The topic that its messages are published to; either this or `to`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 127))]
    pub topic: Option<String>,
    /// Direct addresses that its messages go to, `CHANNEL[/TARGET]` or `queue:NAME`; either this or `topic`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100), inner(length(min = 1, max = 512)))]
    pub to: Vec<String>,
    /// The dialects that it takes, the last part of its URL; absent: every one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 32),
        inner(regex(pattern = r"^[a-z][a-z0-9-]{0,31}$"))
    )]
    pub dialects: Option<Vec<String>>,
    /// What requests are signed with, by the rules of their dialect; those that prove nothing are then refused. It is
    /// shown as `********`. Absent: the URL alone is the proof.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 512))]
    pub secret: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 1024))]
    pub description: Option<String>,
}

impl RobotSpec {
    /// Checks what stands by itself; what it refers to, and whether there are such dialects, is checked elsewhere.
    ///
    /// # Errors
    /// `invalid_destination`, `invalid_name`, `invalid_address`, `not_available`, `too_many`, `invalid_dialect`,
    /// `invalid_secret`, `invalid_text`.
    pub fn check(&self) -> Result<(), Problem> {
        check_description(self.description.as_deref())?;
        self.check_destination()?;
        let dialects = self.dialects.as_deref();
        if dialects.is_some_and(|list| list.is_empty() || list.len() > ROBOT_DIALECTS_MAX) {
            let detail = format!(
                "has 1 to {ROBOT_DIALECTS_MAX} members; leave it out and the robot takes every dialect"
            );
            return Err(Problem::invalid("invalid_dialect", "dialects", detail));
        }
        for (i, dialect) in dialects.unwrap_or_default().iter().enumerate() {
            check_dialect(&format!("dialects[{i}]"), dialect)?;
        }
        match &self.secret {
            Some(secret) => check_secret(secret),
            None => Ok(()),
        }
    }

    /// Whether its list of dialects has this one.
    #[must_use]
    pub fn takes(&self, dialect: &str) -> bool {
        self.dialects
            .as_ref()
            .is_none_or(|list| list.iter().any(|taken| taken == dialect))
    }

    fn check_destination(&self) -> Result<(), Problem> {
        let refused = |field: &str, detail: &str| {
            Err(Problem::invalid("invalid_destination", field, detail).accepted("topic, or to"))
        };
        match (&self.topic, self.to.as_slice()) {
            (None, []) => refused(
                "topic",
                "name the topic or the addresses its messages go to",
            ),
            (Some(_), [_, ..]) => refused("to", "a robot has a topic or addresses, not both"),
            (Some(topic), []) => check_name("topic", topic),
            (None, to) if to.len() > ROBOT_ADDRESSES_MAX => {
                let detail = format!("may have at most {ROBOT_ADDRESSES_MAX}, has {}", to.len());
                Err(Problem::invalid("too_many", "to", detail))
            }
            (None, to) => {
                for (i, address) in to.iter().enumerate() {
                    Address::parse(&format!("to[{i}]"), address)?;
                }
                Ok(())
            }
        }
    }
}

fn check_dialect(field: &str, name: &str) -> Result<(), Problem> {
    let word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let good = (1..=DIALECT_BYTES_MAX).contains(&name.len())
        && name.as_bytes()[0].is_ascii_lowercase()
        && name.bytes().all(word);
    if good {
        return Ok(());
    }
    let detail = "a dialect is named by small letters, digits and hyphens";
    Err(Problem::invalid("invalid_dialect", field, detail).accepted("[a-z][a-z0-9-]{0,31}"))
}

fn check_secret(secret: &str) -> Result<(), Problem> {
    let good = (1..=ROBOT_SECRET_BYTES_MAX).contains(&secret.len())
        && secret.trim() == secret
        && !secret.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    let detail = format!(
        "must have 1 to {ROBOT_SECRET_BYTES_MAX} bytes, without blanks around it and without control characters"
    );
    Err(Problem::invalid("invalid_secret", "secret", detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(json: &str) -> RobotSpec {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn what_a_robot_may_say() {
        for good in [
            r#"{"topic": "alerts"}"#,
            r#"{"to": ["ops/oc_x", "queue:jobs"], "dialects": ["json", "two-words"], "secret": "s"}"#,
        ] {
            assert_eq!(spec(good).check(), Ok(()), "{good}");
        }
        for (bad, code, field) in [
            ("{}", "invalid_destination", "topic"),
            (
                r#"{"topic": "a", "to": ["b"]}"#,
                "invalid_destination",
                "to",
            ),
            (r#"{"topic": "$ops"}"#, "system_topic", "topic"),
            (r#"{"to": ["ops", "/x"]}"#, "invalid_address", "to[1]"),
            (
                r#"{"topic": "a", "dialects": []}"#,
                "invalid_dialect",
                "dialects",
            ),
            (
                r#"{"topic": "a", "dialects": ["json", "No"]}"#,
                "invalid_dialect",
                "dialects[1]",
            ),
            (
                r#"{"topic": "a", "secret": " s"}"#,
                "invalid_secret",
                "secret",
            ),
        ] {
            let problem = spec(bad).check().unwrap_err();
            assert_eq!(
                (problem.code, problem.field.as_deref()),
                (code, Some(field)),
                "{bad}"
            );
        }
    }

    #[test]
    fn without_a_list_every_dialect_is_taken() {
        assert!(spec(r#"{"topic": "a"}"#).takes("json"));
        let one = spec(r#"{"topic": "a", "dialects": ["json"]}"#);
        assert!(one.takes("json") && !one.takes("text"));
    }
}
