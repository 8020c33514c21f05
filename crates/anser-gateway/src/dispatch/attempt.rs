//! One attempt of a delivery: its destination and message, its way through the channel's steps ([`Walk`]), and its entry
//! for the log. Decides nothing about what comes next.

use std::sync::Arc;
use std::time::Duration;

use anser_core::attempt::{Attempt, PossibleDuplicate, Timing};
use anser_core::channel::{Checkpoint, Context, Exchange, Links, Report, SendErrorKind};
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num, ResourceId};
use anser_core::limits::{RESPONSE_BYTES_KEPT_ON_SUCCESS, RESPONSE_BYTES_MAX};
use anser_core::outcome::Outcome;
use anser_core::resource::AttemptLog;
use anser_core::store::{AliasKey, DeliveryRow, MessageRow, StoreError};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::HeaderMap;

use super::Parts;
use super::answering::{self, Answered, TakeAnswers};
use super::change::{self, Course, Halt};
use super::crossing::{Crossed, Crossing, Names};
use super::walk::{Walk, Wire};
use crate::accepted::Accepted;
use crate::bridge;
use crate::config::{ChannelEntry, Snapshot, Subscription};
use crate::people::Asking;

/// Headers whose values are shown as [`MASK`], beside those that a channel marks as sensitive: their names contain one
/// of these.
const SECRET_NAMES: [&str; 7] = [
    "auth", "cookie", "secret", "token", "password", "api-key", "apikey",
];
/// What stands in the log for a secret.
const MASK: &str = "********";
/// Pause before a receiver is asked again for an answer that could not be published.
const ANSWER_AGAIN: Duration = Duration::from_secs(5);
/// Pause after the store failed to give the message.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// An attempt that ended.
pub(super) struct Done {
    pub(super) row: DeliveryRow,
    pub(super) outcome: Outcome,
    pub(super) attempt: Attempt,
    pub(super) timed_out: bool,
    pub(super) unlogged: bool,
    /// There is nothing to be done any more: the destination was deleted meanwhile, or the delivery taken back.
    pub(super) gone: bool,
    /// How far the delivery got, when it did not get to the end.
    pub(super) checkpoint: Option<Bytes>,
    /// A part was delivered, and the next one takes its own turn in the channel's rate.
    pub(super) more: bool,
    /// A request was sent, and how that ended is known: else a pause is our own and not its target's.
    pub(super) asked: bool,
    /// What the platform calls the parts of a copy that a bridge sent.
    pub(super) known_as: Vec<AliasKey>,
}

/// Who a delivery goes to, by the configuration in force.
pub(super) struct Destination {
    pub(super) subscription: Option<Arc<Subscription>>,
    pub(super) channel: Arc<ChannelEntry>,
}

/// The destination of a delivery; `None` when it was deleted.
pub(super) fn destination(config: &Snapshot, row: &DeliveryRow) -> Option<Destination> {
    let subscription = config.subscriber(row.group).cloned();
    let channel = match &subscription {
        Some(subscription) => subscription.destination.channel()?,
        None => row.group,
    };
    let channel = config.channels_by_id.get(&channel)?.clone();
    Some(Destination {
        subscription,
        channel,
    })
}

/// What is known of an attempt while it runs.
struct Trial {
    row: DeliveryRow,
    started: Timestamp,
    log: AttemptLog,
    /// It is of a bridge.
    bridged: bool,
    walk: Walk,
}

