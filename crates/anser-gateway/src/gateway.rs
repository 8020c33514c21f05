//! The gateway as one value: what every use case shares. The use cases themselves, and how it starts and ends (`life`),
//! are `impl Gateway` blocks in their own modules.

use std::sync::Arc;
use std::time::Duration;

use anser_core::channel::ChannelKind;
use anser_core::clock::Clock;
use anser_core::id::IdGenerator;
use anser_core::limits::Limits;
use anser_core::random::Random;
use anser_core::store::{SharedStore, StoreError, StoreInfo};
use arc_swap::ArcSwap;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::blobs::{Blobs, SignedLinks};
use crate::config::{LoadError, Snapshot};
use crate::connections::Connections;
use crate::credentials::Credentials;
use crate::dispatch;
use crate::intake::Intake;
use crate::leasing::Leasing;
use crate::live::Sessions;
use crate::metrics::Metrics;
use crate::refusal_journal::RefusalJournal;
use crate::secrets::Sealer;
use crate::sender::{AddressGuard, Sender};
use crate::turns::Turns;

/// Kinds of channel that the binary brings.
pub type Registry = Vec<Box<dyn ChannelKind>>;

/// Settings of the use cases.
#[derive(Debug, Clone)]
pub struct GatewayOptions {
    /// Limits of messages and requests.
    pub limits: Limits,
    /// No key is asked for.
    pub dev: bool,
    /// How long dead letters and their messages are kept.
    pub dead_retention: Duration,
    /// How long attempts are kept.
    pub attempt_retention: Duration,
    /// Between two retention passes.
    pub sweep_interval: Duration,
    /// The dispatcher's.
    pub dispatch: dispatch::PlanOptions,
}

impl Default for GatewayOptions {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 3600);
        Self {
            limits: Limits::default(),
            dev: false,
            dead_retention: 30 * DAY,
            attempt_retention: 7 * DAY,
            sweep_interval: Duration::from_secs(60),
            dispatch: dispatch::PlanOptions::default(),
        }
    }
}

/// What the gateway is made of.
pub struct Parts {
    /// Durable state.
    pub store: SharedStore,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// The operating system's randomness.
    pub random: Arc<dyn Random>,
    /// The one HTTP sender.
    pub sender: Arc<Sender>,
    /// Which addresses may be sent to.
    pub guard: AddressGuard,
    /// Encrypts secrets at rest.
    pub sealer: Sealer,
    /// Kinds of channel.
    pub registry: Registry,
    /// Counters; the store already reports its commits to them.
    pub metrics: Arc<Metrics>,
    /// The bytes of attachments that are too large for a message.
    pub blobs: Arc<Blobs>,
    /// Makes links to them; `None`: nobody outside can reach the gateway.
    pub links: Option<Arc<SignedLinks>>,
}

/// Why the gateway does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store failed.
    #[error("the store does not answer: {0}")]
    Store(#[from] StoreError),
    /// The stored configuration cannot be used.
    #[error(transparent)]
    Config(#[from] LoadError),
}

/// The gateway.
pub struct Gateway {
    pub(crate) store: SharedStore,
    pub(crate) config: Arc<ArcSwap<Snapshot>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    pub(crate) sender: Arc<Sender>,
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) guard: AddressGuard,
    pub(crate) sealer: Sealer,
    pub(crate) registry: Registry,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) blobs: Arc<Blobs>,
    pub(crate) links: Option<Arc<SignedLinks>>,
    pub(crate) ids: IdGenerator,
    pub(crate) info: StoreInfo,
    pub(crate) options: GatewayOptions,
    pub(crate) dispatch: dispatch::Handle,
    /// What consumers hold of queues, and who waits for them.
    pub(crate) leasing: Arc<Leasing>,
    /// Bounds of what publishing has under way; closed before the dispatcher is stopped, and
    /// `commit_unconfirmed` (publish/background.rs) runs until then.
    pub(crate) intake: Intake,
    /// Live clients.
    pub(crate) sessions: Arc<Sessions>,
    /// The channels that are connected to their platforms.
    pub(crate) connections: Connections,
    /// Which refusals of platforms' requests are logged.
    pub(crate) refusals: RefusalJournal,
    /// Who fetches a file from a platform.
    pub(crate) fetches: Turns,
    /// One configuration change at a time; held across the commit on purpose.
    pub(crate) admin_lock: tokio::sync::Mutex<()>,
    /// What runs beside the requests, in the order in which it is waited for at the end.
    pub(crate) tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
    /// Where the gateway is in its life.
    pub(crate) phase: watch::Sender<Phase>,
}

/// Where the gateway is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// It works.
    Running,
    /// It is being shut down.
    Stopping,
    /// The store failed for good; the process must end.
    Failed(String),
}

impl Gateway {
    /// The settings in force.
    #[must_use]
    pub fn options(&self) -> &GatewayOptions {
        &self.options
    }

    /// The counters, for what a door counts itself.
    #[must_use]
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }
}
