//! What is published: requests built once, into which only the time is written before each sending; and the way back,
//! from a webhook's body to that time.
//!
//! The data of a message is 256 bytes of JSON: `{"t":"NANOSECONDS","lane":"NAME","fill":"xxx…"}`, everything at a fixed
//! place, so that neither side has to parse it.

/// Bytes of a message's data.
pub(crate) const DATA_BYTES: usize = 256;
/// Digits of a time: enough for any `u64`.
const STAMP_DIGITS: usize = 20;
const STAMP_LEAD: &str = "{\"t\":\"";
/// Characters of a lane's name, padded with blanks.
const LANE_CHARACTERS: usize = 8;
/// Where a lane's name begins in the data.
const LANE_AT: usize = STAMP_LEAD.len() + STAMP_DIGITS + LANE_LEAD.len();
const LANE_LEAD: &str = "\",\"lane\":\"";

/// A request that is sent again and again, each time with the time in it.
pub(crate) trait Outgoing: Send + 'static {
    /// How many messages it publishes.
    fn messages(&self) -> u64;

    /// The request with `nanos` in it.
    fn stamped(&mut self, nanos: u64) -> &[u8];
}

/// One message, before its time is known.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Lane<'a> {
    /// The ordering key, at most 8 characters; none: no lane.
    pub(crate) key: Option<&'a str>,
}

impl<'a> Lane<'a> {
    /// The lane of this key.
    pub(crate) fn of(key: &'a str) -> Self {
        Self { key: Some(key) }
    }

    fn item(self) -> String {
        let header = match self.key {
            Some(key) => format!("{{\"type\":\"bench.event\",\"key\":\"{key}\"}}"),
            None => "{\"type\":\"bench.event\"}".to_owned(),
        };
        let data = self.data();
        format!("{{\"header\":{header},\"body\":{{\"data\":{data}}}}}")
    }

    fn data(self) -> String {
        let key = self.key.unwrap_or_default();
        let mut data = format!(
            "{STAMP_LEAD}{:0STAMP_DIGITS$}{LANE_LEAD}{key:LANE_CHARACTERS$}\",\"fill\":\"",
            0
        );
        let fill = DATA_BYTES.saturating_sub(data.len() + "\"}".len());
        data.push_str(&"x".repeat(fill));
        data.push_str("\"}");
        data
    }
}

/// A publish request, ready to be sent but for the time.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    bytes: Vec<u8>,
    stamps: Vec<usize>,
    messages: u64,
}

impl Request {
    /// Publishes one message.
    pub(crate) fn single(topic: &str, lane: Lane<'_>) -> Self {
        Self::new(&format!("/v1/topics/{topic}/messages"), &lane.item(), 1)
    }

    /// Publishes `count` like it in one request.
    pub(crate) fn batch(topic: &str, lane: Lane<'_>, count: usize) -> Self {
        let items = vec![lane.item(); count];
        let body = format!("[{}]", items.join(","));
        Self::new(&format!("/v1/topics/{topic}/messages"), &body, count as u64)
    }

    /// The data alone, as a webhook gets it: for an endpoint without a gateway before it.
    pub(crate) fn direct(lane: Lane<'_>) -> Self {
        Self::new("/hook", &lane.data(), 1)
    }

    fn new(path: &str, body: &str, messages: u64) -> Self {
        let text = format!(
            "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let stamps = text
            .match_indices(STAMP_LEAD)
            .map(|(at, lead)| at + lead.len())
            .collect();
        Self {
            bytes: text.into_bytes(),
            stamps,
            messages,
        }
    }
}

impl Outgoing for Request {
    fn messages(&self) -> u64 {
        self.messages
    }

    /// The request with `nanos` in every message.
    fn stamped(&mut self, nanos: u64) -> &[u8] {
        let digits = digits(nanos);
        for at in &self.stamps {
            self.bytes[*at..*at + STAMP_DIGITS].copy_from_slice(&digits);
        }
        &self.bytes
    }
}

/// The data of a message as text, with `nanos` in it.
pub(crate) fn text(nanos: u64) -> String {
    let mut data = Lane::default().data();
    let digits = String::from_utf8_lossy(&digits(nanos)).into_owned();
    data.replace_range(STAMP_LEAD.len()..STAMP_LEAD.len() + STAMP_DIGITS, &digits);
    data
}

fn digits(mut nanos: u64) -> [u8; STAMP_DIGITS] {
    let mut digits = [b'0'; STAMP_DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(nanos % 10).unwrap_or_default();
        nanos /= 10;
    }
    digits
}

/// The time in a webhook's body of the format `data`; none where it is something else.
pub(crate) fn stamp(data: &[u8]) -> Option<u64> {
    let digits = data
        .strip_prefix(STAMP_LEAD.as_bytes())?
        .get(..STAMP_DIGITS)?;
    let mut nanos = 0_u64;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        nanos = nanos
            .checked_mul(10)?
            .checked_add(u64::from(digit - b'0'))?;
    }
    Some(nanos)
}

/// Whether a webhook's body is a message of this lane.
pub(crate) fn is_of(data: &[u8], key: &str) -> bool {
    data.get(LANE_AT..).is_some_and(|rest| {
        rest.starts_with(key.as_bytes()) && matches!(rest.get(key.len()), Some(b' ' | b'"'))
    })
}

#[cfg(test)]
mod tests {
    use super::{DATA_BYTES, Lane, Outgoing as _, Request, is_of, stamp};
    use crate::bench::frame;

    fn data(request: &[u8]) -> Vec<Vec<u8>> {
        let frame = frame::read(request).expect("well formed").expect("whole");
        let body: serde_json::Value =
            serde_json::from_slice(&request[frame.head..]).expect("the body is JSON");
        let items = match body {
            serde_json::Value::Array(items) => items,
            single => vec![single],
        };
        let mut data = Vec::new();
        for item in items {
            data.push(serde_json::to_vec(&item["body"]["data"]).expect("JSON"));
        }
        data
    }

    #[test]
    fn the_time_comes_back_from_256_bytes() {
        let mut request = Request::single("t", Lane::default());
        for nanos in [0, 7, 1_234_567_890_123, u64::MAX] {
            let data = data(request.stamped(nanos));
            assert_eq!(data[0].len(), DATA_BYTES);
            assert_eq!(stamp(&data[0]), Some(nanos));
        }
        assert_eq!(stamp(b"{\"t\":\"x"), None);
    }

    #[test]
    fn every_message_of_a_batch_has_the_time() {
        let mut request = Request::batch("t", Lane::of("k"), 3);
        assert_eq!(request.messages(), 3);
        let data = data(request.stamped(99));
        let stamps: Vec<Option<u64>> = data.iter().map(|data| stamp(data)).collect();
        assert_eq!(stamps, [Some(99); 3]);
    }

    #[test]
    fn a_lane_is_told_from_one_that_begins_like_it() {
        let mut request = Request::single("t", Lane::of("a1"));
        let data = data(request.stamped(1));
        assert!(is_of(&data[0], "a1"));
        assert!(!is_of(&data[0], "a"));
        assert!(!is_of(&data[0], "a12"));
    }
}
