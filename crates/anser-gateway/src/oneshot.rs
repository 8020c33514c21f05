//! One message sent at once through a channel that is configured nowhere, without a gateway: what `anser send` does with
//! a URL. Stores nothing and tries once; who needs more runs a gateway.

use std::sync::Arc;

use anser_core::attempt::Attempt;
use anser_core::channel::ChannelKind;
use anser_core::clock::Clock;
use anser_core::id::{IdGenerator, ResourceId};
use anser_core::limits::Limits;
use anser_core::message::{Item, Sender as From, SenderKind, Stamp};
use anser_core::name::TOPIC_DIRECT;
use anser_core::random::Random;
use anser_core::resource::ChannelSpec;
use anser_core::{Message, Problem};
use serde_json::Value;

use crate::blobs::LocalFiles;
use crate::config::{ChannelEntry, EndpointState, Meta};
use crate::credentials::Credentials;
use crate::dispatch;
use crate::sender::Sender;

/// What it takes to send without a gateway.
pub struct OneShot<'a> {
    /// The HTTP sender; its guard decides where to.
    pub sender: &'a Sender,
    /// Time.
    pub clock: &'a dyn Clock,
    /// Randomness, for the message's id.
    pub random: &'a dyn Random,
    /// The files that attachments may refer to as blobs.
    pub files: &'a LocalFiles,
}

/// Rungs of the ladder that leave nothing of an attachment but a note.
const LOST: [&str; 5] = [
    "image->text",
    "audio->text",
    "voice->text",
    "video->text",
    "file->text",
];

/// Whether what was sent had notes in the place of attachments.
#[must_use]
pub fn lacks_attachments(degraded: &[String]) -> bool {
    degraded.iter().any(|rung| LOST.contains(&rung.as_str()))
}

impl OneShot<'_> {
    /// Sends one item and answers with the attempt. That it is not delivered is no error: the attempt says why.
    ///
    /// # Errors
    /// What refuses the item or the settings; `unsupported_attachment` when the platform, or this way of sending to it,
    /// cannot bring an attachment: there is no gateway that a link could lead to.
    pub async fn send(
        &self,
        kind: &dyn ChannelKind,
        settings: Value,
        target: Option<String>,
        item: Item,
    ) -> Result<Attempt, Problem> {
        let manifest = kind.manifest();
        let channel = kind.open(&settings)?;
        let now = self.clock.now();
        let stamp = Stamp {
            id: IdGenerator::above(None).next(now, self.random),
            time: now,
            topic: TOPIC_DIRECT.to_owned(),
            from: From {
                kind: SenderKind::Service,
                id: "anser".to_owned(),
                name: None,
                platform: None,
                account: None,
            },
            target_id: None,
            origin: None,
            hops: 0,
            blobs: self.files.sizes(),
        };
        let message = Message::accept(item, stamp, &Limits::default())?;
        let entry = ChannelEntry {
            meta: Meta {
                id: ResourceId(0),
                name: manifest.kind.to_owned(),
                revision: 0,
                created_at: now,
                updated_at: now,
            },
            spec: ChannelSpec::new(manifest.kind, settings),
            ordering: manifest.ordering,
            manifest: Arc::new(manifest),
            channel,
            endpoint: EndpointState::default(),
        };
        let wire = dispatch::Wire {
            sender: self.sender,
            credentials: &Credentials::default(),
            clock: self.clock,
            blobs: None,
            files: Some(self.files),
            links: None,
            stopping: None,
        };
        let entry = Arc::new(entry);
        let degraded = dispatch::preview(Arc::clone(&entry), target.clone(), &message, 0);
        if lacks_attachments(&degraded) {
            let detail = format!(
                "cannot all be brought to {} this way, and without a server no link can lead to them; leave them out, \
                 give them URLs, or send to another kind of channel",
                entry.manifest.label
            );
            return Err(Problem::invalid(
                "unsupported_attachment",
                "attachments",
                detail,
            ));
        }
        Ok(dispatch::probe(wire, entry, target, &message, 0).await)
    }
}
