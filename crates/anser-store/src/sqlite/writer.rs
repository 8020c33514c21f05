//! The one writer: a thread that takes whatever has gathered, does it in one transaction, syncs, and answers all. The
//! next group forms meanwhile, so its size adapts to the disk. A member that fails is taken out and the rest is done
//! again, so no member spoils another.

mod append;
mod blob;
mod configure;
mod journal;
mod queue;
mod settle;
mod statements;
mod sweep;

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use anser_core::Timestamp;
use anser_core::blob::BlobHash;
use anser_core::clock::Clock;
use anser_core::id::{DeliveryId, MessageId, Num, ResourceId};
use anser_core::store::{
    Acknowledged, Acknowledgement, Append, Appended, BlobDoom, CommitObserver, ConfigChange,
    ConfigRow, DeliveryRow, Diversion, Group, JournalRow, Lease, Leased, NewDelivery, Retention,
    Rewind, Rewound, Settled, Settlement, StoreError, Swept,
};
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use super::ack::AckFile;
use super::depth::{DepthChanges, Depths};
use super::failure::Failure;
use super::folding::{self, Folder};
use super::meta::{self, Fact};
use super::relay::Relay;
use super::space::Space;
use statements::Statements;

#[cfg(test)]
pub(super) use {
    blob::DOOMED_BLOBS, blob::IDLE_BLOBS, queue::DUE_OF_QUEUE, queue::FRONT_OF_QUEUE,
    queue::NEXT_DUE_OF_QUEUE, queue::REWINDABLE, settle::OPEN_OF_GROUP, statements::LANE_HEAD,
    sweep::NEXT_DELETE_AT, sweep::NEXT_OF_TOPIC, sweep::NEXT_TOPIC,
};

/// Requests that wait for the writer; more callers wait in line.
pub(super) const QUEUE_MAX: usize = 4096;
/// Requests taken into one commit.
const GROUP_REQUESTS_MAX: usize = 1024;
/// Rows after which no further request is taken into a commit.
const GROUP_ROWS_MAX: usize = 10_000;
/// One in so many of the pages allowed is kept free of new work, so that settlements find room.
const PAGES_RESERVED_SHARE: u32 = 8;
/// Frames in the write-ahead log after which it is folded into the database: 16 MiB.
const FOLD_FRAMES: u32 = 4096;
/// Frames after which a log that could not begin anew, because of a reader, is folded again.
const FOLD_AGAIN_FRAMES: u32 = 512;
/// Frames after which the writer folds by itself, however long that takes: the log must not outgrow the data.
const FOLD_NOW_FRAMES: u32 = 8 * FOLD_FRAMES;

/// What the writer is asked to do.
#[derive(Debug)]
pub(super) enum Op {
    Append(Append),
    Settle(Vec<Settlement>),
    Lease(Lease),
    Acknowledge(Vec<Acknowledgement>),
    Divert(Vec<Diversion>),
    Rewind(Rewind),
    Reopen {
        delivery: DeliveryId,
        due: Timestamp,
    },
    Enqueue {
        message: Num,
        deliveries: Vec<NewDelivery>,
    },
    Cancel {
        group: Group,
        keep: Vec<DeliveryId>,
        at: Timestamp,
        limit: usize,
    },
    Configure(Vec<ConfigChange>),
    Sweep(Retention),
    BlobAnnounce {
        hash: BlobHash,
        size: u64,
    },
    BlobPut {
        hash: BlobHash,
        size: u64,
        at: Timestamp,
    },
    BlobDoom(BlobDoom),
    BlobRemove(BlobHash),
    Journal {
        channel: ResourceId,
        entries: Vec<JournalRow>,
        keep: u64,
    },
    Probe,
    Close,
}

