//! The contract of durable state. One owner (the gateway's dispatcher) decides, the store remembers: it assigns numbers
//! in commit order, keeps lanes in order, and answers only after a durable commit. Batch first, async; implementations
//! live in `anser-store`. A queue is a [`Group`] whose deliveries are pulled instead of pushed: leased, then acknowledged.

mod alias;
mod blob;
mod config;
mod journal;
mod link;
mod scan;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::attempt::{Attempt, PossibleDuplicate};
use crate::blob::BlobHash;
use crate::delivery::DeliveryState;
use crate::id::{DeliveryId, MessageId, Num, Receipt, ResourceId};
use crate::message::Fingerprint;
use crate::time::Timestamp;

pub use alias::{Alias, AliasKey, AliasKind, Known};
pub use blob::{BlobDoom, BlobIndex, BlobRow, BlobTotals};
pub use config::{ConfigChange, ConfigKind, ConfigRow};
pub use journal::{JournalRow, JournalScan, JournalStore};
pub use link::{Link, LinkKind, Linked};
pub use scan::{DeliveryPage, DeliveryScan, MessageScan};

/// What deliveries are claimed by: the subscription they come from, or the channel they were addressed to directly.
/// Several groups may share one limiter scope; the dispatcher knows which.
pub type Group = ResourceId;

/// A lane inside a group: deliveries with the same number are delivered one at a time, in accepted order. A hash of
/// group, target and ordering key; two keys that collide merely wait for one another.
pub type Lane = u64;

/// Why the store could not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Not now; nothing was stored.
    #[error("the store is busy, try again after {after:?}")]
    Retryable {
        /// When to try again.
        after: Duration,
    },
    /// Perhaps stored: repeat with the same ids. `append` is idempotent by message id, `settle` by token.
    #[error("the store did not confirm; it may have been stored")]
    Unknown,
    /// The token or epoch is stale: somebody else has moved on.
    #[error("stale token: the delivery has moved on")]
    Fenced,
    /// The disk is full, or nearer to it than the reserve allows. Nothing was stored.
    #[error("the disk is full")]
    Full,
    /// Stored bytes are damaged; what is named cannot be read.
    #[error("stored data is damaged: {0}")]
    Corrupt(String),
    /// It will not work however often it is tried.
    #[error("{0}")]
    Permanent(String),
}

/// A result of the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// What the store tells about itself once it is open.
#[derive(Debug, Clone)]
pub struct StoreInfo {
    /// The installation's number, made at first start; nine or ten decimal digits, never 0.
    pub installation: u64,
    /// Rises with every opening; tells this owner from earlier ones.
    pub epoch: u64,
    /// Whether the last owner closed it properly. If not, what was due before may have been in flight.
    pub clean: bool,
    /// The greatest message id stored, so that new ids rise above it.
    pub highest_id: Option<MessageId>,
    /// The greatest number given out.
    pub highest_num: Num,
}

/// An idempotency record to be kept with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedupe {
    /// Whose keys these are: the API key's lineage, or 0 without keys.
    pub lineage: u64,
    /// The publisher's key.
    pub key: String,
    /// SHA-256 of the item.
    pub fingerprint: Fingerprint,
    /// When the record may be forgotten.
    pub expires_at: Timestamp,
}

/// A message to append, with its resolved deliveries.
#[derive(Debug, Clone)]
pub struct NewMessage {
    /// Its id. Appending the same id again stores nothing and answers as the first time.
    pub id: MessageId,
    /// Its topic.
    pub topic: ResourceId,
    /// When it was accepted.
    pub time: Timestamp,
    /// The message as JSON.
    pub document: Bytes,
    /// Its idempotency record, scoped to lineage and topic.
    pub dedupe: Option<Dedupe>,
    /// When it is to be removed, whatever retention says.
    pub delete_at: Option<Timestamp>,
    /// The blobs it refers to, each once: kept as long as it is.
    pub blobs: Vec<BlobHash>,
    /// The earlier message that it is about.
    pub link: Option<Link>,
    /// What platforms call it, or what it is about; kept as long as it is.
    pub known_as: Vec<Alias>,
    /// Where it goes; at most [`crate::limits::DELIVERIES_PER_REQUEST_MAX`].
    pub deliveries: Vec<NewDelivery>,
}

