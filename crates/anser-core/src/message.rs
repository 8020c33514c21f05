//! The message format `anser.message/1`: header, body, attachments. [`Item`] is what a publisher writes (low, exactly
//! as given), [`Message`] what the gateway accepts, stores and sends (high, valid). `docs/spec/message.md` is its text,
//! [`schema`] its JSON Schema. Must not know of storage, delivery or any platform.

pub mod attachment;
pub mod body;
pub mod header;
pub mod item;
mod json;
pub mod media_type;
pub mod schema;
pub mod segment;
mod strict;
mod validate;

#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use attachment::{Attachment, Source};
pub use body::Body;
pub use header::{Conversation, ConversationType, Header, Kind, Origin, Sender, SenderKind};
pub use item::{Fingerprint, Item};
pub use segment::Segment;
pub use validate::{Stamp, unknown_blob};

/// The media type of one message as JSON.
pub const MEDIA_TYPE: &str = "application/vnd.anser.message+json";
/// The version that `v` carries.
pub const VERSION: u8 = 1;

/// An accepted message: what is stored, and what the `anser` format sends.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// Version of the format, 1.
    #[schemars(range(min = 1, max = 1))]
    pub v: u8,
    /// Who, where, when, how.
    pub header: Header,
    /// What.
    pub body: Body,
    /// Bytes that ride along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub attachments: Vec<Attachment>,
}

impl Message {
    /// The message as JSON, the form in which it is stored and sent.
    ///
    /// # Panics
    /// Never: every part of a message can be written as JSON.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and raw JSON always serialise")
    }

    /// The blobs that the message refers to, each once.
    #[must_use]
    pub fn blobs(&self) -> Vec<crate::blob::BlobHash> {
        attachment::blobs(&self.attachments)
    }

    /// Reads a stored or received message.
    ///
    /// # Errors
    /// `malformed_json` (400) for bytes that are no JSON, `invalid_field` (422) with the path of the field at fault,
    /// `unsupported_version` when `v` is not [`VERSION`].
    pub fn from_json(json: &[u8]) -> Result<Self, crate::Problem> {
        let message: Self = json::parse_json("", json)?;
        if message.v != VERSION {
            let detail = format!("version {} of the format is not known here", message.v);
            return Err(crate::Problem::invalid("unsupported_version", "v", detail).accepted("1"));
        }
        Ok(message)
    }
}
