//! Names and ids as CMQ clients know them. Pure.

use anser_core::id::ResourceId;
use serde_json::Value;

use super::error::{Fault, QUEUE_NAME, Row, SUBSCRIPTION_NAME, TOPIC_NAME};

/// Bytes of a name.
const NAME_BYTES_MAX: usize = 64;
/// Digits of an id behind its prefix, at least.
const ID_DIGITS: usize = 8;

/// What a name is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Noun {
    Queue,
    Topic,
    Subscription,
}

impl Noun {
    /// Checks a name: a letter, then letters, digits, `-` and `_`, at most 64 in all.
    ///
    /// # Errors
    /// The noun's own format error.
    pub(super) fn check(self, name: &str) -> Result<(), Fault> {
        let valid = name.len() <= NAME_BYTES_MAX
            && name.starts_with(|first: char| first.is_ascii_alphabetic())
            && name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if valid {
            Ok(())
        } else {
            Err(Fault::from(self.format_error()))
        }
    }

    const fn format_error(self) -> &'static Row {
        match self {
            Self::Queue => &QUEUE_NAME,
            Self::Topic => &TOPIC_NAME,
            Self::Subscription => &SUBSCRIPTION_NAME,
        }
    }

    /// The id that clients see: a prefix and the resource's number, in digits and letters.
    pub(super) fn id(self, number: ResourceId) -> Value {
        let prefix = match self {
            Self::Queue => "queue",
            Self::Topic => "topic",
            Self::Subscription => "subsc",
        };
        format!("{prefix}-{}", base36(number.0)).into()
    }
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut digits = Vec::with_capacity(ID_DIGITS);
    while number > 0 || digits.len() < ID_DIGITS {
        digits.push(char::from(DIGITS[(number % 36) as usize]));
        number /= 36;
    }
    digits.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for good in ["q", "Orders-eu_1", &"a".repeat(64)] {
            assert!(Noun::Queue.check(good).is_ok(), "{good}");
        }
        for bad in ["", "1q", "-q", "q.1", "q 1", "队列", &"a".repeat(65)] {
            let fault = Noun::Topic.check(bad).unwrap_err();
            assert_eq!(fault.message(), "(10590)topic name format error", "{bad}");
        }
    }

    #[test]
    fn ids() {
        assert_eq!(Noun::Queue.id(ResourceId(1)), "queue-00000001");
        assert_eq!(Noun::Topic.id(ResourceId(36 * 36 + 35)), "topic-0000010z");
        assert_eq!(
            Noun::Subscription.id(ResourceId(u64::MAX)),
            "subsc-3w5e11264sgsf"
        );
    }
}
