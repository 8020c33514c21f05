//! Events that come in parts, put together. Bounded: by parts, by bytes, by how many wait, and by how long. Must not read
//! them.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::inbound::INBOUND_BYTES_MAX;
use bytes::{Bytes, BytesMut};

use super::frame::Frame;

/// How long the rest of an event may take; the platform's own clients wait so long.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// Parts of an event.
const PARTS_MAX: usize = 1_024;
/// Events that wait for a part; the oldest of them is given up.
const WAITING_MAX: usize = 16;
/// Bytes of the name of an event.
const NAME_BYTES_MAX: usize = 256;

/// What became of a part.
#[derive(Debug)]
pub(super) enum Joined {
    /// The event is whole.
    Whole(Bytes),
    /// Others are missing.
    Waits,
}

/// Events of which some parts came.
#[derive(Debug, Default)]
pub(super) struct Joining {
    waiting: BTreeMap<String, Parts>,
}

#[derive(Debug)]
struct Parts {
    parts: Vec<Option<Bytes>>,
    bytes: usize,
    last: Timestamp,
}

impl Joining {
    /// Takes what a frame of data brings.
    ///
    /// # Errors
    /// What is wrong with it, in words. What had come of the event is given up.
    pub(super) fn add(&mut self, frame: &mut Frame, now: Timestamp) -> Result<Joined, String> {
        self.forget(now);
        let number = |name: &str| frame.header(name).map(str::parse::<usize>);
        let sum = match number("sum") {
            None | Some(Ok(0 | 1)) => return Ok(Joined::Whole(frame.take_payload())),
            Some(Ok(sum @ ..=PARTS_MAX)) => sum,
            Some(_) => return Err(format!("an event of more than {PARTS_MAX} parts")),
        };
        let name = frame
            .header("message_id")
            .filter(|name| (1..=NAME_BYTES_MAX).contains(&name.len()))
            .ok_or("a part of an event without a name")?
            .to_owned();
        let seq = match number("seq") {
            Some(Ok(seq)) if seq < sum => seq,
            _ => {
                self.waiting.remove(&name);
                return Err("a part of an event that is none of its parts".to_owned());
            }
        };
        self.put(name, (seq, sum), frame.take_payload(), now)
    }

    fn put(
        &mut self,
        name: String,
        (seq, sum): (usize, usize),
        payload: Bytes,
        now: Timestamp,
    ) -> Result<Joined, String> {
        let mut of = self
            .waiting
            .remove(&name)
            .filter(|of| of.parts.len() == sum)
            .unwrap_or_else(|| Parts {
                parts: vec![None; sum],
                bytes: 0,
                last: now,
            });
        of.bytes += payload.len();
        if let Some(before) = of.parts[seq].replace(payload) {
            of.bytes -= before.len();
        }
        of.last = now;
        if of.bytes > INBOUND_BYTES_MAX {
            return Err("an event in parts that is larger than an event may be".to_owned());
        }
        if of.parts.iter().all(Option::is_some) {
            let mut whole = BytesMut::with_capacity(of.bytes);
            for part in of.parts.iter().flatten() {
                whole.extend_from_slice(part);
            }
            return Ok(Joined::Whole(whole.freeze()));
        }
        self.make_room();
        self.waiting.insert(name, of);
        Ok(Joined::Waits)
    }

    fn make_room(&mut self) {
        if self.waiting.len() < WAITING_MAX {
            return;
        }
        let oldest = self.waiting.iter().min_by_key(|(_, of)| of.last);
        if let Some(oldest) = oldest.map(|(name, _)| name.clone()) {
            self.waiting.remove(&oldest);
        }
    }

    /// Gives up what had no part for too long. It is not answered, so that it comes again.
    pub(super) fn forget(&mut self, now: Timestamp) {
        self.waiting.retain(|_, of| now.since(of.last) < WAIT_MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, seq: &str, sum: &str, payload: &[u8]) -> Frame {
        let mut frame = Frame::default();
        for (key, value) in [("message_id", name), ("seq", seq), ("sum", sum)] {
            frame.add_header(key, value);
        }
        frame.set_payload(Bytes::copy_from_slice(payload));
        frame
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_700_000_000_000 + millis)
    }

    fn whole(joined: Result<Joined, String>) -> Option<Bytes> {
        match joined.unwrap() {
            Joined::Whole(bytes) => Some(bytes),
            Joined::Waits => None,
        }
    }

    #[test]
    fn parts_come_in_any_order_and_twice() {
        let mut joining = Joining::default();
        for (seq, text) in [("2", "c"), ("0", "x"), ("0", "a")] {
            let joined = joining.add(&mut part("m", seq, "3", text.as_bytes()), at(0));
            assert_eq!(whole(joined), None);
        }
        let other = joining.add(&mut part("n", "1", "3", b"y"), at(0));
        assert_eq!(whole(other), None);
        let joined = joining.add(&mut part("m", "1", "3", b"b"), at(0));
        assert_eq!(whole(joined).unwrap(), "abc");
        assert_eq!(joining.waiting.len(), 1);
        let alone = joining.add(&mut part("", "0", "1", b"alone"), at(0));
        assert_eq!(whole(alone).unwrap(), "alone");
    }

    #[test]
    fn what_waits_too_long_is_given_up() {
        let mut joining = Joining::default();
        let first = joining.add(&mut part("m", "0", "3", b"a"), at(0));
        assert_eq!(whole(first), None);
        // Each part begins the wait anew.
        let second = joining.add(&mut part("m", "1", "3", b"b"), at(4_999));
        assert_eq!(whole(second), None);
        let third = joining.add(&mut part("m", "2", "3", b"c"), at(9_998));
        assert_eq!(whole(third).unwrap(), "abc");
        let first = joining.add(&mut part("m", "0", "2", b"a"), at(0));
        assert_eq!(whole(first), None);
        let late = joining.add(&mut part("m", "1", "2", b"b"), at(5_000));
        assert_eq!(whole(late), None);
    }

    #[test]
    fn what_waits_is_bounded() {
        let mut joining = Joining::default();
        for number in 0..40 {
            let name = format!("m{number:02}");
            let joined = joining.add(&mut part(&name, "0", "2", b"a"), at(number));
            assert_eq!(whole(joined), None);
        }
        assert_eq!(joining.waiting.len(), WAITING_MAX);
        assert!(joining.waiting.contains_key("m39"), "the newest stay");
        let half = vec![b'x'; INBOUND_BYTES_MAX];
        assert!(whole(joining.add(&mut part("big", "0", "2", &half), at(99))).is_none());
        assert!(
            joining
                .add(&mut part("big", "1", "2", b"x"), at(99))
                .is_err()
        );
        assert!(!joining.waiting.contains_key("big"));
        for (seq, sum, name) in [
            ("0", "1025", "m"),
            ("2", "2", "m"),
            ("-1", "2", "m"),
            ("0", "many", "m"),
            ("", "2", "m"),
            ("0", "2", ""),
        ] {
            assert!(
                joining
                    .add(&mut part(name, seq, sum, b"a"), at(99))
                    .is_err()
            );
        }
    }
}