/// A delivery to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Subscription, or channel for a direct address.
    pub group: Group,
    /// The channel it goes through.
    pub channel: ResourceId,
    /// Whom in that channel.
    pub target: Option<String>,
    /// Its lane; `None` waits for none and holds up none.
    pub lane: Option<Lane>,
    /// Not to be tried earlier.
    pub due: Timestamp,
    /// `due` lies in the future: it joins its lane only then (see [`Settle::Join`]).
    pub scheduled: bool,
    /// When it ends as expired.
    pub expires_at: Option<Timestamp>,
}

/// A batch of messages to append in one commit.
#[derive(Debug, Clone)]
pub struct Append {
    /// The messages, in order.
    pub messages: Vec<NewMessage>,
    /// All or nothing: one [`Appended::Conflict`] or [`Appended::UnknownBlob`] keeps every message out.
    pub atomic: bool,
}

/// What became of one appended message.
#[derive(Debug, Clone, PartialEq)]
pub enum Appended {
    /// Stored now.
    Stored {
        /// Its number, also its `seq`.
        num: Num,
        /// Its deliveries as stored; heads are `Pending`, those behind a head `Waiting`.
        deliveries: Vec<DeliveryRow>,
    },
    /// Stored before, under the same id or dedupe key with the same fingerprint. The first answer:
    Duplicate {
        /// The first message's id.
        id: MessageId,
        /// Its number.
        num: Num,
        /// How many deliveries it had.
        matched: u32,
    },
    /// The dedupe key was used for another item; not stored.
    Conflict {
        /// The first message's id.
        id: MessageId,
    },
    /// It refers to a blob that is not usable; not stored.
    UnknownBlob {
        /// The first such blob.
        hash: BlobHash,
    },
    /// Not stored because another member of an atomic batch was refused.
    Skipped,
}

/// A message as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageRow {
    /// Its number.
    pub num: Num,
    /// Its id.
    pub id: MessageId,
    /// Its topic.
    pub topic: ResourceId,
    /// When it was accepted.
    pub time: Timestamp,
    /// The message as JSON.
    pub document: Bytes,
}

/// A delivery as stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRow {
    /// Its number.
    pub id: DeliveryId,
    /// The message's topic.
    pub topic: ResourceId,
    /// Subscription, or channel for a direct address.
    pub group: Group,
    /// The channel it goes through.
    pub channel: ResourceId,
    /// Whom in that channel.
    pub target: Option<String>,
    /// Its lane; `None` once it runs outside the order (retried by hand).
    pub lane: Option<Lane>,
    /// Where it stands.
    pub state: DeliveryState,
    /// When it is to be tried next; for a final state when it ended.
    pub due: Timestamp,
    /// When it ends as expired.
    pub expires_at: Option<Timestamp>,
    /// When its message was accepted.
    pub accepted: Timestamp,
    /// When it was tried first, since it was last re-opened.
    pub first_attempt: Option<Timestamp>,
    /// Attempts made that count.
    pub attempts: u32,
    /// How many of them were made before it was last re-opened: the retry schedule starts anew behind them.
    pub attempts_before: u32,
    /// It was scheduled and has not joined its lane yet.
    pub scheduled: bool,
    /// False once it was retried by hand, outside the order.
    pub ordered: bool,
    /// Why the next attempt may repeat an earlier one.
    pub possible_duplicate: Option<PossibleDuplicate>,
    /// The rendered plan and how far it got, once a step succeeded or its outcome is unknown.
    pub checkpoint: Option<Bytes>,
    /// Bytes of the message, for backlog accounting.
    pub bytes: u32,
    /// Taken from a queue that can be rewound: delivered, and to be found by [`Store::rewind`].
    pub rewindable: bool,
}

