//! What makes a message one about an earlier one: it passes through publishing as any other, but goes to where that one
//! went, as was decided before. Must not decide it.

use anser_core::id::MessageId;
use anser_core::message::Fingerprint;
use anser_core::store::{Link, LinkKind, NewDelivery};
use aws_lc_rs::digest;

/// What a linked message is about, and where it goes.
pub(crate) struct LinkedMessage {
    /// The message that it is about.
    pub(crate) about: MessageId,
    /// The same for the store.
    pub(crate) link: Link,
    /// Where it goes.
    pub(crate) deliveries: Vec<NewDelivery>,
}

impl LinkedMessage {
    /// Whether it brings content of its publisher's: the rules of its topic are for that.
    pub(super) fn brings_content(&self) -> bool {
        self.link.kind == LinkKind::Edited
    }

    /// The same content is another item when it is about another message.
    pub(super) fn fingerprint(&self, of_item: Fingerprint) -> Fingerprint {
        let mut hashed = digest::Context::new(&digest::SHA256);
        hashed.update(&of_item);
        hashed.update(self.about.as_bytes());
        let mut fingerprint = Fingerprint::default();
        fingerprint.copy_from_slice(hashed.finish().as_ref());
        fingerprint
    }
}
