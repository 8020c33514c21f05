//! Configuration as a store keeps it: documents it does not read, each of a kind, under a key, with a revision. Must not
//! know what they say.

use bytes::Bytes;

use crate::id::ResourceId;

/// Kinds of configuration documents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ConfigKind {
    /// Topics.
    Topic,
    /// Channels.
    Channel,
    /// Subscriptions.
    Subscription,
    /// API keys.
    Key,
    /// Event types.
    EventType,
    /// What the gateway remembers of an endpoint: failing since, disabled, held.
    Endpoint,
    /// Queues.
    Queue,
    /// Robots.
    Robot,
    /// Applications that sign tokens for their users.
    Issuer,
    /// Who may see whose presence, by `WATCHER/WATCHED`.
    Watch,
    /// Rooms.
    Room,
    /// What users were given when the gateway stopped and did not acknowledge; one document.
    Departed,
}

impl ConfigKind {
    /// Every kind.
    pub const ALL: [Self; 12] = [
        Self::Topic,
        Self::Channel,
        Self::Subscription,
        Self::Key,
        Self::EventType,
        Self::Endpoint,
        Self::Queue,
        Self::Robot,
        Self::Issuer,
        Self::Watch,
        Self::Room,
        Self::Departed,
    ];

    /// The name it is stored under.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Topic => "topic",
            Self::Channel => "channel",
            Self::Subscription => "subscription",
            Self::Key => "key",
            Self::EventType => "event_type",
            Self::Endpoint => "endpoint",
            Self::Queue => "queue",
            Self::Robot => "robot",
            Self::Issuer => "issuer",
            Self::Watch => "watch",
            Self::Room => "room",
            Self::Departed => "departed",
        }
    }
}

/// A configuration document as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigRow {
    /// Its kind.
    pub kind: ConfigKind,
    /// Its key, unique within the kind.
    pub key: String,
    /// Its internal number.
    pub id: ResourceId,
    /// Rises with every change, over all documents.
    pub revision: u64,
    /// The document, JSON.
    pub document: Bytes,
}

/// One change of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfigChange {
    /// Creates or replaces.
    Put {
        /// Kind.
        kind: ConfigKind,
        /// Key.
        key: String,
        /// The document, JSON.
        document: Bytes,
        /// The revision that must be current; `Some(0)`: must not exist yet; `None`: whatever is there.
        expected: Option<u64>,
    },
    /// Removes.
    Delete {
        /// Kind.
        kind: ConfigKind,
        /// Key.
        key: String,
        /// The revision that must be current; `None`: whatever is there.
        expected: Option<u64>,
    },
}
