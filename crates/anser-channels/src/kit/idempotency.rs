//! The key by which a platform knows a request again that it has seen before. Must be the same over retries and restarts,
//! and another for every part of every message.

use anser_core::Message;
use anser_core::channel::Context;
use aws_lc_rs::digest::{SHA256, digest};

/// Characters of a key: 125 bits, and what the platform with the shortest keys takes.
const KEY_CHARS: usize = 25;
/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The key of the step that the context names: the beginning of the SHA-256, in base32, of message, delivery and step.
/// The message's id is in it because numbers of deliveries begin anew with every installation.
pub(crate) fn key(message: &Message, context: &Context<'_>) -> String {
    let named = format!(
        "{}/{}#{}",
        message.header.id, context.delivery, context.step
    );
    let hash = digest(&SHA256, named.as_bytes());
    base32(hash.as_ref()).take(KEY_CHARS).collect()
}

fn base32(bytes: &[u8]) -> impl Iterator<Item = char> {
    bytes.chunks(5).flat_map(|chunk| {
        let mut bits = [0; 8];
        bits[3..3 + chunk.len()].copy_from_slice(chunk);
        let bits = u64::from_be_bytes(bits);
        (0..8).map(move |place| char::from(BASE32[(bits >> (35 - 5 * place)) as usize % 32]))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use anser_core::id::{DeliveryId, Num};
    use serde_json::json;

    use super::*;
    use crate::kit::testing::{context, message};

    /// RFC 4648, section 10, without padding.
    #[test]
    fn base32_is_that_of_the_standard() {
        for (text, coded) in [("fooba", "MZXW6YTB"), ("foobafooba", "MZXW6YTBMZXW6YTB")] {
            assert_eq!(base32(text.as_bytes()).collect::<String>(), coded);
        }
    }

    #[test]
    fn the_same_for_a_retry_and_another_for_each_part_delivery_and_message() {
        let hello = message(&json!({"data": "hi"}));
        let mut other = hello.clone();
        other.header.id = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e14".parse().unwrap();
        let mut keys = HashSet::new();
        for message in [&hello, &other] {
            for delivery in [DeliveryId::new(Num(7), 1), DeliveryId::new(Num(7), 2)] {
                for step in 0..3 {
                    let first = Context {
                        delivery,
                        step,
                        ..context(0)
                    };
                    let made = key(message, &first);
                    let again = Context {
                        attempt: 2,
                        rung: 1,
                        ..first
                    };
                    assert_eq!(key(message, &again), made);
                    assert_eq!(made.len(), KEY_CHARS);
                    assert!(keys.insert(made));
                }
            }
        }
    }
}
