//! One channel's connections, one after another: connects, drives, waits, and begins again, as its plan says. Must not decide
//! itself when or why.

use std::time::Duration;

use anser_core::connection::Loss;
use anser_core::store::{JournalScan, StoreError};
use bytes::Bytes;
use tokio::sync::watch;

use super::drive::{Drive, Ended};
use super::keep::{Keeper, Stop, read, told};
use crate::connections::{Ending, JournalEntry};

/// Entries that are read to go on where the journal ends, and to know how many events come.
const ENTRIES_RECALLED: usize = 100;
/// Between attempts to read a journal that cannot be read.
const RECALL_AGAIN: Duration = Duration::from_secs(5);

impl Keeper {
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
        let Some(connector) = self.link.connector() else {
            return Stop::Changed;
        };
        let mut kept: Option<Bytes> = None;
        loop {
            self.link.plan(|plan| plan.begin(self.now()));
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
                () = self.link.renewed() => {}
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
                    tracing::warn!(channel = %self.link.name(), %error, "the journal of a connection cannot be read; the channel is not connected before it can");
                    tokio::time::sleep(RECALL_AGAIN).await;
                }
            }
        };
        let effects = self.link.plan(|plan| plan.recall(&newest, self.now()));
        self.carry_out(effects).await;
    }

    async fn read_newest(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let scan = JournalScan {
            channel: self.link.id(),
            before: None,
            limit: ENTRIES_RECALLED,
        };
        let rows = self.gateway.store.journal_read(scan).await?;
        rows.iter().map(read).collect()
    }

    async fn lost(&self, ending: Ending) -> Duration {
        let channel = self.link.name();
        let (loss, detail) = (ending.loss, ending.detail.clone());
        let was_live = self.link.is_live();
        self.gateway
            .metrics
            .connection_ended(self.link.id(), loss, was_live);
        let unit = self.gateway.random.unit();
        let (effects, wait) = self.link.plan(|plan| plan.lost(ending, unit, self.now()));
        tracing::info!(%channel, reason = ?loss, detail, was_live, ?wait, "a connection to a platform ended");
        self.carry_out(effects).await;
        wait
    }

    async fn end(&self, why: &str) {
        if self.link.is_live() {
            let metrics = &self.gateway.metrics;
            metrics.connection_ended(self.link.id(), Loss::Stopped, true);
        }
        let effects = self.link.plan(|plan| plan.stopped(why, self.now()));
        self.carry_out(effects).await;
    }
}
