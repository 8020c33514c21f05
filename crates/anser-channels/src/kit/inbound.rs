//! What adapters of incoming requests share: proofs compared in constant time, freshness, and items made of what a
//! platform said. Must not know any platform.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::inbound::{InboundRequest, Refusal, RefusalKind};
use anser_core::message::{Attachment, Conversation, ConversationType, Item};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use serde_json::value::to_raw_value;
use serde_json::{Value, json};

/// How far a signed time may be ahead of ours.
pub(crate) const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// The value of a header that must be there, once, as text.
///
/// # Errors
/// `unsigned`.
pub(crate) fn header<'a>(request: &InboundRequest<'a>, name: &str) -> Result<&'a str, Refusal> {
    let mut values = request.headers.get_all(name).iter();
    let unsigned = |detail: String| Refusal::new(RefusalKind::Unsigned, detail);
    match (values.next(), values.next()) {
        (Some(value), None) => value
            .to_str()
            .map_err(|_| unsigned(format!("the header {name} is no visible ASCII"))),
        (None, _) => Err(unsigned(format!("the header {name} is missing"))),
        (Some(_), Some(_)) => Err(unsigned(format!("the header {name} is there twice"))),
    }
}

/// Refuses bytes that are not those expected, in a time that does not depend on where they differ.
///
/// # Errors
/// `wrong_signature`.
pub(crate) fn same(given: &[u8], expected: &[u8], what: &str) -> Result<(), Refusal> {
    verify_slices_are_equal(given, expected).map_err(|_| forged(what))
}

/// Refuses an HMAC of `parts` that is wrong.
///
/// # Errors
/// `wrong_signature`.
pub(crate) fn hmac_matches(
    algorithm: hmac::Algorithm,
    secret: &[u8],
    parts: &[&[u8]],
    given: &[u8],
    what: &str,
) -> Result<(), Refusal> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret));
    for part in parts {
        context.update(part);
    }
    same(given, context.sign().as_ref(), what)
}

/// A refusal for a wrong proof.
pub(crate) fn forged(what: &str) -> Refusal {
    Refusal::new(
        RefusalKind::Forged,
        format!(
            "{what} does not fit the request; is the secret in the settings the one of the platform?"
        ),
    )
}

/// A refusal for what cannot be read.
pub(crate) fn malformed(detail: impl Into<String>) -> Refusal {
    Refusal::new(RefusalKind::Malformed, detail)
}

/// Refuses a signed time, in seconds since 1970, that is older than `most` or more than [`AHEAD_MAX`] ahead.
///
/// # Errors
/// `stale_signature`.
pub(crate) fn fresh(seconds: i64, most: Duration, now: Timestamp) -> Result<(), Refusal> {
    let oldest = now.minus(most).seconds();
    let newest = now.plus(AHEAD_MAX).seconds();
    if (oldest..=newest).contains(&seconds) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalKind::Stale,
        format!(
            "the request is signed for another time than now; at most {} s may lie between",
            most.as_secs()
        ),
    ))
}

/// The body as JSON.
///
/// # Errors
/// `malformed_event`.
pub(crate) fn parse(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| malformed(format!("the body is no JSON: {error}")))
}

/// A message of chat content.
pub(crate) fn content(segments: Vec<Value>, attachments: Vec<Attachment>) -> Item {
    let mut item = empty();
    item.body.segments = Some(segments);
    item.attachments = attachments;
    item
}

/// An event of type `chat.NAME`, `source.NAME` or whatever `event_type` says, with data for machines.
pub(crate) fn event(event_type: &str, data: &Value) -> Item {
    let mut item = empty();
    item.header.r#type = Some(event_type.to_owned());
    item.body.data = to_raw_value(data).ok();
    item
}

/// What the format has no word for, kept as it came.
pub(crate) fn raw(platform: &str, payload: &Value) -> Value {
    json!({"type": "raw", "platform": platform, "payload": payload})
}

/// The chat `target` of `channel`, as an answer is addressed to it.
pub(crate) fn conversation(
    channel: &str,
    target: &str,
    of: ConversationType,
    thread: Option<String>,
) -> Conversation {
    Conversation {
        id: format!("{channel}/{target}"),
        r#type: Some(of),
        thread,
    }
}

/// A message of nothing.
pub(crate) fn empty() -> Item {
    Item {
        header: Default::default(),
        body: Default::default(),
        attachments: Vec::new(),
        dedupe_key: None,
    }
}

#[cfg(test)]
mod tests {
    use anser_core::inbound::RefusalKind;

    use super::*;

    #[test]
    fn a_signed_time_is_fresh_for_a_while_on_both_sides() {
        let now = Timestamp::from_millis(1_000_000_000);
        let most = Duration::from_secs(300);
        for (seconds, stale) in [
            (1_000_000, false),
            (999_700, false),
            (999_699, true),
            (1_000_300, false),
            (1_000_301, true),
            (i64::MIN, true),
            (i64::MAX, true),
        ] {
            let refused = fresh(seconds, most, now).map_err(|refusal| refusal.kind);
            let expected = if stale {
                Err(RefusalKind::Stale)
            } else {
                Ok(())
            };
            assert_eq!(refused, expected, "{seconds}");
        }
    }
}
