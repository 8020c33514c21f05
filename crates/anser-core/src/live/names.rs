//! The streams that a session reads, and places in them. Offsets are opaque to clients.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{InvalidId, Num};
use crate::time::Timestamp;

/// A stream of messages that a session reads, each with its own offsets: `mailbox`, `topic:NAME` or `room:NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Stream {
    /// What is addressed to the session's user.
    Mailbox,
    /// A topic.
    Topic(String),
    /// A room.
    Room(String),
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mailbox => f.write_str("mailbox"),
            Self::Topic(name) => write!(f, "topic:{name}"),
            Self::Room(name) => write!(f, "room:{name}"),
        }
    }
}

impl FromStr for Stream {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text == "mailbox" {
            return Ok(Self::Mailbox);
        }
        match text.split_once(':') {
            Some(("topic", name)) if !name.is_empty() => Ok(Self::Topic(name.to_owned())),
            Some(("room", name)) if !name.is_empty() => Ok(Self::Room(name.to_owned())),
            _ => Err(InvalidId),
        }
    }
}

impl Serialize for Stream {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stream {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("a stream is mailbox, topic:NAME or room:NAME"))
    }
}

/// A place in a stream. Clients keep it as the text that they were given and give it back.
///
/// A message that was scheduled is given out when its time comes, among messages that were accepted after it: it is
/// placed behind the one given last, and keeps its own place beside that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Offset {
    /// Everything up to this number was given out, apart from what was scheduled.
    pub num: Num,
    /// The scheduled message given out there.
    pub scheduled: Option<Scheduled>,
}

/// The place of a scheduled message among others: they come in the order of their times, whatever their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scheduled {
    /// When its time came, or later when others came between.
    pub place: Timestamp,
    /// Its number.
    pub num: Num,
}

impl Offset {
    /// The beginning of every stream.
    pub const START: Self = Self::at(Num(0));

    /// The place of an ordinary message.
    #[must_use]
    pub const fn at(num: Num) -> Self {
        Self {
            num,
            scheduled: None,
        }
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scheduled {
            None => write!(f, "{}", self.num.0),
            Some(Scheduled { place, num }) => {
                write!(f, "{}.{}.{}", self.num.0, place.millis(), num.0)
            }
        }
    }
}

impl FromStr for Offset {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.then(|| text.parse::<u64>().ok()).flatten();
            number.ok_or(InvalidId)
        };
        let number = |text: &str| {
            let number = Num(digits(text)?);
            (number < Num::END).then_some(number).ok_or(InvalidId)
        };
        let mut parts = text.split('.');
        let num = number(parts.next().unwrap_or_default())?;
        let scheduled = match (parts.next(), parts.next(), parts.next()) {
            (None, None, None) => None,
            (Some(place), Some(num), None) => Some(Scheduled {
                place: i64::try_from(digits(place)?)
                    .ok()
                    .filter(|place| *place <= Timestamp::FAR_FUTURE.millis())
                    .map(Timestamp::from_millis)
                    .ok_or(InvalidId)?,
                num: number(num)?,
            }),
            _ => return Err(InvalidId),
        };
        Ok(Self { num, scheduled })
    }
}

impl Serialize for Offset {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Offset {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse()
            .map_err(|_| serde::de::Error::custom("not an offset that was given out here"))
    }
}

impl JsonSchema for Stream {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Stream".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^(mailbox|topic:.+|room:.+)$"})
    }
}

impl JsonSchema for Offset {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Offset".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "description": "A place in a stream, to be given back as it is"})
    }
}
