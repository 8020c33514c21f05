//! Mentions of a DingTalk robot: the text holds `@` and the number or id, and the body lists them. What is not listed
//! pings nobody. Must not list anybody whom no mention names.

use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use crate::kit::content::{Block, Run, runs};

/// Bytes of a number or id.
const ID_BYTES_MAX: usize = 64;

/// The id that the robot may mention: a mobile number or a user's id.
pub(super) fn user(kind: MentionKind, id: Option<&str>) -> Option<&str> {
    let good = |id: &&str| {
        (1..=ID_BYTES_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.+".contains(&byte))
    };
    id.filter(good).filter(|_| kind == MentionKind::User)
}

/// A mobile number: of China, or with a country code as in `+852-…`.
fn is_mobile(id: &str) -> bool {
    let digits = id.bytes().all(|byte| byte.is_ascii_digit());
    (digits && id.len() == 11 && id.starts_with('1')) || id.starts_with('+')
}

/// The `at` member for what the blocks mention.
pub(super) fn at(blocks: &[Block]) -> Value {
    let (mut mobiles, mut users, mut all) = (Vec::new(), Vec::new(), false);
    for run in runs(blocks) {
        let Run::Mention { kind, id, .. } = run else {
            continue;
        };
        all |= *kind == MentionKind::All;
        match user(*kind, id.as_deref()) {
            Some(id) if is_mobile(id) => mobiles.push(id),
            Some(id) => users.push(id),
            None => {}
        }
    }
    json!({"atMobiles": mobiles, "atUserIds": users, "isAtAll": all})
}
