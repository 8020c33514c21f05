//! Which lane a delivery belongs to: the pure rule that ties ordering, target and key together.

use anser_core::id::ResourceId;
use anser_core::message::Header;
use anser_core::resource::Ordering;
use anser_core::store::Lane;

/// The lane of a delivery of a message with `header` in `group`, or `None` when it waits for none.
///
/// By `key`, a channel that speaks to somebody (`target`) falls back to the conversation and then to the target, so
/// that a chat is never out of order; a webhook message without a key has no lane (`delivery.md`, promise 4).
#[must_use]
pub fn lane(
    ordering: Ordering,
    group: ResourceId,
    target: Option<&str>,
    header: &Header,
) -> Option<Lane> {
    match ordering {
        Ordering::None | Ordering::Gate => None,
        Ordering::Strict => Some(hash(group, None, Tag::Strict, "")),
        Ordering::Key => match (&header.key, &header.conversation, target) {
            (Some(key), _, _) => Some(hash(group, target, Tag::Key, key)),
            (None, Some(conversation), Some(_)) => {
                Some(hash(group, target, Tag::Conversation, &conversation.id))
            }
            (None, None, Some(_)) => Some(hash(group, target, Tag::Target, "")),
            (None, _, None) => None,
        },
    }
}

#[derive(Clone, Copy)]
enum Tag {
    Strict = 1,
    Key = 2,
    Conversation = 3,
    Target = 4,
}

/// FNV-1a over the parts, each ended by a byte that UTF-8 never holds. Stored, so it must never change; a collision
/// only makes two lanes wait for one another. Kept to 63 bits for stores with signed integers.
fn hash(group: ResourceId, target: Option<&str>, tag: Tag, key: &str) -> Lane {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = OFFSET;
    let mut feed = |byte: u8| hash = (hash ^ u64::from(byte)).wrapping_mul(PRIME);
    group.0.to_le_bytes().into_iter().for_each(&mut feed);
    feed(tag as u8);
    target.unwrap_or("").bytes().for_each(&mut feed);
    feed(0xFF);
    key.bytes().for_each(&mut feed);
    // A final mix (SplitMix64), since FNV spreads short keys poorly over the high bits.
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (hash ^ (hash >> 31)) >> 1
}