/// The state in which the owner last saw a delivery: a settlement whose token is stale is refused as fenced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token {
    /// Which delivery.
    pub delivery: DeliveryId,
    /// Its attempts then.
    pub attempts: u32,
    /// Its state then.
    pub state: DeliveryState,
}

impl DeliveryRow {
    /// The token for settling the delivery from this state.
    #[must_use]
    pub const fn token(&self) -> Token {
        Token {
            delivery: self.id,
            attempts: self.attempts,
            state: self.state,
        }
    }
}

/// What a delivery becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settle {
    /// Final: done.
    Delivered,
    /// Final: given up.
    Dead,
    /// Final: its time ran out.
    Expired,
    /// Final: recalled, or its subscription is gone.
    Cancelled,
    /// To be tried again.
    Retry {
        /// When.
        at: Timestamp,
        /// Whether that attempt may repeat this one.
        possible_duplicate: Option<PossibleDuplicate>,
        /// The plan and how far it got.
        checkpoint: Option<Bytes>,
    },
    /// The endpoint asked for a pause: due again at `at`, the attempt does not count, the state stays.
    Park {
        /// When.
        at: Timestamp,
        /// Whether the next attempt may repeat an earlier one, as it was before this one.
        possible_duplicate: Option<PossibleDuplicate>,
        /// The plan and how far it got.
        checkpoint: Option<Bytes>,
    },
    /// Its scheduled time has come: it goes to the end of its lane, and is its head if the lane is empty.
    Join,
    /// It stays as it is, whatever its state: something became known of it, which the log is to have.
    Note,
}

/// One change of one delivery, with the attempt that caused it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The state the owner saw.
    pub token: Token,
    /// What it becomes.
    pub to: Settle,
    /// When this happened.
    pub at: Timestamp,
    /// The attempt, to be logged; counts unless `to` is `Park`, `Join` or `Note`.
    pub attempt: Option<Attempt>,
    /// Whether the attempt is only counted, not logged (`attempt_log`).
    pub unlogged: bool,
    /// What a platform calls what went out: the message is known by it as [`AliasKind::Copy`], as long as it is there.
    pub known_as: Vec<AliasKey>,
}

/// What a settlement did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "nearly every settlement is done; a box would cost an allocation each"
)]
pub enum Settled {
    /// It was done.
    Done {
        /// The delivery as it stands now.
        row: DeliveryRow,
        /// The next of its lane, now its head, when this one left it. Its `due` is `at`.
        promoted: Option<DeliveryRow>,
    },
    /// The token was stale; nothing changed.
    Fenced,
}

/// Which due deliveries to claim: a group's first attempts and its retries have separate budgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ClaimClass {
    /// State `Pending`.
    First,
    /// State `Retrying`.
    Retry,
}

/// A request for a group's due deliveries.
#[derive(Debug, Clone)]
pub struct Claim {
    /// Whose.
    pub group: Group,
    /// Which.
    pub class: ClaimClass,
    /// Only those due at or before this.
    pub due_until: Timestamp,
    /// Those the owner already holds.
    pub exclude: Vec<DeliveryId>,
    /// At most so many.
    pub limit: usize,
}

/// What a claim found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Claimed {
    /// By due time, then number; lane heads and deliveries without a lane only.
    pub deliveries: Vec<DeliveryRow>,
    /// Whether more than these are due by `due_until`.
    pub more: bool,
    /// When the earliest one after `due_until` is due.
    pub next_due: Option<Timestamp>,
}

/// Due rows that a [`Lease`] with `max` 0 reads at most of each state, from the front.
pub const SPENT_LOOK_MAX: usize = 1_000;