/// Makes one attempt.
pub(super) async fn run(
    parts: Arc<Parts>,
    row: DeliveryRow,
    accepted: Option<Arc<Accepted>>,
    installation: u64,
) -> Done {
    let started = parts.clock.now();
    let config = parts.config.load_full();
    let checkpoint = row.checkpoint.as_deref().and_then(Checkpoint::read);
    let checkpoint = checkpoint.unwrap_or_default();
    let mut trial = Trial {
        row,
        started,
        log: AttemptLog::Summary,
        bridged: false,
        walk: Walk {
            checkpoint,
            ..Walk::default()
        },
    };
    if change::is_withdrawn(&trial.row, &trial.walk.checkpoint) {
        return trial.halt(&Halt::Void("it was taken back"));
    }
    trial.walk.checkpoint.withdrawn = false;
    let Some(destination) = destination(&config, &trial.row) else {
        let outcome = Outcome::Rejected {
            code: "destination_deleted".to_owned(),
            text: "the subscription or channel is gone".to_owned(),
        };
        return Done {
            gone: true,
            ..trial.end(outcome, None)
        };
    };
    let counted = destination
        .channel
        .channel
        .counted(trial.row.target.as_deref());
    trial.walk.paced =
        destination.channel.rate().is_some() || destination.channel.target_rate(&counted).is_some();
    trial.log = destination
        .subscription
        .as_ref()
        .map_or(AttemptLog::default(), |subscription| {
            subscription.spec.attempt_log
        });
    let accepted = match accepted {
        Some(accepted) => accepted,
        None => match load(&parts, trial.row.id.num()).await {
            Ok(accepted) => accepted,
            Err(outcome) => return trial.end(outcome, None),
        },
    };
    let crossed = match trial
        .choose(&parts, &config, &destination, &accepted.message)
        .await
    {
        Ok(crossed) => crossed,
        Err(halt) => return trial.halt(&halt),
    };
    let message = crossed.as_ref().unwrap_or(&accepted.message);
    let owner = owner(&config, &trial.row).unwrap_or(installation);
    let delivered = trial.deliver(&parts, &destination, message, owner);
    let (outcome, report) = delivered.await;
    trial.end(outcome, report)
}

/// What attempts of this gateway go out with.
fn wire(parts: &Parts) -> Wire<'_> {
    Wire {
        sender: &parts.sender,
        credentials: &parts.credentials,
        clock: &*parts.clock,
        blobs: Some(&parts.blobs),
        files: None,
        links: parts.links.as_deref().map(|links| links as &dyn Links),
        stopping: Some(&parts.stopping),
    }
}

/// Whose topic a message is on, as CMQ pushes show it: the APPID of the key that made the topic. `None`: the
/// installation's number stands for it.
fn owner(config: &Snapshot, row: &DeliveryRow) -> Option<u64> {
    let topic = config.topics_by_id.get(&row.topic)?;
    topic.spec.cmq.as_ref()?.owner
}

/// Reads the message back, when it is no longer in memory.
async fn load(parts: &Parts, num: Num) -> Result<Arc<Accepted>, Outcome> {
    let rejected = |code: &str, text: String| Outcome::Rejected {
        code: code.to_owned(),
        text,
    };
    match parts.store.messages(vec![num]).await {
        Ok(rows) => match rows.into_iter().next().map(read) {
            Some(Ok(accepted)) => Ok(accepted),
            Some(Err(problem)) => Err(rejected("damaged", problem.to_string())),
            None => Err(rejected(
                "removed",
                "the message has been removed".to_owned(),
            )),
        },
        Err(StoreError::Corrupt(what)) => Err(rejected("damaged", what)),
        Err(error) => {
            tracing::warn!(%error, "a message could not be read for its delivery");
            Err(Outcome::Limited { wait: READ_AGAIN })
        }
    }
}

/// A stored message, ready to be sent.
pub(super) fn read(row: MessageRow) -> Result<Arc<Accepted>, Problem> {
    let message = Message::from_json(&row.document)?;
    Ok(Arc::new(Accepted {
        num: row.num,
        topic: row.topic,
        message,
        document: row.document,
    }))
}

