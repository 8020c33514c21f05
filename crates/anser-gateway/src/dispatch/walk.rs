//! The way of one attempt through the steps of a plan: render or resume, load, request, send, classify, and what of it
//! the next attempt must know. Must not decide when that is, nor know any platform.

use std::time::Duration;

use anser_core::channel::{
    Checkpoint, Context, Links, MAIL_BYTES_MAX, MailRequest, Plan, Report, Request, Step,
    UploadRequest,
};
use anser_core::clock::Clock;
use anser_core::limits::{ATTACHMENT_LOADED_BYTES_MAX, UPLOAD_STALL_MAX, UPLOAD_TIME_MAX};
use anser_core::outcome::Outcome;
use anser_core::{Message, Problem};
use bytes::Bytes;
use http::HeaderMap;
use tokio::sync::watch;

use super::change::{self, Course};
use super::media::{Media, Missing};
use crate::blobs::{Blobs, LocalFiles};
use crate::config::ChannelEntry;
use crate::credentials::{Credentials, Refused};
use crate::sender::{MailFiles, Sender, Upload};

/// Rungs of the ladder of forms below the richest; no channel has so many.
const RUNGS_MAX: u8 = 8;

/// Pause after the gateway could not read an attachment that it keeps.
const READ_AGAIN: Duration = Duration::from_secs(5);
/// Why an upload ended that could have gone on.
const BROKEN_OFF: &str =
    "the upload was broken off because the gateway stops; it begins anew at the next start";

/// What an attempt goes out with.
#[derive(Clone, Copy)]
pub(crate) struct Wire<'a> {
    /// The one sender.
    pub(crate) sender: &'a Sender,
    /// Tokens of channels.
    pub(crate) credentials: &'a Credentials,
    /// Time.
    pub(crate) clock: &'a dyn Clock,
    /// Where attachments are that are blobs; `None`: there are none.
    pub(crate) blobs: Option<&'a Blobs>,
    /// Files in the place of blobs; `None`: there are none.
    pub(crate) files: Option<&'a LocalFiles>,
    /// Links to what the gateway keeps; `None`: it has no public address.
    pub(crate) links: Option<&'a dyn Links>,
    /// Turns true when the gateway stops: uploads that nobody has seen anything of do not go on.
    pub(crate) stopping: Option<&'a watch::Sender<bool>>,
}

/// How an attempt ended, and its last exchange.
pub(super) type Ended = (Outcome, Option<Report>);

/// How far a delivery has come, and what is known of its attempt.
#[derive(Default)]
pub(super) struct Walk {
    /// What the next attempt must know.
    pub(super) checkpoint: Checkpoint,
    /// What it does with the message.
    pub(super) course: Course,
    /// The channel or the target has a rate: each part that is seen takes its turn.
    pub(super) paced: bool,
    /// A part was delivered, and what follows takes a turn of its own.
    pub(super) more: bool,
    /// Rungs of the ladder that the plan took.
    pub(super) degraded: Vec<String>,
    /// Headers of the last request.
    pub(super) headers: HeaderMap,
    /// The platform's ids of the parts that show the message now.
    pub(super) platform_ids: Vec<String>,
    /// Why it ended, where its outcome does not tell.
    pub(super) why: Option<String>,
}

impl Walk {
    /// Goes from where the delivery is to the end of the plan, of the turn, or as far as it can.
    pub(super) async fn go(
        &mut self,
        wire: Wire<'_>,
        entry: &ChannelEntry,
        message: &Message,
        context: &Context<'_>,
    ) -> Ended {
        let context = Context {
            rung: self.checkpoint.rung,
            media_refused: self.checkpoint.media_refused,
            links: wire.links,
            ..context.clone()
        };
        let kept = self.checkpoint.plan.take();
        // What an earlier attempt left in doubt may be a step of the plan that was kept.
        let doubtful = kept.is_some() && context.possible_duplicate.is_some();
        let plan = match kept {
            Some(plan) => plan,
            None => match change::render(&self.course, entry, message, &context) {
                Ok(plan) => plan,
                Err(problem) => return (unsendable(&problem), None),
            },
        };
        self.degraded.clone_from(&plan.degraded);
        let mut outputs = std::mem::take(&mut self.checkpoint.delivered);
        let mut last = (Outcome::Delivered { platform_id: None }, None);
        for (place, step) in plan.steps.iter().enumerate().skip(outputs.len()) {
            let context = Context {
                step: place,
                outputs: &outputs,
                ..context.clone()
            };
            last = self.take(wire, entry, message, &context, step).await;
            let Outcome::Delivered { platform_id } = &last.0 else {
                break;
            };
            outputs.push(platform_id.clone());
            if self.is_turn_over(&plan, place) {
                self.more = true;
                break;
            }
        }
        self.platform_ids = change::parts_after(self.course.sent(), &plan, &outputs);
        self.checkpoint.delivered = outputs;
        last.0 = self.note_progress(plan, doubtful, last.0);
        last
    }

