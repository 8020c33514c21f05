//! The test message of a channel: one attempt, outside of every topic, answered with what came of it.

use std::sync::Arc;

use anser_core::Message;
use anser_core::Problem;
use anser_core::attempt::Attempt;
use anser_core::blob::BlobSizes;
use anser_core::channel::Links;
use anser_core::message::item::parse_json;
use anser_core::message::{Item, Stamp};
use anser_core::name::TOPIC_DIRECT;
use serde_json::json;

use super::channel::{find, may_change};
use crate::auth::Principal;
use crate::dispatch;
use crate::gateway::Gateway;

/// The event type of a test message.
const TEST_TYPE: &str = "anser.test";

impl Gateway {
    /// Sends a test message to a channel, also a paused or disabled one, and answers with the attempt. Nothing is
    /// stored, and it counts for nothing.
    ///
    /// # Errors
    /// `channel_not_found`; 403 without the right. That it is not delivered is no error: the attempt says why.
    pub async fn test_channel(
        &self,
        principal: &Principal,
        name: &str,
    ) -> Result<Attempt, Problem> {
        may_change(principal, name)?;
        let snapshot = self.config.load_full();
        let channel = Arc::clone(find(&snapshot, name)?);
        let message = self.test_message(&channel.meta.name)?;
        let installation = self.info.installation;
        let wire = dispatch::Wire {
            sender: &self.sender,
            credentials: &self.credentials,
            clock: &*self.clock,
            blobs: Some(&self.blobs),
            files: None,
            links: self.links.as_deref().map(|links| links as &dyn Links),
            stopping: None,
        };
        Ok(dispatch::probe(wire, channel, None, &message, installation).await)
    }

    fn test_message(&self, channel: &str) -> Result<Message, Problem> {
        let text = format!("Test message of Anser to the channel {channel}");
        let item = json!({
            "header": {"type": TEST_TYPE},
            "body": {"segments": [{"type": "text", "text": text}]},
        });
        let item: Item = parse_json("", item.to_string().as_bytes())?;
        let time = self.clock.now();
        let stamp = Stamp {
            id: self.ids.next(time, &*self.random),
            time,
            topic: TOPIC_DIRECT.to_owned(),
            from: Principal::system().sender,
            target_id: None,
            origin: None,
            hops: 0,
            blobs: BlobSizes::new(),
        };
        Message::accept(item, stamp, &self.options.limits)
    }
}
