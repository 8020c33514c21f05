//! The dispatcher's one task: takes in offers and commands, asks the plan, makes attempts, settles them in batches. All
//! I/O of dispatch is here and in the futures that it polls; all decisions are the plan's.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::PossibleDuplicate;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::OutcomeClass;
use anser_core::resource::OnExhausted;
use anser_core::retry::{RetryPreset, RetrySchedule};
use anser_core::store::{
    ClaimClass, Claimed, DeliveryRow, Group, Settle, Settled, Settlement, StoreError, StoreInfo,
    Token,
};
use bytes::Bytes;
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt as _};

use super::attempt::{self, Done};
use super::facts::ConfigFacts;
use super::inbox::Handle;
use super::jobs::{self, JobDone, Settling};
use super::plan::{
    Ending, Endpoints, Kept, Now, Plan, PlanOptions, Policy, Start, StartAction, decide,
    part_delivered,
};
use super::watchers::Watchers;
use super::{Command, Notice, Parts};
use crate::mailbox::is_mailbox;

/// Settle batches under way: one is committed while the next gathers.
const SETTLES_MAX: usize = 2;
/// Settlements that wait; beyond it no attempt starts, so that memory stays bounded when the store is slow.
const SETTLEMENTS_WAITING_MAX: usize = 8_192;
/// Longest sleep, so that a wall clock that was set is noticed.
const SLEEP_MAX: Duration = Duration::from_secs(10);
/// Between two reports of the oldest due deliveries.
const OLDEST_EVERY: Duration = Duration::from_secs(5);

/// The task's state.
pub(super) struct Shell {
    parts: Arc<Parts>,
    options: PlanOptions,
    handle: Handle,
    info: StoreInfo,
    opened: Timestamp,
    plan: Plan,
    endpoints: Endpoints,
    direct_retry: RetrySchedule,
    attempts: FuturesUnordered<BoxFuture<'static, Done>>,
    /// With how far each had come before its attempt.
    flying: HashMap<DeliveryId, (Token, Group, Option<Bytes>)>,
    jobs: FuturesUnordered<BoxFuture<'static, JobDone>>,
    waiting: Vec<Settling>,
    settles: usize,
    watchers: Watchers,
    stalled: bool,
    oldest_reported: Duration,
    stop_at: Option<Duration>,
}

impl Shell {
    pub(super) fn new(parts: Parts, options: PlanOptions, handle: Handle) -> Self {
        let (info, opened) = (parts.store.info(), parts.clock.now());
        let facts = Arc::new(ConfigFacts::new(parts.config.load_full()));
        // Whoever ran before may have sent until this very moment.
        let emptied = (info.highest_num > Num(0)).then(|| parts.clock.monotonic());
        Self {
            parts: Arc::new(parts),
            options,
            handle,
            info,
            opened,
            plan: Plan::new(options, facts, emptied),
            endpoints: Endpoints::default(),
            direct_retry: RetrySchedule::preset(RetryPreset::Standard),
            attempts: FuturesUnordered::new(),
            flying: HashMap::new(),
            jobs: FuturesUnordered::new(),
            waiting: Vec::new(),
            settles: 0,
            watchers: Watchers::default(),
            stalled: false,
            oldest_reported: Duration::ZERO,
            stop_at: None,
        }
    }

    pub(super) async fn run(mut self) {
        self.configure();
        self.find_backlog().await;
        loop {
            let now = self.now();
            self.take_inbox(now);
            self.plan.tick(now);
            self.launch(now);
            self.report(now);
            if self.is_done(now) {
                break;
            }
            self.wait(now).await;
        }
        self.give_back().await;
    }

    fn now(&self) -> Now {
        Now {
            wall: self.parts.clock.now(),
            mono: self.parts.clock.monotonic(),
        }
    }

    /// Sleeps until something happens, and takes it in.
    async fn wait(&mut self, now: Now) {
        let until_stop = self.stop_at.map(|at| at.saturating_sub(now.mono));
        let sleep = self
            .plan
            .sleep(now)
            .into_iter()
            .chain(until_stop)
            .fold(SLEEP_MAX, Duration::min);
        tokio::select! {
            biased;
            Some(job) = self.jobs.next(), if !self.jobs.is_empty() => self.job_done(job),
            Some(done) = self.attempts.next(), if !self.attempts.is_empty() => self.attempt_done(done),
            () = self.handle.woken() => {}
            () = tokio::time::sleep(sleep) => {}
        }
        // Whatever else is ready goes into the same round, so that it shares a commit.
        while let Some(Some(done)) = self.attempts.next().now_or_never() {
            self.attempt_done(done);
        }
        while let Some(Some(job)) = self.jobs.next().now_or_never() {
            self.job_done(job);
        }
    }