/// Sends one message outside of every topic and lane, for somebody who waits to see what comes of it: one attempt, and
/// where a form is refused the next lower one at once.
pub(crate) async fn probe(
    wire: Wire<'_>,
    channel: Arc<ChannelEntry>,
    target: Option<String>,
    message: &Message,
    installation: u64,
) -> Attempt {
    let (mut trial, destination) = trial(channel, target, message);
    loop {
        let (outcome, report) = trial.send(wire, &destination, message, installation).await;
        let more = std::mem::take(&mut trial.walk.more);
        if !more && !matches!(outcome, Outcome::Degrade { .. }) {
            return trial.end(outcome, report).attempt;
        }
    }
}

/// The rungs of the ladder that [`probe`] would begin with; none where it would end at once.
pub(crate) fn preview(
    channel: Arc<ChannelEntry>,
    target: Option<String>,
    message: &Message,
    installation: u64,
) -> Vec<String> {
    let (trial, destination) = trial(channel, target, message);
    let context = context(&trial.row, trial.started, &destination, installation);
    let plan = destination.channel.channel.render(message, &context);
    plan.map_or_else(|_| Vec::new(), |plan| plan.degraded)
}

fn trial(
    channel: Arc<ChannelEntry>,
    target: Option<String>,
    message: &Message,
) -> (Trial, Destination) {
    let now = message.header.time;
    let trial = Trial {
        row: unstored(channel.meta.id, target, now),
        started: now,
        log: AttemptLog::Full,
        bridged: false,
        walk: Walk::default(),
    };
    let destination = Destination {
        subscription: None,
        channel,
    };
    (trial, destination)
}

/// The delivery of a message that is kept nowhere.
fn unstored(channel: ResourceId, target: Option<String>, now: Timestamp) -> DeliveryRow {
    DeliveryRow {
        id: DeliveryId::new(Num(0), 0),
        topic: channel,
        group: channel,
        channel,
        target,
        lane: None,
        state: DeliveryState::Pending,
        due: now,
        expires_at: None,
        accepted: now,
        first_attempt: None,
        attempts: 0,
        attempts_before: 0,
        scheduled: false,
        ordered: false,
        possible_duplicate: None,
        checkpoint: None,
        bytes: 0,
        rewindable: false,
    }
}

/// What the channel may know of an attempt.
fn context<'a>(
    row: &'a DeliveryRow,
    started: Timestamp,
    destination: &'a Destination,
    installation: u64,
) -> Context<'a> {
    let subscription = destination.subscription.as_deref();
    Context {
        now: started,
        delivery: row.id,
        num: row.id.num(),
        attempt: row.attempts + 1,
        possible_duplicate: row.possible_duplicate,
        subscription: subscription.map(|subscription| subscription.meta.name.as_str()),
        format: subscription.and_then(|subscription| subscription.spec.format.as_deref()),
        target: row.target.as_deref(),
        installation,
        rung: 0,
        step: 0,
        media_refused: false,
        links: None,
        outputs: &[],
        media: None,
        token: None,
        fail_fast_4xx: subscription.is_some_and(|subscription| subscription.spec.fail_fast_4xx),
        cmq_policy: subscription.is_some_and(|subscription| subscription.retry.is_cmq()),
    }
}

impl Trial {
    async fn send(
        &mut self,
        wire: Wire<'_>,
        destination: &Destination,
        message: &Message,
        installation: u64,
    ) -> (Outcome, Option<Report>) {
        let context = context(&self.row, self.started, destination, installation);
        let entry = &destination.channel;
        self.walk.go(wire, entry, message, &context).await
    }

    /// Sends it, and takes what the receiver answers.
    async fn deliver(
        &mut self,
        parts: &Parts,
        destination: &Destination,
        message: &Message,
        installation: u64,
    ) -> (Outcome, Option<Report>) {
        let sent = self.send(wire(parts), destination, message, installation);
        let (outcome, report) = sent.await;
        self.answer(&*parts.answers, destination, message, outcome, report)
            .await
    }

