//! How the gateway starts, what it does beside requests (operator messages, retention), and how it ends. Must not
//! decide anything about a delivery.

#[cfg(test)]
mod tests;

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anser_core::id::{IdGenerator, ResourceId};
use anser_core::name::{TOPIC_DIRECT, TOPIC_OPS};
use anser_core::store::{Retention, StoreError};
use anser_core::{Problem, ProblemKind};
use arc_swap::ArcSwap;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::answers::AnswerPublisher;
use crate::config::{self, QueueEntry, Snapshot, Topic};
use crate::connecting::supervise;
use crate::connections::Connections;
use crate::credentials::Credentials;
use crate::dispatch::{self, EndpointEvent, Notice};
use crate::gateway::{Gateway, GatewayOptions, Parts, Phase, StartError};
use crate::intake::Intake;
use crate::leasing::Leasing;
use crate::live::Sessions;
use crate::people::People;
use crate::refusal_journal::RefusalJournal;
use crate::turns::Turns;

/// Notices of the dispatcher that are taken at once: what they say of endpoints shares a commit.
const NOTICES_TAKEN_MAX: usize = 256;
/// How long notices that are only to be remembered are gathered.
const NOTICES_GATHERED_FOR: Duration = Duration::from_millis(200);
/// Rows that one retention step may remove: small, so that publishing never waits long behind one.
const SWEEP_ROWS_MAX: usize = 500;

impl Gateway {
    /// Loads the configuration, finds what earlier runs left unfinished and starts to dispatch.
    ///
    /// # Errors
    /// The store does not answer, or its configuration cannot be used.
    pub async fn start(parts: Parts, options: GatewayOptions) -> Result<Arc<Self>, StartError> {
        let snapshot = config::load(
            &*parts.store,
            &parts.registry,
            &parts.sealer,
            parts.clock.now(),
        )
        .await?;
        let config = Arc::new(ArcSwap::from_pointee(snapshot));
        let leasing = Leasing::new(
            parts.store.clone(),
            config.clone(),
            parts.clock.clone(),
            parts.metrics.clone(),
        );
        let credentials = Arc::new(Credentials::default());
        let (notices, noticed) = mpsc::unbounded_channel();
        let answers = Arc::new(AnswerPublisher::default());
        let shared = dispatch::Parts {
            store: parts.store.clone(),
            config: config.clone(),
            clock: parts.clock.clone(),
            random: parts.random.clone(),
            sender: parts.sender.clone(),
            credentials: credentials.clone(),
            people: People::default(),
            metrics: parts.metrics.clone(),
            blobs: parts.blobs.clone(),
            links: parts.links.clone(),
            leasing: leasing.clone(),
            answers: answers.clone(),
            notices,
            stopping: watch::Sender::new(false),
        };
        let (handle, dispatcher) = dispatch::start(shared, options.dispatch);
        let info = parts.store.info();
        let sessions = Sessions::new(parts.clock.clone(), info.highest_num);
        sessions.load(&parts.store.config_list().await?, &info);
        let gateway = Arc::new(Self {
            ids: IdGenerator::above(info.highest_id),
            store: parts.store,
            config,
            clock: parts.clock,
            random: parts.random,
            sender: parts.sender,
            credentials,
            guard: parts.guard,
            sealer: parts.sealer,
            registry: parts.registry,
            metrics: parts.metrics,
            blobs: parts.blobs,
            links: parts.links,
            info,
            options,
            dispatch: handle,
            leasing,
            intake: Intake::default(),
            sessions,
            connections: Connections::default(),
            refusals: RefusalJournal::default(),
            fetches: Turns::default(),
            admin_lock: tokio::sync::Mutex::new(()),
            tasks: std::sync::Mutex::new(Vec::new()),
            phase: watch::Sender::new(Phase::Running),
        });
        answers.connect(Arc::downgrade(&gateway));
        gateway.begin_tasks(dispatcher, noticed);
        Ok(gateway)
    }

    /// Begins what runs beside the requests, in the order in which it is waited for at the end.
    fn begin_tasks(
        self: &Arc<Self>,
        dispatcher: JoinHandle<()>,
        noticed: mpsc::UnboundedReceiver<Notice>,
    ) {
        let tasks = vec![
            spawn(commit_unconfirmed(self.clone())),
            dispatcher,
            spawn(self.clone().pull_triggers()),
            spawn(self.leasing.clone().keep()),
            spawn(self.clone().keep_sessions()),
            spawn(report_notices(self.clone(), noticed)),
            spawn(sweep(self.clone())),
        ];
        *self.tasks.lock().unwrap_or_else(PoisonError::into_inner) = tasks;
        let supervisor = spawn(supervise(self.clone()));
        self.connections.supervised_by(supervisor);
    }