    /// A part that was seen ends the turn where there is a rate, and before an upload, which may take minutes: what
    /// was seen is to be on record by then.
    fn is_turn_over(&self, plan: &Plan, place: usize) -> bool {
        let seen = |place: usize| plan.steps.get(place).map(|step| step.kind.is_seen());
        match (seen(place), seen(place + 1)) {
            (Some(true), Some(next_is_seen)) => self.paced || !next_is_seen,
            _ => false,
        }
    }

    /// Takes one step. Where the platform refuses the channel's token, once more at once with a new one.
    async fn take(
        &mut self,
        wire: Wire<'_>,
        entry: &ChannelEntry,
        message: &Message,
        context: &Context<'_>,
        step: &Step,
    ) -> Ended {
        let media = match loaded(wire, message, step).await {
            Ok(media) => media,
            Err(missing) => return (self.without(missing), None),
        };
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
                media: media.as_ref(),
                ..context.clone()
            };
            let request = match entry.channel.request(step, message, &context) {
                Ok(request) => request,
                Err(problem) => return (unsendable(&problem), None),
            };
            let report = match self.send(wire, entry, message, step, request).await {
                Ok(report) => report,
                Err(outcome) => return (outcome, None),
            };
            let outcome = entry.channel.classify(step, &report.exchange, &context);
            if let (Outcome::RefreshAuth, Some(token)) = (&outcome, &token) {
                wire.credentials.forget(entry, token);
                if !renewed {
                    renewed = true;
                    continue;
                }
            }
            return (undoubted(step, outcome), Some(report));
        }
    }

    /// Sends one request. Without a report there was nothing to send, or it was broken off by us.
    async fn send(
        &mut self,
        wire: Wire<'_>,
        entry: &ChannelEntry,
        message: &Message,
        step: &Step,
        request: Request,
    ) -> Result<Report, Outcome> {
        let deadline = Duration::from_secs(entry.spec.timeout);
        match request {
            Request::Http(request) => {
                // Names and values only cost a copy of shared bytes; they are turned into text only if they are logged.
                self.headers = request.headers.clone();
                Ok(wire.sender.send(request, deadline).await)
            }
            Request::Upload(request) => {
                self.headers = request.headers.clone();
                Box::pin(self.upload(wire, message, step, request)).await
            }
            Request::Mail(request) => {
                let sent = Box::pin(mail(wire, message, &request, deadline)).await;
                sent.map_err(|missing| self.without(missing))
            }
            Request::Exec(request) => {
                let place = wire
                    .sender
                    .enter_program(entry.meta.id, &request.program)
                    .await;
                Ok(Box::pin(wire.sender.run(request, place)).await)
            }
        }
    }

    /// Sends a request whose body brings attachments. It has the time limits of an upload.
    async fn upload(
        &mut self,
        wire: Wire<'_>,
        message: &Message,
        step: &Step,
        request: UploadRequest,
    ) -> Result<Report, Outcome> {
        let body = wire.media().body(&request.body, message).await;
        let body = body.map_err(|missing| self.without(missing))?;
        let fault = body.fault;
        let upload = Upload {
            method: request.method,
            url: request.url,
            headers: request.headers,
            length: body.length,
            body: body.stream,
        };
        let sent = wire
            .sender
            .send_upload(upload, UPLOAD_STALL_MAX, UPLOAD_TIME_MAX);
        let report = tokio::select! {
            biased;
            report = sent => report,
            () = stopped(wire.stopping), if !step.kind.is_seen() => {
                self.why = Some(BROKEN_OFF.to_owned());
                return Err(Outcome::TargetLimited { wait: Duration::ZERO });
            }
        };
        match fault.take() {
            Some(missing) if report.exchange.is_err() => Err(self.without(missing)),
            _ => Ok(report),
        }
    }

    /// What it means for the delivery that an attachment is missing.
    fn without(&mut self, missing: Missing) -> Outcome {
        match missing {
            Missing::Gone(reason) => Outcome::Degrade { reason },
            Missing::Wrong { code, text } => Outcome::Rejected {
                code: code.to_owned(),
                text,
            },
            Missing::Later(why) => {
                tracing::warn!(%why, "an attachment could not be read for its delivery");
                self.why = Some(why);
                Outcome::TargetLimited { wait: READ_AGAIN }
            }
        }
    }

    /// What the next attempt must know: the parts that went out, or may have, the attachments that were brought, and a form
    /// that was refused. A form that is refused after a part was seen can only be changed where the step names another. A plan of one step is
    /// rendered anew: its step stays the first.
    fn note_progress(&mut self, mut plan: Plan, doubtful: bool, outcome: Outcome) -> Outcome {
        let done = self.checkpoint.delivered.len();
        let seen = plan.steps.iter().take(done).any(|step| step.kind.is_seen());
        let begun = doubtful || seen || matches!(outcome, Outcome::Unknown { .. });
        let several = plan.steps.len() > 1;
        let Outcome::Degrade { reason } = outcome else {
            if several && (begun || done > 0) {
                self.checkpoint.plan = Some(plan);
            }
            return outcome;
        };
        if several && begun && plan.lower(done) {
            self.checkpoint.plan = Some(plan);
            return Outcome::Degrade { reason };
        }
        if (several && begun) || self.checkpoint.rung >= RUNGS_MAX {
            return Outcome::Rejected {
                code: "form_refused".to_owned(),
                text: reason,
            };
        }
        let media = |step: &Step| step.attachment.is_some() || !step.kind.is_seen();
        if plan.steps.get(done).is_some_and(media) && !self.checkpoint.media_refused {
            self.checkpoint.media_refused = true;
        } else {
            self.checkpoint.rung += 1;
        }
        // The next form has other steps.
        self.checkpoint.delivered.clear();
        Outcome::Degrade { reason }
    }
}

