//! The operator's hand: retry a delivery outside its order.

use std::sync::Arc;

use anser_core::delivery::DeliveryState;
use anser_core::id::DeliveryId;
use anser_core::resource::Scope;
use anser_core::store::{DeliveryRow, StoreError};
use anser_core::{Problem, ProblemKind};

use super::view::Names;
use super::{DeliveryView, no_delivery};
use crate::auth::Principal;
use crate::gateway::Gateway;
use crate::mailbox::split_mail;
use crate::refusal::store_problem;

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
        let (sessions, due) = (Arc::clone(&self.sessions), self.clock.now());
        let reopened = async move {
            let row = store.reopen(id, due).await?;
            let (queued, pushed) = config.split_queued(row.iter().cloned().collect());
            leasing.arrived(&queued);
            let (mail, pushed) = split_mail(pushed);
            sessions.reopened(&mail);
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
