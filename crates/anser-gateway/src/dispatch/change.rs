//! What the delivery of an edit or a recall does at its attempt, decided from what became of the deliveries before it:
//! of the original, and of its earlier edits. Reads the store and sends nothing.

#[cfg(test)]
mod tests;

use std::time::Duration;

use anser_core::attempt::{Attempt, PossibleDuplicate};
use anser_core::channel::{Checkpoint, Context, Plan, StepKind};
use anser_core::delivery::DeliveryState;
use anser_core::id::{MessageId, Num, ResourceId};
use anser_core::outcome::{Outcome, OutcomeClass};
use anser_core::store::{DeliveryRow, Group, LinkKind, Store, StoreError};
use anser_core::{Message, Problem, Timestamp};

use crate::config::ChannelEntry;

/// Between two looks at a delivery that has to end first.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The longest time between two such looks.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(60);
/// Deliveries read in one step.
const STEP: usize = 1_000;

/// Pause after the store failed to tell.
pub(super) const READ_AGAIN: Duration = Duration::from_secs(1);

/// What a delivery does with its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Course {
    /// It goes as a message of its own: it is about no other, or nothing of that one is out.
    Fresh {
        /// Why something of that one may be out all the same.
        doubt: Option<PossibleDuplicate>,
    },
    /// What is out is changed or taken back.
    Change {
        /// The platform's ids of the parts that show the message now, in order; empty where none is known.
        sent: Vec<String>,
    },
}

impl Default for Course {
    fn default() -> Self {
        Self::Fresh { doubt: None }
    }
}

impl Course {
    /// The ids of the parts that there were before.
    pub(super) fn sent(&self) -> &[String] {
        match self {
            Self::Fresh { .. } => &[],
            Self::Change { sent } => sent,
        }
    }
}

/// Why a delivery makes no attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Halt {
    /// One before it has not ended, or the store does not tell: later. No attempt is burned.
    Wait(Duration),
    /// There is nothing to do any more: it ends as cancelled.
    Void(&'static str),
}

impl Halt {
    /// The same as an outcome.
    pub(super) fn outcome(&self) -> Outcome {
        match self {
            Self::Wait(wait) => Outcome::TargetLimited { wait: *wait },
            Self::Void(why) => Outcome::Rejected {
                code: "void".to_owned(),
                text: (*why).to_owned(),
            },
        }
    }
}

/// Whether a delivery was taken back while it was under way in an earlier run, and never ended. One that was opened
/// again by hand since then goes out.
pub(super) fn is_withdrawn(row: &DeliveryRow, checkpoint: &Checkpoint) -> bool {
    checkpoint.withdrawn && (row.ordered || row.attempts > row.attempts_before)
}

/// What the delivery `row` of `message` through `channel` does.
///
/// # Errors
/// Why it makes no attempt.
pub(super) async fn course(
    store: &dyn Store,
    message: &Message,
    row: &DeliveryRow,
    channel: ResourceId,
    now: Timestamp,
) -> Result<Course, Halt> {
    let Some(target) = message.header.target_id else {
        return Ok(Course::default());
    };
    let found = look(store, target, is_recall(message), row, channel, now).await;
    found.unwrap_or_else(|error| {
        tracing::warn!(%error, delivery = %row.id, "what became of an edited or recalled message could not be read");
        Err(Halt::Wait(READ_AGAIN))
    })
}

async fn look(
    store: &dyn Store,
    target: MessageId,
    recalls: bool,
    row: &DeliveryRow,
    channel: ResourceId,
    now: Timestamp,
) -> Result<Result<Course, Halt>, StoreError> {
    let Some(original) = store.message(target).await? else {
        // Retention has it, and nobody can tell what became of it. A content sent twice is better than one never sent.
        return Ok(if recalls {
            Err(Halt::Void("the message has been removed"))
        } else {
            Ok(Course::default())
        });
    };
    let mut earlier = vec![original.num];
    for linked in store.linked(original.num).await? {
        match linked.kind {
            _ if linked.num >= row.id.num() => break,
            LinkKind::Edited => earlier.push(linked.num),
            LinkKind::Fetched => {}
            LinkKind::Recalled if recalls => {}
            LinkKind::Recalled => return Ok(Err(Halt::Void("the message was recalled before"))),
        }
    }
    let place = Place {
        group: Some(row.group),
        channel,
        target: row.target.as_deref(),
        index: row.id.index(),
    };
    earlier.reverse();
    let standing = standing(store, earlier, &place, now).await?;
    Ok(standing.and_then(|standing| standing.course(recalls)))
}

/// Where a delivery goes.
pub(super) struct Place<'a> {
    /// The group that earlier deliveries there must be of; `None`: any that goes through the channel.
    pub(super) group: Option<Group>,
    /// The channel that it goes through now.
    pub(super) channel: ResourceId,
    /// Whom in that channel.
    pub(super) target: Option<&'a str>,
    /// Its number among its message's deliveries, where the same place of another message is looked for first.
    pub(super) index: u32,
}

impl Place<'_> {
    fn is_of(&self, row: &DeliveryRow) -> bool {
        let same = match self.group {
            Some(group) => row.group == group,
            None => row.channel == self.channel,
        };
        same && row.target.as_deref() == self.target
    }
}

/// What the deliveries of messages to a place left there. The newest message comes first.
pub(super) async fn standing(
    store: &dyn Store,
    newest_first: Vec<Num>,
    place: &Place<'_>,
    now: Timestamp,
) -> Result<Result<Standing, Halt>, StoreError> {
    let mut standing = Standing::default();
    for num in newest_first {
        let Some(before) = at_place(store, num, place).await? else {
            continue;
        };
        if !before.state.is_final() {
            return Ok(Err(Halt::Wait(until(&before, now))));
        }
        let attempts = store.attempts(before.id).await?;
        if standing.take(&before, &attempts, place.channel) {
            break;
        }
    }
    Ok(Ok(standing))
}