impl<'a> Wire<'a> {
    fn media(&self) -> Media<'a> {
        Media {
            sender: self.sender,
            blobs: self.blobs,
            files: self.files,
        }
    }
}

/// The bytes of the attachment that a step wants whole.
async fn loaded(wire: Wire<'_>, message: &Message, step: &Step) -> Result<Option<Bytes>, Missing> {
    let Some(id) = step.attachment.as_deref().filter(|_| step.loaded) else {
        return Ok(None);
    };
    let load = wire.media().load(message, id, ATTACHMENT_LOADED_BYTES_MAX);
    Box::pin(load).await.map(Some)
}

/// Sends a mail with its attachments.
async fn mail(
    wire: Wire<'_>,
    message: &Message,
    request: &MailRequest,
    deadline: Duration,
) -> Result<Report, Missing> {
    let mut files = MailFiles::new();
    let attachments = request.mail.iter().flat_map(|mail| &mail.attachments);
    let mut room = MAIL_BYTES_MAX;
    for attachment in attachments {
        let id = &attachment.attachment;
        let bytes = wire.media().load(message, id, room).await?;
        room = room.saturating_sub(bytes.len() as u64);
        files.insert(id.clone(), bytes);
    }
    Ok(wire.sender.send_mail(request, &files, deadline).await)
}

/// Resolves when the gateway stops.
async fn stopped(stopping: Option<&watch::Sender<bool>>) {
    let Some(stopping) = stopping else {
        return std::future::pending().await;
    };
    // Its sender is borrowed here, so it cannot have gone.
    let _ = stopping.subscribe().wait_for(|stopping| *stopping).await;
}

/// Nobody can have seen anything of a step that only prepares: there is no doubt to be kept.
fn undoubted(step: &Step, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Unknown { reason } if !step.kind.is_seen() => Outcome::Retry { reason },
        outcome => outcome,
    }
}

/// A message that the channel cannot send at all.
fn unsendable(problem: &Problem) -> Outcome {
    Outcome::Rejected {
        code: problem.code.to_owned(),
        text: problem.to_string(),
    }
}

#[cfg(test)]
mod tests;
