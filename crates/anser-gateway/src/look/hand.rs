//! The operator's hand: retry a delivery outside its order, recall a message.

use std::sync::Arc;

use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, MessageId, Num};
use anser_core::resource::Scope;
use anser_core::store::{DeliveryRow, StoreError};
use anser_core::{Problem, ProblemKind};

use super::view::Names;
use super::{DeliveryView, RecallOutcome, RecallResult, no_delivery};
use crate::auth::Principal;
use crate::dispatch::Recalled;
use crate::gateway::Gateway;
use crate::refusal::store_problem;

/// How often a recall is repeated because a consumer received the message at that very moment.
const RECEIVED_MEANWHILE_MAX: usize = 3;

impl Gateway {
    /// Tries a delivery again, now, outside its lane and order: a final one is opened again, an unfinished one does not
    /// wait for its time.
    ///
    /// # Errors
    /// 403 without the right to administrate, 404 `delivery_not_found`, 409 `delivery_waiting` behind the head of its
    /// lane, `destination_gone` or `message_expired`.
    pub async fn retry_delivery(
        &self,
        principal: &Principal,
        id: DeliveryId,
    ) -> Result<DeliveryView, Problem> {
        principal.require(Scope::Admin)?;
        let row = self.visible_delivery(principal, id).await?;
        self.check_retry(&row)?;
        match self.reopen(id).await.map_err(store_problem)? {
            Some(row) => self.delivery_view(row).await,
            None => Err(match row.state {
                DeliveryState::Waiting => waiting(),
                _ => no_delivery(id),
            }),
        }
    }

    fn check_retry(&self, row: &DeliveryRow) -> Result<(), Problem> {
        let snapshot = self.config.load();
        if !Names::of(&snapshot).has_destination(row) {
            return Err(conflict(
                "destination_gone",
                "its subscription or channel was deleted, so there is nowhere to send it; publish the message again",
            ));
        }
        if row
            .expires_at
            .is_some_and(|expires_at| expires_at <= self.clock.now())
        {
            return Err(conflict(
                "message_expired",
                "its time has run out (header.expires_at, delete_at or the topic's max_age); publish the message again",
            ));
        }
        if row.state == DeliveryState::Waiting {
            return Err(waiting());
        }
        Ok(())
    }

    /// In a task of its own, which goes on when the client goes away: what is opened must also be started.
    async fn reopen(&self, id: DeliveryId) -> Result<Option<DeliveryRow>, StoreError> {
        let (store, dispatch) = (Arc::clone(&self.store), self.dispatch.clone());
        let (config, leasing) = (self.config.load_full(), Arc::clone(&self.leasing));
        let due = self.clock.now();
        let reopened = async move {
            let row = store.reopen(id, due).await?;
            let (queued, pushed) = config.split_queued(row.iter().cloned().collect());
            leasing.arrived(&queued);
            if !pushed.is_empty() {
                dispatch.offer(pushed.into_iter().map(|row| (row, None)));
            }
            Ok(row)
        };
        #[expect(
            clippy::disallowed_methods,
            reason = "lasts one commit, and is waited for unless the client goes away"
        )]
        let task = tokio::spawn(reopened);
        task.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// Cancels what can still be cancelled of a message, what consumers hold of it too: their receipts are void. Answers
    /// what became of each of its deliveries, in the order in which they were made.
    ///
    /// # Errors
    /// 403 without the right to publish, 404 `message_not_found`, 503 and 507 when the store cannot take it.
    pub async fn recall(
        &self,
        principal: &Principal,
        id: MessageId,
    ) -> Result<Vec<RecallResult>, Problem> {
        principal.require(Scope::Publish)?;
        let message = self.visible_message(principal, id).await?;
        let mut recalled = self.recall_once(message.num).await?;
        for _ in 0..RECEIVED_MEANWHILE_MAX {
            if !self.was_received_meanwhile(&recalled).await? {
                break;
            }
            recalled = self.recall_once(message.num).await?;
        }
        recalled.sort_unstable_by_key(|(delivery, _)| *delivery);
        Ok(recalled
            .into_iter()
            .map(|(delivery, recalled)| RecallResult {
                delivery,
                result: outcome(recalled),
            })
            .collect())
    }

    async fn recall_once(&self, message: Num) -> Result<Vec<(DeliveryId, Recalled)>, Problem> {
        let recalled = self.dispatch.recall(message).await;
        recalled.map_err(store_problem)
    }

    /// Whether one that could not be cancelled is in a queue: somebody received it between the look at it and the
    /// commit. Nobody would cancel it later, as the dispatcher does with an attempt.
    async fn was_received_meanwhile(
        &self,
        recalled: &[(DeliveryId, Recalled)],
    ) -> Result<bool, Problem> {
        let snapshot = self.config.load_full();
        for (delivery, recalled) in recalled {
            if *recalled != Recalled::InFlight || snapshot.queues_by_id.is_empty() {
                continue;
            }
            let row = self.store.delivery(*delivery).await;
            let row = row.map_err(store_problem)?;
            if row.is_some_and(|row| snapshot.queues_by_id.contains_key(&row.group)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Recalling twice answers the same.
const fn outcome(recalled: Recalled) -> RecallOutcome {
    match recalled {
        Recalled::Cancelled | Recalled::Ended(DeliveryState::Cancelled) => RecallOutcome::Cancelled,
        Recalled::InFlight => RecallOutcome::InFlight,
        Recalled::Ended(DeliveryState::Delivered) => RecallOutcome::Unsupported,
        Recalled::Ended(_) => RecallOutcome::Ended,
    }
}

fn waiting() -> Problem {
    conflict(
        "delivery_waiting",
        "it waits behind an earlier delivery with the same ordering key; retry or recall that one",
    )
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::new(ProblemKind::Conflict, code, detail)
}
