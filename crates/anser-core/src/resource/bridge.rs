//! Bridges as written: chats of any platforms that are linked with one another. Must not know what carries a message over.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::name::{Address, fold};
use crate::problem::Problem;

/// Chats of one bridge, at the least and at the most.
pub const BRIDGE_CHATS: std::ops::RangeInclusive<usize> = 2..=10;

/// Links chats: what people write in one of them is carried over to the others, as are replies, edits and recalls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BridgeSpec {
    /// The chats, `CHANNEL/TARGET` as in the `conversation.id` of what comes in; a channel alone where it is a chat by
    /// itself, and then only gets copies.
    #[schemars(length(min = 2, max = 10), inner(length(min = 1, max = 512)))]
    pub chats: Vec<String>,
    /// How copies tell who wrote the message.
    #[serde(default)]
    pub names: BridgeNames,
}

/// How copies tell who wrote the message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BridgeNames {
    /// By name and platform before the text, as in `Ann (Slack): hello`.
    #[default]
    Prefix,
    /// Not at all.
    None,
}

impl BridgeSpec {
    /// Checks what stands by itself; whether the channels are there is checked elsewhere.
    ///
    /// # Errors
    /// `invalid_bridge` for too few or too many chats, one that is named twice, or what is no chat of a platform;
    /// `invalid_address`.
    pub fn check(&self) -> Result<(), Problem> {
        let refused =
            |field: String, detail: String| Problem::invalid("invalid_bridge", field, detail);
        if !BRIDGE_CHATS.contains(&self.chats.len()) {
            let (least, most) = (BRIDGE_CHATS.start(), BRIDGE_CHATS.end());
            let detail = format!(
                "a bridge links {least} to {most} chats, this one names {}",
                self.chats.len()
            );
            return Err(refused("bridge.chats".to_owned(), detail));
        }
        let mut seen = Vec::with_capacity(self.chats.len());
        for (i, text) in self.chats.iter().enumerate() {
            let field = format!("bridge.chats[{i}]");
            let Address::Channel { name, target } = Address::parse(&field, text)? else {
                let detail =
                    "is no chat of a platform; make another subscription for it".to_owned();
                return Err(refused(field, detail).accepted("CHANNEL/TARGET, or CHANNEL"));
            };
            let chat = (fold(&name), target);
            if seen.contains(&chat) {
                let detail = format!("names {text} a second time; a chat is in a bridge once");
                return Err(refused(field, detail));
            }
            seen.push(chat);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(chats: &[&str]) -> (&'static str, Option<String>) {
        let spec = BridgeSpec {
            chats: chats.iter().map(|&chat| chat.to_owned()).collect(),
            names: BridgeNames::Prefix,
        };
        spec.check()
            .map_or_else(|problem| (problem.code, problem.field), |()| ("fine", None))
    }

    #[test]
    fn a_bridge_names_each_chat_once() {
        assert_eq!(refused(&["a/1", "b/1", "a/2", "c"]).0, "fine");
        let at = |field: &str| Some(field.to_owned());
        let invalid = |field| ("invalid_bridge", at(field));
        assert_eq!(refused(&["a/1"]), invalid("bridge.chats"));
        assert_eq!(refused(&["a/1"; 11]), invalid("bridge.chats"));
        assert_eq!(refused(&["a/1", "A/1"]), invalid("bridge.chats[1]"));
        for none in ["queue:a", "user:a"] {
            assert_eq!(refused(&["a/1", none]), invalid("bridge.chats[1]"));
        }
    }
}
