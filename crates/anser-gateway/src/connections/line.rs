//! One channel's connections, one after another: connects, drives, waits, and begins again, as its plan says. Must not decide
//! itself when or why.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anser_core::connection::{CLOSE_NORMAL, Connector};
use anser_core::id::ResourceId;
use anser_core::name::TOPIC_OPS;
use anser_core::resource::InboundVia;
use anser_core::store::{JournalRow, JournalScan, StoreError};
use bytes::Bytes;
use tokio::sync::{Notify, watch};

use super::drive::{Drive, Ended};
use super::entry::JournalEntry;
use super::plan::{Effect, Ending, Now, Plan, Report};
use super::view::{ConnectionState, ConnectionView};
use crate::config::ChannelEntry;
use crate::gateway::Gateway;

/// Entries of a journal that are kept.
pub const JOURNAL_ENTRIES_MAX: u64 = 1_000;
/// Entries that are read to go on where the journal ends, and to know how many events come.
const ENTRIES_RECALLED: usize = 100;
/// How long writing to the journal may take, before what is written goes without.
const JOURNAL_WITHIN: Duration = Duration::from_secs(10);
/// Between attempts to read a journal that cannot be read.
const RECALL_AGAIN: Duration = Duration::from_secs(5);

/// Why a channel is not connected any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
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

/// One channel that is to be connected.
pub(super) struct Line {
    entry: Arc<ChannelEntry>,
    plan: Mutex<Plan>,
    renew: Notify,
}

impl Line {
    /// Of a channel; `None` when it is not to be connected, or cannot be.
    pub(super) fn of(entry: &Arc<ChannelEntry>, gateway: &Gateway) -> Option<Self> {
        let connector = connector(entry)?;
        Some(Self {
            entry: Arc::clone(entry),
            plan: Mutex::new(Plan::new(connector.silence_max(), now(gateway))),
            renew: Notify::new(),
        })
    }

    pub(super) fn id(&self) -> ResourceId {
        self.entry.meta.id
    }

    pub(super) fn name(&self) -> &str {
        &self.entry.meta.name
    }

    pub(super) fn entry(&self) -> &Arc<ChannelEntry> {
        &self.entry
    }

    pub(super) fn remember(&self) -> Duration {
        connector(&self.entry).map_or(Duration::ZERO, Connector::remember)
    }

    pub(super) fn close_code(&self) -> u16 {
        connector(&self.entry).map_or(CLOSE_NORMAL, Connector::close_code)
    }

    pub(super) fn now(&self, gateway: &Gateway) -> Now {
        now(gateway)
    }

