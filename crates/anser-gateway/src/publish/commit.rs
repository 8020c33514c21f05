//! The one durable commit of a request, and what follows from it: answers, the dispatcher's work, counters, reports.

use std::sync::Arc;

use anser_core::delivery::DeliveryState;
use anser_core::id::Num;
use anser_core::name::TOPIC_OPS;
use anser_core::store::{Append, Appended, DeliveryRow, StoreError};
use anser_core::{Problem, ProblemKind};
use tokio::sync::oneshot;

use super::prepare::{Prepared, Request, in_batch};
use super::{Published, Results, refer};
use crate::accepted::Accepted;
use crate::gateway::Gateway;
use crate::intake::{Intake, Staged};
use crate::live::{Commit, Fresh};
use crate::mailbox::split_mail;
use crate::refusal::store_problem;
use crate::scheduled;

/// How often a commit that the store did not confirm is repeated, with the same ids.
const UNCONFIRMED_REPEATS_MAX: u32 = 3;

/// What became of a request's items, in order.
#[derive(Default)]
pub(super) struct Committed {
    pub(super) results: Vec<(Result<Published, Problem>, Option<Num>)>,
    /// Resolves when every new delivery had its first attempt; there only for a request that waits.
    pub(super) watched: Option<oneshot::Receiver<()>>,
}

impl Committed {
    pub(super) fn into_published(self) -> Results {
        self.results.into_iter().map(|(result, _)| result).collect()
    }
}

/// Messages on their way into the store. When the request ends before they are settled (its client went away, or the
/// store did not confirm), they may be stored all the same: the background repeats the append, finds them by their ids
/// and starts their deliveries.
struct Unsettled<'a> {
    intake: &'a Intake,
    staged: Vec<Staged>,
    atomic: bool,
    /// Sessions wait for what comes of it before they are told of later messages.
    commit: Option<Commit>,
}

impl Drop for Unsettled<'_> {
    fn drop(&mut self) {
        if !self.staged.is_empty() {
            let staged = std::mem::take(&mut self.staged);
            self.intake
                .take_over(staged, self.atomic, self.commit.take());
        }
    }
}

/// What the store did with one staged message.
pub(super) enum Stored {
    /// It is there, new.
    New(Num, Vec<DeliveryRow>),
    /// It was there.
    Before(Published, Num),
    /// It is not.
    Refused(Problem),
}

impl Gateway {
    /// Commits what was prepared and answers every item.
    ///
    /// # Errors
    /// The store's; with `atomic` the refusal that kept every item out.
    pub(super) async fn commit_prepared(
        &self,
        request: &Request<'_>,
        prepared: Prepared,
        watch: bool,
    ) -> Result<Committed, Problem> {
        let Prepared { staged, refused } = prepared;
        let atomic = request.options.atomic;
        let mut done = if staged.is_empty() {
            Committed::default()
        } else {
            self.commit_staged(staged, atomic, watch)
                .await
                .map_err(store_problem)?
        };
        let batch = refused.len() > 1;
        let mut stored = std::mem::take(&mut done.results).into_iter();
        for (i, refused) in refused.into_iter().enumerate() {
            let result = match refused {
                Some(problem) => (Err(problem), None),
                None => stored.next().unwrap_or_else(|| (Err(skipped()), None)),
            };
            match result {
                (Err(problem), _) if atomic && problem.code != SKIPPED => {
                    return Err(in_batch(problem, batch, i));
                }
                result => done.results.push(result),
            }
        }
        Ok(done)
    }

