//! The embedded default: SQLite with a write-ahead log, synced at every commit, one writer thread with group commit and
//! readers beside it. Damage is reported, never taken for an end: a checksum in every row, and a look at the log before
//! SQLite recovers it. A failed write or sync halts the writer for good: every later call answers `Permanent`, and the
//! process must end and read anew what the disk really holds.

mod ack;
mod attempts;
mod blob;
mod counts;
mod depth;
mod error;
mod failure;
mod folding;
mod journal;
mod meta;
mod opening;
mod read;
mod readers;
mod relay;
mod row;
mod schema;
mod space;
mod wal;
mod writer;

#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use anser_core::Timestamp;
use anser_core::attempt::Attempt;
use anser_core::blob::BlobHash;
use anser_core::clock::Clock;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::random::Random;
use anser_core::store::{
    Acknowledged, Acknowledgement, AliasKey, Append, Appended, BlobDoom, BlobIndex, BlobRow,
    BlobTotals, Claim, Claimed, CommitObserver, ConfigChange, ConfigRow, DeliveryPage, DeliveryRow,
    DeliveryScan, Depth, Diversion, Group, JournalRow, JournalScan, JournalStore, Known, Lease,
    Leased, Linked, MessageRow, MessageScan, NewDelivery, QueueCounts, Result, Retention, Rewind,
    Rewound, Settled, Settlement, Store, StoreError, StoreInfo, Swept,
};
use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

pub use error::OpenError;
pub use opening::Verify;

use depth::Depths;
use folding::Folder;
use opening::{Opened, Opening};
use readers::Reader;
use relay::Relay;
use space::Space;
use writer::{Answer, Counters, Job, Op, Reply, Writer};

/// How to open the data.
pub struct SqliteOptions {
    /// The data directory; made when missing, for its owner only.
    pub dir: PathBuf,
    /// Free bytes on its file system below which `append` and `enqueue` answer `Full`; `None`: the larger of 256 MiB and
    /// 2 %; 0: none.
    pub reserve_bytes: Option<u64>,
    /// How thoroughly the data is checked first.
    pub verify: Verify,
    /// Told of every commit.
    pub observer: Option<Arc<dyn CommitObserver>>,
    /// For measuring commits and spacing questions to the file system.
    pub clock: Arc<dyn Clock>,
    /// For the installation's number.
    pub random: Arc<dyn Random>,
    /// Pages of 4 KiB that the database may have at most, an eighth of them for settlements only; `None`: as many as the
    /// disk takes.
    pub max_page_count: Option<u32>,
}

impl SqliteOptions {
    /// The usual settings for a data directory.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Self {
        Self {
            dir: dir.into(),
            reserve_bytes: None,
            verify: Verify::Auto,
            observer: None,
            clock,
            random,
            max_page_count: None,
        }
    }
}

impl std::fmt::Debug for SqliteOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteOptions")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

/// The embedded store. Dropped without [`Store::close`], it leaves its files as a crash would.
pub struct SqliteStore {
    info: StoreInfo,
    depths: Arc<Depths>,
    jobs: Option<mpsc::Sender<Job>>,
    relay: Arc<Relay<Reply>>,
    writer: Option<JoinHandle<()>>,
    /// For claims and single rows.
    near: Option<Reader>,
    /// For lists.
    far: Option<Reader>,
}

impl SqliteStore {
    /// Opens the data, or makes it. Blocks: it reads all of small data and the unfinished part of large.
    ///
    /// # Errors
    /// Another owner, a newer schema, damage, or a file system that refuses; see [`OpenError`].
    pub fn open(options: SqliteOptions) -> std::result::Result<Self, OpenError> {
        let opening = Opening {
            dir: &options.dir,
            verify: options.verify,
            max_page_count: options.max_page_count,
            random: &*options.random,
        };
        let Opened {
            database,
            connection,
            ack,
            lock,
            info,
            depths,
            log,
            revision,
            resource,
        } = opening.open()?;
        let failed = |failure| opening.failed(&failure);
        let near = Reader::start(&database, "anser-store-near").map_err(failed)?;
        let far = Reader::start(&database, "anser-store-far").map_err(failed)?;
        let folder = Folder::start(&database).map_err(failed)?;
        let depths = Arc::new(depths);
        let relay = Arc::new(Relay::default());
        let writer = Writer {
            connection,
            ack,
            lock,
            space: Space::new(
                options.dir.clone(),
                options.reserve_bytes,
                Arc::clone(&options.clock),
            ),
            max_page_count: options.max_page_count,
            depths: Arc::clone(&depths),
            observer: options.observer,
            clock: options.clock,
            counters: Counters {
                num: info.highest_num.0,
                log,
                highest_id: info.highest_id,
                revision,
                resource,
            },
            folder,
            relay: Arc::clone(&relay),
        };
        let (jobs, queue) = mpsc::channel(writer::QUEUE_MAX);
        let writer = std::thread::Builder::new()
            .name("anser-store-writer".to_owned())
            .spawn(move || writer.run(queue))
            .map_err(|source| OpenError::Io {
                dir: options.dir,
                source,
            })?;
        Ok(Self {
            info,
            depths,
            jobs: Some(jobs),
            relay,
            writer: Some(writer),
            near: Some(near),
            far: Some(far),
        })
    }