    /// Unfinished deliveries of earlier runs.
    async fn find_backlog(&mut self) {
        let groups = loop {
            match self.parts.store.groups().await {
                Ok(groups) => break groups,
                Err(error) => {
                    tracing::error!(%error, "the unfinished deliveries cannot be listed; trying again");
                    self.handle.report(0, true);
                    tokio::time::sleep(jobs::PROBE_EVERY).await;
                }
            }
        };
        // While they were listed, the first publishes may have come in, to channels that were made meanwhile: those exist.
        self.configure();
        let (now, config) = (self.now(), self.parts.config.load_full());
        for (group, due) in groups {
            // Queues and mailboxes are others' to give out.
            let others = config.queues_by_id.contains_key(&group) || is_mailbox(group);
            if !others && !self.plan.backlog(group, due, now) {
                self.cancel_group(group, None);
            }
        }
    }

    fn configure(&mut self) {
        let config = self.parts.config.load_full();
        let now = self.now();
        for channel in config.channels_by_id.values() {
            self.endpoints
                .remember(channel.meta.id, &channel.endpoint, now.wall);
        }
        // A group whose destination is gone is cancelled by whoever deleted it; its windows are emptied now.
        for group in self.plan.configure(Arc::new(ConfigFacts::new(config)), now) {
            self.plan.drop_group(group);
        }
    }

    fn take_inbox(&mut self, now: Now) {
        let inbox = self.handle.take();
        if inbox.config_changed {
            self.configure();
        }
        for command in inbox.commands {
            self.command(command, now);
        }
        for offer in inbox.offers {
            self.plan.offer(offer.row, offer.accepted, now);
        }
        for group in inbox.overflowed {
            self.plan.backlog(group, now.wall, now);
        }
    }

    fn command(&mut self, command: Command, now: Now) {
        match command {
            Command::CancelGroup(group, answer) => self.cancel_group(group, Some(answer)),
            Command::Watch(deliveries, done) => self.watchers.add(deliveries, done),
            Command::Stop(limit) => {
                self.stop_at = Some(now.mono + limit);
                self.parts.stopping.send_replace(true);
            }
            Command::Withdraw(withdrawal, answer) => {
                let withdrawal = Arc::new(withdrawal);
                let busy = self.plan.withdraw(Arc::clone(&withdrawal));
                let store = self.parts.store.clone();
                self.jobs
                    .push(jobs::withdraw(store, withdrawal, busy, now.wall, answer).boxed());
            }
        }
    }

    fn cancel_group(&mut self, group: Group, answer: Option<super::Answer<usize>>) {
        let keep = self.plan.drop_group(group);
        self.jobs.push(
            jobs::cancel_group(
                self.parts.store.clone(),
                group,
                keep,
                self.parts.clock.now(),
                answer,
            )
            .boxed(),
        );
    }

    fn launch(&mut self, now: Now) {
        if self.stop_at.is_none() && !self.stalled {
            while let Some(claim) = self.plan.next_claim(now) {
                self.jobs
                    .push(jobs::claim(self.parts.store.clone(), claim).boxed());
            }
            while self.waiting.len() < SETTLEMENTS_WAITING_MAX {
                let Some(start) = self.plan.next_start(now) else {
                    break;
                };
                self.start(start, now);
            }
        }
        if !self.stalled && self.settles < SETTLES_MAX && !self.waiting.is_empty() {
            self.settles += 1;
            let batch = std::mem::take(&mut self.waiting);
            self.jobs
                .push(jobs::settle(self.parts.store.clone(), batch).boxed());
        }
    }

    fn start(&mut self, start: Start, now: Now) {
        let Start {
            row,
            accepted,
            action,
        } = start;
        let (token, group) = (row.token(), row.group);
        let to = match action {
            StartAction::Attempt => {
                self.flying
                    .insert(row.id, (token, group, row.checkpoint.clone()));
                self.attempts.push(
                    attempt::run(self.parts.clone(), row, accepted, self.info.installation).boxed(),
                );
                return;
            }
            StartAction::Join => Settle::Join,
            StartAction::Expire => Settle::Expired,
            StartAction::Postpone(at) => Settle::Park {
                at,
                possible_duplicate: row.possible_duplicate,
                checkpoint: row.checkpoint,
            },
        };
        self.settle_unattempted(token, group, to, now.wall);
    }

    fn settle_unattempted(&mut self, token: Token, group: Group, to: Settle, at: Timestamp) {
        let settlement = Settlement {
            token,
            to,
            at,
            attempt: None,
            unlogged: true,
            known_as: Vec::new(),
        };
        self.waiting.push(Settling {
            settlement,
            group,
            dead: None,
        });
    }