    /// Publishes what the receiver answered with. What cannot be published now is asked for again later; what never can is
    /// noted.
    async fn answer(
        &mut self,
        taker: &dyn TakeAnswers,
        destination: &Destination,
        message: &Message,
        outcome: Outcome,
        report: Option<Report>,
    ) -> (Outcome, Option<Report>) {
        let context = context(&self.row, self.started, destination, 0);
        let entry = &destination.channel;
        let answers = match answering::answers(entry, &context, &outcome, report.as_ref()) {
            Ok(answers) if answers.items.is_empty() => return (outcome, report),
            Ok(answers) => answers,
            Err(problem) => {
                self.walk.why = answering::note(&[problem]);
                return (outcome, report);
            }
        };
        let answered = Answered {
            delivery: self.row.id,
            channel: entry,
            message,
            answers,
        };
        match taker.take(answered).await {
            Ok(refused) => {
                self.walk.why = answering::note(&refused);
                (outcome, report)
            }
            Err(problem) => {
                self.walk.why = Some(format!("its answer could not be published: {problem}"));
                // The receiver has it, and gets it again.
                self.row
                    .possible_duplicate
                    .get_or_insert(PossibleDuplicate::Unknown);
                (Outcome::TargetLimited { wait: ANSWER_AGAIN }, None)
            }
        }
    }

    /// Decides what is done with the message, and answers the one that goes out in its place, if one does.
    ///
    /// # Errors
    /// Why there is no attempt.
    async fn choose(
        &mut self,
        parts: &Parts,
        config: &Snapshot,
        destination: &Destination,
        message: &Message,
    ) -> Result<Option<Message>, Halt> {
        let (store, channel) = (&*parts.store, &*destination.channel);
        let subscription = destination.subscription.as_deref();
        let bridge = subscription.and_then(|subscription| subscription.bridge.as_deref());
        // What the gateway's own users change is changed as it is everywhere.
        let Some(bridge) = bridge.filter(|_| message.header.target_id.is_none()) else {
            let (row, id) = (&self.row, channel.meta.id);
            let course = change::course(store, message, row, id, self.started).await?;
            self.follow(course);
            return Ok(None);
        };
        let crossing = Crossing {
            store,
            bridge,
            entry: channel,
            message,
            row: &self.row,
            now: self.started,
            names: Names {
                people: &parts.people,
                with: Asking {
                    sender: &parts.sender,
                    credentials: &parts.credentials,
                    clock: &*parts.clock,
                },
                config,
                context: context(&self.row, self.started, destination, 0),
            },
        };
        let Crossed { message, course } = Box::pin(crossing.go()).await?;
        self.bridged = true;
        self.follow(course);
        Ok(Some(message))
    }

    fn follow(&mut self, course: Course) {
        if let Course::Fresh { doubt } = &course {
            self.row.possible_duplicate = self.row.possible_duplicate.or(*doubt);
        }
        self.walk.course = course;
    }

    /// Ends it without an attempt.
    fn halt(mut self, halt: &Halt) -> Done {
        let gone = match halt {
            Halt::Wait(_) => false,
            Halt::Void(why) => {
                self.walk.why = Some((*why).to_owned());
                true
            }
        };
        Done {
            gone,
            unlogged: !gone,
            ..self.end(halt.outcome(), None)
        }
    }

