//! Short ways to make messages and settlements for the cases, and to call a store that must not fail.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::{Attempt, Timing};
use anser_core::id::{DeliveryId, IdGenerator, Num, Receipt, ResourceId};
use anser_core::outcome::OutcomeClass;
use anser_core::random::SeededRandom;
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, Append, Appended, Claim, ClaimClass, Dedupe,
    DeliveryRow, Lane, Lease, Leased, NewDelivery, NewMessage, Settle, Settled, Settlement, Store,
};
use bytes::Bytes;

pub(super) const TOPIC: ResourceId = ResourceId(11);
pub(super) const GROUP: ResourceId = ResourceId(21);
pub(super) const OTHER_GROUP: ResourceId = ResourceId(22);
pub(super) const CHANNEL: ResourceId = ResourceId(31);
pub(super) const QUEUE: ResourceId = ResourceId(41);
pub(super) const OTHER_QUEUE: ResourceId = ResourceId(42);
/// Seconds for which the cases lease.
const LEASE: u64 = 30;
/// When the cases begin: 2025-11-23.
const BEGIN_MS: i64 = 1_763_859_600_000;

/// A time so many seconds after the beginning.
pub(super) fn at(seconds: u64) -> Timestamp {
    Timestamp::from_millis(BEGIN_MS).plus(Duration::from_secs(seconds))
}

/// Makes messages with rising ids.
pub(super) struct Maker {
    ids: IdGenerator,
    random: SeededRandom,
}

impl Maker {
    pub(super) fn new() -> Self {
        Self {
            ids: IdGenerator::above(None),
            random: SeededRandom::new(5),
        }
    }

    pub(super) fn message(&self, seconds: u64, deliveries: Vec<NewDelivery>) -> NewMessage {
        let id = self.ids.next(at(seconds), &self.random);
        NewMessage {
            id,
            topic: TOPIC,
            time: at(seconds),
            document: Bytes::from(format!("{{\"id\":\"{id}\"}}")),
            dedupe: None,
            blobs: Vec::new(),
            link: None,
            known_as: Vec::new(),
            delete_at: None,
            deliveries,
        }
    }

    /// Appends one message with one delivery.
    pub(super) async fn one(
        &self,
        store: &dyn Store,
        seconds: u64,
        lane: Option<Lane>,
    ) -> DeliveryRow {
        let message = self.message(seconds, vec![delivery(seconds, lane)]);
        stored(store, message).await.1.remove(0)
    }

    /// Sends one message to the queue.
    pub(super) async fn sent(
        &self,
        store: &dyn Store,
        seconds: u64,
        lane: Option<Lane>,
    ) -> DeliveryRow {
        let message = self.message(seconds, vec![queued(seconds, lane)]);
        stored(store, message).await.1.remove(0)
    }
}

/// A delivery into the queue.
pub(super) fn queued(seconds: u64, lane: Option<Lane>) -> NewDelivery {
    NewDelivery {
        group: QUEUE,
        channel: QUEUE,
        target: None,
        ..delivery(seconds, lane)
    }
}

/// One that is due only at second `due`.
pub(super) fn delayed(due: u64, lane: Option<Lane>) -> NewDelivery {
    NewDelivery {
        scheduled: true,
        ..queued(due, lane)
    }
}

/// A lease of everything due at second `now`, until 30 seconds later.
pub(super) fn lease_at(now: u64) -> Lease {
    Lease {
        queue: QUEUE,
        max: 100,
        spent_max: 100,
        now: at(now),
        until: at(now + LEASE),
        accepted_from: Timestamp::EPOCH,
        receives_max: None,
    }
}

pub(super) async fn lease(store: &dyn Store, lease: Lease) -> Leased {
    store.lease(lease).await.expect("a lease works")
}

/// What everything due at second `now` becomes by leasing it.
pub(super) async fn receive(store: &dyn Store, now: u64) -> Vec<DeliveryRow> {
    let leased = lease(store, lease_at(now)).await;
    leased.deliveries.into_iter().map(|one| one.row).collect()
}

pub(super) fn ids(rows: &[DeliveryRow]) -> Vec<DeliveryId> {
    rows.iter().map(|row| row.id).collect()
}

/// An acknowledgement by the receipt of the row's last receive.
pub(super) fn acknowledgement(row: &DeliveryRow, to: Acknowledge, seconds: u64) -> Acknowledgement {
    Acknowledgement {
        queue: QUEUE,
        receipt: Receipt::new(row.id, row.attempts),
        at: at(seconds),
        to,
    }
}

pub(super) const DONE: Acknowledge = Acknowledge::Done { rewindable: false };