    fn attempt_done(&mut self, done: Done) {
        let now = self.now();
        self.flying.remove(&done.row.id);
        self.parts
            .metrics
            .attempt(done.row.channel, done.outcome.class());
        let cancelled = done.gone || self.plan.is_cancelled(done.row.id);
        let mut verdict = self.decide(&done, cancelled, now);
        if let Settle::Retry { checkpoint, .. } | Settle::Park { checkpoint, .. } =
            &mut verdict.settle
        {
            *checkpoint = done.checkpoint.clone();
        }
        if let (Ending::TargetLimited(_), false) = (verdict.ending, done.asked) {
            verdict.ending = Ending::Unsent;
        }
        self.plan.finished(done.row.id, verdict.ending, now);
        self.note_endpoint(&done, verdict.gone.as_deref(), now.wall);
        let mut attempt = done.attempt;
        attempt.next = match &verdict.settle {
            Settle::Retry { at, .. } | Settle::Park { at, .. } => Some(*at),
            _ => None,
        };
        let to = if done.gone {
            Settle::Cancelled
        } else {
            verdict.settle
        };
        let settlement = Settlement {
            token: done.row.token(),
            to,
            at: now.wall,
            attempt: Some(attempt),
            unlogged: done.unlogged,
            known_as: done.known_as,
        };
        self.waiting.push(Settling {
            settlement,
            group: done.row.group,
            dead: verdict.dead,
        });
    }

    fn decide(&self, done: &Done, cancelled: bool, now: Now) -> super::plan::Verdict {
        let config = self.parts.config.load();
        let subscription = config.subscriber(done.row.group);
        let first = done.row.first_attempt.unwrap_or(done.attempt.started);
        let policy = Policy {
            retry: subscription.map_or(&self.direct_retry, |subscription| &subscription.retry),
            on_exhausted: subscription.map_or(OnExhausted::default(), |subscription| {
                subscription.spec.on_exhausted
            }),
            held: config.held_between(&[done.row.group, done.row.channel], first, now.wall),
            cancelled,
        };
        if done.more {
            return part_delivered(&policy, now.wall);
        }
        decide(
            &done.row,
            &done.outcome,
            done.timed_out,
            &policy,
            self.parts.random.unit(),
            now.wall,
        )
    }

    fn note_endpoint(&mut self, done: &Done, gone: Option<&str>, now: Timestamp) {
        let channel = done.row.channel;
        let change = match (done.outcome.class(), gone) {
            (_, Some(reason)) => self.endpoints.gone(channel, now, reason),
            (OutcomeClass::Delivered, None) => self.endpoints.succeeded(channel),
            (OutcomeClass::Retry | OutcomeClass::Unknown, None) => {
                self.endpoints.failed(channel, now, &self.options)
            }
            _ => None,
        };
        if let Some(change) = change {
            self.notify(Notice::Endpoint {
                channel,
                state: change.state,
                event: change.event,
            });
        }
    }

    fn notify(&self, notice: Notice) {
        // The receiver lives as long as the gateway; at the very end there is nobody left to tell.
        let _ = self.parts.notices.send(notice);
    }

    fn job_done(&mut self, job: JobDone) {
        let now = self.now();
        match job {
            JobDone::Claimed {
                group,
                class,
                found,
                messages,
            } => match found {
                Ok(found) => {
                    let found = self.mark_restarted(found);
                    self.plan.loaded(group, class, found, messages, now);
                }
                Err(error) => self.claim_failed(group, class, &error),
            },
            JobDone::Settled { batch, result } => {
                self.settles -= 1;
                match result {
                    Ok(results) => batch
                        .into_iter()
                        .zip(results)
                        .for_each(|(settling, settled)| self.settled(settling, settled, now)),
                    Err(error) => self.settle_failed(batch, &error),
                }
            }
            JobDone::Probed(Ok(())) => {
                tracing::info!("the store takes commits again");
                self.stalled = false;
            }
            JobDone::Probed(Err(error)) => {
                self.stalled = false;
                self.stall(&error);
            }
            JobDone::Cancelled(group) => tracing::debug!(
                group = group.0,
                "a deleted destination's deliveries are cancelled"
            ),
            JobDone::Withdrawn {
                withdrawal,
                promoted,
                left,
            } => {
                self.plan.withdrawn(&withdrawal, &left, now);
                let config = self.parts.config.load_full();
                let (queued, promoted) = config.split_queued(promoted);
                self.parts.leasing.arrived(&queued);
                for row in promoted {
                    self.plan.offer(row, None, now);
                }
            }
        }
    }

    fn claim_failed(&mut self, group: Group, class: ClaimClass, error: &StoreError) {
        self.plan.load_failed(group, class);
        self.stall(error);
    }

    fn settle_failed(&mut self, mut batch: Vec<Settling>, error: &StoreError) {
        // In front, so that the order of one delivery's settlements stays.
        batch.append(&mut self.waiting);
        self.waiting = batch;
        self.stall(error);
    }

