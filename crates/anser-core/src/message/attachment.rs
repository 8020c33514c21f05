//! Attachments: bytes that ride along with a message, by link or inline, with their integrity.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::blob::BlobHash;

/// One attachment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Its id within the message; segments refer to it as `att`.
    #[schemars(length(min = 1, max = 64))]
    pub id: String,
    /// File name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Media type, such as `image/png`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media_type: Option<String>,
    /// Bytes. Checked against inline bytes and blobs, and stamped from them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// SHA-256 of the bytes, lower-case hex. Checked against inline bytes and blobs, and stamped from them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Where the bytes are.
    pub source: Source,
    /// Pixels, for pictures and video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// Pixels, for pictures and video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub height: Option<u32>,
    /// Milliseconds, for audio and video.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
}

/// Where an attachment's bytes are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// An `http` or `https` link that the receiver fetches.
    Url(String),
    /// Base64 of at most 64 KiB (RFC 4648 §4).
    Inline(String),
    /// A blob of this gateway, by content hash: 64 hexadecimal digits, lower-case once accepted.
    Blob(String),
}

impl Attachment {
    /// The blob that the bytes are in; `None` when they are elsewhere, or the name is none.
    #[must_use]
    pub fn blob(&self) -> Option<BlobHash> {
        match &self.source {
            Source::Blob(hash) => hash.parse().ok(),
            Source::Url(_) | Source::Inline(_) => None,
        }
    }
}

/// The blobs that attachments refer to, each once.
#[must_use]
pub(super) fn blobs(attachments: &[Attachment]) -> Vec<BlobHash> {
    let mut blobs: Vec<BlobHash> = attachments.iter().filter_map(Attachment::blob).collect();
    blobs.sort_unstable();
    blobs.dedup();
    blobs
}