impl Op {
    /// About how many rows it writes.
    fn rows(&self) -> usize {
        match self {
            Self::Append(append) => append
                .messages
                .iter()
                .map(|message| 1 + message.deliveries.len() + message.blobs.len())
                .sum(),
            Self::Settle(settlements) => settlements.len(),
            Self::Lease(lease) => lease.max,
            Self::Acknowledge(acknowledgements) => acknowledgements.len(),
            Self::Divert(diversions) => diversions.len(),
            Self::Rewind(rewind) => rewind.limit,
            Self::Enqueue { deliveries, .. } => deliveries.len(),
            Self::Cancel { limit, .. } => *limit,
            Self::Sweep(retention) => retention.limit,
            Self::Configure(changes) => changes.len(),
            Self::BlobDoom(doom) => doom.limit,
            Self::Journal { entries, .. } => entries.len(),
            Self::BlobAnnounce { .. }
            | Self::BlobPut { .. }
            | Self::BlobRemove(_)
            | Self::Reopen { .. }
            | Self::Probe
            | Self::Close => 1,
        }
    }

    /// Whether it brings new work and is refused while the disk is short of room.
    fn is_growth(&self) -> bool {
        matches!(
            self,
            Self::Append(_) | Self::Enqueue { .. } | Self::BlobAnnounce { .. }
        )
    }
}

/// What the writer answers, one kind per kind of request.
#[derive(Debug)]
pub(super) enum Answer {
    Appended(Vec<Appended>),
    Settled(Vec<Settled>),
    Leased(Leased),
    Acknowledged(Vec<Acknowledged>),
    Diverted(Vec<Option<DeliveryRow>>),
    Rewound(Rewound),
    Reopened(Option<DeliveryRow>),
    Enqueued(Option<Vec<DeliveryRow>>),
    Cancelled(usize),
    Configured(Vec<ConfigRow>),
    Swept(Swept),
    Doomed(Vec<BlobHash>),
    Removed(bool),
    Done,
}

pub(super) type Reply = Result<Answer, StoreError>;

/// A request and where its answer goes.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) op: Op,
    pub(super) reply: oneshot::Sender<Reply>,
}

/// The numbers the store gives out, as of the newest transaction.
#[derive(Debug, Clone, Copy)]
pub(super) struct Counters {
    /// The last message number given out.
    pub(super) num: u64,
    /// The last record of the attempts log.
    pub(super) log: u64,
    /// The greatest message id.
    pub(super) highest_id: Option<MessageId>,
    /// The last revision of the configuration.
    pub(super) revision: u64,
    /// The last resource number given out.
    pub(super) resource: u64,
}

/// What the writer thread owns.
pub(super) struct Writer {
    pub(super) connection: Connection,
    pub(super) ack: AckFile,
    /// Keeps other processes out for as long as it is open.
    pub(super) lock: std::fs::File,
    pub(super) space: Space,
    pub(super) max_page_count: Option<u32>,
    pub(super) depths: Arc<Depths>,
    pub(super) observer: Option<Arc<dyn CommitObserver>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) counters: Counters,
    pub(super) folder: Folder,
    pub(super) relay: Arc<Relay<Reply>>,
}

impl Writer {
    /// Serves requests until all senders are gone or one asks to close.
    pub(super) fn run(mut self, mut jobs: mpsc::Receiver<Job>) {
        let (closing, halted) = match Session::begin(&mut self) {
            Ok(mut session) => (session.serve(&mut jobs), session.halted.take()),
            Err(failure) => (None, Some(failure.answer())),
        };
        if let Some(reply) = closing {
            let closed = match halted.clone() {
                Some(error) => {
                    self.folder.stop();
                    Err(error)
                }
                None => self.close().map(|()| Answer::Done),
            };
            // Whoever asked may have given up waiting; the data is closed all the same.
            drop(reply.send(closed));
        } else {
            self.folder.stop();
        }
        jobs.close();
        let error = halted.unwrap_or_else(closed);
        while let Some(job) = jobs.blocking_recv() {
            drop(job.reply.send(Err(error.clone())));
        }
    }

    /// Marks the data as properly closed and folds the log into the database.
    fn close(self) -> Result<(), StoreError> {
        let Self {
            connection,
            ack,
            lock,
            counters,
            folder,
            ..
        } = self;
        folder.stop();
        let finish = || -> Result<(), Failure> {
            let transaction = connection.unchecked_transaction()?;
            meta::set_number(&connection, Fact::HighestNum, counters.num)?;
            meta::set_number(&connection, Fact::Clean, 1)?;
            transaction.commit()?;
            ack.release().map_err(ack_failure)?;
            let config = rusqlite::config::DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE;
            connection.set_db_config(config, false)?;
            Ok(())
        };
        finish().map_err(|failure| failure.answer())?;
        connection
            .close()
            .map_err(|(_, error)| Failure::from(error).answer())?;
        drop(lock);
        Ok(())
    }
}

