//! Where messages to a user wait: a group of deliveries of its own, by the user's id, without a resource that would have
//! to be created first. The gateway's sessions give them out; dispatch and leasing pass them over. Pure.

use std::time::Duration;

use anser_core::id::ResourceId;
use anser_core::name::UserId;
use anser_core::store::DeliveryRow;
use aws_lc_rs::digest;

/// Messages that may wait for one user.
pub const MAILBOX_MESSAGES_MAX: u64 = 10_000;
/// Bytes of the messages that may wait for one user.
pub const MAILBOX_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long a message waits for its user at most; then it ends as expired.
pub const MAIL_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Numbers of resources count from 1: none comes so far.
const ABOVE_RESOURCES: u64 = 1 << 62;

/// The group of a user's mailbox, which is its channel too. Two users may share one: the target of a delivery tells whose
/// it is.
pub(crate) fn group_of(user: &UserId) -> ResourceId {
    ResourceId(number_of(&["mailbox", user.as_str()]))
}

/// Whether a group is a mailbox.
pub(crate) const fn is_mailbox(group: ResourceId) -> bool {
    group.0 & ABOVE_RESOURCES != 0
}

/// Whether a delivery's target names this user, or one of the user's sessions.
pub(crate) fn is_of(target: Option<&str>, user: &UserId) -> bool {
    user_in(target.unwrap_or_default()) == user.as_str()
}

/// The user in a delivery's target, `ID` or `ID/RESOURCE`.
pub(crate) fn user_in(target: &str) -> &str {
    target.split_once('/').map_or(target, |(user, _)| user)
}

/// Deliveries to mailboxes, which sessions give out, and the others.
pub(crate) fn split_mail(rows: Vec<DeliveryRow>) -> (Vec<DeliveryRow>, Vec<DeliveryRow>) {
    if !rows.iter().any(|row| is_mailbox(row.group)) {
        return (Vec::new(), rows);
    }
    rows.into_iter().partition(|row| is_mailbox(row.group))
}

/// A number for texts, far above every number of a resource and within 63 bits for stores with signed integers. It is
/// stored, so it must never change.
pub(crate) fn number_of(texts: &[&str]) -> u64 {
    let mut hashed = digest::Context::new(&digest::SHA256);
    for text in texts {
        hashed.update(text.as_bytes());
        // UTF-8 never holds this byte.
        hashed.update(&[0xFF]);
    }
    let mut first = [0; 8];
    first.copy_from_slice(&hashed.finish().as_ref()[..8]);
    ABOVE_RESOURCES | (u64::from_be_bytes(first) >> 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_told_from_every_resource_and_never_changes() {
        let user = UserId::parse("id", "alice").unwrap();
        let group = group_of(&user);
        assert!(is_mailbox(group) && !is_mailbox(ResourceId(1 << 40)));
        assert_eq!(group, ResourceId(8_026_644_787_256_071_557));
        assert!(is_of(Some("alice"), &user) && is_of(Some("alice/phone"), &user));
        assert!(!is_of(Some("alicia"), &user) && !is_of(None, &user));
    }
}
