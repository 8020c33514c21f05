//! One batch on its way through a program: its leases are kept while it is under way, its answers published before it is
//! acknowledged, and what was not done is given back.

use std::sync::Arc;
use std::time::Duration;

use anser_core::Message;
use anser_core::channel::{BatchAnswer, Batches, Exchange};
use anser_core::id::Receipt;
use anser_core::outcome::OutcomeClass;
use anser_core::store::Acknowledge;
use tokio::sync::watch;

use super::{Job, LEASE};
use crate::dispatch::Answered;
use crate::gateway::Gateway;
use crate::leasing::{Duty, Taken};

/// Between two prolongations of the leases.
const KEEP_EVERY: Duration = Duration::from_secs(6);
/// When what failed can be received again: this after its first receive, doubled with each …
const RETRY_MIN: Duration = Duration::from_secs(1);
/// … up to this.
const RETRY_MAX: Duration = Duration::from_secs(300);

/// Messages that are leased for one run.
pub(super) struct Batch {
    gateway: Arc<Gateway>,
    job: Job,
    taken: Vec<Taken>,
}

/// What became of a batch.
enum End {
    /// The program says so.
    Answered(BatchAnswer),
    /// Nothing of it is done.
    Failed(String),
    /// The gateway stops.
    Stopped,
}

impl Batch {
    pub(super) fn new(gateway: Arc<Gateway>, job: Job, taken: Vec<Taken>) -> Self {
        Self {
            gateway,
            job,
            taken,
        }
    }

    /// Gives it to the program and settles it. False when nothing of it was done.
    pub(super) async fn work(self, duty: watch::Receiver<Duty>) -> bool {
        let end = tokio::select! {
            end = self.run() => end,
            never = self.keep() => match never {},
            () = out_of_time(duty) => End::Stopped,
        };
        match end {
            End::Answered(answer) => self.settle(answer).await,
            End::Failed(why) => {
                let (queue, channel) = (&self.job.queue.meta.name, &self.job.channel.meta.name);
                let count = self.taken.len();
                tracing::warn!(%queue, %channel, count, %why, "a batch failed and is given back");
                self.give_back(&self.places()).await;
                false
            }
            End::Stopped => {
                let at = self.gateway.clock.now();
                let all = self.receipts(&self.places());
                self.acknowledge(&all, Acknowledge::Release { at }).await;
                false
            }
        }
    }

    async fn run(&self) -> End {
        let channel = &self.job.channel;
        let opened = &channel.channel;
        let (Some(program), Some(batches)) = (opened.program(), opened.batches()) else {
            return End::Failed("the channel takes no batches".to_owned());
        };
        let sender = &self.gateway.sender;
        let place = sender.enter_program(channel.meta.id, program).await;
        let messages = self.messages();
        let request = batches.request(&self.job.queue.meta.name, &messages);
        let report = Box::pin(sender.run(request, place)).await;
        self.read(batches, &messages, &report.exchange)
    }

    fn read(&self, batches: &dyn Batches, messages: &[&Message], exchange: &Exchange) -> End {
        let read = batches.read(messages, exchange);
        let class = match &read {
            Ok(_) => OutcomeClass::Delivered,
            Err(_) => OutcomeClass::Retry,
        };
        self.gateway
            .metrics
            .attempt(self.job.channel.meta.id, class);
        match read {
            Ok(answer) => End::Answered(answer),
            Err(why) => End::Failed(why),
        }
    }

    /// Keeps the messages from others, for as long as it is polled.
    async fn keep(&self) -> std::convert::Infallible {
        let all = self.receipts(&self.places());
        loop {
            tokio::time::sleep(KEEP_EVERY).await;
            let until = self.gateway.clock.now().plus(LEASE);
            self.acknowledge(&all, Acknowledge::Extend { until }).await;
        }
    }

    /// Publishes the answers, acknowledges what is done and gives back the rest.
    async fn settle(&self, answer: BatchAnswer) -> bool {
        let BatchAnswer {
            mut failed,
            answers,
            refused,
        } = answer;
        for problem in refused {
            self.note(&problem.to_string());
        }
        for (place, answers) in answers {
            // It is answered when it is done.
            if failed.contains(&place) {
                continue;
            }
            let Some(taken) = self.taken.get(place) else {
                continue;
            };
            let answered = Answered {
                delivery: taken.row.id,
                channel: &self.job.channel,
                message: &taken.message,
                answers,
            };
            match Box::pin(self.gateway.take_answers(answered)).await {
                Ok(refused) => refused
                    .iter()
                    .for_each(|problem| self.note(&problem.to_string())),
                Err(problem) => {
                    self.note(&problem.to_string());
                    failed.push(place);
                }
            }
        }
        let mut done = self.places();
        done.retain(|place| !failed.contains(place));
        let rewindable = self.job.queue.spec.rewind > 0;
        let to = Acknowledge::Done { rewindable };
        self.acknowledge(&self.receipts(&done), to).await;
        failed.sort_unstable();
        failed.dedup();
        self.give_back(&failed).await;
        !done.is_empty()
    }

    fn note(&self, problem: &str) {
        let channel = &self.job.channel.meta.name;
        tracing::warn!(%channel, %problem, "an answer to a message of a batch was not taken");
    }

    /// Gives back what failed, each to be received again the later the more often it was received.
    async fn give_back(&self, places: &[usize]) {
        let now = self.gateway.clock.now();
        let mut places = places.to_vec();
        places.sort_unstable_by_key(|place| self.receives(*place));
        for same in places.chunk_by(|a, b| self.receives(*a) == self.receives(*b)) {
            let at = now.plus(backoff(self.receives(same[0])));
            self.acknowledge(&self.receipts(same), Acknowledge::Release { at })
                .await;
        }
    }

    async fn acknowledge(&self, receipts: &[Receipt], to: Acknowledge) {
        if receipts.is_empty() {
            return;
        }
        let leasing = &self.gateway.leasing;
        if let Err(error) = leasing.acknowledge(&self.job.queue, receipts, to).await {
            let queue = &self.job.queue.meta.name;
            tracing::warn!(%queue, %error, "a batch could not be settled; its messages are received again");
        }
    }

    fn receives(&self, place: usize) -> u32 {
        let row = &self.taken[place].row;
        row.attempts.saturating_sub(row.attempts_before)
    }

    fn messages(&self) -> Vec<&Message> {
        self.taken.iter().map(|taken| &taken.message).collect()
    }

    fn places(&self) -> Vec<usize> {
        (0..self.taken.len()).collect()
    }

    fn receipts(&self, places: &[usize]) -> Vec<Receipt> {
        places
            .iter()
            .filter_map(|place| Some(self.taken.get(*place)?.receipt()))
            .collect()
    }
}

/// How long what was received so often waits.
fn backoff(receives: u32) -> Duration {
    let doubled = receives.saturating_sub(1).min(16);
    RETRY_MIN.saturating_mul(1 << doubled).min(RETRY_MAX)
}

/// Resolves when what is under way may not go on any longer.
async fn out_of_time(mut duty: watch::Receiver<Duty>) {
    let limit = duty.wait_for(|duty| duty.limit.is_some()).await;
    let limit = limit.ok().and_then(|duty| duty.limit);
    tokio::time::sleep(limit.unwrap_or_default()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_waits_longer_each_time() {
        let seconds = |receives| backoff(receives).as_secs();
        let waits: Vec<u64> = [1, 2, 3, 9, 10, 1_000].map(seconds).to_vec();
        assert_eq!(waits, [1, 2, 4, 256, 300, 300]);
    }
}