/// The answer to calls after the close.
pub(super) fn closed() -> StoreError {
    StoreError::Permanent("the store is closed".into())
}

fn ack_failure(error: std::io::Error) -> Failure {
    Failure::Sql(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_IOERR),
        Some(format!("{}: {error}", super::ack::FILE)),
    ))
}

/// One writing session: the connection's prepared statements and what is staged for the next commit.
struct Session<'c> {
    connection: &'c Connection,
    statements: Statements<'c>,
    ack: &'c AckFile,
    space: &'c mut Space,
    max_page_count: Option<u32>,
    depths: &'c Depths,
    observer: Option<&'c dyn CommitObserver>,
    clock: &'c dyn Clock,
    /// As committed.
    committed: &'c mut Counters,
    /// As they will be when the transaction commits.
    counters: Counters,
    /// Numbers were used, or the newest message removed, in a way that no stored message shows.
    keep_counters: bool,
    changes: DepthChanges,
    log: settle::LogRecord,
    cursors: sweep::Cursors,
    /// Damaged deliveries that were met in queues, and logged.
    damaged: HashSet<i64>,
    /// Why nothing more is written: what is on the disk is unknown.
    halted: Option<StoreError>,
    folder: &'c mut Folder,
    relay: &'c Relay<Reply>,
    /// Frames at which the log is folded next.
    fold_at: u32,
}

impl<'c> Session<'c> {
    fn begin(writer: &'c mut Writer) -> Result<Self, Failure> {
        let counters = writer.counters;
        Ok(Self {
            connection: &writer.connection,
            statements: Statements::prepare(&writer.connection)?,
            ack: &writer.ack,
            space: &mut writer.space,
            max_page_count: writer.max_page_count,
            depths: &writer.depths,
            observer: writer.observer.as_deref(),
            clock: &*writer.clock,
            committed: &mut writer.counters,
            counters,
            keep_counters: false,
            changes: DepthChanges::default(),
            log: settle::LogRecord::default(),
            cursors: sweep::Cursors::default(),
            damaged: HashSet::new(),
            halted: None,
            folder: &mut writer.folder,
            relay: &writer.relay,
            fold_at: FOLD_FRAMES,
        })
    }

    /// Serves until there is nobody left to serve, or somebody asks to close.
    fn serve(&mut self, jobs: &mut mpsc::Receiver<Job>) -> Option<oneshot::Sender<Reply>> {
        let mut gathered = VecDeque::new();
        let mut buffer = Vec::new();
        loop {
            if gathered.is_empty() && jobs.blocking_recv_many(&mut buffer, GROUP_REQUESTS_MAX) == 0
            {
                return None;
            }
            gathered.extend(buffer.drain(..));
            let (group, closing) = take_group(&mut gathered);
            self.commit_group(group);
            if let Some(reply) = closing {
                for job in gathered {
                    drop(job.reply.send(Err(closed())));
                }
                return Some(reply);
            }
        }
    }

    fn commit_group(&mut self, group: Vec<Job>) {
        if group.is_empty() {
            return;
        }
        let began = self.clock.monotonic();
        let mut replies: Vec<Option<Reply>> = Vec::new();
        let short = group.iter().any(|job| job.op.is_growth()) && self.is_short();
        replies.extend(
            group
                .iter()
                .map(|job| (short && job.op.is_growth()).then_some(Err(StoreError::Full))),
        );
        let frames = self.run(&group, &mut replies);
        let operations = group.len();
        let replies = replies
            .into_iter()
            .map(|reply| reply.unwrap_or(Err(StoreError::Unknown)));
        let callers = group.into_iter().map(|job| job.reply);
        self.relay.deliver(callers.zip(replies).collect());
        if let Some(observer) = self.observer {
            observer.committed(operations, self.clock.monotonic().saturating_sub(began));
        }
        if let Some(frames) = frames {
            self.fold(frames);
        }
    }

