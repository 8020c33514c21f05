//! Who keeps a channel connected: what it holds, and how it carries out what the plan says beside connecting: the journal, and
//! words to the operator. Must not decide what is written.

use std::sync::Arc;
use std::time::Duration;

use anser_core::name::TOPIC_OPS;
use anser_core::store::{JournalRow, StoreError};
use tokio::sync::watch;

use crate::connections::{Effect, JOURNAL_ENTRIES_MAX, JournalEntry, Link, Now, Report};
use crate::gateway::Gateway;

/// How long writing to the journal may take, before what is written goes without.
const JOURNAL_WITHIN: Duration = Duration::from_secs(10);

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
    /// As the journal says it.
    pub(super) const fn words(self) -> &'static str {
        match self {
            Self::Changed => "the channel was changed",
            Self::Deleted => "the channel was deleted",
            Self::Shutdown => "the gateway stops",
        }
    }
}

/// Who keeps one channel connected.
pub(super) struct Keeper {
    pub(super) link: Arc<Link>,
    pub(super) gateway: Arc<Gateway>,
}

impl Keeper {
    /// The time.
    pub(super) fn now(&self) -> Now {
        now(&self.gateway)
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
                    .journal_write(self.link.id(), rows, JOURNAL_ENTRIES_MAX);
            let written = tokio::time::timeout(JOURNAL_WITHIN, written).await;
            if let Err(why) = written
                .map_err(|late| late.to_string())
                .and_then(|written| written.map_err(|error| error.to_string()))
            {
                tracing::warn!(channel = %self.link.name(), why, "the journal of a connection is not written");
            }
        }
        for report in reports {
            self.report(report).await;
        }
    }

    async fn report(&self, report: Report) {
        let channel = self.link.name();
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
