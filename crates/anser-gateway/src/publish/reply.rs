//! Where a message goes that names no address but what it answers: a conversation, or an earlier message. Must not route:
//! it only writes the address down, and the caller's rights to it are asked for as to any other.

use anser_core::id::MessageId;
use anser_core::message::Item;
use anser_core::{Message, Problem};

use crate::auth::Principal;
use crate::gateway::Gateway;
use crate::refusal::store_problem;

impl Gateway {
    /// The items with an address each: their own, else the conversation that they are in, else that of the message that they
    /// answer.
    pub(super) async fn addressed(
        &self,
        principal: &Principal,
        items: Vec<Result<Item, Problem>>,
    ) -> Vec<Result<Item, Problem>> {
        let mut addressed = Vec::with_capacity(items.len());
        for item in items {
            addressed.push(match item {
                Ok(item) => self.address(principal, item).await,
                Err(problem) => Err(problem),
            });
        }
        addressed
    }

    /// # Errors
    /// 422 `missing_to`, `unknown_message` or `no_conversation`; 403 `address_not_allowed`; the store's.
    async fn address(&self, principal: &Principal, mut item: Item) -> Result<Item, Problem> {
        if !item.header.to.is_empty() {
            return Ok(item);
        }
        if item.header.conversation.is_none() {
            self.take_conversation(principal, &mut item).await?;
        }
        let conversation = item.header.conversation.as_ref().ok_or_else(missing_to)?;
        item.header.to = vec![conversation.id.clone()];
        Ok(item)
    }

    /// Puts an answer into the conversation of the message that it names by our id; its platform is then told its own id.
    async fn take_conversation(
        &self,
        principal: &Principal,
        item: &mut Item,
    ) -> Result<(), Problem> {
        let Some(text) = &item.header.reply_to else {
            return Ok(());
        };
        principal.require_direct(REPLY_TO)?;
        let id: MessageId = text.parse().map_err(|_| unknown_message(text))?;
        let row = self.store.message(id).await.map_err(store_problem)?;
        let row = row.ok_or_else(|| unknown_message(text))?;
        let message = Message::from_json(&row.document)?;
        let conversation = message.header.conversation;
        // Whoever may not write there is not told that there is such a message.
        let conversation = match conversation {
            Some(conversation) if principal.covers_target(&conversation.id) => conversation,
            Some(_) => return Err(unknown_message(text)),
            None => return Err(no_conversation(text)),
        };
        let on_platform = message.header.origin.and_then(|origin| origin.message_id);
        if let Some(on_platform) = on_platform {
            item.header.reply_to = Some(on_platform);
        }
        item.header.conversation = Some(conversation);
        Ok(())
    }
}

/// Where an item names what it answers.
const REPLY_TO: &str = "header.reply_to";

fn missing_to() -> Problem {
    Problem::invalid(
        "missing_to",
        "header.to",
        "a message without a topic needs an address, CHANNEL, CHANNEL/TARGET or queue:NAME, or else a conversation, or in reply_to the id of the message that it answers",
    )
}

fn unknown_message(text: &str) -> Problem {
    Problem::invalid(
        "unknown_message",
        REPLY_TO,
        format!(
            "there is no message {text:?} here to take the conversation of: give its header.id, or the address in header.to"
        ),
    )
}

fn no_conversation(text: &str) -> Problem {
    Problem::invalid(
        "no_conversation",
        REPLY_TO,
        format!("message {text} is in no conversation; give the address in header.to"),
    )
}