    /// Whether the file system or the database's own limit has too little room for new work.
    fn is_short(&mut self) -> bool {
        if self.space.is_short() {
            return true;
        }
        let Some(max) = self.max_page_count else {
            return false;
        };
        let count = |sql| {
            self.connection
                .query_row(sql, [], |row| row.get::<_, u32>(0))
        };
        match (count("PRAGMA page_count"), count("PRAGMA freelist_count")) {
            (Ok(pages), Ok(free)) => pages.saturating_sub(free) > max - max / PAGES_RESERVED_SHARE,
            // The commit will tell.
            _ => false,
        }
    }

    /// Does every request that has no reply yet, without those that fail; answers the frames in the log.
    fn run(&mut self, group: &[Job], replies: &mut [Option<Reply>]) -> Option<u32> {
        loop {
            if let Some(error) = &self.halted {
                fill(replies, error);
                return None;
            }
            if replies.iter().all(Option::is_some) {
                return None;
            }
            let mut answers: Vec<Option<Answer>> = Vec::new();
            match self.attempt(group, replies, &mut answers) {
                Ok(frames) => {
                    for (reply, answer) in replies.iter_mut().zip(answers) {
                        if let Some(answer) = answer {
                            *reply = Some(Ok(answer));
                        }
                    }
                    return Some(frames);
                }
                Err((failed, failure)) => self.take_out(group, replies, failed, &failure),
            }
        }
    }

    /// One transaction. On failure nothing of it is stored, and the index tells whose fault it was, if anybody's.
    fn attempt(
        &mut self,
        group: &[Job],
        replies: &[Option<Reply>],
        answers: &mut Vec<Option<Answer>>,
    ) -> Result<u32, (Option<usize>, Failure)> {
        self.statements
            .begin
            .execute([])
            .map_err(|error| (None, error.into()))?;
        for (index, (job, reply)) in group.iter().zip(replies).enumerate() {
            answers.push(match reply {
                Some(_) => None,
                None => Some(
                    self.perform(&job.op)
                        .map_err(|failure| (Some(index), failure))?,
                ),
            });
        }
        self.finish().map_err(|failure| (None, failure))
    }

    fn perform(&mut self, op: &Op) -> Result<Answer, Failure> {
        Ok(match op {
            Op::Append(append) => Answer::Appended(self.append(append)?),
            Op::Settle(settlements) => Answer::Settled(self.settle(settlements)?),
            Op::Lease(lease) => Answer::Leased(self.lease(lease)?),
            Op::Acknowledge(acknowledgements) => {
                Answer::Acknowledged(self.acknowledge(acknowledgements)?)
            }
            Op::Divert(diversions) => Answer::Diverted(self.divert(diversions)?),
            Op::Rewind(rewind) => Answer::Rewound(self.rewind(rewind)?),
            Op::Reopen { delivery, due } => Answer::Reopened(self.reopen(*delivery, *due)?),
            Op::Enqueue {
                message,
                deliveries,
            } => Answer::Enqueued(self.enqueue(*message, deliveries)?),
            Op::Cancel {
                group,
                keep,
                at,
                limit,
            } => Answer::Cancelled(self.cancel_group(*group, keep, *at, *limit)?),
            Op::Configure(changes) => Answer::Configured(self.configure(changes)?),
            Op::Sweep(retention) => Answer::Swept(self.sweep(retention)?),
            Op::BlobAnnounce { hash, size } => {
                self.blob_announce(*hash, *size)?;
                Answer::Done
            }
            Op::BlobPut { hash, size, at } => {
                self.blob_put(*hash, *size, *at)?;
                Answer::Done
            }
            Op::BlobDoom(doom) => Answer::Doomed(self.blob_doom(doom)?),
            Op::BlobRemove(hash) => Answer::Removed(self.blob_remove(*hash)?),
            Op::Journal {
                channel,
                entries,
                keep,
            } => {
                self.journal_write(*channel, entries, *keep)?;
                Answer::Done
            }
            Op::Probe => {
                let probes = meta::number(self.connection, Fact::Probe)?.unwrap_or(0);
                meta::set_number(self.connection, Fact::Probe, probes.wrapping_add(1))?;
                Answer::Done
            }
            Op::Close => Answer::Done,
        })
    }