/// Acknowledges one delivery: the row then, and whether the next of its lane was promoted; `None` when it was void.
pub(super) async fn acknowledge(
    store: &dyn Store,
    row: &DeliveryRow,
    to: Acknowledge,
    seconds: u64,
) -> Option<(DeliveryRow, bool)> {
    let acknowledged = store
        .acknowledge(vec![acknowledgement(row, to, seconds)])
        .await;
    match acknowledged.expect("an acknowledgement works").remove(0) {
        Acknowledged::Done { row, promoted } => Some((row, promoted)),
        Acknowledged::Void => None,
    }
}

pub(super) fn delivery(seconds: u64, lane: Option<Lane>) -> NewDelivery {
    NewDelivery {
        group: GROUP,
        channel: CHANNEL,
        target: Some("somebody".into()),
        lane,
        due: at(seconds),
        scheduled: false,
        expires_at: None,
    }
}

pub(super) fn dedupe(key: &str, fingerprint: u8, expires: u64) -> Dedupe {
    Dedupe {
        lineage: 7,
        key: key.into(),
        fingerprint: [fingerprint; 32],
        expires_at: at(expires),
    }
}

pub(super) async fn append(
    store: &dyn Store,
    messages: Vec<NewMessage>,
    atomic: bool,
) -> Vec<Appended> {
    let append = Append { messages, atomic };
    store.append(append).await.expect("an append works")
}

/// Appends a message that must be stored.
pub(super) async fn stored(store: &dyn Store, message: NewMessage) -> (Num, Vec<DeliveryRow>) {
    match append(store, vec![message], false).await.remove(0) {
        Appended::Stored { num, deliveries } => (num, deliveries),
        other => unstored(&other),
    }
}

#[expect(clippy::panic, reason = "how a case tells what it found")]
fn unstored(answer: &Appended) -> ! {
    panic!("not stored: {answer:?}")
}

pub(super) fn attempt(number: u32, seconds: u64) -> Attempt {
    Attempt {
        number,
        started: at(seconds),
        timing: Timing {
            total_us: 1_500,
            ..Timing::default()
        },
        peer: Some("192.0.2.1:443".into()),
        status: Some(503),
        outcome: OutcomeClass::Retry,
        error: Some("503".into()),
        degraded: Vec::new(),
        platform_ids: Vec::new(),
        possible_duplicate: None,
        report: None,
        next: Some(at(seconds + 1)),
        request_headers: vec![("webhook-id".into(), "1".into())],
        response_headers: Vec::new(),
        response: "busy".into(),
    }
}

pub(super) fn settlement(row: &DeliveryRow, to: Settle, seconds: u64) -> Settlement {
    let counts = !matches!(to, Settle::Park { .. } | Settle::Join | Settle::Note);
    Settlement {
        token: row.token(),
        to,
        at: at(seconds),
        attempt: Some(attempt(row.attempts + u32::from(counts), seconds)),
        unlogged: false,
        known_as: Vec::new(),
    }
}

/// Settles one delivery, which must not be fenced.
pub(super) async fn settle(
    store: &dyn Store,
    row: &DeliveryRow,
    to: Settle,
    seconds: u64,
) -> (DeliveryRow, Option<DeliveryRow>) {
    let mut settled = store
        .settle(vec![settlement(row, to, seconds)])
        .await
        .expect("a settlement works");
    match settled.remove(0) {
        Settled::Done { row, promoted } => (row, promoted),
        Settled::Fenced => fenced(row),
    }
}

#[expect(clippy::panic, reason = "how a case tells what it found")]
fn fenced(row: &DeliveryRow) -> ! {
    panic!("fenced: {row:?}")
}

pub(super) fn retry(seconds: u64) -> Settle {
    Settle::Retry {
        at: at(seconds),
        possible_duplicate: None,
        checkpoint: None,
    }
}

pub(super) fn claim(class: ClaimClass, due_until: u64) -> Claim {
    Claim {
        group: GROUP,
        class,
        due_until: at(due_until),
        exclude: Vec::new(),
        limit: 1_000,
    }
}

/// The deliveries of first attempts due by then.
pub(super) async fn due(store: &dyn Store, due_until: u64) -> Vec<DeliveryRow> {
    let claimed = store.claim(claim(ClaimClass::First, due_until)).await;
    claimed.expect("a claim works").deliveries
}

/// The delivery as it stands.
pub(super) async fn current(store: &dyn Store, row: &DeliveryRow) -> DeliveryRow {
    let found = store.delivery(row.id).await.expect("a delivery is read");
    found.expect("the delivery is there")
}
