//! What a platform says, after it took a message, became of it: an entry in the attempts log of the delivery. Must not
//! change what became of the delivery for the gateway: it ended when the platform took it.

use anser_core::attempt::{Attempt, Timing};
use anser_core::inbound::{DeliveryReport, ReportedState};
use anser_core::outcome::OutcomeClass;
use anser_core::store::{DeliveryRow, Settle, Settled, Settlement};
use anser_core::{Problem, Timestamp};

use crate::config::ChannelEntry;
use crate::gateway::Gateway;
use crate::look::reported;
use crate::refusal::store_problem;

/// How often a note is repeated because the delivery changed at that very moment.
const MOVED_REPEATS_MAX: usize = 5;
/// Longest reason of a failure that is kept, in bytes.
const REASON_BYTES_MAX: usize = 1024;

impl Gateway {
    /// Writes a report to the log, unless it has that state or a later one. A delivery that is gone, or went through another
    /// channel, is left alone.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn note_report(
        &self,
        entry: &ChannelEntry,
        report: &DeliveryReport,
        occurred_at: Option<Timestamp>,
    ) -> Result<(), Problem> {
        for _ in 0..MOVED_REPEATS_MAX {
            let row = self.store.delivery(report.delivery).await;
            let row = row.map_err(store_problem)?;
            let Some(row) = row.filter(|row| row.channel == entry.meta.id) else {
                return Ok(());
            };
            let log = self.store.attempts(row.id).await.map_err(store_problem)?;
            if reported(&log).is_some_and(|last| last.state >= report.state) {
                return Ok(());
            }
            let at = self.clock.now();
            let note = Settlement {
                token: row.token(),
                to: Settle::Note,
                at,
                attempt: Some(attempt(&row, report, occurred_at.unwrap_or(at))),
                unlogged: false,
            };
            let settled = self.store.settle(vec![note]).await.map_err(store_problem)?;
            if matches!(settled.as_slice(), [Settled::Done { .. }]) {
                return Ok(());
            }
        }
        tracing::warn!(delivery = %report.delivery, "what its platform says of a delivery could not be noted: it keeps changing");
        Ok(())
    }
}

fn attempt(row: &DeliveryRow, report: &DeliveryReport, at: Timestamp) -> Attempt {
    let failed = report.state == ReportedState::Failed;
    let mut reason = report.reason.clone();
    if let Some(reason) = &mut reason {
        reason.truncate(reason.floor_char_boundary(REASON_BYTES_MAX));
    }
    Attempt {
        number: row.attempts,
        started: at,
        timing: Timing::default(),
        peer: None,
        status: None,
        outcome: if failed {
            OutcomeClass::Rejected
        } else {
            OutcomeClass::Delivered
        },
        error: reason,
        degraded: Vec::new(),
        platform_ids: Vec::new(),
        possible_duplicate: None,
        report: Some(report.state),
        next: None,
        request_headers: Vec::new(),
        response_headers: Vec::new(),
        response: String::new(),
    }
}
