//! A published item as the publisher writes it: the message without what the gateway stamps. Read strictly (unknown
//! fields are an error, so that a typo is not lost), with the path of the field at fault.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

use super::attachment::{self, Attachment};
use super::body::BodyFields;
use super::header::{Conversation, Kind};
use crate::blob::BlobHash;
use crate::problem::Problem;
use crate::time::Timestamp;

pub use super::json::parse_json;

/// One published item.
#[derive(Debug, Clone, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Who, where, when, how: what the publisher may say of it.
    #[serde(default)]
    pub header: ItemHeader,
    /// What.
    #[schemars(with = "super::body::Body")]
    pub body: BodyFields,
    /// Bytes that ride along.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub attachments: Vec<Attachment>,
    /// Makes the publish idempotent: same key and same item, same answer, stored once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub dedupe_key: Option<String>,
}

/// The header fields that a publisher may set; their meaning is that of [`super::Header`].
#[derive(Debug, Clone, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ItemHeader {
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub id: Option<Value>,
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub time: Option<Value>,
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub from: Option<Value>,
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub origin: Option<Value>,
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub target_id: Option<Value>,
    /// Stamped by the gateway: refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub hops: Option<Value>,
    /// When it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
    /// Must be the topic of the request, when given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// Words split at `.`, for binding keys; absent: `type`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 128))]
    pub routing_key: Option<String>,
    /// Event type; default `message`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.-]{1,128}$"))]
    pub r#type: Option<String>,
    /// What kind of message it is.
    pub kind: Kind,
    /// Direct addresses, `CHANNEL[/TARGET]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1000))]
    pub to: Vec<String>,
    /// Where an answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversation: Option<Conversation>,
    /// The message this one answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub reply_to: Option<String>,
    /// The publisher's own id for what this belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub correlation_id: Option<String>,
    /// Ordering key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 256))]
    pub key: Option<String>,
    /// Labels that filters match on.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16), inner(length(min = 1, max = 64)))]
    pub tags: Vec<String>,
    /// Not to be delivered earlier; at most 70 days ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Past this, deliveries that have not happened end as `expired`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Timestamp>,
    /// When the message itself is removed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_at: Option<Timestamp>,
    /// BCP 47 language tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 35))]
    pub locale: Option<String>,
    /// W3C Trace Context `traceparent`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 55, max = 55))]
    pub traceparent: Option<String>,
    /// Integrity of the payload bytes: `sha-256=:BASE64:` (RFC 9530).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Any custom fields, at most 8 KiB.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub ext: Map<String, Value>,
}

/// SHA-256 of an item in canonical form, before anything is stamped.
pub type Fingerprint = [u8; 32];

impl Item {
    /// Reads one item.
    ///
    /// # Errors
    /// `malformed_json` (400) for bytes that are no JSON, `invalid_field` (422) with the path otherwise.
    pub fn from_json(json: &[u8]) -> Result<Self, Problem> {
        parse_json("", json)
    }

    /// The blobs that the item refers to, each once. A name that is none is left out: [`super::Message::accept`] refuses
    /// it.
    #[must_use]
    pub fn blobs(&self) -> Vec<BlobHash> {
        attachment::blobs(&self.attachments)
    }

    /// What tells a repeat from another item under the same dedupe key. Not counted: whitespace, the order of members
    /// (also inside `ext`, segments and `override`: many languages write maps in no stable order), `header.topic` (the
    /// key's scope has it) and the dedupe key itself. `data` counts byte for byte, as it is kept.
    ///
    /// # Panics
    /// Never: an item can always be written as JSON.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        let mut header = self.header.clone();
        header.topic = None;
        sort(&mut header.ext);
        let mut body = self.body.clone();
        body.segments
            .iter_mut()
            .flatten()
            .chain(&mut body.template)
            .for_each(Value::sort_all_objects);
        if let Some(overrides) = &mut body.overrides {
            sort(overrides);
        }
        let canonical = serde_json::to_vec(&(header, body, &self.attachments))
            .expect("an item always serialises");
        Sha256::digest(canonical).into()
    }
}

fn sort(members: &mut Map<String, Value>) {
    members.sort_keys();
    members.values_mut().for_each(Value::sort_all_objects);
}
