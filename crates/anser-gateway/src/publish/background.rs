//! `acks=none`: answered at once, committed behind the answer by one task, many requests to a commit. Outside the
//! promises of durability, yet nothing is dropped while the store takes commits.

use anser_core::Problem;
use anser_core::store::StoreError;

use super::prepare::Prepared;
use super::{Published, Results, not_taken};
use crate::gateway::Gateway;
use crate::intake::{Staged, Unconfirmed};

/// Messages gathered into one commit.
const GROUP_MESSAGES_MAX: usize = 1_000;
/// How often a commit that a busy store turned away is repeated before its messages are given up.
const BUSY_REPEATS_MAX: u32 = 5;

impl Gateway {
    /// Takes prepared messages for a commit in the background and answers with their ids.
    ///
    /// # Errors
    /// 429 `overloaded` when too many wait already, 503 while the gateway stops.
    pub(super) fn submit(&self, prepared: Prepared) -> Result<Results, Problem> {
        let mut answers = prepared
            .staged
            .iter()
            .map(unconfirmed)
            .collect::<Vec<_>>()
            .into_iter();
        let results = prepared
            .refused
            .into_iter()
            .filter_map(|refused| match refused {
                Some(problem) => Some(Err(problem)),
                None => answers.next().map(Ok),
            })
            .collect();
        if !prepared.staged.is_empty() {
            self.intake.submit(prepared.staged).map_err(not_taken)?;
        }
        Ok(results)
    }

    /// Commits what was answered before its commit, and what an ended request left, until the intake is closed and
    /// empty. For one task.
    pub async fn commit_unconfirmed(&self) {
        let Some(mut receiver) = self.intake.take_receiver() else {
            return;
        };
        let mut left = None;
        loop {
            let Some(mut group) = (match left.take() {
                Some(group) => Some(group),
                None => receiver.recv().await,
            }) else {
                return;
            };
            while !group.atomic && group.messages.len() < GROUP_MESSAGES_MAX {
                match receiver.try_recv() {
                    Ok(next) if !next.atomic => group.merge(next),
                    Ok(next) => {
                        left = Some(next);
                        break;
                    }
                    Err(_) => break,
                }
            }
            self.commit_group(group).await;
        }
    }

    async fn commit_group(&self, mut group: Unconfirmed) {
        let count = group.messages.len();
        let mut commit = Some(self.sessions.begin_commit());
        let mut repeats = 0;
        loop {
            match self.append(&group.messages, group.atomic).await {
                Ok(appended) => {
                    let staged = std::mem::take(&mut group.messages);
                    match self.outcomes(&staged, appended).await {
                        Ok(outcomes) => {
                            drop(self.follow_up(staged, outcomes, false, commit.take()));
                        }
                        Err(error) => {
                            tracing::error!(%error, count, "messages were stored, their deliveries start at the next restart");
                        }
                    }
                    return;
                }
                Err(StoreError::Retryable { after }) if repeats < BUSY_REPEATS_MAX => {
                    repeats += 1;
                    tokio::time::sleep(after).await;
                }
                Err(error) => {
                    tracing::warn!(%error, count, "messages of acks=none or of interrupted requests were not stored");
                    return;
                }
            }
        }
    }
}

fn unconfirmed(staged: &Staged) -> Published {
    Published {
        id: staged.new.id,
        topic: staged.message.header.topic.clone(),
        seq: None,
        matched: None,
        duplicate: false,
        durable: false,
        deliveries: None,
        settled: false,
    }
}
