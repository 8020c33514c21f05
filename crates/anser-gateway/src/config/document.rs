//! Configuration documents as stored: the resource as configured (its secrets sealed) in an envelope with a version, so
//! that later versions can read what this one wrote. Must not know what a document means.

use anser_core::id::ResourceId;
use anser_core::name::fold;
use anser_core::store::{ConfigRow, StoreError};
use anser_core::{Problem, Timestamp};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::held::Held;

/// The version written. Readers take every version up to it.
const VERSION: u32 = 1;

/// A stored document.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Envelope<S> {
    /// Version of the envelope.
    v: u32,
    /// The resource's name, in the case it was created with.
    pub(crate) name: String,
    /// When it was created.
    pub(crate) created_at: Timestamp,
    /// When it was changed last.
    pub(crate) updated_at: Timestamp,
    /// As configured.
    pub(crate) spec: S,
    /// A subscription's topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) topic: Option<ResourceId>,
    /// When a subscription, or the channel of an endpoint, was held.
    #[serde(default, skip_serializing_if = "is_never")]
    pub(crate) held: Held,
    /// SHA-256 of a key's secret, or of a robot's token, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hash: Option<String>,
    /// A replacing key's lineage; absent: its own number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) lineage: Option<u64>,
    /// A key's credentials for CMQ clients.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cmq: Option<CmqSecret>,
    /// The number of a queue's dead-letter queue.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter: Option<ResourceId>,
    /// When a queue's `rewind` was last turned on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rewind_since: Option<Timestamp>,
}

/// A key's credentials for CMQ clients, as stored. The secret itself is needed to check a signature, so it is sealed
/// and not hashed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct CmqSecret {
    /// Who signs.
    pub(crate) secret_id: String,
    /// What with, sealed.
    pub(crate) secret_key: String,
}

fn is_never(held: &Held) -> bool {
    held.0.is_empty()
}

impl<S> Envelope<S> {
    /// The document of a resource.
    pub(crate) fn new(name: &str, created_at: Timestamp, updated_at: Timestamp, spec: S) -> Self {
        Self {
            v: VERSION,
            name: name.to_owned(),
            created_at,
            updated_at,
            spec,
            topic: None,
            held: Held::default(),
            hash: None,
            lineage: None,
            cmq: None,
            dead_letter: None,
            rewind_since: None,
        }
    }
}

/// The document as bytes.
pub(crate) fn write<S: Serialize>(envelope: &Envelope<S>) -> Bytes {
    serde_json::to_vec(envelope)
        .expect("a specification is strings, numbers and JSON, which always serialise")
        .into()
}

/// Reads a row's document.
pub(super) fn read<S: DeserializeOwned>(row: &ConfigRow) -> Result<Envelope<S>, LoadError> {
    #[derive(Deserialize)]
    struct Version {
        v: u32,
    }
    let unreadable = |error: serde_json::Error| LoadError::damaged(row, &error.to_string());
    let Version { v } = serde_json::from_slice(&row.document).map_err(unreadable)?;
    if v > VERSION {
        return Err(LoadError::Newer {
            resource: resource(row),
            version: v,
        });
    }
    serde_json::from_slice(&row.document).map_err(unreadable)
}

/// Why the stored configuration cannot be used; names the resource and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The store failed.
    #[error("the configuration cannot be read: {0}")]
    Store(#[from] StoreError),
    /// A document is damaged.
    #[error(
        "{resource}: its stored configuration is damaged ({reason}). Restore the data from a backup"
    )]
    Damaged {
        /// Its kind and key.
        resource: String,
        /// What is wrong.
        reason: String,
    },
    /// A later version wrote it.
    #[error(
        "{resource}: its stored configuration has version {version}, this program reads versions up to {VERSION}. Start the newer program that wrote it"
    )]
    Newer {
        /// Its kind and key.
        resource: String,
        /// The document's version.
        version: u32,
    },
    /// A secret does not open.
    #[error(
        "{resource}: the secret at {field} cannot be decrypted. Start with the master key that the data was written with (ANSER_MASTER_KEY, or the key file that belongs to the data folder)"
    )]
    WrongMasterKey {
        /// Its kind and key.
        resource: String,
        /// The secret's path.
        field: String,
    },
    /// This program does not take it.
    #[error(
        "{resource}: this program does not take its stored configuration: {problem}. Start the version that wrote it and change it there"
    )]
    Refused {
        /// Its kind and key.
        resource: String,
        /// Why.
        problem: Problem,
    },
}

impl LoadError {
    pub(super) fn damaged(row: &ConfigRow, reason: &str) -> Self {
        Self::Damaged {
            resource: resource(row),
            reason: reason.to_owned(),
        }
    }

    pub(super) fn refused(row: &ConfigRow) -> impl FnOnce(Problem) -> Self {
        let resource = resource(row);
        |problem| Self::Refused { resource, problem }
    }
}

/// How a resource is called in errors.
pub(super) fn resource(row: &ConfigRow) -> String {
    format!("{} {}", row.kind.as_str(), row.key)
}

/// The key under which a subscription is stored.
pub(crate) fn subscription_key(topic: ResourceId, name: &str) -> String {
    format!("{}/{}", topic.0, fold(name))
}