    /// Whether the gateway can take and deliver messages now.
    ///
    /// # Errors
    /// 503 `stopping`, `store_failed` or `store_stalled`.
    pub fn readiness(&self) -> Result<(), Problem> {
        let unavailable =
            |code, detail: &str| Err(Problem::new(ProblemKind::Unavailable, code, detail));
        match &*self.phase.borrow() {
            Phase::Running if self.dispatch.stalled() => unavailable(
                "store_stalled",
                "the store does not take commits; see the log",
            ),
            Phase::Running => Ok(()),
            Phase::Stopping => unavailable("stopping", "the gateway is shutting down"),
            Phase::Failed(why) => unavailable("store_failed", why),
        }
    }

    /// Resolves when the store has failed for good and the process must end; answers why.
    pub async fn failed(&self) -> String {
        let mut phase = self.phase.subscribe();
        loop {
            if let Phase::Failed(why) = &*phase.borrow_and_update() {
                return why.clone();
            }
            if phase.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Receives that wait are answered now, and none waits any more: a door that closes need not wait for them.
    pub fn end_waits(&self) {
        self.leasing.close();
        self.sessions.close();
    }

    /// Ends the gateway: starts nothing more, lets attempts in flight finish within `limit` or returns them, and
    /// closes the store.
    ///
    /// # Errors
    /// The store's, when its last commit failed.
    pub async fn shutdown(&self, limit: Duration) -> Result<(), StoreError> {
        self.phase.send_if_modified(|phase| {
            let running = *phase == Phase::Running;
            if running {
                *phase = Phase::Stopping;
            }
            running
        });
        // While what came in can still be stored, and answered.
        if let Some(supervisor) = self.connections.take_supervisor()
            && tokio::time::timeout(limit, supervisor).await.is_err()
        {
            tracing::warn!("connections to platforms did not end in time");
        }
        self.intake.close();
        self.leasing.close();
        self.sessions.close();
        self.leasing.limit_duty(limit);
        self.dispatch.stop(limit);
        let tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        for task in tasks {
            if let Err(error) = task.await {
                tracing::error!(%error, "a task of the gateway ended badly");
            }
        }
        self.sender.programs_ended().await;
        self.store.close().await
    }

    async fn take_notices(&self, notices: Vec<Notice>) {
        let states = notices.iter().filter_map(|notice| match notice {
            Notice::Endpoint { channel, state, .. } => Some((*channel, state.clone())),
            Notice::Dead { .. } | Notice::Failed(_) => None,
        });
        if let Err(problem) = self.endpoints_changed(states.collect()).await {
            tracing::error!(%problem, "what was found of endpoints could not be stored");
        }
        for notice in notices {
            if let Err(problem) = self.report(notice).await {
                tracing::error!(%problem, "an operator message could not be published");
            }
        }
    }

    async fn report(&self, notice: Notice) -> Result<(), Problem> {
        match notice {
            Notice::Dead {
                row,
                reason,
                attempt,
            } => {
                let dead = self.publish_dead(&row, &reason, attempt.as_deref());
                dead.await.map(drop)
            }
            Notice::Endpoint { event: None, .. } => Ok(()),
            Notice::Endpoint {
                channel,
                state,
                event: Some(event),
            } => {
                let config = self.config.load_full();
                let Some(entry) = config.channels_by_id.get(&channel) else {
                    return Ok(());
                };
                let (r#type, data) = endpoint_report(event, &entry.meta.name, &state);
                let key = Some(entry.meta.name.clone());
                let report = self.publish_system(TOPIC_OPS, r#type, data, key);
                report.await.map(drop)
            }
            Notice::Failed(why) => {
                self.phase.send_replace(Phase::Failed(why));
                Ok(())
            }
        }
    }

    /// One retention pass.
    async fn sweep_all(&self) -> Result<(), StoreError> {
        loop {
            let swept = self.store.sweep(self.retention()).await?;
            if !swept.more || *self.phase.borrow() != Phase::Running {
                return Ok(());
            }
            // Publishing goes between the steps.
            tokio::task::yield_now().await;
        }
    }

    fn retention(&self) -> Retention {
        let now = self.clock.now();
        let snapshot = self.config.load();
        let before = |seconds: u64| now.minus(Duration::from_secs(seconds));
        let rewind_of_any = rewind(snapshot.queues.values());
        let kept = |topic: &Topic| {
            // What was sent straight to queues has no subscription that names them.
            let rewind = if topic.meta.name == TOPIC_DIRECT {
                rewind_of_any
            } else {
                rewind_behind(&snapshot, topic)
            };
            topic.spec.retention.max(rewind)
        };
        let default = anser_core::resource::TopicSpec::default().retention;
        Retention {
            messages_before: snapshot
                .topics_by_id
                .values()
                .map(|topic| (topic.meta.id, before(kept(topic))))
                .collect(),
            default_before: before(default.max(rewind_of_any)),
            dead_before: now.minus(self.options.dead_retention),
            attempts_before: now.minus(self.options.attempt_retention),
            now,
            limit: SWEEP_ROWS_MAX,
        }
    }
}

/// The longest `rewind` of these queues: messages must be there as long as they can be had again.
fn rewind<'a>(queues: impl Iterator<Item = &'a Arc<QueueEntry>>) -> u64 {
    queues.map(|queue| queue.spec.rewind).max().unwrap_or(0)
}

/// The longest `rewind` of the queues that a topic's subscriptions name, and of those their dead letters go to.
fn rewind_behind(snapshot: &Snapshot, topic: &Topic) -> u64 {
    let queue = |id: ResourceId| snapshot.queues_by_id.get(&id);
    let named = topic
        .subscriptions
        .iter()
        .filter_map(|subscription| subscription.destination.id().and_then(queue));
    let dead_letter = |named: &&Arc<QueueEntry>| named.dead_letter.and_then(queue);
    rewind(named.clone().filter_map(|named| dead_letter(&named))).max(rewind(named))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the supervisor: Gateway::shutdown waits for every task it starts"
)]
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
    tokio::spawn(task)
}

async fn commit_unconfirmed(gateway: Arc<Gateway>) {
    gateway.commit_unconfirmed().await;
}

/// Ends when the dispatcher, the only one with notices, has ended.
async fn report_notices(gateway: Arc<Gateway>, mut notices: mpsc::UnboundedReceiver<Notice>) {
    let mut gathered = Vec::new();
    while notices.recv_many(&mut gathered, NOTICES_TAKEN_MAX).await > 0 {
        if gathered.iter().all(is_quiet) {
            // Endpoints tend to fail together, and nobody waits to hear of it.
            tokio::time::sleep(NOTICES_GATHERED_FOR).await;
            while gathered.len() < NOTICES_TAKEN_MAX
                && let Ok(notice) = notices.try_recv()
            {
                gathered.push(notice);
            }
        }
        gateway.take_notices(std::mem::take(&mut gathered)).await;
    }
}

/// Whether a notice is only to be remembered.
fn is_quiet(notice: &Notice) -> bool {
    matches!(notice, Notice::Endpoint { event: None, .. })
}

async fn sweep(gateway: Arc<Gateway>) {
    let mut phase = gateway.phase.subscribe();
    // Looked at first: the gateway may have been stopped before this task began.
    while *phase.borrow_and_update() == Phase::Running {
        tokio::select! {
            changed = phase.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(gateway.options.sweep_interval) => {
                gateway.sender.close_expired();
                if let Err(error) = gateway.sweep_all().await {
                    tracing::warn!(%error, "retention did not finish its pass");
                }
                gateway.leasing.sweep().await;
                gateway.sweep_mail().await;
                // Object stores may be slow; what is cut off here is done by a later pass.
                tokio::select! {
                    swept = gateway.blobs.sweep() => if let Err(error) = swept {
                        tracing::warn!(%error, "blobs were not swept");
                    },
                    _ = phase.changed() => {}
                }
            }
        }
    }
}

fn endpoint_report(
    event: EndpointEvent,
    channel: &str,
    state: &config::EndpointState,
) -> (&'static str, serde_json::Value) {
    let (r#type, percent) = match event {
        EndpointEvent::Failing(percent) => ("endpoint.failing", Some(percent)),
        EndpointEvent::Disabled => ("endpoint.disabled", Some(100)),
        EndpointEvent::Recovered => ("endpoint.recovered", None),
    };
    let data = serde_json::json!({
        "channel": channel,
        "percent": percent,
        "failing_since": state.failing_since,
        "failures": state.failures,
        "reason": state.disabled_reason,
    });
    (r#type, data)
}
