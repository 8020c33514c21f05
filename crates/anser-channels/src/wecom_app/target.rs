//! Whom an app writes to: people, departments, tags, or a group. Must not send to everybody unless that is what was written.

use anser_core::Problem;
use serde_json::{Map, Value};

/// What a target looks like.
const RULE: &str =
    "user/ID, party/NUMBER, tag/NUMBER, several as in user/ann|bob; chat/CHATID; or @all";
/// Everybody who can see the app.
const ALL: &str = "@all";
/// Bytes of the id of a person or a group.
const ID_BYTES_MAX: usize = 64;

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// People, departments or tags, as the API's member `touser`, `toparty` or `totag` has them.
    Members {
        /// The member.
        name: &'static str,
        /// The ids, with `|` between them.
        ids: String,
    },
    /// A group that an app made.
    Chat(String),
}

impl Target {
    /// Reads a target. A word without a slash is a person, or people.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let (kind, ids) = text.split_once('/').unwrap_or(("user", text));
        let (name, most, good): (_, usize, fn(&str) -> bool) = match kind {
            _ if text == ALL || text == "user/@all" => {
                let ids = ALL.to_owned();
                return Ok(Self::Members {
                    name: "touser",
                    ids,
                });
            }
            // As many as the API takes in one message (path 90236).
            "user" => ("touser", 1_000, is_id),
            "party" => ("toparty", 100, is_number),
            "tag" => ("totag", 100, is_number),
            "chat" if is_id(ids) => return Ok(Self::Chat(ids.to_owned())),
            _ => return Err(invalid(field)),
        };
        if ids.split('|').count() > most || !ids.split('|').all(good) {
            return Err(invalid(field));
        }
        let ids = ids.to_owned();
        Ok(Self::Members { name, ids })
    }

    /// Whether it is a group, which has an address of its own in the API and fewer forms.
    pub(super) const fn is_chat(&self) -> bool {
        matches!(self, Self::Chat(_))
    }

    /// The same word for every way to write it.
    pub(super) fn whom(&self) -> String {
        match self {
            Self::Members { name, ids } => format!("{name}/{ids}"),
            Self::Chat(id) => format!("chat/{id}"),
        }
    }

    /// Puts the target into a body, and nobody else.
    pub(super) fn address(&self, body: &mut Map<String, Value>) {
        for name in ["touser", "toparty", "totag", "chatid"] {
            body.remove(name);
        }
        match self {
            Self::Members { name, ids } => body.insert((*name).to_owned(), ids.as_str().into()),
            Self::Chat(id) => body.insert("chatid".to_owned(), id.as_str().into()),
        };
    }
}

fn invalid(field: &str) -> Problem {
    let detail = "is nobody whom an app of WeCom could write to";
    Problem::invalid("invalid_target", field, detail).accepted(RULE)
}

fn is_id(id: &str) -> bool {
    (1..=ID_BYTES_MAX).contains(&id.len())
        && id.as_bytes()[0].is_ascii_alphanumeric()
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte))
}

fn is_number(id: &str) -> bool {
    (1..=20).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit())
}