    pub(super) fn plan<T>(&self, work: impl FnOnce(&mut Plan) -> T) -> T {
        work(&mut self.plan.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another connection is wanted, now.
    pub(super) fn renew(&self) {
        self.renew.notify_one();
    }

    /// Resolves when another connection is wanted.
    pub(super) async fn renewed(&self) {
        self.renew.notified().await;
    }

    pub(super) fn is_live(&self) -> bool {
        self.plan(|plan| plan.view().state == ConnectionState::Live)
    }

    pub(super) fn view(&self) -> ConnectionView {
        ConnectionView {
            channel: self.name().to_owned(),
            kind: self.entry.spec.kind.clone(),
            link: self.plan(|plan| plan.view()),
        }
    }

    /// Whether `entry` is to be connected in another way than this.
    pub(super) fn differs(&self, entry: &ChannelEntry) -> bool {
        let (ours, theirs) = (&self.entry.spec, &entry.spec);
        ours.settings != theirs.settings || ours.inbound != theirs.inbound
    }

    /// Keeps the channel connected until it is told to stop. `pause`: not before this has passed.
    pub(super) async fn run(
        self: Arc<Self>,
        gateway: Arc<Gateway>,
        mut stop: watch::Receiver<Option<Stop>>,
        pause: Duration,
    ) {
        let why = self.keep_connected(&gateway, &mut stop, pause).await;
        if why != Stop::Deleted {
            self.end(&gateway, why.words()).await;
        }
    }

    async fn keep_connected(
        &self,
        gateway: &Arc<Gateway>,
        stop: &mut watch::Receiver<Option<Stop>>,
        pause: Duration,
    ) -> Stop {
        let recalled = async {
            tokio::time::sleep(pause).await;
            self.recall(gateway).await;
        };
        tokio::select! {
            biased;
            why = told(stop) => return why,
            () = recalled => {}
        }
        let Some(connector) = connector(&self.entry) else {
            return Stop::Changed;
        };
        let mut kept: Option<Bytes> = None;
        loop {
            self.plan(|plan| plan.begin(now(gateway)));
            let connection = connector.begin(kept.as_deref());
            let drive = Drive::new(self, gateway, connection, &mut kept);
            let wait = match Box::pin(drive.run(stop)).await {
                Ended::Stop(why) => return why,
                Ended::Renewed => {
                    self.end(gateway, "an operator asked for another").await;
                    Duration::ZERO
                }
                Ended::Lost(ending) => self.lost(gateway, ending).await,
            };
            tokio::select! {
                biased;
                why = told(stop) => return why,
                () = self.renewed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Goes on where the journal ends.
    async fn recall(&self, gateway: &Gateway) {
        let newest = loop {
            match self.read_newest(gateway).await {
                Ok(newest) => break newest,
                Err(error) => {
                    tracing::warn!(channel = %self.name(), %error, "the journal of a connection cannot be read; the channel is not connected before it can");
                    tokio::time::sleep(RECALL_AGAIN).await;
                }
            }
        };
        let effects = self.plan(|plan| plan.recall(&newest, now(gateway)));
        self.carry_out(gateway, effects).await;
    }

    async fn read_newest(&self, gateway: &Gateway) -> Result<Vec<JournalEntry>, StoreError> {
        let scan = JournalScan {
            channel: self.id(),
            before: None,
            limit: ENTRIES_RECALLED,
        };
        let rows = gateway.store.journal_read(scan).await?;
        rows.iter().map(read).collect()
    }

    async fn lost(&self, gateway: &Gateway, ending: Ending) -> Duration {
        let channel = self.name();
        let (loss, detail) = (ending.loss, ending.detail.clone());
        let was_live = self.is_live();
        gateway.metrics.connection_ended(self.id(), loss, was_live);
        let unit = gateway.random.unit();
        let (effects, wait) = self.plan(|plan| plan.lost(ending, unit, now(gateway)));
        tracing::info!(%channel, reason = ?loss, detail, was_live, ?wait, "a connection to a platform ended");
        self.carry_out(gateway, effects).await;
        wait
    }

    async fn end(&self, gateway: &Gateway, why: &str) {
        let effects = self.plan(|plan| plan.stopped(why, now(gateway)));
        self.carry_out(gateway, effects).await;
    }

    /// Writes to the journal and tells the operator.
    pub(super) async fn carry_out(&self, gateway: &Gateway, effects: Vec<Effect>) {
        let (mut rows, mut reports) = (Vec::new(), Vec::new());
        for effect in effects {
            match effect {
                Effect::Write(entry) => rows.push(write(&entry)),
                Effect::Report(report) => reports.push(report),
            }
        }
        if !rows.is_empty() {
            let written = gateway
                .store
                .journal_write(self.id(), rows, JOURNAL_ENTRIES_MAX);
            let written = tokio::time::timeout(JOURNAL_WITHIN, written).await;
            if let Err(why) = written
                .map_err(|late| late.to_string())
                .and_then(|written| written.map_err(|error| error.to_string()))
            {
                tracing::warn!(channel = %self.name(), why, "the journal of a connection is not written");
            }
        }
        for report in reports {
            self.report(gateway, report).await;
        }
    }

    async fn report(&self, gateway: &Gateway, report: Report) {
        let channel = self.name();
        let Report { r#type, mut data } = report;
        data["channel"] = channel.into();
        let key = Some(channel.to_owned());
        let published = gateway.publish_system(TOPIC_OPS, r#type, data, key);
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

fn connector(entry: &ChannelEntry) -> Option<&dyn Connector> {
    let inbound = entry.spec.inbound.as_ref()?;
    match inbound.via {
        InboundVia::Connection => entry.channel.connector(),
        InboundVia::Callback => None,
    }
}

fn now(gateway: &Gateway) -> Now {
    Now {
        wall: gateway.clock.now(),
        mono: gateway.clock.monotonic(),
    }
}
