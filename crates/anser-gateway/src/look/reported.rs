//! What a platform said, after it took a message, became of it: read from the attempts log, where each report is an entry.

use anser_core::attempt::Attempt;

use super::ReportedView;

/// The last state in an attempts log that a platform reported: `failed` is final, and reports may come in any order.
pub(crate) fn reported(log: &[Attempt]) -> Option<ReportedView> {
    let reports = log.iter().filter_map(|entry| Some((entry.report?, entry)));
    let (state, entry) = reports.max_by_key(|(state, _)| *state)?;
    Some(ReportedView {
        state,
        at: entry.started,
        reason: entry.error.clone(),
    })
}
