//! `wait=delivered`: the answer after each delivery's first attempt, or with the states so far when time is up.

use std::time::Duration;

use anser_core::id::{MessageId, Num};

use anser_core::store::DeliveryRow;

use super::WAIT_DELIVERIES_MAX;
use super::commit::Committed;
use crate::gateway::Gateway;
use crate::look::{DeliveryView, Names};
use crate::mailbox::is_mailbox;

impl Gateway {
    /// Waits for the first attempts, at most `limit`, and puts the states on the answers. Everything is stored already:
    /// what cannot be read now is left out of the answer, and the request still succeeds.
    pub(super) async fn confirm(&self, committed: &mut Committed, limit: Duration) {
        if let Some(watched) = committed.watched.take() {
            // Both ends are fine: all settled, or time is up; the states say which.
            let _ = tokio::time::timeout(limit, watched).await;
        }
        let mut left = WAIT_DELIVERIES_MAX;
        for (result, num) in &mut committed.results {
            let (Ok(published), Some(num)) = (result, *num) else {
                continue;
            };
            let Some((views, tried)) = self.first_attempts(num, published.id, left).await else {
                continue;
            };
            left = left.saturating_sub(views.len());
            let all = published
                .matched
                .is_some_and(|matched| usize::try_from(matched).is_ok_and(|n| n == views.len()));
            published.settled = all && tried;
            published.deliveries = Some(views);
        }
    }

    /// The deliveries, and whether each that is pushed has had its first attempt.
    async fn first_attempts(
        &self,
        num: Num,
        message: MessageId,
        limit: usize,
    ) -> Option<(Vec<DeliveryView>, bool)> {
        let rows = match self.store.deliveries_of(num, 0, limit).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%message, %error, "the deliveries of a waiting publish cannot be read");
                return None;
            }
        };
        let snapshot = self.config.load();
        let names = Names::of(&snapshot);
        let views: Vec<DeliveryView> = rows
            .iter()
            .map(|row| DeliveryView::of(row, message, &names))
            .collect();
        // What is in a queue or a mailbox waits for those who take it: nobody else does.
        let pulled = |row: &DeliveryRow| {
            snapshot.queues_by_id.contains_key(&row.group) || is_mailbox(row.group)
        };
        let tried = rows
            .iter()
            .zip(&views)
            .all(|(row, view)| pulled(row) || view.was_tried());
        Some((views, tried))
    }
}
