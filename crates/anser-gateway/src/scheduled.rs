//! Under which names the store knows messages of a topic whose time had yet to come when they were accepted, so that whoever
//! reads the topic finds them without going through all of it. Pure.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::ResourceId;
use anser_core::limits::NOT_BEFORE_MAX;
use anser_core::message::Header;
use anser_core::name::TOPIC_DIRECT;
use anser_core::store::{Alias, AliasKey, AliasKind};
use aws_lc_rs::digest;

/// Messages whose times lie in one such span share a name, in milliseconds: some twelve days. It is stored, so it must never
/// change.
const SPAN_MILLIS: i64 = 1 << 30;
/// Spans of the past that are looked into at most: about two years.
const SPANS_BACK_MAX: i64 = 60;

/// When the time of a message comes, if it had yet to come when it was accepted.
pub(crate) fn due(header: &Header) -> Option<Timestamp> {
    header.not_before.filter(|due| *due > header.time)
}

/// The name that a message of a topic is known by until its time comes, and after. What is addressed directly has its
/// deliveries to be found by.
pub(crate) fn name(topic: ResourceId, header: &Header) -> Option<Alias> {
    let due = due(header).filter(|_| header.topic != TOPIC_DIRECT)?;
    Some(Alias {
        key: key(topic, due.millis() / SPAN_MILLIS),
        kind: AliasKind::Original,
    })
}

/// The names of those of a topic whose time comes after `since`, as far as they can have been accepted until `now`.
pub(crate) fn names(
    topic: ResourceId,
    since: Timestamp,
    now: Timestamp,
) -> impl Iterator<Item = AliasKey> {
    // Another clock may have been ahead of this one.
    let latest = now.plus(NOT_BEFORE_MAX + Duration::from_secs(24 * 3600));
    let first = (since.millis() / SPAN_MILLIS).max(now.millis() / SPAN_MILLIS - SPANS_BACK_MAX);
    (first..=latest.millis() / SPAN_MILLIS).map(move |span| key(topic, span))
}

fn key(topic: ResourceId, span: i64) -> AliasKey {
    let mut hashed = digest::Context::new(&digest::SHA256);
    hashed.update(b"scheduled");
    hashed.update(&topic.0.to_le_bytes());
    hashed.update(&span.to_le_bytes());
    let mut key = AliasKey([0; 16]);
    let length = key.0.len();
    key.0.copy_from_slice(&hashed.finish().as_ref()[..length]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_that_may_come_has_its_name_among_those_looked_for() {
        let now = Timestamp::from_millis(1_795_395_600_000);
        let names: Vec<AliasKey> = names(ResourceId(3), now, now).collect();
        for days in 0..=70 {
            let due = now.plus(Duration::from_secs(days * 24 * 3600));
            let key = key(ResourceId(3), due.millis() / SPAN_MILLIS);
            assert!(names.contains(&key), "{days}");
        }
        assert!(names.len() < 10, "{}", names.len());
        assert_ne!(key(ResourceId(3), 1), key(ResourceId(4), 1));
    }
}