    async fn write(&self, op: Op) -> Result<Answer> {
        self.relay.start();
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(writer::closed)?;
        jobs.send(Job { op, reply })
            .await
            .map_err(|_| writer::closed())?;
        // Without an answer the writer is gone, and with it the knowledge of what it did last.
        answer.await.map_err(|_| StoreError::Unknown)?
    }

    fn near(&self) -> Result<&Reader> {
        self.near.as_ref().ok_or_else(writer::closed)
    }

    fn far(&self) -> Result<&Reader> {
        self.far.as_ref().ok_or_else(writer::closed)
    }
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore")
            .field("info", &self.info)
            .finish_non_exhaustive()
    }
}

impl Drop for SqliteStore {
    /// Ends the threads and waits for them, so that the data can be opened again at once.
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take() {
            // A panic there was answered as `Unknown`.
            drop(writer.join());
        }
        for reader in [self.near.take(), self.far.take()].into_iter().flatten() {
            reader.join();
        }
    }
}

/// The answer of the kind that belongs to the request.
macro_rules! expect_answer {
    ($answer:expr, $kind:path) => {
        match $answer {
            $kind(value) => Ok(value),
            _ => Err(StoreError::Unknown),
        }
    };
}

#[async_trait]
impl BlobIndex for SqliteStore {
    async fn blob_announce(&self, hash: BlobHash, size: u64) -> Result<()> {
        self.write(Op::BlobAnnounce { hash, size }).await.map(drop)
    }

    async fn blob_put(&self, hash: BlobHash, size: u64, at: Timestamp) -> Result<()> {
        self.write(Op::BlobPut { hash, size, at }).await.map(drop)
    }

    async fn blobs(&self, hashes: Vec<BlobHash>) -> Result<Vec<BlobRow>> {
        self.near()?
            .read(move |connection| blob::usable(connection, &hashes))
            .await
    }

    async fn blob_doom(&self, doom: BlobDoom) -> Result<Vec<BlobHash>> {
        expect_answer!(self.write(Op::BlobDoom(doom)).await?, Answer::Doomed)
    }

    async fn blob_remove(&self, hash: BlobHash) -> Result<bool> {
        expect_answer!(self.write(Op::BlobRemove(hash)).await?, Answer::Removed)
    }

    async fn blob_totals(&self) -> Result<BlobTotals> {
        self.far()?.read(blob::totals).await
    }
}

#[async_trait]
impl JournalStore for SqliteStore {
    async fn journal_write(
        &self,
        channel: ResourceId,
        entries: Vec<JournalRow>,
        keep: u64,
    ) -> Result<()> {
        let op = Op::Journal {
            channel,
            entries,
            keep,
        };
        self.write(op).await.map(drop)
    }

