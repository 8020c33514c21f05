//! Edit and recall: what was accepted stays as it is, and a linked message says what becomes of it. What has not gone out
//! yet is replaced or cancelled; what has is changed by deliveries of the linked message, which decide at their attempt
//! (`dispatch`). Must not know any platform.
//!
//! An edit is appended before anything is cancelled, so that a crash between the two loses neither content: the linked
//! delivery then finds the old one delivered and changes it. A recall cancels first.

mod position;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use anser_core::id::{DeliveryId, MessageId, Num};
use anser_core::message::body::BodyFields;
use anser_core::message::item::ItemHeader;
use anser_core::message::{Attachment, Item};
use anser_core::name::{TOPIC_DIRECT, check_text, is_system_topic};
use anser_core::resource::Scope;
use anser_core::store::{DeliveryRow, Link, LinkKind, Linked, MessageRow};
use anser_core::{Message, Problem, ProblemKind, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::auth::Principal;
use crate::config::{Snapshot, Topic};
use crate::dispatch::{Withdrawal, Withdrawn};
use crate::gateway::Gateway;
use crate::publish::{LinkedMessage, Published};
use crate::refusal::store_problem;
use position::{Decision, Means, Place, Position, Terms};

/// Edits of one message.
pub const EDITS_MAX: usize = 100;
/// Longest reason of a recall, in bytes.
pub const REASON_BYTES_MAX: usize = 256;
/// Deliveries read in one step.
const STEP: usize = 1_000;
/// How often a withdrawal is repeated because a delivery changed at that very moment.
const MOVED_REPEATS_MAX: usize = 5;

/// New content for a message.
#[derive(Debug, Clone)]
pub struct Edit {
    /// What.
    pub body: BodyFields,
    /// Bytes that ride along.
    pub attachments: Vec<Attachment>,
    /// Makes the edit idempotent, as that of an item does a publish.
    pub dedupe_key: Option<String>,
}

/// What an edit or a recall did.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Changed {
    /// The message that was appended, `message.edited` or `message.recalled`; absent when a recall on a full disk could
    /// only cancel.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<MessageId>,
    /// Its place on the topic.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// It was asked for before: an edit under the same key, or any recall.
    pub duplicate: bool,
    /// One per delivery of the original message, in the order in which they were made.
    pub results: Vec<ChangeResult>,
}

/// What an edit or a recall did to one delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ChangeResult {
    /// The delivery of the original message.
    pub delivery: DeliveryId,
    /// What became of it.
    pub result: ChangeOutcome,
    /// The delivery that carries the new content, or takes the old back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<DeliveryId>,
}

/// What an edit or a recall does to a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ChangeOutcome {
    /// A recall: it will not be delivered; in a queue that it was received from, its receipt is void.
    Cancelled,
    /// An edit: it will not be delivered, the new content is in its place.
    Replaced,
    /// It is out already: its channel is asked to change it or take it back.
    Requested,
    /// It is out already, and its channel or queue cannot change it or take it back.
    Unsupported,
    /// An attempt is under way, and is acted on when it ends.
    InFlight,
    /// It had already ended otherwise.
    Ended,
}

/// What became of deliveries that were taken back.
type Became = HashMap<DeliveryId, Withdrawn>;

/// A message to be changed.
struct Original {
    row: MessageRow,
    message: Message,
    topic: Arc<Topic>,
    /// What is about it so far, in order.
    links: Vec<Linked>,
}

impl Original {
    /// All that could go out of it and of its edits.
    fn everything(&self) -> Vec<Withdrawal> {
        let edits = self.edits();
        std::iter::once(self.row.num)
            .chain(edits.map(|linked| linked.num))
            .map(|message| Withdrawal {
                message,
                only: None,
            })
            .collect()
    }

    fn edits(&self) -> impl Iterator<Item = &Linked> {
        self.links
            .iter()
            .filter(|linked| linked.kind == LinkKind::Edited)
    }

    fn recall(&self) -> Option<&Linked> {
        self.links
            .iter()
            .find(|linked| linked.kind == LinkKind::Recalled)
    }
}

/// One edit or recall.
struct Change<'a> {
    snapshot: &'a Snapshot,
    principal: &'a Principal,
    original: &'a Original,
    kind: LinkKind,
    now: Timestamp,
}

