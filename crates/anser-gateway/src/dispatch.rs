//! Dispatch: takes committed deliveries to their endpoints. [`plan`] decides (pure), `shell` does the I/O in one task,
//! [`Handle`] is how the rest of the gateway talks to it. Must not know HTTP routes or any platform.

pub mod plan;

mod answering;
mod attempt;
mod change;
mod crossing;
mod facts;
mod inbox;
mod jobs;
mod media;
mod shell;
#[cfg(test)]
mod stand;
mod walk;
mod watchers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::clock::Clock;
use anser_core::id::{DeliveryId, ResourceId};
use anser_core::random::Random;
use anser_core::store::{DeliveryRow, Group, SharedStore, StoreError};
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot, watch};

use crate::accepted::Accepted;
use crate::blobs::{Blobs, SignedLinks};
use crate::config::{EndpointState, Snapshot};
use crate::credentials::Credentials;
use crate::leasing::Leasing;
use crate::metrics::Metrics;
use crate::people::People;
use crate::sender::Sender;

pub(crate) use answering::{Answered, TakeAnswers};
pub(crate) use attempt::{preview, probe, reason};
pub use inbox::Handle;
pub use plan::{PlanOptions, Withdrawal};
pub(crate) use walk::Wire;

/// What the dispatcher works with.
pub(crate) struct Parts {
    /// Durable state.
    pub store: SharedStore,
    /// The configuration in force.
    pub config: Arc<ArcSwap<Snapshot>>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Jitter.
    pub random: Arc<dyn Random>,
    /// The one HTTP sender.
    pub sender: Arc<Sender>,
    /// Tokens of channels.
    pub credentials: Arc<Credentials>,
    /// What people are called.
    pub people: People,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Where attachments are read that are blobs.
    pub blobs: Arc<Blobs>,
    /// Makes links to them, when the gateway has a public address.
    pub links: Option<Arc<SignedLinks>>,
    /// Whose queues' deliveries are: they are none of the dispatcher's.
    pub leasing: Arc<Leasing>,
    /// Where answers of receivers are published.
    pub answers: Arc<dyn TakeAnswers>,
    /// Where operator messages and endpoint states go.
    pub notices: mpsc::UnboundedSender<Notice>,
    /// Turns true when the dispatcher is told to stop, for attempts that would take minutes.
    pub stopping: watch::Sender<bool>,
}

/// What the dispatcher tells the rest of the gateway.
#[derive(Debug, Clone)]
pub enum Notice {
    /// A delivery ended as dead.
    Dead {
        /// As it ended.
        row: Box<DeliveryRow>,
        /// Why.
        reason: String,
        /// The last attempt, when there was one.
        attempt: Option<Box<Attempt>>,
    },
    /// The store failed for good: the process must end.
    Failed(String),
    /// An endpoint's state changed and is to be remembered.
    Endpoint {
        /// Its channel.
        channel: ResourceId,
        /// What to remember.
        state: EndpointState,
        /// What to tell the operator, if anything.
        event: Option<EndpointEvent>,
    },
}

/// What the operator is told of an endpoint, on `$ops`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndpointEvent {
    /// `endpoint.failing`: so many percent of the way to being disabled.
    Failing(u8),
    /// `endpoint.disabled`.
    Disabled,
    /// `endpoint.recovered`.
    Recovered,
}

/// What became of a delivery that was to be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Withdrawn {
    /// It will not be delivered.
    Cancelled,
    /// Under way: it does not go on when the attempt fails, not even after a crash.
    InFlight,
    /// It had ended before, in this state.
    Ended(anser_core::delivery::DeliveryState),
    /// It changed at that very moment and is as it was: ask again.
    Moved,
}

/// Starts the dispatcher. The task ends, having settled or returned what was in flight, after [`Handle::stop`].
pub(crate) fn start(parts: Parts, options: PlanOptions) -> (Handle, tokio::task::JoinHandle<()>) {
    let handle = Handle::default();
    let shell = shell::Shell::new(parts, options, handle.clone());
    #[expect(
        clippy::disallowed_methods,
        reason = "the dispatcher's one task; Gateway::shutdown waits for it"
    )]
    let task = tokio::spawn(shell.run());
    (handle, task)
}

/// Answers of commands that the dispatcher carries out.
type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

/// Commands other than offers.
enum Command {
    /// The group's destination is gone: end what is unfinished.
    CancelGroup(Group, Answer<usize>),
    /// Take deliveries back.
    Withdraw(Withdrawal, Answer<Vec<(DeliveryId, Withdrawn)>>),
    /// Tell when each of these had its first attempt settled, or ended.
    Watch(Vec<DeliveryId>, oneshot::Sender<()>),
    /// Stop starting; finish within the limit.
    Stop(Duration),
}

/// Deliveries committed elsewhere that the dispatcher may start.
struct Offer {
    row: DeliveryRow,
    accepted: Option<Arc<Accepted>>,
}

/// When the earliest unfinished head of each group was due, for the queue-age metric.
pub type OldestDue = BTreeMap<Group, Timestamp>;
