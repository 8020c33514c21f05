//! Whom Slack can mention, and how each form writes it. Must not take a name for an id.

use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

/// A mention as an element of rich text; `None` when the id is none of Slack's.
pub(super) fn element(kind: MentionKind, id: Option<&str>) -> Option<Value> {
    Some(match kind {
        MentionKind::User => json!({"type": "user", "user_id": id_of(id, &['U', 'W'])?}),
        MentionKind::Role => json!({"type": "usergroup", "usergroup_id": id_of(id, &['S'])?}),
        MentionKind::Channel => {
            json!({"type": "channel", "channel_id": id_of(id, &['C', 'G'])?})
        }
        MentionKind::All => json!({"type": "broadcast", "range": "channel"}),
        MentionKind::Here => json!({"type": "broadcast", "range": "here"}),
    })
}

/// A mention inside a text.
pub(super) fn text(kind: MentionKind, id: Option<&str>) -> Option<String> {
    Some(match kind {
        MentionKind::User => format!("<@{}>", id_of(id, &['U', 'W'])?),
        MentionKind::Role => format!("<!subteam^{}>", id_of(id, &['S'])?),
        MentionKind::Channel => format!("<#{}>", id_of(id, &['C', 'G'])?),
        MentionKind::All => "<!channel>".to_owned(),
        MentionKind::Here => "<!here>".to_owned(),
    })
}

fn id_of<'i>(id: Option<&'i str>, initials: &[char]) -> Option<&'i str> {
    /// Bytes of an id.
    const ID_BYTES: std::ops::RangeInclusive<usize> = 5..=32;
    id.filter(|id| {
        ID_BYTES.contains(&id.len())
            && id.starts_with(initials)
            && id
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    })
}