/// A request for a queue's due deliveries, each for a time of its own: nobody else gets it until `until`.
#[derive(Debug, Clone)]
pub struct Lease {
    /// Whose.
    pub queue: Group,
    /// At most so many; 0 only looks for spent ones, at most [`SPENT_LOOK_MAX`] due rows from the front.
    pub max: usize,
    /// At most so many spent ones beside them.
    pub spent_max: usize,
    /// The time now: only those due at or before it.
    pub now: Timestamp,
    /// When the lease ends: a millisecond after `now` at the earliest.
    pub until: Timestamp,
    /// A delivery accepted before this is spent.
    pub accepted_from: Timestamp,
    /// A delivery received so often since it was last re-opened is spent; `None`: never.
    pub receives_max: Option<u32>,
}

/// A delivery that was leased. A row's `attempts` are its receives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeasedDelivery {
    /// As it stands now: `Retrying`, one receive more, due when the lease ends.
    pub row: DeliveryRow,
    /// Its message; `None` when that is damaged.
    pub message: Option<MessageRow>,
}

/// What a lease found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leased {
    /// By due time, then number; lane heads and deliveries without a lane only.
    pub deliveries: Vec<LeasedDelivery>,
    /// Due, but not leased: too old, expired or received too often. They stay as they are until they are settled or
    /// diverted, and come before the others again.
    pub spent: Vec<DeliveryRow>,
    /// Whether more than these are due now. Even when there are none here: a call that moves many scheduled ones behind
    /// the heads of their lanes ends early.
    pub more: bool,
    /// When the earliest one that is not due now will be, the leased ones included.
    pub next_due: Option<Timestamp>,
}

/// What becomes of a leased delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// Final: done.
    Done {
        /// Whether it may be rewound.
        rewindable: bool,
    },
    /// Given back, due at `at`; its receipts are void.
    Release {
        /// When.
        at: Timestamp,
    },
    /// Leased on.
    Extend {
        /// Until when.
        until: Timestamp,
    },
}

/// One acknowledgement. It holds while the lease does: the delivery is in that queue, the receipt is of its last
/// receive, and it is due after `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The queue.
    pub queue: Group,
    /// Which lease.
    pub receipt: Receipt,
    /// When this happened.
    pub at: Timestamp,
    /// What it becomes.
    pub to: Acknowledge,
}

/// What an acknowledgement did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Acknowledged {
    /// It was done.
    Done {
        /// The delivery as it stands now.
        row: DeliveryRow,
        /// Whether the next of its lane was promoted; it is due at once.
        promoted: bool,
    },
    /// The lease had ended, or the receipt is of another one; nothing changed.
    Void,
}

/// A delivery that leaves its queue as dead for another one (a dead-letter queue, or back from it).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diversion {
    /// The state the owner saw.
    pub token: Token,
    /// The new delivery of the same message.
    pub to: NewDelivery,
    /// When this happened.
    pub at: Timestamp,
}

/// A request to deliver again what was taken from a queue.
#[derive(Debug, Clone)]
pub struct Rewind {
    /// The queue.
    pub queue: Group,
    /// Those whose message was accepted at or after this.
    pub accepted_from: Timestamp,
    /// Those acknowledged at or after this.
    pub ended_from: Timestamp,
    /// Only those behind this one: where the step before ended.
    pub after: Option<RewindCursor>,
    /// At most so many looked at in this step.
    pub limit: usize,
}

/// The last delivery that a step of a rewind looked at: they go by the time of their acknowledgement, then by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RewindCursor {
    /// When it was acknowledged.
    pub ended: Timestamp,
    /// Its number.
    pub delivery: DeliveryId,
}

/// What a step of a rewind did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewound {
    /// How many are due again. Each is `Pending`, outside its lane, due when its message was accepted, so that they
    /// are received in that order.
    pub count: usize,
    /// Where to go on; `None` at the end.
    pub next: Option<RewindCursor>,
}