    /// Nothing starts until a probe is committed.
    fn stall(&mut self, error: &StoreError) {
        if matches!(error, StoreError::Permanent(_)) {
            self.notify(Notice::Failed(error.to_string()));
        }
        if std::mem::replace(&mut self.stalled, true) {
            // Its probe is under way.
            return;
        }
        tracing::error!(%error, "the store does not answer; dispatch waits");
        self.jobs
            .push(jobs::probe(self.parts.store.clone()).boxed());
    }

    /// After an unclean stop, whatever was due before it may have been in flight.
    fn mark_restarted(&self, mut found: Claimed) -> Claimed {
        if !self.info.clean {
            for row in &mut found.deliveries {
                if row.id.num() <= self.info.highest_num && row.due <= self.opened {
                    row.possible_duplicate
                        .get_or_insert(PossibleDuplicate::Restart);
                }
            }
        }
        found
    }

    fn settled(&mut self, settling: Settling, settled: Settled, now: Now) {
        let Settling {
            settlement,
            group,
            dead,
        } = settling;
        let id = settlement.token.delivery;
        let (row, promoted) = match settled {
            Settled::Done { row, promoted } => (Some(row), promoted),
            Settled::Fenced => (None, None),
        };
        if self.plan.must_end(id, row.as_ref())
            && let Some(row) = &row
        {
            let token = row.token();
            return self.settle_unattempted(token, group, Settle::Cancelled, now.wall);
        }
        let parked = matches!(settlement.to, Settle::Park { .. });
        if let Some(row) = &row {
            self.count(row, &settlement, now.wall);
            let part = parked
                && settlement
                    .attempt
                    .as_ref()
                    .is_some_and(|attempt| attempt.outcome == OutcomeClass::Delivered);
            let postponed = parked && settlement.attempt.is_none();
            if !part && !postponed && !matches!(settlement.to, Settle::Join) {
                self.watchers.tried(id);
            }
            if row.state == DeliveryState::Dead {
                let reason = dead.unwrap_or_default();
                self.notify(Notice::Dead {
                    row: Box::new(row.clone()),
                    reason,
                    attempt: settlement.attempt.clone().map(Box::new),
                });
            }
        }
        // What only waits for its target's turn waits on disk.
        let parked = parked && settlement.attempt.is_some();
        self.plan.settled(
            id,
            group,
            row.map(|row| Kept { row, parked }),
            promoted,
            now,
        );
    }

    fn count(&self, row: &DeliveryRow, settlement: &Settlement, now: Timestamp) {
        let metrics = &self.parts.metrics;
        match row.state {
            DeliveryState::Delivered => {
                metrics.delivered(row.topic, row.channel, now.since(row.accepted));
            }
            DeliveryState::Dead => metrics.dead(row.topic, row.channel),
            DeliveryState::Expired => metrics.expired(row.topic, row.channel),
            DeliveryState::Cancelled => metrics.cancelled(row.topic, row.channel),
            DeliveryState::Retrying if matches!(settlement.to, Settle::Retry { .. }) => {
                metrics.retried(row.topic, row.channel);
            }
            DeliveryState::Pending | DeliveryState::Retrying | DeliveryState::Waiting => {}
        }
    }

    fn report(&mut self, now: Now) {
        self.handle.report(self.plan.in_flight(), self.stalled);
        if now.mono >= self.oldest_reported + OLDEST_EVERY {
            self.oldest_reported = now.mono;
            self.handle.report_oldest(self.plan.oldest_due().collect());
        }
    }

    fn is_done(&self, now: Now) -> bool {
        let Some(stop_at) = self.stop_at else {
            return false;
        };
        let idle = self.attempts.is_empty() && self.settles == 0 && self.waiting.is_empty();
        idle || now.mono >= stop_at
    }

    /// What did not end in time is given up and due at once for the next run, marked, since it may have arrived.
    async fn give_back(mut self) {
        let now = self.parts.clock.now();
        self.attempts.clear();
        for (token, group, checkpoint) in std::mem::take(&mut self.flying).into_values() {
            let to = if self.plan.is_cancelled(token.delivery) {
                Settle::Cancelled
            } else {
                Settle::Retry {
                    at: now,
                    possible_duplicate: Some(PossibleDuplicate::Unknown),
                    checkpoint,
                }
            };
            self.settle_unattempted(token, group, to, now);
        }
        let settlements: Vec<Settlement> = self
            .waiting
            .drain(..)
            .map(|settling| settling.settlement)
            .collect();
        if settlements.is_empty() {
            return;
        }
        tracing::info!(
            count = settlements.len(),
            "deliveries under way are returned for the next start"
        );
        if let Err(error) = self.parts.store.settle(settlements).await {
            tracing::error!(%error, "deliveries under way could not be returned; the next start treats them as after a crash");
        }
    }
}
