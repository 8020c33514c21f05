//! One channel's connections, one after another: connects, drives, waits, and begins again, as its plan says. Must not decide
//! itself when or why.

use std::sync::Arc;
use std::time::Duration;

use anser_core::connection::Loss;
use anser_core::name::TOPIC_OPS;
use anser_core::store::{JournalRow, JournalScan, StoreError};
use bytes::Bytes;
use tokio::sync::watch;

use super::drive::{Drive, Ended};
use crate::connections::{Effect, Ending, JOURNAL_ENTRIES_MAX, JournalEntry, Line, Now, Report};
use crate::gateway::Gateway;

/// Entries that are read to go on where the journal ends, and to know how many events come.
const ENTRIES_RECALLED: usize = 100;
/// How long writing to the journal may take, before what is written goes without.
const JOURNAL_WITHIN: Duration = Duration::from_secs(10);
/// Between attempts to read a journal that cannot be read.
const RECALL_AGAIN: Duration = Duration::from_secs(5);

/// Why a channel is not connected any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Its settings are others now, or it is not to be connected.
    Changed,
    /// It is gone, and its journal with it.
    Deleted,
    /// The gateway stops.
    Shutdown,
}

impl Stop {
    const fn words(self) -> &'static str {
        match self {
            Self::Changed => "the channel was changed",
            Self::Deleted => "the channel was deleted",
            Self::Shutdown => "the gateway stops",
        }
    }
}

/// Who keeps one channel connected.
pub(super) struct Keeper {
    pub(super) line: Arc<Line>,
    pub(super) gateway: Arc<Gateway>,
}

impl Keeper {
    /// The time.
    pub(super) fn now(&self) -> Now {
        now(&self.gateway)
    }

    /// Keeps the channel connected until it is told to stop. `pause`: not before this has passed.
    pub(super) async fn run(self, mut stop: watch::Receiver<Option<Stop>>, pause: Duration) {
        let why = self.keep_connected(&mut stop, pause).await;
        if why != Stop::Deleted {
            self.end(why.words()).await;
        }
    }

    async fn keep_connected(
        &self,
        stop: &mut watch::Receiver<Option<Stop>>,
        pause: Duration,
    ) -> Stop {
        let recalled = async {
            tokio::time::sleep(pause).await;
            self.recall().await;
        };
        tokio::select! {
            biased;
            why = told(stop) => return why,
            () = recalled => {}
        }
        let Some(connector) = self.line.connector() else {
            return Stop::Changed;
        };
        let mut kept: Option<Bytes> = None;
        loop {
            self.line.plan(|plan| plan.begin(self.now()));
            let connection = connector.begin(kept.as_deref());
            let drive = Drive::new(self, connection, &mut kept);
            let wait = match Box::pin(drive.run(stop)).await {
                Ended::Stop(why) => return why,
                Ended::Renewed => {
                    self.end("an operator asked for another").await;
                    Duration::ZERO
                }
                Ended::Lost(ending) => self.lost(ending).await,
            };
            tokio::select! {
                biased;
                why = told(stop) => return why,
                () = self.line.renewed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Goes on where the journal ends.
    async fn recall(&self) {
        let newest = loop {
            match self.read_newest().await {
                Ok(newest) => break newest,
                Err(error) => {
                    tracing::warn!(channel = %self.line.name(), %error, "the journal of a connection cannot be read; the channel is not connected before it can");
                    tokio::time::sleep(RECALL_AGAIN).await;
                }
            }
        };
        let effects = self.line.plan(|plan| plan.recall(&newest, self.now()));
        self.carry_out(effects).await;
    }

    async fn read_newest(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let scan = JournalScan {
            channel: self.line.id(),
            before: None,
            limit: ENTRIES_RECALLED,
        };
        let rows = self.gateway.store.journal_read(scan).await?;
        rows.iter().map(read).collect()
    }

    async fn lost(&self, ending: Ending) -> Duration {
        let channel = self.line.name();
        let (loss, detail) = (ending.loss, ending.detail.clone());
        let was_live = self.line.is_live();
        self.gateway
            .metrics
            .connection_ended(self.line.id(), loss, was_live);
        let unit = self.gateway.random.unit();
        let (effects, wait) = self.line.plan(|plan| plan.lost(ending, unit, self.now()));
        tracing::info!(%channel, reason = ?loss, detail, was_live, ?wait, "a connection to a platform ended");
        self.carry_out(effects).await;
        wait
    }

    async fn end(&self, why: &str) {
        if self.line.is_live() {
            let metrics = &self.gateway.metrics;
            metrics.connection_ended(self.line.id(), Loss::Stopped, true);
        }
        let effects = self.line.plan(|plan| plan.stopped(why, self.now()));
        self.carry_out(effects).await;
    }

    /// Writes to the journal and tells the operator.
    pub(super) async fn carry_out(&self, effects: Vec<Effect>) {
        let (mut rows, mut reports) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Write(entry) => rows.push(write(&entry)),
                Effect::Report(report) => reports.push(report),
            }
        }
        if !rows.is_empty() {
            let written =
                self.gateway
                    .store
                    .journal_write(self.line.id(), rows, JOURNAL_ENTRIES_MAX);
            let written = tokio::time::timeout(JOURNAL_WITHIN, written).await;
            if let Err(why) = written
                .map_err(|late| late.to_string())
                .and_then(|written| written.map_err(|error| error.to_string()))
            {
                tracing::warn!(channel = %self.line.name(), why, "the journal of a connection is not written");
            }
        }
        for report in reports {
            self.report(report).await;
        }
    }

    async fn report(&self, report: Report) {
        let channel = self.line.name();
        let Report { r#type, mut data } = report;
        data["channel"] = channel.into();
        let key = Some(channel.to_owned());
        let published = self.gateway.publish_system(TOPIC_OPS, r#type, data, key);
        if let Err(problem) = Box::pin(published).await {
            tracing::warn!(%channel, %problem, "an operator message about a connection could not be published");
        }
    }
}

/// Why to stop, once that is told; whoever would tell it may be gone.
pub(super) async fn told(stop: &mut watch::Receiver<Option<Stop>>) -> Stop {
    let told = stop.wait_for(Option::is_some).await;
    told.ok().and_then(|told| *told).unwrap_or(Stop::Shutdown)
}

fn write(entry: &JournalEntry) -> JournalRow {
    JournalRow {
        number: entry.number,
        document: serde_json::to_vec(entry)
            .expect("an entry has no map whose keys are not strings")
            .into(),
    }
}

/// An entry as it was written.
pub(super) fn read(row: &JournalRow) -> Result<JournalEntry, StoreError> {
    serde_json::from_slice(&row.document)
        .map_err(|error| StoreError::Corrupt(format!("entry {} of a journal: {error}", row.number)))
}

/// The time of a gateway.
pub(super) fn now(gateway: &Gateway) -> Now {
    Now {
        wall: gateway.clock.now(),
        mono: gateway.clock.monotonic(),
    }
}
