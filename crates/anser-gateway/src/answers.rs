//! Answers of receivers, published: where each may go, what it is called the answer to, and how long chains of them get.
//! Must not know how a receiver answered.

use std::sync::{OnceLock, Weak};
use std::time::Duration;

use anser_core::id::DeliveryId;
use anser_core::inbound::HOPS_MAX;
use anser_core::message::{Header, Item, Sender, SenderKind};
use anser_core::name::{TOPIC_DIRECT, TOPIC_OPS};
use anser_core::{Message, Problem, ProblemKind};
use async_trait::async_trait;
use serde_json::{Value, json};

use crate::config::ChannelEntry;
use crate::dispatch::{Answered, TakeAnswers};
use crate::gateway::Gateway;
use crate::publish::{Event, Source, may_pass};

/// For how long a delivery that is repeated is not answered again: longer than any retry schedule of ours goes on.
const REMEMBER: Duration = Duration::from_secs(7 * 24 * 3600);

/// The gateway, for the dispatcher, which is there before it.
#[derive(Default)]
pub(crate) struct AnswerPublisher(OnceLock<Weak<Gateway>>);

impl AnswerPublisher {
    /// From now on answers are published by this gateway.
    pub(crate) fn connect(&self, gateway: Weak<Gateway>) {
        // It is done once, at the start; a second time would be the same gateway.
        let _ = self.0.set(gateway);
    }
}

#[async_trait]
impl TakeAnswers for AnswerPublisher {
    async fn take(&self, answered: Answered<'_>) -> Result<Vec<Problem>, Problem> {
        match self.0.get().and_then(Weak::upgrade) {
            Some(gateway) => gateway.take_answers(answered).await,
            None => Err(Problem::new(
                ProblemKind::Unavailable,
                "stopping",
                "the gateway is starting or stopping",
            )),
        }
    }
}

impl Gateway {
    /// Publishes the answer to a delivery; each message of it once, by its place. Tells what is refused for good.
    ///
    /// # Errors
    /// What may pass: then the delivery is to be repeated, and what was published already is not published again.
    pub(crate) async fn take_answers(
        &self,
        answered: Answered<'_>,
    ) -> Result<Vec<Problem>, Problem> {
        let Answered {
            delivery,
            channel,
            message,
            answers,
        } = answered;
        let hops = message.header.hops.saturating_add(1);
        if hops > HOPS_MAX {
            let refused = chain_too_long();
            let cut = chain(channel, message, delivery);
            self.report_chain(&cut, &refused).await;
            return Ok(vec![refused]);
        }
        let (mut events, mut refused) = (Vec::new(), Vec::new());
        for (place, item) in answers.items.into_iter().enumerate() {
            let item = item.and_then(|item| addressed(item, &message.header, answers.anywhere));
            match item {
                Ok(item) => events.push(Event {
                    from: bot(&channel.meta.name),
                    origin: None,
                    hops,
                    item: Item {
                        dedupe_key: Some(format!("{delivery}#{place}")),
                        ..item
                    },
                }),
                Err(problem) => refused.push(problem),
            }
        }
        if events.is_empty() {
            return Ok(refused);
        }
        let source = Source {
            resource: channel.meta.id,
            remember: REMEMBER,
        };
        for result in self.publish_events(source, TOPIC_DIRECT, events).await? {
            match result {
                Ok(_) => {}
                Err(problem) if may_pass(&problem) => return Err(problem),
                Err(problem) => refused.push(problem),
            }
        }
        Ok(refused)
    }

    async fn report_chain(&self, data: &Value, problem: &Problem) {
        tracing::warn!(%data, %problem, "a chain of answers to answers is cut");
        let key = data["channel"].as_str().map(str::to_owned);
        let reported = self.publish_system(TOPIC_OPS, "answer.refused", data.clone(), key);
        if let Err(problem) = Box::pin(reported).await {
            tracing::warn!(%problem, "that a chain of answers was cut could not be reported");
        }
    }
}

fn chain(channel: &ChannelEntry, message: &Message, delivery: DeliveryId) -> Value {
    json!({
        "channel": channel.meta.name,
        "delivery_id": delivery,
        "message_id": message.header.id,
        "hops": message.header.hops,
        "code": "too_many_hops",
    })
}

fn bot(channel: &str) -> Sender {
    Sender {
        kind: SenderKind::Bot,
        id: channel.to_owned(),
        name: None,
        platform: None,
        account: None,
    }
}

/// An answer with where it goes: the conversation of the message that it answers. Unless it may go anywhere, that is the
/// only address that it may name, too: else whoever runs the endpoint could send to all that the gateway reaches.
fn addressed(mut item: Item, of: &Header, anywhere: bool) -> Result<Item, Problem> {
    let home = of.conversation.as_ref();
    let named = item.header.conversation.as_ref().map(|other| &other.id);
    let strange = |address: &&String| home.is_none_or(|home| home.id != **address);
    if let Some(address) = item.header.to.iter().chain(named).find(strange)
        && !anywhere
    {
        return Err(Problem::new(
            ProblemKind::Forbidden,
            "address_not_allowed",
            format!(
                "an answer goes to the conversation of the message that it answers, not to {address}; settings.replies = \"anywhere\" allows it"
            ),
        )
        .field("header.to"));
    }
    if item.header.conversation.is_none() && item.header.to.is_empty() {
        item.header.conversation = home.cloned();
    }
    let goes_home = match (&item.header.conversation, home) {
        (Some(conversation), Some(home)) => conversation.id == home.id,
        _ => false,
    };
    if item.header.to.is_empty() {
        let conversation = item
            .header
            .conversation
            .as_ref()
            .ok_or_else(no_conversation)?;
        item.header.to = vec![conversation.id.clone()];
    }
    if goes_home {
        fill_reply_to(&mut item, of);
    }
    Ok(item)
}

/// By the platform's own id of the message, where it has one: its channel can then answer as the platform does.
fn fill_reply_to(item: &mut Item, of: &Header) {
    let own = of.id.to_string();
    let on_platform = of
        .origin
        .as_ref()
        .and_then(|origin| origin.message_id.as_ref());
    if item
        .header
        .reply_to
        .as_ref()
        .is_none_or(|given| *given == own)
    {
        item.header.reply_to = Some(on_platform.cloned().unwrap_or(own));
    }
}

fn no_conversation() -> Problem {
    Problem::invalid(
        "no_conversation",
        "header.to",
        "the message that was answered is in no conversation, so its answer has nowhere to go",
    )
}

fn chain_too_long() -> Problem {
    Problem::new(
        ProblemKind::Invalid,
        "too_many_hops",
        format!("answers to answers end after {HOPS_MAX}: something here answers itself"),
    )
}

#[cfg(test)]
mod tests;