impl Change<'_> {
    /// What is done about each place; a recall has taken back before what it could.
    fn decide(&self, positions: &[Position], withdrawn: &Became) -> Vec<Decision> {
        let message = &self.original.message;
        let terms = Terms {
            max_age: self.original.topic.spec.max_age,
            delete_at: message.header.delete_at,
            now: self.now,
        };
        let decide = |position: &Position| {
            let means = Means::of(self.snapshot, message, position, self.now);
            if self.kind == LinkKind::Edited {
                position.edited(means, &terms)
            } else {
                position.recalled(means, withdrawn, &terms)
            }
        };
        positions.iter().map(decide).collect()
    }
}

impl Gateway {
    /// Puts new content in the place of a message's.
    ///
    /// # Errors
    /// 403 without the right to publish to its topic and addresses, 404 `message_not_found`, 409 `recalled` or
    /// `too_many_edits`, 422 `linked_message` and what a publish of that content would be refused for, 503 and 507 when
    /// the store cannot take it.
    pub async fn edit(
        &self,
        principal: &Principal,
        id: MessageId,
        edit: Edit,
    ) -> Result<Changed, Problem> {
        let snapshot = self.config.load_full();
        let original = self.original(&snapshot, principal, id).await?;
        check_editable(&original)?;
        let change = Change {
            snapshot: &snapshot,
            principal,
            original: &original,
            kind: LinkKind::Edited,
            now: self.clock.now(),
        };
        self.end_given(&original).await;
        let mut positions = self.positions(&original).await?;
        let decided = change.decide(&positions, &Became::new());
        let item = Item {
            header: linked_header(&original.message, change.kind),
            body: edit.body,
            attachments: edit.attachments,
            dedupe_key: edit.dedupe_key,
        };
        let published = self.append_linked(&change, item, &decided).await?;
        let seq = Num(published.seq.unwrap_or(0));
        let places = self.places(seq).await?;
        for position in &mut positions {
            position.retain_before(seq);
        }
        let named: Vec<DeliveryId> = positions
            .iter()
            .filter(|position| position.by(&places).is_some())
            .flat_map(Position::unfinished)
            .collect();
        let withdrawn = self.withdraw(group_by_message(named)).await?;
        self.mail_cancelled(&original, &withdrawn);
        let results = positions.iter().zip(decided).map(|(position, decided)| {
            let by = position.by(&places);
            ChangeResult {
                delivery: position.original.id,
                result: by.map_or(decided.outcome(), |_| position.replaced(&withdrawn)),
                by,
            }
        });
        Ok(changed(Some(&published), results.collect()))
    }

    /// Takes a message back: cancels what has not gone out, what consumers hold of it too (their receipts are void), and
    /// asks the channels to take back the rest.
    ///
    /// # Errors
    /// 403 without the right to publish to its topic and addresses, 404 `message_not_found`, 422 `linked_message`, 503
    /// and 507 when the store cannot take it.
    pub async fn recall(
        &self,
        principal: &Principal,
        id: MessageId,
        reason: Option<String>,
    ) -> Result<Changed, Problem> {
        if let Some(reason) = &reason {
            check_text("invalid_text", "reason", reason, REASON_BYTES_MAX)?;
        }
        let snapshot = self.config.load_full();
        let original = self.original(&snapshot, principal, id).await?;
        self.end_given(&original).await;
        let withdrawn = self.withdraw(original.everything()).await?;
        self.mail_cancelled(&original, &withdrawn);
        let positions = self.positions(&original).await?;
        if let Some(recall) = original.recall() {
            return self.recalled_before(recall, &positions, &withdrawn).await;
        }
        let change = Change {
            snapshot: &snapshot,
            principal,
            original: &original,
            kind: LinkKind::Recalled,
            now: self.clock.now(),
        };
        let decided = change.decide(&positions, &withdrawn);
        let item = recall_item(&original.message, reason)?;
        let published = match self.append_linked(&change, item, &decided).await {
            Ok(published) => Some(published),
            // What was to be cancelled is: on a full disk that is what a recall is wanted for.
            Err(problem) if is_only_noted(&problem, &decided) => {
                tracing::warn!(message = %id, %problem, "a recall could not be noted");
                None
            }
            Err(problem) => return Err(problem),
        };
        let places = match published.as_ref().and_then(|published| published.seq) {
            Some(seq) => self.places(Num(seq)).await?,
            None => HashMap::new(),
        };
        let results = positions
            .iter()
            .zip(decided)
            .map(|(position, decided)| ChangeResult {
                delivery: position.original.id,
                result: decided.outcome(),
                by: position.by(&places),
            });
        Ok(changed(published.as_ref(), results.collect()))
    }