    async fn journal_read(&self, scan: JournalScan) -> Result<Vec<JournalRow>> {
        let read = move |connection: &Connection| journal::read(connection, scan);
        self.far()?.read(read).await
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn info(&self) -> StoreInfo {
        self.info.clone()
    }

    async fn append(&self, append: Append) -> Result<Vec<Appended>> {
        expect_answer!(self.write(Op::Append(append)).await?, Answer::Appended)
    }

    async fn claim(&self, claim: Claim) -> Result<Claimed> {
        self.near()?
            .read(move |connection| read::claim(connection, &claim))
            .await
    }

    async fn groups(&self) -> Result<Vec<(Group, Timestamp)>> {
        self.far()?.read(read::groups).await
    }

    async fn settle(&self, settlements: Vec<Settlement>) -> Result<Vec<Settled>> {
        expect_answer!(self.write(Op::Settle(settlements)).await?, Answer::Settled)
    }

    async fn lease(&self, lease: Lease) -> Result<Leased> {
        expect_answer!(self.write(Op::Lease(lease)).await?, Answer::Leased)
    }

    async fn acknowledge(
        &self,
        acknowledgements: Vec<Acknowledgement>,
    ) -> Result<Vec<Acknowledged>> {
        expect_answer!(
            self.write(Op::Acknowledge(acknowledgements)).await?,
            Answer::Acknowledged
        )
    }

    async fn divert(&self, diversions: Vec<Diversion>) -> Result<Vec<Option<DeliveryRow>>> {
        expect_answer!(self.write(Op::Divert(diversions)).await?, Answer::Diverted)
    }

    async fn rewind(&self, rewind: Rewind) -> Result<Rewound> {
        expect_answer!(self.write(Op::Rewind(rewind)).await?, Answer::Rewound)
    }

    async fn queue_counts(
        &self,
        queue: Group,
        now: Timestamp,
        ended_from: Timestamp,
    ) -> Result<QueueCounts> {
        self.far()?
            .read(move |connection| counts::queue_counts(connection, queue, now, ended_from))
            .await
    }

    async fn reopen(&self, delivery: DeliveryId, due: Timestamp) -> Result<Option<DeliveryRow>> {
        expect_answer!(
            self.write(Op::Reopen { delivery, due }).await?,
            Answer::Reopened
        )
    }

    async fn enqueue(
        &self,
        message: Num,
        deliveries: Vec<NewDelivery>,
    ) -> Result<Option<Vec<DeliveryRow>>> {
        expect_answer!(
            self.write(Op::Enqueue {
                message,
                deliveries
            })
            .await?,
            Answer::Enqueued
        )
    }

    async fn cancel_group(
        &self,
        group: Group,
        keep: Vec<DeliveryId>,
        at: Timestamp,
        limit: usize,
    ) -> Result<usize> {
        let op = Op::Cancel {
            group,
            keep,
            at,
            limit,
        };
        expect_answer!(self.write(op).await?, Answer::Cancelled)
    }

    async fn message(&self, id: MessageId) -> Result<Option<MessageRow>> {
        self.near()?
            .read(move |connection| read::message(connection, id))
            .await
    }

    async fn messages(&self, nums: Vec<Num>) -> Result<Vec<MessageRow>> {
        self.near()?
            .read(move |connection| read::messages(connection, &nums))
            .await
    }

    async fn linked(&self, target: Num) -> Result<Vec<Linked>> {
        self.near()?
            .read(move |connection| read::linked(connection, target))
            .await
    }

    async fn known_as(&self, key: AliasKey) -> Result<Vec<Known>> {
        self.near()?
            .read(move |connection| read::known_as(connection, key))
            .await
    }

    async fn scan_messages(&self, scan: MessageScan) -> Result<Vec<MessageRow>> {
        self.far()?
            .read(move |connection| read::scan_messages(connection, &scan))
            .await
    }

    async fn delivery(&self, id: DeliveryId) -> Result<Option<DeliveryRow>> {
        self.near()?
            .read(move |connection| read::delivery(connection, id))
            .await
    }

    async fn deliveries_of(
        &self,
        message: Num,
        from: u32,
        limit: usize,
    ) -> Result<Vec<DeliveryRow>> {
        self.far()?
            .read(move |connection| read::deliveries_of(connection, message, from, limit))
            .await
    }

    async fn scan_deliveries(&self, scan: DeliveryScan) -> Result<DeliveryPage> {
        self.far()?
            .read(move |connection| read::scan_deliveries(connection, &scan))
            .await
    }

    async fn attempts(&self, delivery: DeliveryId) -> Result<Vec<Attempt>> {
        self.far()?
            .read(move |connection| read::attempts(connection, delivery))
            .await
    }

    fn depths(&self) -> Vec<Depth> {
        self.depths.list()
    }

    fn depths_of(&self, channel: ResourceId) -> Vec<Depth> {
        self.depths.list_of(channel)
    }

    async fn config_apply(&self, changes: Vec<ConfigChange>) -> Result<Vec<ConfigRow>> {
        expect_answer!(
            self.write(Op::Configure(changes)).await?,
            Answer::Configured
        )
    }

    async fn config_list(&self) -> Result<Vec<ConfigRow>> {
        self.far()?.read(read::config_list).await
    }

    async fn sweep(&self, retention: Retention) -> Result<Swept> {
        expect_answer!(self.write(Op::Sweep(retention)).await?, Answer::Swept)
    }

    async fn probe(&self) -> Result<()> {
        self.write(Op::Probe).await.map(drop)
    }

    async fn close(&self) -> Result<()> {
        self.near()?.stop().await;
        self.far()?.stop().await;
        self.write(Op::Close).await.map(drop)
    }
}