/// The ids of the parts that show a message at a place, as far as they are known.
pub(super) async fn shown_at(
    store: &dyn Store,
    message: Num,
    place: &Place<'_>,
    now: Timestamp,
) -> Result<Result<Vec<String>, Halt>, StoreError> {
    let standing = standing(store, vec![message], place, now).await?;
    Ok(standing.map(|standing| standing.sent))
}

/// Whether a linked message takes the original back.
fn is_recall(message: &Message) -> bool {
    message.header.r#type == LinkKind::Recalled.message_type()
}

/// What the deliveries before it left, from the newest on.
#[derive(Default)]
pub(super) struct Standing {
    out: bool,
    sent: Vec<String>,
    doubt: Option<PossibleDuplicate>,
}

impl Standing {
    /// Adds an ended delivery; answers whether those before it add nothing.
    fn take(&mut self, row: &DeliveryRow, attempts: &[Attempt], channel: ResourceId) -> bool {
        let shown = shown(row, attempts);
        self.out |= row.state == DeliveryState::Delivered || !shown.is_empty();
        self.doubt = self.doubt.or_else(|| doubt(attempts));
        // What another channel sent is not this one's to change.
        if row.channel == channel {
            self.sent = shown;
        }
        !self.sent.is_empty()
    }

    /// What is done about it: whether content comes in its place, or it is taken back.
    pub(super) fn course(self, recalls: bool) -> Result<Course, Halt> {
        match (self.out, recalls) {
            (true, _) => Ok(Course::Change { sent: self.sent }),
            (false, false) => Ok(Course::Fresh { doubt: self.doubt }),
            (false, true) => Err(Halt::Void("nothing of the message went out")),
        }
    }
}

/// The ids of the parts that show the message after this delivery, as far as the log or the delivery itself knows them.
fn shown(row: &DeliveryRow, attempts: &[Attempt]) -> Vec<String> {
    let logged = attempts.iter().rev().map(|attempt| &attempt.platform_ids);
    if let Some(ids) = logged.into_iter().find(|ids| !ids.is_empty()) {
        return ids.clone();
    }
    let checkpoint = row.checkpoint.as_deref().and_then(Checkpoint::read);
    let Some(Checkpoint {
        plan: Some(plan),
        delivered,
        ..
    }) = checkpoint
    else {
        return Vec::new();
    };
    parts_after(&[], &plan, &delivered)
}

/// Why something of a delivery may be out although it did not end as delivered.
fn doubt(attempts: &[Attempt]) -> Option<PossibleDuplicate> {
    let mut tries = attempts.iter().filter(|attempt| attempt.report.is_none());
    let last = tries.next_back()?;
    match last.outcome {
        OutcomeClass::Unknown => Some(PossibleDuplicate::Unknown),
        _ => last.possible_duplicate,
    }
}

/// The ids of the parts that show the message once the first steps of `plan` are done: `outputs` are what those gave,
/// `before` the parts that there were.
pub(super) fn parts_after(
    before: &[String],
    plan: &Plan,
    outputs: &[Option<String>],
) -> Vec<String> {
    let mut parts = before.to_vec();
    for (step, output) in plan.steps.iter().zip(outputs) {
        let place = step
            .of
            .as_ref()
            .and_then(|of| parts.iter().position(|part| part == of));
        match (step.kind, place, output) {
            (StepKind::Send, _, Some(id)) => parts.push(id.clone()),
            (StepKind::Edit, Some(place), Some(id)) => parts[place].clone_from(id),
            (StepKind::Recall, Some(place), _) => {
                parts.remove(place);
            }
            _ => {}
        }
    }
    parts
}

/// The delivery of message `num` to a place. Linked messages have their deliveries in the order of the original's, so it is
/// usually at the same number.
async fn at_place(
    store: &dyn Store,
    num: Num,
    place: &Place<'_>,
) -> Result<Option<DeliveryRow>, StoreError> {
    let guessed = store.deliveries_of(num, place.index, 1).await?;
    if let Some(found) = guessed.into_iter().find(|row| place.is_of(row)) {
        return Ok(Some(found));
    }
    let mut from = 0;
    loop {
        let page = store.deliveries_of(num, from, STEP).await?;
        let Some(last) = page.last() else {
            return Ok(None);
        };
        from = last.id.index() + 1;
        if let Some(found) = page.into_iter().find(|row| place.is_of(row)) {
            return Ok(Some(found));
        }
    }
}

fn until(before: &DeliveryRow, now: Timestamp) -> Duration {
    before.due.since(now).clamp(LOOK_AGAIN, LOOK_AGAIN_MAX)
}

/// The steps of a linked message.
///
/// # Errors
/// As [`anser_core::channel::Channel::edit`]; `not_editable` where the platform's ids are wanted and none is known.
pub(super) fn render(
    course: &Course,
    entry: &ChannelEntry,
    message: &Message,
    context: &Context<'_>,
) -> Result<Plan, Problem> {
    let Course::Change { sent } = course else {
        return entry.channel.render(message, context);
    };
    if sent.is_empty() && !entry.manifest.generic {
        return Err(Problem::invalid(
            "not_editable",
            "id",
            "the platform's ids of what was sent are not known: it gives none, or the attempts have left the log",
        ));
    }
    if is_recall(message) {
        entry.channel.recall(message, sent, context)
    } else {
        entry.channel.edit(message, sent, context)
    }
}