    /// What live clients have of it counts as delivered, acknowledged or not: what is about it follows there.
    async fn end_given(&self, original: &Original) {
        let nums: Vec<Num> = original
            .everything()
            .iter()
            .map(|all| all.message)
            .collect();
        self.sessions_had(&original.message, &nums).await;
    }

    /// Live clients are not given what was cancelled.
    fn mail_cancelled(&self, original: &Original, withdrawn: &Became) {
        let cancelled = withdrawn
            .iter()
            .filter(|(_, became)| matches!(became, Withdrawn::Cancelled));
        let cancelled: Vec<DeliveryId> = cancelled.map(|(id, _)| *id).collect();
        self.sessions_lose(&original.message, &cancelled);
    }

    /// Recalling twice answers the same, as far as that has not changed meanwhile.
    async fn recalled_before(
        &self,
        recall: &Linked,
        positions: &[Position],
        withdrawn: &Became,
    ) -> Result<Changed, Problem> {
        let places = self.places(recall.num).await?;
        let results = positions.iter().map(|position| {
            let by = position.by(&places);
            ChangeResult {
                delivery: position.original.id,
                result: position.recalled_before(by.is_some(), withdrawn),
                by,
            }
        });
        Ok(Changed {
            id: Some(recall.id),
            seq: Some(recall.num.0),
            duplicate: true,
            results: results.collect(),
        })
    }

    /// The message that is to be changed, if the caller may.
    async fn original(
        &self,
        snapshot: &Snapshot,
        principal: &Principal,
        id: MessageId,
    ) -> Result<Original, Problem> {
        principal.require(Scope::Publish)?;
        let row = self.visible_message(principal, id).await?;
        let message = Message::from_json(&row.document)?;
        if let Some(target) = message.header.target_id {
            return Err(Problem::invalid(
                "linked_message",
                "id",
                format!("this message is itself about {target}; edit or recall that one"),
            ));
        }
        let topic = snapshot.topics_by_id.get(&row.topic).ok_or_else(|| {
            conflict(
                "destination_gone",
                "its topic was deleted, and its deliveries with it",
            )
        })?;
        check_rights(&message, topic, principal)?;
        let links = self.store.linked(row.num).await.map_err(store_problem)?;
        Ok(Original {
            row,
            message,
            topic: Arc::clone(topic),
            links,
        })
    }

    /// Where the original went, with what became of it and of its edits there.
    async fn positions(&self, original: &Original) -> Result<Vec<Position>, Problem> {
        let rows = self.all_deliveries(original.row.num).await?;
        let mut places: HashMap<Place, usize> = HashMap::with_capacity(rows.len());
        let mut positions: Vec<Position> = Vec::with_capacity(rows.len());
        for row in rows {
            if let Some(earlier) = places.insert(Place::of(&row), positions.len()) {
                positions[earlier].take_over();
            }
            positions.push(Position::of(row));
        }
        for linked in original.edits() {
            for row in self.all_deliveries(linked.num).await? {
                if let Some(at) = places.get(&Place::of(&row)) {
                    positions[*at].later.push(row);
                }
            }
        }
        Ok(positions)
    }

    async fn all_deliveries(&self, message: Num) -> Result<Vec<DeliveryRow>, Problem> {
        let mut rows: Vec<DeliveryRow> = Vec::new();
        loop {
            let from = rows.last().map_or(0, |row| row.id.index() + 1);
            let page = self.store.deliveries_of(message, from, STEP).await;
            let page = page.map_err(store_problem)?;
            let last = page.len() < STEP;
            rows.extend(page);
            if last {
                return Ok(rows);
            }
        }
    }

    async fn append_linked(
        &self,
        change: &Change<'_>,
        item: Item,
        decided: &[Decision],
    ) -> Result<Published, Problem> {
        let original = change.original;
        let linked = LinkedMessage {
            about: original.row.id,
            link: Link {
                target: original.row.num,
                kind: change.kind,
            },
            deliveries: decided.iter().filter_map(Decision::delivery).collect(),
        };
        let (snapshot, principal) = (change.snapshot, change.principal);
        self.publish_linked(snapshot, &original.topic, principal, item, linked)
            .await
    }

    /// The deliveries of a linked message, by where they go.
    async fn places(&self, message: Num) -> Result<HashMap<Place, DeliveryId>, Problem> {
        let rows = self.all_deliveries(message).await?;
        Ok(rows.iter().map(|row| (Place::of(row), row.id)).collect())
    }