    /// Commits staged messages and starts their deliveries; answers in order.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn commit_staged(
        &self,
        staged: Vec<Staged>,
        atomic: bool,
        watch: bool,
    ) -> Result<Committed, StoreError> {
        let mut unsettled = Unsettled {
            intake: &self.intake,
            staged,
            atomic,
            commit: Some(self.sessions.begin_commit()),
        };
        let appended = match self.append(&unsettled.staged, atomic).await {
            Ok(appended) => appended,
            Err(StoreError::Unknown) => return Err(StoreError::Unknown),
            Err(error) => {
                unsettled.staged.clear();
                return Err(error);
            }
        };
        let outcomes = self.outcomes(&unsettled.staged, appended).await?;
        let staged = std::mem::take(&mut unsettled.staged);
        let commit = unsettled.commit.take();
        let (done, unroutable) = self.follow_up(staged, outcomes, watch, commit);
        for published in unroutable {
            self.report_unroutable(&published).await;
        }
        Ok(done)
    }

    /// Appending is idempotent by message id, so what was not confirmed is simply repeated.
    pub(super) async fn append(
        &self,
        staged: &[Staged],
        atomic: bool,
    ) -> Result<Vec<Appended>, StoreError> {
        let mut repeats = 0;
        loop {
            let append = Append {
                messages: staged.iter().map(|staged| staged.new.clone()).collect(),
                atomic,
            };
            match self.store.append(append).await {
                Err(StoreError::Unknown) if repeats < UNCONFIRMED_REPEATS_MAX => repeats += 1,
                answer => return answer,
            }
        }
    }

    pub(super) async fn outcomes(
        &self,
        staged: &[Staged],
        appended: Vec<Appended>,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut outcomes = Vec::with_capacity(staged.len());
        for (staged, appended) in staged.iter().zip(appended) {
            outcomes.push(self.stored(staged, appended).await?);
        }
        Ok(outcomes)
    }

    async fn stored(&self, staged: &Staged, appended: Appended) -> Result<Stored, StoreError> {
        Ok(match appended {
            Appended::Stored { num, deliveries } => Stored::New(num, deliveries),
            // A repeat after an unconfirmed commit finds its own message: it is as new as it was then.
            Appended::Duplicate { id, num, matched } if id == staged.new.id => {
                let limit = usize::try_from(matched).unwrap_or(usize::MAX);
                Stored::New(num, self.store.deliveries_of(num, 0, limit).await?)
            }
            Appended::Duplicate { id, num, matched } => Stored::Before(
                Published {
                    id,
                    topic: staged.message.header.topic.clone(),
                    seq: Some(num.0),
                    matched: Some(matched),
                    duplicate: true,
                    durable: true,
                    deliveries: None,
                    settled: false,
                },
                num,
            ),
            Appended::Conflict { id } => Stored::Refused(conflict(&id.to_string())),
            Appended::UnknownBlob { hash } => Stored::Refused(refer::gone(&staged.message, hash)),
            Appended::Skipped => Stored::Refused(skipped()),
        })
    }

    /// Hands the new deliveries to the dispatcher, to those who wait for queues and to sessions, and counts; answers what is
    /// to be reported as unroutable, too. Never waits, so that a client that goes away cannot come between.
    pub(super) fn follow_up(
        &self,
        staged: Vec<Staged>,
        outcomes: Vec<Stored>,
        watch: bool,
        commit: Option<Commit>,
    ) -> (Committed, Vec<Published>) {
        let mut done = Committed {
            results: Vec::with_capacity(staged.len()),
            watched: None,
        };
        let (mut offers, mut watched, mut unroutable) = (Vec::new(), Vec::new(), Vec::new());
        let (config, mut arrived) = (self.config.load(), Vec::new());
        let told = commit.as_ref().is_some_and(Commit::is_anyone_there);
        let mut fresh = Vec::with_capacity(staged.len());
        let (mut count, mut bytes) = (0, 0);
        let topic = staged.first().map(|first| first.new.topic);
        for (staged, outcome) in staged.into_iter().zip(outcomes) {
            match outcome {
                Stored::New(num, rows) => {
                    count += 1;
                    bytes += staged.new.document.len() as u64;
                    let published = published(&staged, num, rows.len());
                    if staged.report_unroutable {
                        unroutable.push(published.clone());
                    }
                    let (queued, rows) = config.split_queued(rows);
                    arrived.extend(queued);
                    let (mail, rows) = split_mail(rows);
                    fresh.push((num, told.then(|| fresh_of(&staged, mail))));
                    if watch {
                        watched.extend(rows.iter().map(|row| row.id));
                    }
                    offer(&mut offers, staged, num, rows);
                    done.results.push((Ok(published), Some(num)));
                }
                Stored::Before(published, num) => done.results.push((Ok(published), Some(num))),
                Stored::Refused(problem) => done.results.push((Err(problem), None)),
            }
        }
        if let Some(topic) = topic {
            self.metrics.accepted(topic, count, bytes);
        }
        if !watched.is_empty() {
            // Before the offer, or an attempt could end unseen.
            done.watched = Some(self.dispatch.watch(watched));
        }
        if !offers.is_empty() {
            self.dispatch.offer(offers);
        }
        self.leasing.arrived(&arrived);
        if let Some(mut commit) = commit {
            commit.tell(fresh);
        }
        (done, unroutable)
    }

    /// The message itself is stored; a report that cannot be is only logged.
    async fn report_unroutable(&self, published: &Published) {
        let data = serde_json::json!({
            "message_id": published.id,
            "topic": published.topic,
            "seq": published.seq,
        });
        let reported = Box::pin(self.publish_system(TOPIC_OPS, "message.unroutable", data, None));
        if let Err(problem) = reported.await {
            tracing::warn!(message = %published.id, %problem, "an unroutable message could not be reported");
        }
    }
}

fn published(staged: &Staged, num: Num, matched: usize) -> Published {
    Published {
        id: staged.new.id,
        topic: staged.message.header.topic.clone(),
        seq: Some(num.0),
        matched: Some(u32::try_from(matched).unwrap_or(u32::MAX)),
        duplicate: false,
        durable: true,
        deliveries: None,
        settled: false,
    }
}

fn fresh_of(staged: &Staged, mail: Vec<DeliveryRow>) -> Fresh {
    Fresh {
        id: staged.new.id,
        topic: staged.new.topic,
        scheduled: scheduled::due(&staged.message.header),
        document: staged.new.document.clone(),
        mail,
    }
}

/// Only heads can start; what waits behind them is promoted by the store.
fn offer(
    offers: &mut Vec<(DeliveryRow, Option<Arc<Accepted>>)>,
    staged: Staged,
    num: Num,
    rows: Vec<DeliveryRow>,
) {
    let mut heads = rows
        .into_iter()
        .filter(|row| row.state == DeliveryState::Pending)
        .peekable();
    if heads.peek().is_none() {
        return;
    }
    let accepted = Arc::new(Accepted {
        num,
        topic: staged.new.topic,
        message: staged.message,
        document: staged.new.document,
    });
    offers.extend(heads.map(|row| (row, Some(Arc::clone(&accepted)))));
}

fn conflict(first: &str) -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        "dedupe_conflict",
        format!("this dedupe key was used before, for another item: message {first}"),
    )
    .field("dedupe_key")
}

/// Another item's refusal is the answer to the whole request; this one is never shown alone.
const SKIPPED: &str = "skipped";

fn skipped() -> Problem {
    Problem::new(
        ProblemKind::Conflict,
        SKIPPED,
        "not stored, as another item of this atomic batch was refused",
    )
}