/// How many deliveries of a queue are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Due, so that a receive gets them; those behind the head of their lane too.
    pub active: u64,
    /// Leased.
    pub leased: u64,
    /// Due later without being leased: scheduled, or given back with a delay.
    pub delayed: u64,
    /// Acknowledged and to be had by a rewind.
    pub rewindable: u64,
    /// When the oldest unfinished one, the one with the lowest number, was accepted.
    pub oldest: Option<Timestamp>,
}

/// Unfinished deliveries of one topic through one channel, or into one queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// The topic.
    pub topic: ResourceId,
    /// The channel or queue.
    pub channel: ResourceId,
    /// How many.
    pub count: u64,
    /// How many of them have been tried or received and are not done.
    pub retrying: u64,
    /// Bytes of their messages, counted once per delivery.
    pub bytes: u64,
}

/// What may be removed now.
#[derive(Debug, Clone)]
pub struct Retention {
    /// Per topic: messages accepted before this whose deliveries are all final.
    pub messages_before: Vec<(ResourceId, Timestamp)>,
    /// For messages of topics that are not named.
    pub default_before: Timestamp,
    /// A message with a dead delivery that died at or after this stays.
    pub dead_before: Timestamp,
    /// Attempts logged before this.
    pub attempts_before: Timestamp,
    /// The time now, for dedupe records and `delete_at`.
    pub now: Timestamp,
    /// At most so many rows in this step.
    pub limit: usize,
}

/// What a retention step removed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Swept {
    /// Messages with their deliveries.
    pub messages: usize,
    /// Attempt records.
    pub attempts: usize,
    /// Dedupe records.
    pub dedupes: usize,
    /// Whether another step may find more now.
    pub more: bool,
}

/// Told of every commit, for metrics. Must return at once.
pub trait CommitObserver: Send + Sync {
    /// One group of `operations` was committed in `took`.
    fn committed(&self, operations: usize, took: Duration);
}

/// The durable state. Every method that changes something answers after the change is durable.
#[async_trait]
pub trait Store: BlobIndex + JournalStore {
    /// What the store tells about itself.
    fn info(&self) -> StoreInfo;

    /// Appends messages with their dedupe records and deliveries in one commit; answers in order.
    ///
    /// # Errors
    /// `Full`, `Unknown`, `Retryable`, `Permanent`. Repeating with the same ids is safe.
    async fn append(&self, append: Append) -> Result<Vec<Appended>>;

    /// A group's due deliveries that the owner does not hold yet.
    ///
    /// # Errors
    /// `Corrupt` when a row is damaged.
    async fn claim(&self, claim: Claim) -> Result<Claimed>;

    /// The groups that have unfinished deliveries, each with its earliest due time. For the start.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn groups(&self) -> Result<Vec<(Group, Timestamp)>>;

    /// Settles deliveries, promotes the next of their lanes and logs the attempts, all in one commit; answers in order.
    ///
    /// # Errors
    /// As [`Store::append`]. Repeating is safe: what was done answers `Fenced`.
    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>>;

    /// Leases a queue's due deliveries in one commit: each becomes `Retrying`, one receive more, due when the lease
    /// ends. Its message comes with it, so that nothing is read again. A scheduled one joins its lane first, and is
    /// leased only as its head. A delivery whose row is damaged is passed over and logged: it must not hold up the
    /// queue.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn lease(&self, lease: Lease) -> Result<Leased>;

    /// Acknowledges, gives back or prolongs leased deliveries, and promotes the next of their lanes, all in one commit;
    /// answers in order.
    ///
    /// # Errors
    /// As [`Store::append`]. Repeating is safe: what was done answers `Void`.
    async fn acknowledge(
        &self,
        acknowledgements: Vec<Acknowledgement>,
    ) -> Result<Vec<Acknowledged>>;

    /// Ends deliveries as dead and makes another delivery of each one's message, all in one commit; answers the new
    /// ones in order, `None` where the token was stale.
    ///
    /// # Errors
    /// As [`Store::append`]. Repeating is safe: what was done answers `None`.
    async fn divert(&self, diversions: Vec<Diversion>) -> Result<Vec<Option<DeliveryRow>>>;

