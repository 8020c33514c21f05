//! One attempt: message, channel, render, request, send, classify, and its entry for the log. Decides nothing about
//! what comes next.

use std::sync::Arc;
use std::time::Duration;

use anser_core::attempt::{Attempt, Timing};
use anser_core::channel::{
    Checkpoint, Context, Exchange, HttpRequest, Plan, Report, Request, SendErrorKind, Step,
};
use anser_core::clock::Clock;
use anser_core::delivery::DeliveryState;
use anser_core::id::{DeliveryId, Num};
use anser_core::limits::{RESPONSE_BYTES_KEPT_ON_SUCCESS, RESPONSE_BYTES_MAX};
use anser_core::outcome::Outcome;
use anser_core::resource::AttemptLog;
use anser_core::store::{DeliveryRow, MessageRow, StoreError};
use anser_core::{Message, Problem, Timestamp};
use bytes::Bytes;
use http::HeaderMap;

use super::Parts;
use super::change::{self, Course, Halt};
use crate::accepted::Accepted;
use crate::config::{ChannelEntry, Snapshot, Subscription};
use crate::credentials::{Credentials, Refused};
use crate::sender::{MailFiles, Sender};

/// Headers whose values are shown as [`MASK`], beside those that a channel marks as sensitive: their names contain one
/// of these.
const SECRET_NAMES: [&str; 7] = [
    "auth", "cookie", "secret", "token", "password", "api-key", "apikey",
];
/// What stands in the log for a secret.
const MASK: &str = "********";
/// Rungs of the ladder of forms below the richest; no channel has so many.
const RUNGS_MAX: u8 = 8;
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
}

/// Who a delivery goes to, by the configuration in force.
pub(super) struct Destination {
    pub(super) subscription: Option<Arc<Subscription>>,
    pub(super) channel: Arc<ChannelEntry>,
}

/// The destination of a delivery; `None` when it was deleted.
pub(super) fn destination(config: &Snapshot, row: &DeliveryRow) -> Option<Destination> {
    let subscription = config.subscriptions.get(&row.group).cloned();
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
    degraded: Vec<String>,
    headers: HeaderMap,
    checkpoint: Checkpoint,
    /// What it does with the message.
    course: Course,
    /// The platform's ids of the parts that show the message now.
    platform_ids: Vec<String>,
    /// Why it ended, where its outcome does not tell.
    why: Option<&'static str>,
    /// The channel has a rate: each part takes its turn.
    paced: bool,
    more: bool,
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
        degraded: Vec::new(),
        headers: HeaderMap::new(),
        checkpoint,
        course: Course::default(),
        platform_ids: Vec::new(),
        why: None,
        paced: false,
        more: false,
    };
    if change::is_withdrawn(&trial.row, &trial.checkpoint) {
        return trial.halt(&Halt::Void("it was taken back"));
    }
    trial.checkpoint.withdrawn = false;
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
    trial.paced = destination.channel.rate().is_some();
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
    let (message, channel) = (&accepted.message, destination.channel.meta.id);
    match change::course(&*parts.store, message, &trial.row, channel, started).await {
        Ok(course) => trial.follow(course),
        Err(halt) => return trial.halt(&halt),
    }
    let owner = owner(&config, &trial.row).unwrap_or(installation);
    let wire = Wire {
        sender: &parts.sender,
        credentials: &parts.credentials,
        clock: &*parts.clock,
    };
    let (outcome, report) = send(wire, &mut trial, &destination, &accepted.message, owner).await;
    trial.end(outcome, report)
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

/// What an attempt goes out with.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    /// The one HTTP sender.
    pub(crate) sender: &'a Sender,
    /// Tokens of channels.
    pub(crate) credentials: &'a Credentials,
    /// Time.
    pub(crate) clock: &'a dyn Clock,
}

async fn send(
    wire: Wire<'_>,
    trial: &mut Trial,
    destination: &Destination,
    message: &Message,
    installation: u64,
) -> (Outcome, Option<Report>) {
    let subscription = destination.subscription.as_deref();
    let row = trial.row.clone();
    let mut context = Context {
        now: trial.started,
        delivery: row.id,
        num: row.id.num(),
        attempt: row.attempts + 1,
        possible_duplicate: row.possible_duplicate,
        subscription: subscription.map(|subscription| subscription.meta.name.as_str()),
        format: subscription.and_then(|subscription| subscription.spec.format.as_deref()),
        target: row.target.as_deref(),
        installation,
        rung: trial.checkpoint.rung,
        step: 0,
        media_refused: trial.checkpoint.media_refused,
        links: None,
        outputs: &[],
        media: None,
        token: None,
        fail_fast_4xx: subscription.is_some_and(|subscription| subscription.spec.fail_fast_4xx),
        cmq_policy: subscription.is_some_and(|subscription| subscription.retry.is_cmq()),
    };
    let kept = trial.checkpoint.plan.take();
    let begun = kept.is_some();
    let plan = match kept {
        Some(plan) => plan,
        None => match change::render(&trial.course, &destination.channel, message, &context) {
            Ok(plan) => plan,
            Err(problem) => return (unsendable(&problem), None),
        },
    };
    trial.degraded.clone_from(&plan.degraded);
    let mut last = (Outcome::Delivered { platform_id: None }, None);
    let done = trial.checkpoint.delivered.len();
    for (place, step) in plan.steps.iter().enumerate().skip(done) {
        context.step = place;
        last = take(wire, trial, &destination.channel, message, &context, step).await;
        let Outcome::Delivered { platform_id } = &last.0 else {
            break;
        };
        trial.checkpoint.delivered.push(platform_id.clone());
        if trial.paced && place + 1 < plan.steps.len() {
            trial.more = true;
            break;
        }
    }
    let sent = trial.course.sent();
    trial.platform_ids = change::parts_after(sent, &plan, &trial.checkpoint.delivered);
    last.0 = trial.note_progress(plan, begun, last.0);
    last
}

