//! Messages of the gateway itself, on `$ops`, `$dead` and `$presence`. Nothing is written when nobody subscribes and no
//! session reads the topic, and a dead operator message never makes another.

use anser_core::attempt::Attempt;
use anser_core::blob::BlobSizes;
use anser_core::id::{DeliveryId, MessageId};
use anser_core::message::Item;
use anser_core::message::body::BodyFields;
use anser_core::message::item::ItemHeader;
use anser_core::name::{TOPIC_DEAD, TOPIC_OPS};
use anser_core::store::DeliveryRow;
use anser_core::{Problem, ProblemKind};
use serde::Serialize;
use serde_json::value::RawValue;

use super::PublishOptions;
use super::prepare::{Provenance, Request};
use super::route::Budget;
use crate::auth::Principal;
use crate::gateway::Gateway;
use crate::look::Names;
use crate::refusal::store_problem;

/// What `$dead` says of a delivery that was given up.
#[derive(Serialize)]
struct Dead<'a> {
    delivery_id: DeliveryId,
    message_id: Option<MessageId>,
    topic: Option<&'a str>,
    subscription: Option<&'a str>,
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    queue: Option<&'a str>,
    target: Option<&'a str>,
    reason: &'a str,
    attempts: u32,
    attempt: Option<&'a Attempt>,
    /// The original, byte for byte; absent when the two together would be too large, or it is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a RawValue>,
}

impl Gateway {
    /// Publishes a message of the gateway itself; `None` when nobody subscribes to it.
    ///
    /// # Errors
    /// 413 for data beyond the limits, 503 and 507 when the store cannot take it.
    pub async fn publish_system(
        &self,
        topic: &str,
        r#type: &str,
        data: serde_json::Value,
        key: Option<String>,
    ) -> Result<Option<MessageId>, Problem> {
        let data = raw(&data)?;
        self.publish_operator(topic, r#type, data, key).await
    }

    /// Reports on `$dead` that a delivery was given up. `None` when nobody subscribes, or when what died was such a
    /// report itself.
    ///
    /// # Errors
    /// As [`Gateway::publish_system`].
    pub async fn publish_dead(
        &self,
        row: &DeliveryRow,
        reason: &str,
        attempt: Option<&Attempt>,
    ) -> Result<Option<MessageId>, Problem> {
        let snapshot = self.config.load_full();
        let names = Names::of(&snapshot);
        let own = [TOPIC_DEAD, TOPIC_OPS];
        if names
            .topic(row.topic)
            .is_some_and(|name| own.contains(&name))
            || !self.is_subscribed(TOPIC_DEAD)
        {
            return Ok(None);
        }
        let mut stored = self
            .store
            .messages(vec![row.id.num()])
            .await
            .map_err(store_problem)?;
        let stored = stored.pop();
        let original = stored
            .as_ref()
            .and_then(|row| serde_json::from_slice::<&RawValue>(&row.document).ok());
        let mut dead = Dead {
            delivery_id: row.id,
            message_id: stored.as_ref().map(|row| row.id),
            topic: names.topic(row.topic),
            subscription: names.subscription(row.group),
            channel: names.channel(row.channel),
            queue: names.queue(row.channel),
            target: row.target.as_deref(),
            reason,
            attempts: row.attempts,
            attempt,
            message: original,
        };
        match self
            .publish_operator(TOPIC_DEAD, "delivery.dead", raw(&dead)?, None)
            .await
        {
            Err(problem) if problem.kind == ProblemKind::TooLarge => {
                dead.message = None;
                self.publish_operator(TOPIC_DEAD, "delivery.dead", raw(&dead)?, None)
                    .await
            }
            answer => answer,
        }
    }

    fn is_subscribed(&self, topic: &str) -> bool {
        self.config.load().topic(topic).is_some_and(|topic| {
            !topic.subscriptions.is_empty() || self.sessions.is_followed(topic.meta.id)
        })
    }

    async fn publish_operator(
        &self,
        topic: &str,
        r#type: &str,
        data: Box<RawValue>,
        key: Option<String>,
    ) -> Result<Option<MessageId>, Problem> {
        let snapshot = self.config.load_full();
        let Some(topic) = snapshot.topic(topic) else {
            return Ok(None);
        };
        let read = self.sessions.is_followed(topic.meta.id);
        if topic.subscriptions.is_empty() && !read {
            return Ok(None);
        }
        let (principal, options) = (Principal::system(), PublishOptions::default());
        let request = Request {
            snapshot: &snapshot,
            topic,
            principal: &principal,
            options: &options,
            blobs: BlobSizes::new(),
            linked: None,
            remember: None,
        };
        let said = Provenance::of(&principal);
        let item = item(r#type, data, key);
        let staged = self.stage(&request, item, said, &mut Budget::new())?;
        if staged.new.deliveries.is_empty() && !read {
            return Ok(None);
        }
        let id = staged.new.id;
        self.commit_staged(vec![staged], false, false)
            .await
            .map_err(store_problem)?;
        Ok(Some(id))
    }
}

fn item(r#type: &str, data: Box<RawValue>, key: Option<String>) -> Item {
    Item {
        header: ItemHeader {
            r#type: Some(r#type.to_owned()),
            key,
            ..ItemHeader::default()
        },
        body: BodyFields {
            data: Some(data),
            ..BodyFields::default()
        },
        attachments: Vec::new(),
        dedupe_key: None,
    }
}

fn raw(data: &impl Serialize) -> Result<Box<RawValue>, Problem> {
    serde_json::value::to_raw_value(data)
        .map_err(|error| Problem::new(ProblemKind::Internal, "internal", error.to_string()))
}