    /// Commits what was done and makes it known as acknowledged.
    fn finish(&mut self) -> Result<u32, Failure> {
        self.flush_log()?;
        if self.keep_counters {
            meta::set_number(self.connection, Fact::HighestNum, self.counters.num)?;
            if let Some(id) = self.counters.highest_id {
                meta::set_highest_id(self.connection, id)?;
            }
        }
        self.statements.commit.execute([])?;
        *self.committed = self.counters;
        self.keep_counters = false;
        self.depths.apply(&mut self.changes);
        self.ack.acknowledge().map_err(ack_failure)
    }

    /// Undoes the transaction and gives those that must not be tried again their replies.
    fn take_out(
        &mut self,
        group: &[Job],
        replies: &mut [Option<Reply>],
        failed: Option<usize>,
        failure: &Failure,
    ) {
        self.undo();
        let answer = failure.answer();
        if failure.is_fatal() {
            tracing::error!(%failure, "a write to the disk failed: nothing more is written");
            self.halted = Some(StoreError::Permanent(format!(
                "a write to the disk failed ({failure}); what was stored last is unknown, so the process must end and \
                 read it anew"
            )));
            return;
        }
        if failure.is_full() {
            // A log that is folded begins anew in the room it has.
            let folded = folding::fold(self.connection);
            self.judge(folded);
        }
        let growth_left = |replies: &[Option<Reply>]| {
            let mut open = group.iter().zip(replies);
            open.any(|(job, reply)| reply.is_none() && job.op.is_growth())
        };
        match failed {
            _ if failure.is_full() && growth_left(replies) => {
                for (job, reply) in group.iter().zip(replies.iter_mut()) {
                    if reply.is_none() && job.op.is_growth() {
                        *reply = Some(Err(StoreError::Full));
                    }
                }
            }
            Some(index) => replies[index] = Some(Err(answer)),
            None => fill(replies, &answer),
        }
    }

    fn undo(&mut self) {
        // A full disk makes SQLite roll back by itself.
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("ROLLBACK")
        {
            self.halted = Some(StoreError::Permanent(format!("a rollback failed: {error}")));
        }
        self.counters = *self.committed;
        self.keep_counters = false;
        self.changes.truncate(0);
        self.log.clear();
    }

    /// A fold that failed is tried again later, unless the disk itself failed.
    fn judge(&mut self, folded: Result<(), Failure>) {
        let Err(failure) = folded else { return };
        tracing::warn!(%failure, "the log could not be folded into the database");
        if failure.is_fatal() {
            self.halted = Some(StoreError::Permanent(format!(
                "a sync of the database failed ({failure}); the process must end and read it anew"
            )));
        }
    }

    /// Has the log folded into the database when it is long, and folds what came in meanwhile.
    fn fold(&mut self, frames: u32) {
        if frames < FOLD_FRAMES {
            self.fold_at = FOLD_FRAMES;
        }
        let folded = match self.folder.result() {
            None if frames < self.fold_at => return,
            None if frames < FOLD_NOW_FRAMES => return self.folder.ask(),
            None | Some(Ok(())) => folding::fold(self.connection),
            Some(failed) => failed,
        };
        self.fold_at = frames.saturating_add(FOLD_AGAIN_FRAMES);
        self.judge(folded);
    }
}

/// The next requests that fit one commit, and the reply of the one that asks to close after them.
fn take_group(gathered: &mut VecDeque<Job>) -> (Vec<Job>, Option<oneshot::Sender<Reply>>) {
    let mut group = Vec::new();
    let mut rows = 0;
    while let Some(job) = gathered.pop_front() {
        if matches!(job.op, Op::Close) {
            return (group, Some(job.reply));
        }
        rows += job.op.rows();
        group.push(job);
        if rows >= GROUP_ROWS_MAX {
            break;
        }
    }
    (group, None)
}

fn fill(replies: &mut [Option<Reply>], error: &StoreError) {
    for reply in replies {
        reply.get_or_insert_with(|| Err(error.clone()));
    }
}