    fn end(self, outcome: Outcome, report: Option<Report>) -> Done {
        let walk = self.walk;
        let delivered = matches!(outcome, Outcome::Delivered { .. });
        let asked = report.is_some();
        let (timing, peer, exchange) = match report {
            Some(report) => (
                report.timing,
                report.peer.map(|peer| peer.to_string()),
                Some(report.exchange),
            ),
            None => (Timing::default(), None, None),
        };
        let full = !delivered || self.log == AttemptLog::Full;
        let attempt = Attempt {
            number: self.row.attempts + 1,
            started: self.started,
            timing,
            peer,
            status: exchange
                .as_ref()
                .and_then(|exchange| exchange.as_ref().ok())
                .map(|response| response.status.as_u16()),
            outcome: outcome.class(),
            error: walk.why.or_else(|| reason(&outcome)),
            degraded: walk.degraded,
            platform_ids: walk.platform_ids,
            possible_duplicate: self.row.possible_duplicate,
            report: None,
            next: None,
            request_headers: if full {
                shown(&walk.headers)
            } else {
                Vec::new()
            },
            response_headers: match &exchange {
                Some(Ok(response)) if full => shown(&response.headers),
                _ => Vec::new(),
            },
            response: body(exchange.as_ref(), delivered),
        };
        let timed_out =
            matches!(&exchange, Some(Err(error)) if error.kind == SendErrorKind::TimedOut);
        // Whoever edits or takes back a message needs the ids of its parts, whatever else is logged.
        let unlogged = delivered
            && self.log == AttemptLog::Failures
            && attempt.platform_ids.is_empty()
            && attempt.error.is_none();
        let known_as = if self.bridged {
            let (channel, target) = (self.row.channel, self.row.target.as_deref());
            let ids = attempt.platform_ids.iter();
            ids.map(|id| bridge::name(channel, target, id)).collect()
        } else {
            Vec::new()
        };
        let unfinished = !delivered || walk.more;
        let checkpoint = (unfinished && walk.checkpoint != Checkpoint::default())
            .then(|| walk.checkpoint.write());
        Done {
            row: self.row,
            outcome,
            attempt,
            timed_out,
            unlogged,
            gone: false,
            checkpoint,
            more: walk.more,
            asked,
            known_as,
        }
    }
}

/// Why an attempt did not deliver, for people.
pub(crate) fn reason(outcome: &Outcome) -> Option<String> {
    match outcome {
        Outcome::Delivered { .. } => None,
        Outcome::Limited { wait } | Outcome::TargetLimited { wait } => {
            Some(format!("the endpoint asks to wait {} s", wait.as_secs()))
        }
        Outcome::RefreshAuth => Some("the platform refuses the token".to_owned()),
        Outcome::Rejected { code, text } => Some(format!("{code}: {text}")),
        Outcome::Retry { reason }
        | Outcome::Unknown { reason }
        | Outcome::Degrade { reason }
        | Outcome::Gone { reason } => Some(reason.clone()),
    }
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let is_secret = |name: &str| SECRET_NAMES.iter().any(|part| name.contains(part));
    let text = |name: &str, value: &http::HeaderValue| {
        if value.is_sensitive() || is_secret(name) {
            MASK.to_owned()
        } else {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        }
    };
    headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), text(name.as_str(), value)))
        .collect()
}

fn body(exchange: Option<&Exchange>, delivered: bool) -> String {
    let Some(Ok(response)) = exchange else {
        return String::new();
    };
    let most = if delivered {
        RESPONSE_BYTES_KEPT_ON_SUCCESS
    } else {
        RESPONSE_BYTES_MAX
    };
    String::from_utf8_lossy(&response.body[..response.body.len().min(most)]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unlogged(platform_ids: &[&str], outcome: Outcome) -> bool {
        let ids = platform_ids.iter().map(|&id| id.to_owned());
        let trial = Trial {
            row: unstored(ResourceId(1), None, Timestamp::EPOCH),
            started: Timestamp::EPOCH,
            log: AttemptLog::Failures,
            bridged: false,
            walk: Walk {
                platform_ids: ids.collect(),
                ..Walk::default()
            },
        };
        trial.end(outcome, None).unlogged
    }

    #[test]
    fn ids_of_parts_are_logged_even_where_only_failures_are() {
        let delivered = Outcome::Delivered { platform_id: None };
        assert!(unlogged(&[], delivered.clone()));
        assert!(!unlogged(&["om_1"], delivered));
        let reason = String::new();
        assert!(!unlogged(&[], Outcome::Retry { reason }));
    }
}
