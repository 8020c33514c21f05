//! A session of the Gateway, as it is kept for the next connection. Must not hold the token.

use anser_core::connection::RESUME_BYTES_MAX;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::kit::arrival::is_word;
use crate::kit::plan::json as bytes_of;

/// Bytes of an address and of an id that are believed.
const TEXT_BYTES_MAX: usize = 256;
/// Tries in vain to reach the address where it is resumed.
const TRIES_MAX: u8 = 6;

/// A session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Session {
    /// Its id.
    pub(super) id: String,
    /// Where it is resumed.
    pub(super) url: String,
    /// The number up to which everything is stored.
    pub(super) stored: u64,
    /// The bot's own id.
    pub(super) bot: String,
    /// The id of the bot's application.
    pub(super) app: String,
    /// How often it was tried in vain to resume it.
    #[serde(default)]
    tries: u8,
    /// The servers that the bot was in when it began; those are told of again, and have not happened.
    #[serde(skip)]
    servers: Vec<String>,
}

impl Session {
    /// The session that a `READY` begins; `None` when it does not say all that is needed.
    pub(super) fn began(ready: &Value, number: u64) -> Option<Self> {
        let text = |value: &Value| {
            let text = value.as_str().filter(|text| is_word(text));
            text.filter(|text| text.len() <= TEXT_BYTES_MAX)
                .map(str::to_owned)
        };
        let servers = ready["guilds"].as_array().into_iter().flatten();
        Some(Self {
            id: text(&ready["session_id"])?,
            url: text(&ready["resume_gateway_url"])?,
            stored: number,
            tries: 0,
            bot: text(&ready["user"]["id"])?,
            app: text(&ready["application"]["id"])?,
            servers: servers.filter_map(|server| text(&server["id"])).collect(),
        })
    }

    /// What was kept; `None` when nothing can be resumed.
    pub(super) fn read(kept: &[u8]) -> Option<Self> {
        serde_json::from_slice(kept).ok()
    }

    /// As it is kept after one more try in vain: not, when there were many.
    pub(super) fn tried(mut self) -> Bytes {
        self.tries = self.tries.saturating_add(1);
        match self.tries {
            TRIES_MAX.. => Bytes::new(),
            _ => self.kept(),
        }
    }

    /// As it is kept.
    pub(super) fn kept(&self) -> Bytes {
        let kept = serde_json::to_value(self).unwrap_or_default();
        let kept = bytes_of(&kept);
        // Its texts are short, but escapes are not.
        if kept.len() > RESUME_BYTES_MAX {
            return Bytes::new();
        }
        kept.into()
    }

    /// Whether the bot was in that server when the session began.
    pub(super) fn has_server(&self, id: &str) -> bool {
        self.servers.iter().any(|server| server == id)
    }
}