/// Takes one step. Where the platform refuses the channel's token, once more at once with a new one.
async fn take(
    wire: Wire<'_>,
    trial: &mut Trial,
    entry: &ChannelEntry,
    message: &Message,
    context: &Context<'_>,
    step: &Step,
) -> (Outcome, Option<Report>) {
    let deadline = Duration::from_secs(entry.spec.timeout);
    let mut renewed = false;
    loop {
        let token = wire
            .credentials
            .token(wire.sender, wire.clock, entry, context);
        let token = match token.await {
            Ok(token) => token,
            Err(Refused { outcome, report }) => return (outcome, report.map(|report| *report)),
        };
        let context = Context {
            token: token.as_deref(),
            ..context.clone()
        };
        let report = match entry.channel.request(step, message, &context) {
            Ok(Request::Http(request)) => {
                trial.keep_headers(&request);
                wire.sender.send(request, deadline).await
            }
            Ok(Request::Mail(request)) => {
                // Helper SENDMEDIA: the bytes of `request.mail.attachments`, resolved, go in here.
                let files = MailFiles::new();
                Box::pin(wire.sender.send_mail(&request, &files, deadline)).await
            }
            Ok(Request::Upload(_)) => {
                let problem = Problem::not_available("attachments", "an upload");
                return (unsendable(&problem), None);
            }
            Err(problem) => return (unsendable(&problem), None),
        };
        let outcome = entry.channel.classify(step, &report.exchange, &context);
        if let (Outcome::RefreshAuth, Some(token)) = (&outcome, &token) {
            wire.credentials.forget(entry, token);
            if !renewed {
                renewed = true;
                continue;
            }
        }
        return (outcome, Some(report));
    }
}

/// A message that the channel cannot send at all.
fn unsendable(problem: &Problem) -> Outcome {
    Outcome::Rejected {
        code: problem.code.to_owned(),
        text: problem.to_string(),
    }
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
    let now = message.header.time;
    let row = DeliveryRow {
        id: DeliveryId::new(Num(0), 0),
        topic: channel.meta.id,
        group: channel.meta.id,
        channel: channel.meta.id,
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
    };
    let destination = Destination {
        subscription: None,
        channel,
    };
    let mut trial = Trial {
        row,
        started: now,
        log: AttemptLog::Full,
        degraded: Vec::new(),
        headers: HeaderMap::new(),
        checkpoint: Checkpoint::default(),
        course: Course::default(),
        platform_ids: Vec::new(),
        why: None,
        paced: false,
        more: false,
    };
    loop {
        let (outcome, report) = send(wire, &mut trial, &destination, message, installation).await;
        if !matches!(outcome, Outcome::Degrade { .. }) {
            return trial.end(outcome, report).attempt;
        }
    }
}

impl Trial {
    /// Names and values only cost a copy of shared bytes; they are turned into text only if they are logged.
    fn keep_headers(&mut self, request: &HttpRequest) {
        self.headers = request.headers.clone();
    }

    /// What the next attempt must know: the parts that went out, or may have, and a form that was refused. A form that
    /// is refused after that cannot be changed any more. A plan of one step is rendered anew: its step stays the first.
    fn note_progress(&mut self, plan: Plan, begun: bool, outcome: Outcome) -> Outcome {
        let begun = begun
            || !self.checkpoint.delivered.is_empty()
            || matches!(outcome, Outcome::Unknown { .. });
        let begun = begun && plan.steps.len() > 1;
        if begun {
            self.checkpoint.plan = Some(plan);
        }
        match outcome {
            Outcome::Degrade { reason } if begun || self.checkpoint.rung >= RUNGS_MAX => {
                Outcome::Rejected {
                    code: "form_refused".to_owned(),
                    text: reason,
                }
            }
            Outcome::Degrade { .. } => {
                self.checkpoint.rung += 1;
                outcome
            }
            _ => outcome,
        }
    }

    fn follow(&mut self, course: Course) {
        if let Course::Fresh { doubt } = &course {
            self.row.possible_duplicate = self.row.possible_duplicate.or(*doubt);
        }
        self.course = course;
    }

    /// Ends it without an attempt.
    fn halt(mut self, halt: &Halt) -> Done {
        let gone = match halt {
            Halt::Wait(_) => false,
            Halt::Void(why) => {
                self.why = Some(why);
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
        let delivered = matches!(outcome, Outcome::Delivered { .. });
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
            error: self
                .why
                .map_or_else(|| reason(&outcome), |why| Some(why.to_owned())),
            degraded: self.degraded,
            platform_ids: self.platform_ids,
            possible_duplicate: self.row.possible_duplicate,
            next: None,
            request_headers: if full {
                shown(&self.headers)
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
        let unlogged =
            delivered && self.log == AttemptLog::Failures && attempt.platform_ids.is_empty();
        let unfinished = !delivered || self.more;
        let checkpoint = (unfinished && self.checkpoint != Checkpoint::default())
            .then(|| self.checkpoint.write());
        Done {
            row: self.row,
            outcome,
            attempt,
            timed_out,
            unlogged,
            gone: false,
            checkpoint,
            more: self.more,
        }
    }
}

fn reason(outcome: &Outcome) -> Option<String> {
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
