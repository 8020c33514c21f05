//! What happens beside the requests of sessions: acknowledged messages are ended in the store, many to a commit, scheduled
//! ones are found when they come due, and the plan is told the time. Must not decide anything.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anser_core::delivery::DeliveryState;
use anser_core::live::CloseReason;
use anser_core::name::UserId;
use anser_core::store::{DeliveryRow, Settle, Settlement, StoreError, Token};

use crate::gateway::Gateway;
use crate::live::plan::MailEnd;
use crate::live::{Job, Sessions};
use crate::mailbox::user_in;

/// Ends of messages that share a commit.
const ENDS_AT_ONCE: usize = 1_000;
/// Pause after the store did not take them.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// How long the keeper sleeps when there is no alarm.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

impl Sessions {
    /// No session is opened any more, and those that are open end: the server stops.
    pub(crate) fn close(&self) {
        self.change(|state, now| {
            state.closed = true;
            for number in state.plan.numbers() {
                let detail = "the server stops; connect again".to_owned();
                let reason = CloseReason::ServerStopping;
                state.plan.close(number, reason, Some(detail), now);
            }
        });
        self.changed.notify_one();
    }
}

impl Sessions {
    /// Deliveries to users that an operator opened again: those who are connected get them, the others with their next
    /// connect.
    pub(crate) fn reopened(&self, rows: &[DeliveryRow]) {
        for row in rows {
            let user = user_in(row.target.as_deref().unwrap_or_default());
            if let Ok(user) = UserId::parse("user", user) {
                let one = std::slice::from_ref(row);
                self.change(|state, _| state.plan.came_due(&user, one, None));
            }
        }
    }
}

impl Gateway {
    /// Runs until the sessions are closed and what was acknowledged is stored. For one task.
    pub(crate) async fn keep_sessions(self: Arc<Self>) {
        let sessions = &self.sessions;
        let jobs = sessions
            .left
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let Some(mut jobs) = jobs else {
            return;
        };
        let mut gathered = Vec::new();
        loop {
            let (closed, alarm) = {
                let state = sessions.state();
                (state.closed, state.plan.next_alarm())
            };
            if closed {
                // Nothing new comes: what the closing sessions acknowledged is there already.
                while let Ok(job) = jobs.try_recv() {
                    gathered.push(job);
                }
                self.do_jobs(std::mem::take(&mut gathered)).await;
                self.store_departed().await;
                return;
            }
            let sleep = alarm.map_or(LONGEST_SLEEP, |at| at.since(self.clock.now()));
            tokio::select! {
                _ = jobs.recv_many(&mut gathered, ENDS_AT_ONCE) => {
                    self.do_jobs(std::mem::take(&mut gathered)).await;
                }
                () = tokio::time::sleep(sleep.min(LONGEST_SLEEP)) => self.tick_sessions(),
                () = sessions.changed.notified() => {}
            }
        }
    }

    /// Tells the plan the time.
    pub(super) fn tick_sessions(&self) {
        self.sessions.change(|state, now| state.plan.tick(now));
    }

    /// What has gathered, at once. For tests, in which no task runs.
    #[cfg(test)]
    pub(super) async fn do_gathered(&self, jobs: &mut tokio::sync::mpsc::UnboundedReceiver<Job>) {
        let mut gathered = Vec::new();
        while let Ok(job) = jobs.try_recv() {
            gathered.push(job);
        }
        self.do_jobs(gathered).await;
    }

    async fn do_jobs(&self, jobs: Vec<Job>) {
        let mut ends = Vec::new();
        for job in jobs {
            match job {
                Job::End(end) => ends.push(end),
                Job::Transition(user, presence) => self.publish_presence(&user, &presence).await,
                Job::Due(user) => match self.waiting_mail(&user).await {
                    Ok((mut rows, next_due)) => {
                        rows.retain(|row| row.scheduled);
                        let came = |state: &mut crate::live::State, _| {
                            state.plan.came_due(&user, &rows, next_due);
                        };
                        self.sessions.change(came);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "scheduled messages of a mailbox cannot be read; they come with the next connect");
                    }
                },
            }
        }
        if !ends.is_empty() {
            self.store_ends(ends).await;
        }
    }

    /// Stores the ends of messages; one that cannot be stored is given again by the next run.
    pub(super) async fn store_ends(&self, ends: Vec<MailEnd>) {
        let at = self.clock.now();
        let settlements: Vec<Settlement> = ends
            .iter()
            .map(|end| Settlement {
                token: Token {
                    delivery: end.delivery,
                    attempts: 0,
                    state: DeliveryState::Pending,
                },
                to: if end.expired {
                    Settle::Expired
                } else {
                    Settle::Delivered
                },
                at,
                attempt: None,
                unlogged: false,
                known_as: Vec::new(),
            })
            .collect();
        loop {
            match self.store.settle(settlements.clone()).await {
                // A stale token: it was cancelled, or removed with its message.
                Ok(_) => break,
                Err(StoreError::Unknown) => {}
                Err(error @ (StoreError::Permanent(_) | StoreError::Corrupt(_))) => {
                    tracing::error!(%error, "what sessions acknowledged cannot be stored");
                    break;
                }
                Err(error) => {
                    tracing::warn!(%error, "what sessions acknowledged cannot be stored; trying again");
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
        }
        let expired = ends.iter().filter(|end| end.expired).count();
        let metrics = &self.metrics;
        metrics.live_mail_ended(ends.len() - expired, expired);
        self.sessions.change(|state, _| {
            for end in &ends {
                state.plan.settled(end);
            }
        });
    }
}
