//! The obvious model of the contract: maps under a mutex, nothing durable. Fit for tests of other crates, and what the
//! SQLite store is compared with. It keeps everything until it is swept or dropped.

mod state;

use std::sync::{Mutex, MutexGuard, PoisonError};

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::blob::BlobHash;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::store::{
    Acknowledged, Acknowledgement, AliasKey, Append, Appended, BlobDoom, BlobIndex, BlobRow,
    BlobTotals, Claim, Claimed, ConfigChange, ConfigRow, DeliveryPage, DeliveryRow, DeliveryScan,
    Depth, Diversion, Group, JournalRow, JournalScan, JournalStore, Known, Lease, Leased, Linked,
    MessageRow, MessageScan, NewDelivery, QueueCounts, Result, Retention, Rewind, Rewound, Settled,
    Settlement, Store, StoreError, StoreInfo, Swept,
};
use async_trait::async_trait;

use state::State;

/// The installation's number of every memory store: tests like it to stand still.
const INSTALLATION: u64 = 1_000_000_001;

/// A store that forgets everything with its process.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, unless the store is closed.
    fn open(&self) -> Result<MutexGuard<'_, State>> {
        let state = self.state();
        if state.closed {
            return Err(StoreError::Permanent("the store is closed".into()));
        }
        Ok(state)
    }
}

#[async_trait]
impl BlobIndex for MemoryStore {
    async fn blob_announce(&self, hash: BlobHash, size: u64) -> Result<()> {
        self.open()?.blob_announce(hash, size);
        Ok(())
    }

    async fn blob_put(&self, hash: BlobHash, size: u64, at: Timestamp) -> Result<()> {
        self.open()?.blob_put(hash, size, at);
        Ok(())
    }

    async fn blobs(&self, hashes: Vec<BlobHash>) -> Result<Vec<BlobRow>> {
        Ok(self.open()?.blobs(&hashes))
    }

    async fn blob_doom(&self, doom: BlobDoom) -> Result<Vec<BlobHash>> {
        Ok(self.open()?.blob_doom(&doom))
    }

    async fn blob_remove(&self, hash: BlobHash) -> Result<bool> {
        Ok(self.open()?.blob_remove(hash))
    }

    async fn blob_totals(&self) -> Result<BlobTotals> {
        Ok(self.open()?.blob_totals())
    }
}

#[async_trait]
impl JournalStore for MemoryStore {
    async fn journal_write(
        &self,
        channel: ResourceId,
        entries: Vec<JournalRow>,
        keep: u64,
    ) -> Result<()> {
        self.open()?.journal_write(channel, &entries, keep);
        Ok(())
    }

    async fn journal_read(&self, scan: JournalScan) -> Result<Vec<JournalRow>> {
        Ok(self.open()?.journal_read(&scan))
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn info(&self) -> StoreInfo {
        StoreInfo {
            installation: INSTALLATION,
            epoch: 1,
            clean: true,
            highest_id: None,
            highest_num: Num(0),
        }
    }

    async fn append(&self, append: Append) -> Result<Vec<Appended>> {
        self.open()?.append(&append)
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed> {
        Ok(self.open()?.claim(&claim))
    }

    async fn groups(&self) -> Result<Vec<(Group, Timestamp)>> {
        Ok(self.open()?.groups())
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        Ok(self.open()?.settle(&settlements))
    }

    async fn lease(&self, lease: Lease) -> Result<Leased> {
        Ok(self.open()?.lease(&lease))
    }

    async fn acknowledge(
        &self,
        acknowledgements: Vec<Acknowledgement>,
    ) -> Result<Vec<Acknowledged>> {
        Ok(self.open()?.acknowledge(&acknowledgements))
    }

    async fn divert(&self, diversions: Vec<Diversion>) -> Result<Vec<Option<DeliveryRow>>> {
        self.open()?.divert(&diversions)
    }

    async fn rewind(&self, rewind: Rewind) -> Result<Rewound> {
        Ok(self.open()?.rewind(&rewind))
    }

    async fn queue_counts(
        &self,
        queue: Group,
        now: Timestamp,
        ended_from: Timestamp,
    ) -> Result<QueueCounts> {
        Ok(self.open()?.queue_counts(queue, now, ended_from))
    }

    async fn reopen(&self, delivery: DeliveryId, due: Timestamp) -> Result<Option<DeliveryRow>> {
        Ok(self.open()?.reopen(delivery, due))
    }

    async fn enqueue(
        &self,
        message: Num,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Option<Vec<DeliveryRow>>> {
        self.open()?.enqueue(message, &deliveries)
    }

    async fn cancel_group(
        &self,
        group: Group,
        keep: Vec<DeliveryId>,
        at: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        Ok(self.open()?.cancel_group(group, &keep, at, limit))
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRow>> {
        Ok(self.open()?.message(id))
    }

    async fn messages(&self, nums: Vec<Num>) -> Result<Vec<MessageRow>> {
        Ok(self.open()?.messages(&nums))
    }

    async fn linked(&self, target: Num) -> Result<Vec<Linked>> {
        Ok(self.open()?.linked(target))
    }

    async fn known_as(&self, key: AliasKey) -> Result<Vec<Known>> {
        Ok(self.open()?.known_as(key))
    }

    async fn scan_messages(&self, scan: MessageScan) -> Result<Vec<MessageRow>> {
        Ok(self.open()?.scan_messages(&scan))
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        Ok(self.open()?.delivery(id))
    }

    async fn deliveries_of(
        &self,
        message: Num,
        from: u32,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>> {
        Ok(self.open()?.deliveries_of(message, from, limit))
    }

    async fn scan_deliveries(&self, scan: DeliveryScan) -> Result<DeliveryPage> {
        Ok(self.open()?.scan_deliveries(&scan))
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        Ok(self.open()?.attempts(delivery))
    }

    fn depths(&self) -> Vec<Depth> {
        self.state().depths()
    }

    async fn config_apply(&self, changes: Vec<ConfigChange>) -> Result<Vec<ConfigRow>> {
        self.open()?.config_apply(&changes)
    }

    async fn config_list(&self) -> Result<Vec<ConfigRow>> {
        Ok(self.open()?.config_list())
    }

    async fn sweep(&self, retention: Retention) -> Result<Swept> {
        Ok(self.open()?.sweep(&retention))
    }

    async fn probe(&self) -> Result<()> {
        self.open().map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.open()?.closed = true;
        Ok(())
    }
}
