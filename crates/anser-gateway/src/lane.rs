//! Which lane a delivery belongs to: the pure rule that ties ordering, target and key together.

use anser_core::id::ResourceId;
use anser_core::message::Header;
use anser_core::resource::Ordering;
use anser_core::store::Lane;

/// The lane of a delivery of a message with `header` in `group`, or `None` when it waits for none.
///
/// By `key`, a channel that speaks to somebody (a `target`, or a `chat` that the channel itself is) falls back to the
/// conversation and then to the target, so that a chat is never out of order; a webhook message without a key has no
/// lane (`delivery.md`, promise 4).
#[must_use]
pub fn lane(
    ordering: Ordering,
    group: ResourceId,
    target: Option<&str>,
    chat: bool,
    header: &Header,
) -> Option<Lane> {
    match ordering {
        Ordering::None | Ordering::Gate => None,
        Ordering::Strict => Some(hash(group, None, Tag::Strict, "")),
        Ordering::Key => match (&header.key, &header.conversation) {
            (Some(key), _) => Some(hash(group, target, Tag::Key, key)),
            (None, _) if target.is_none() && !chat => None,
            (None, Some(conversation)) => {
                Some(hash(group, target, Tag::Conversation, &conversation.id))
            }
            (None, None) => Some(hash(group, target, Tag::Target, "")),
        },
    }
}

/// The lane of everything that goes to one target of a group, in accepted order.
#[must_use]
pub fn of_target(group: ResourceId, target: Option<&str>) -> Lane {
    hash(group, target, Tag::Target, "")
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

#[cfg(test)]
mod tests {
    use super::*;
    use anser_core::message::Conversation;

    fn header(key: Option<&str>, conversation: Option<&str>) -> Header {
        let mut header: Header = serde_json::from_value(serde_json::json!({
            "id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
            "type": "message", "from": {"kind": "service", "id": "test"},
        }))
        .unwrap();
        header.key = key.map(str::to_owned);
        header.conversation = conversation.map(|id| Conversation {
            id: id.to_owned(),
            r#type: None,
            thread: None,
        });
        header
    }

    #[test]
    fn a_chat_keeps_its_order_without_a_key_and_a_webhook_has_none_to_keep() {
        let by_key = |target, chat, header: &Header| {
            lane(Ordering::Key, ResourceId(7), target, chat, header)
        };
        let plain = header(None, None);
        assert_eq!(by_key(None, false, &plain), None);
        assert!(by_key(None, true, &plain).is_some());
        assert_eq!(
            by_key(Some("oc_1"), false, &plain),
            by_key(Some("oc_1"), true, &plain)
        );
        let keyed = header(Some("a"), None);
        assert_eq!(by_key(None, true, &keyed), by_key(None, false, &keyed));
        assert_ne!(by_key(None, true, &keyed), by_key(None, true, &plain));
        let talk = header(None, Some("ops/oc_1"));
        assert_ne!(by_key(None, true, &talk), by_key(None, true, &plain));
        for ordering in [Ordering::None, Ordering::Gate] {
            assert_eq!(lane(ordering, ResourceId(7), None, true, &keyed), None);
        }
    }
}
