//! What publishing may have under way at one time: requests that wait for deliveries, and messages that were answered
//! before their commit (`acks=none`). Bounded, so that a burst is refused and not piled up. Must not publish anything
//! itself.

use std::sync::{Arc, Mutex, PoisonError};

use crate::live::Commit;
use anser_core::Message;
use anser_core::store::NewMessage;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Publishes that may wait for deliveries at the same time.
pub const WAITERS_MAX: usize = 1_000;
/// Bytes of messages that may be answered and not yet committed, with their deliveries.
pub(crate) const UNCONFIRMED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What one delivery counts for in [`UNCONFIRMED_BYTES_MAX`]: about what it takes in memory.
const DELIVERY_COST: usize = 128;
/// What one message counts for beside its document.
const MESSAGE_COST: usize = 512;

/// A message that is ready to be committed.
#[derive(Debug)]
pub(crate) struct Staged {
    /// The message.
    pub(crate) message: Message,
    /// What the store is given.
    pub(crate) new: NewMessage,
    /// Report on `$ops` that nothing takes it.
    pub(crate) report_unroutable: bool,
}

impl Staged {
    fn cost(&self) -> usize {
        MESSAGE_COST + self.new.document.len() + self.new.deliveries.len() * DELIVERY_COST
    }
}

/// Messages that nobody waits for any more; their share of the bound is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Unconfirmed {
    /// The messages of one request, in order.
    pub(crate) messages: Vec<Staged>,
    /// All or nothing.
    pub(crate) atomic: bool,
    share: Option<OwnedSemaphorePermit>,
    /// Commits of ended requests that these messages may be of; sessions are told of nothing later until they are.
    commits: Vec<Commit>,
}

impl Unconfirmed {
    /// Adds the messages of `next`; neither may be atomic.
    pub(crate) fn merge(&mut self, mut next: Self) {
        debug_assert!(
            !self.atomic && !next.atomic,
            "an atomic batch is committed alone"
        );
        self.messages.append(&mut next.messages);
        self.commits.append(&mut next.commits);
        match (&mut self.share, next.share) {
            (Some(share), Some(more)) => share.merge(more),
            (share @ None, more) => *share = more,
            (Some(_), None) => {}
        }
    }
}

/// Why messages were not taken for a commit in the background.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTaken {
    /// Too many wait already.
    Full,
    /// The gateway is stopping.
    Closed,
}

/// The bounds and the queue behind them.
#[derive(Debug)]
pub(crate) struct Intake {
    waiters: Arc<Semaphore>,
    room: Arc<Semaphore>,
    sender: Mutex<Option<UnboundedSender<Unconfirmed>>>,
    receiver: Mutex<Option<UnboundedReceiver<Unconfirmed>>>,
}

impl Default for Intake {
    fn default() -> Self {
        let (sender, receiver) = unbounded_channel();
        Self {
            waiters: Arc::new(Semaphore::new(WAITERS_MAX)),
            room: Arc::new(Semaphore::new(UNCONFIRMED_BYTES_MAX)),
            sender: Mutex::new(Some(sender)),
            receiver: Mutex::new(Some(receiver)),
        }
    }
}

impl Intake {
    /// A place among those that wait; `None` when there is none.
    #[must_use]
    pub(crate) fn wait(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.waiters).try_acquire_owned().ok()
    }

    /// Takes messages for a commit in the background.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub(crate) fn submit(&self, messages: Vec<Staged>) -> Result<(), NotTaken> {
        let cost: usize = messages.iter().map(Staged::cost).sum();
        let cost = u32::try_from(cost).map_err(|_| NotTaken::Full)?;
        let share = Arc::clone(&self.room)
            .try_acquire_many_owned(cost)
            .map_err(|_| NotTaken::Full)?;
        self.send(messages, false, Some(share), None)
    }

    /// Takes messages over from a request that ended during its commit: they may be stored, and then their deliveries
    /// must start. Always has room: there are no more of them than there were requests.
    pub(crate) fn take_over(&self, messages: Vec<Staged>, atomic: bool, commit: Option<Commit>) {
        // Closed: the process ends, and the next one finds what was stored by itself.
        let _ = self.send(messages, atomic, None, commit);
    }

    fn send(
        &self,
        messages: Vec<Staged>,
        atomic: bool,
        share: Option<OwnedSemaphorePermit>,
        commit: Option<Commit>,
    ) -> Result<(), NotTaken> {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        let unconfirmed = Unconfirmed {
            messages,
            atomic,
            share,
            commits: commit.into_iter().collect(),
        };
        sender
            .as_ref()
            .and_then(|sender| sender.send(unconfirmed).ok())
            .ok_or(NotTaken::Closed)
    }

    /// Where the messages come out, for the one task that commits them; `None` the second time.
    #[must_use]
    pub(crate) fn take_receiver(&self) -> Option<UnboundedReceiver<Unconfirmed>> {
        self.receiver
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Takes nothing more; the receiver ends once it is empty.
    pub(crate) fn close(&self) {
        self.sender
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
    }
}
