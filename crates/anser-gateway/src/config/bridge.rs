//! Bridges in force: the chats that one links, and for each channel among them a leg, a subscription to that channel that
//! only the bridge routes to. A leg is a group of deliveries of its own, so that each channel has its own pace. Must not
//! route.

use std::collections::BTreeMap;
use std::sync::Arc;

use anser_core::Problem;
use anser_core::channel::Manifest;
use anser_core::filter::{Filter, FilterSpec};
use anser_core::id::ResourceId;
use anser_core::name::Address;
use anser_core::resource::{BridgeNames, BridgeSpec, Ordering};

use super::{Destination, Meta, Snapshot, Subscription};

/// Bits of a leg's number that are the subscription's; the others are the channel's.
const LEG_SHIFT: u32 = 32;
/// Numbers of resources that legs can be made of: they rise by one with each that was ever created.
const LEG_NUMBERS_MAX: u64 = 1 << 30;

/// A bridge in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// The chats that it links.
    pub chats: Vec<Chat>,
    /// How copies tell who wrote the message.
    pub names: BridgeNames,
}

/// A chat of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chat {
    /// `CHANNEL/TARGET` with the channel's name as it was created: the `conversation.id` of what people write there.
    pub address: String,
    /// The channel's number.
    pub channel: ResourceId,
    /// Whom in that channel.
    pub target: Option<String>,
    /// The group of its deliveries.
    pub leg: ResourceId,
    /// The platform's name for people.
    pub platform: String,
}

impl Bridge {
    /// Looks up what a bridge names.
    ///
    /// # Errors
    /// `unknown_channel`; `not_a_chat` for a channel that is on no chat platform, or cannot send.
    pub(crate) fn of(
        spec: &BridgeSpec,
        subscription: ResourceId,
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        let chats = spec.chats.iter().enumerate();
        let chats = chats
            .map(|(i, text)| Chat::of(&format!("bridge.chats[{i}]"), text, subscription, snapshot));
        Ok(Self {
            chats: chats.collect::<Result<_, _>>()?,
            names: spec.names,
        })
    }

    /// The chat that people write in where the conversation is this.
    #[must_use]
    pub fn chat(&self, conversation: &str) -> Option<&Chat> {
        self.chats.iter().find(|chat| chat.address == conversation)
    }

    /// The chat that deliveries through a channel to a target go to.
    #[must_use]
    pub fn place(&self, channel: ResourceId, target: Option<&str>) -> Option<&Chat> {
        self.chats
            .iter()
            .find(|chat| chat.channel == channel && chat.target.as_deref() == target)
    }

    /// Whether it has that leg.
    #[must_use]
    pub fn has_leg(&self, group: ResourceId) -> bool {
        self.chats.iter().any(|chat| chat.leg == group)
    }
}

impl Chat {
    fn of(
        field: &str,
        text: &str,
        subscription: ResourceId,
        snapshot: &Snapshot,
    ) -> Result<Self, Problem> {
        let unknown = |name: &str| {
            let detail = format!("there is no channel {name:?}; create it first");
            Problem::invalid("unknown_channel", field, detail)
        };
        let Address::Channel { name, target } = Address::parse(field, text)? else {
            return Err(unknown(text));
        };
        let entry = snapshot.channel(&name).ok_or_else(|| unknown(&name))?;
        if entry.manifest.generic || entry.manifest.formats.is_empty() {
            let detail = format!(
                "the channel {name} is a {}, where no chat is to be written to; name a channel of a chat platform, and make another subscription for this one",
                entry.manifest.label
            );
            return Err(Problem::invalid("not_a_chat", field, detail));
        }
        let channel = entry.meta.id;
        let leg = leg(subscription, channel).ok_or_else(|| {
            let detail = "this installation has created too many resources for bridges";
            Problem::invalid("not_available", field, detail)
        })?;
        let address = match &target {
            Some(target) => format!("{}/{target}", entry.meta.name),
            None => entry.meta.name.clone(),
        };
        Ok(Self {
            address,
            channel,
            target,
            leg,
            platform: platform(&entry.manifest),
        })
    }
}

/// What people call the platform: what a kind's name for people begins with.
fn platform(manifest: &Manifest) -> String {
    let mut words = manifest.label.split(' ');
    words.next().unwrap_or(manifest.label).to_owned()
}

/// The number of the leg of a subscription through a channel. It is stored with deliveries, so it must never change.
fn leg(subscription: ResourceId, channel: ResourceId) -> Option<ResourceId> {
    let fits = |id: ResourceId| (1..LEG_NUMBERS_MAX).contains(&id.0);
    (fits(subscription) && fits(channel))
        .then_some(ResourceId(channel.0 << LEG_SHIFT | subscription.0))
}

/// The legs of a subscription that is a bridge, one for each channel.
pub(super) fn legs(of: &Subscription) -> BTreeMap<ResourceId, Arc<Subscription>> {
    let chats = of.bridge.iter().flat_map(|bridge| &bridge.chats);
    chats
        .map(|chat| (chat.leg, Arc::new(of_chat(of, chat))))
        .collect()
}

fn of_chat(of: &Subscription, chat: &Chat) -> Subscription {
    Subscription {
        meta: Meta {
            id: chat.leg,
            ..of.meta.clone()
        },
        topic: of.topic,
        topic_name: of.topic_name.clone(),
        spec: of.spec.clone(),
        destination: Destination::Channel(chat.channel),
        bridge: of.bridge.clone(),
        // What the bridge gave it has passed the bridge's own.
        filter: Filter::compile("filter", &FilterSpec::default())
            .expect("a filter that asks for nothing can be compiled"),
        retry: of.retry.clone(),
        ordering: Ordering::Key,
        chat: true,
    }
}
