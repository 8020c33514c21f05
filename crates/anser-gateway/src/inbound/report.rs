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

/// A report, and when it happened.
pub(super) type Told<'a> = (&'a DeliveryReport, Option<Timestamp>);

impl Gateway {
    /// Writes reports to the log, in one commit, but for those of which it has that state or a later one. A delivery that is
    /// gone, or went through another channel, is left alone.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn note_reports(
        &self,
        entry: &ChannelEntry,
        mut reports: Vec<Told<'_>>,
    ) -> Result<(), Problem> {
        for _ in 0..MOVED_REPEATS_MAX {
            let (mut notes, mut told) = (Vec::new(), Vec::new());
            for (report, occurred_at) in reports {
                if let Some(note) = self.note(entry, report, occurred_at).await? {
                    notes.push(note);
                    told.push((report, occurred_at));
                }
            }
            if notes.is_empty() {
                return Ok(());
            }
            let settled = self.store.settle(notes).await.map_err(store_problem)?;
            let moved = settled.iter().zip(told);
            reports = moved
                .filter(|(settled, _)| **settled == Settled::Fenced)
                .map(|(_, told)| told)
                .collect();
        }
        for (report, _) in reports {
            tracing::warn!(delivery = %report.delivery, "what its platform says of a delivery could not be noted: it keeps changing");
        }
        Ok(())
    }

    /// The note of one report; `None` when there is nothing to be noted.
    async fn note(
        &self,
        entry: &ChannelEntry,
        report: &DeliveryReport,
        occurred_at: Option<Timestamp>,
    ) -> Result<Option<Settlement>, Problem> {
        let row = self.store.delivery(report.delivery).await;
        let row = row.map_err(store_problem)?;
        let Some(row) = row.filter(|row| row.channel == entry.meta.id) else {
            return Ok(None);
        };
        let log = self.store.attempts(row.id).await.map_err(store_problem)?;
        if reported(&log).is_some_and(|last| last.state >= report.state) {
            return Ok(None);
        }
        let at = self.clock.now();
        Ok(Some(Settlement {
            token: row.token(),
            to: Settle::Note,
            at,
            attempt: Some(attempt(&row, report, occurred_at.unwrap_or(at))),
            unlogged: false,
            known_as: Vec::new(),
        }))
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