    /// Takes deliveries back; those that changed at that very moment again.
    async fn withdraw(&self, mut withdrawals: Vec<Withdrawal>) -> Result<Became, Problem> {
        let mut became = Became::new();
        for _ in 0..MOVED_REPEATS_MAX {
            let mut moved = Vec::new();
            for withdrawal in withdrawals {
                let results = self.dispatch.withdraw(withdrawal).await;
                for (id, withdrawn) in results.map_err(store_problem)? {
                    if withdrawn == Withdrawn::Moved {
                        moved.push(id);
                    }
                    became.insert(id, withdrawn);
                }
            }
            withdrawals = group_by_message(moved);
            if withdrawals.is_empty() {
                break;
            }
        }
        Ok(became)
    }
}

fn group_by_message(ids: Vec<DeliveryId>) -> Vec<Withdrawal> {
    let mut by_message: HashMap<Num, HashSet<DeliveryId>> = HashMap::new();
    for id in ids {
        by_message.entry(id.num()).or_default().insert(id);
    }
    let mut withdrawals: Vec<Withdrawal> = by_message
        .into_iter()
        .map(|(message, only)| Withdrawal {
            message,
            only: Some(only),
        })
        .collect();
    // The older first, as their deliveries stand before the others in their lanes.
    withdrawals.sort_unstable_by_key(|withdrawal| withdrawal.message);
    withdrawals
}

/// Who may publish a message may change it.
fn check_rights(message: &Message, topic: &Topic, principal: &Principal) -> Result<(), Problem> {
    if topic.meta.name != TOPIC_DIRECT {
        principal.require_topic(&topic.meta.name)?;
    }
    for (i, address) in message.header.to.iter().enumerate() {
        principal.require_target(&format!("header.to[{i}]"), address)?;
    }
    Ok(())
}

fn check_editable(original: &Original) -> Result<(), Problem> {
    let topic = &original.topic.meta.name;
    if is_system_topic(topic) && topic != TOPIC_DIRECT {
        return Err(Problem::invalid(
            "system_topic",
            "id",
            format!("it is on {topic}, and what the gateway itself says is not edited"),
        ));
    }
    if original.recall().is_some() {
        return Err(conflict(
            "recalled",
            "the message was recalled, so there is nothing to edit; publish a new one",
        ));
    }
    if original.edits().count() >= EDITS_MAX {
        let detail =
            format!("a message may be edited at most {EDITS_MAX} times; publish a new one instead");
        return Err(conflict("too_many_edits", &detail));
    }
    Ok(())
}

/// Whether a recall that could not be appended has done all the same what it was to do.
fn is_only_noted(problem: &Problem, decided: &[Decision]) -> bool {
    problem.kind == ProblemKind::StorageFull
        && decided.iter().all(|decision| decision.delivery().is_none())
}

/// The header of a message about another: it goes where that one went, in the same order.
fn linked_header(original: &Message, kind: LinkKind) -> ItemHeader {
    let header = &original.header;
    ItemHeader {
        r#type: Some(kind.message_type().to_owned()),
        kind: header.kind,
        to: header.to.clone(),
        conversation: header.conversation.clone(),
        reply_to: header.reply_to.clone(),
        correlation_id: header.correlation_id.clone(),
        key: header.key.clone(),
        tags: header.tags.clone(),
        delete_at: header.delete_at,
        locale: header.locale.clone(),
        ..ItemHeader::default()
    }
}

fn recall_item(original: &Message, reason: Option<String>) -> Result<Item, Problem> {
    let data = match reason {
        Some(reason) => json!({"reason": reason}),
        None => json!({}),
    };
    let data = serde_json::value::to_raw_value(&data)
        .map_err(|error| Problem::new(ProblemKind::Internal, "internal", error.to_string()))?;
    Ok(Item {
        header: linked_header(original, LinkKind::Recalled),
        body: BodyFields {
            data: Some(data),
            ..BodyFields::default()
        },
        attachments: Vec::new(),
        dedupe_key: None,
    })
}

fn changed(published: Option<&Published>, results: Vec<ChangeResult>) -> Changed {
    Changed {
        id: published.map(|published| published.id),
        seq: published.and_then(|published| published.seq),
        duplicate: published.is_some_and(|published| published.duplicate),
        results,
    }
}

fn conflict(code: &'static str, detail: &str) -> Problem {
    Problem::new(ProblemKind::Conflict, code, detail)
}