    /// Makes a queue's acknowledged deliveries due again, in one bounded step.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn rewind(&self, rewind: Rewind) -> Result<Rewound>;

    /// How many deliveries of a queue are in which state now; of the acknowledged ones those that ended at or after
    /// `ended_from` count.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn queue_counts(
        &self,
        queue: Group,
        now: Timestamp,
        ended_from: Timestamp,
    ) -> Result<QueueCounts>;

    /// Re-opens a final delivery for a manual retry, outside its lane and order, due at `due`; an unfinished one that
    /// waits for its next time becomes due at `due`. `None` when there is none, or it is `Waiting`.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn reopen(&self, delivery: DeliveryId, due: Timestamp) -> Result<Option<DeliveryRow>>;

    /// Adds deliveries to a stored message (replay, operator messages). `None` when the message is gone.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn enqueue(
        &self,
        message: Num,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Option<Vec<DeliveryRow>>>;

    /// Cancels at most `limit` unfinished deliveries of a group, apart from `keep` (in flight); answers how many.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn cancel_group(
        &self,
        group: Group,
        keep: Vec<DeliveryId>,
        at: Timestamp,
        limit: usize,
    ) -> Result<usize>;

    /// A message by id.
    ///
    /// # Errors
    /// `Corrupt` when its checksum does not match.
    async fn message(&self, id: MessageId) -> Result<Option<MessageRow>>;

    /// Messages by number, in the order asked; those that are gone are left out.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn messages(&self, nums: Vec<Num>) -> Result<Vec<MessageRow>>;

    /// The messages that are about message `target`, in the order in which they were stored; also those that retention
    /// has removed since. None once `target` is gone.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn linked(&self, target: Num) -> Result<Vec<Linked>>;

    /// The messages that are known by a name, in the order in which they were stored, each once: as what it was first.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn known_as(&self, key: AliasKey) -> Result<Vec<Known>>;

    /// A bounded list of messages.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn scan_messages(&self, scan: MessageScan) -> Result<Vec<MessageRow>>;

    /// A delivery by number.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>>;

    /// A message's deliveries, by number from `from` on, at most `limit`.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn deliveries_of(
        &self,
        message: Num,
        from: u32,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>>;

    /// A bounded list of deliveries, newest first.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn scan_deliveries(&self, scan: DeliveryScan) -> Result<DeliveryPage>;

    /// A delivery's logged attempts, oldest first.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>>;

    /// Unfinished deliveries by topic and channel, from memory.
    fn depths(&self) -> Vec<Depth>;

    /// Those of one channel or queue, on the way of every message that is sent to a bounded one: a store with many
    /// should not go through them all.
    fn depths_of(&self, channel: ResourceId) -> Vec<Depth> {
        let depths = self.depths().into_iter();
        depths.filter(|depth| depth.channel == channel).collect()
    }

    /// Applies configuration changes, all or none; answers the documents put, in order. A channel that is removed takes its
    /// journal along.
    ///
    /// # Errors
    /// `Fenced` when an expected revision is not current.
    async fn config_apply(&self, changes: Vec<ConfigChange>) -> Result<Vec<ConfigRow>>;

    /// Every configuration document.
    ///
    /// # Errors
    /// `Corrupt`.
    async fn config_list(&self) -> Result<Vec<ConfigRow>>;

    /// Removes what retention allows, in one bounded step; blobs lose the references of messages that go.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn sweep(&self, retention: Retention) -> Result<Swept>;

    /// Commits a probe: whether the store can write now.
    ///
    /// # Errors
    /// As [`Store::append`].
    async fn probe(&self) -> Result<()>;

    /// Finishes what was begun, marks the data as closed properly and lets go of it. Later calls fail as `Permanent`.
    ///
    /// # Errors
    /// `Permanent` when the last commit failed.
    async fn close(&self) -> Result<()>;
}

/// The store as it is handed around.
pub type SharedStore = Arc<dyn Store>;
