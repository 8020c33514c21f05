//! Identifiers: the message id that receivers dedupe on, and the numbers that the store gives out.

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::random::Random;
use crate::time::Timestamp;

/// A message's id: a UUIDv7 (RFC 9562 §5.7), the same on retries, replays and every subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    /// From the 16 bytes as stored.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The 16 bytes, in an order that is the ids' order.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// The smallest id that a message accepted at `time` can have; for searches by time.
    #[must_use]
    pub fn lowest_at(time: Timestamp) -> Self {
        Self(
            uuid::Builder::from_unix_timestamp_millis(time.millis().cast_unsigned(), &[0; 10])
                .into_uuid(),
        )
    }

    /// The time in the id: when the message was accepted, in milliseconds, or a little later within a busy one.
    #[must_use]
    pub fn time(self) -> Timestamp {
        let bytes = self.0.as_bytes();
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&bytes[..6]);
        Timestamp::from_millis(i64::from_be_bytes(millis))
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

/// The text is no id of the expected form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of this kind")]
pub struct InvalidId;

impl FromStr for MessageId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.len() != 36 {
            return Err(InvalidId);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| InvalidId)
    }
}

impl JsonSchema for MessageId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "MessageId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "uuid", "description": "UUIDv7"})
    }
}

/// Makes message ids that only ever rise, whatever the clock does.
#[derive(Debug)]
pub struct IdGenerator {
    last: Mutex<(u64, u16)>,
}

/// Ids made within one millisecond before the generator runs ahead of the clock: the 12 bits of `rand_a` (RFC 9562 §6.2).
const COUNTER_MAX: u16 = 0x0FFF;

impl IdGenerator {
    /// A generator whose ids are all greater than `highest`, the greatest id stored so far.
    #[must_use]
    pub fn above(highest: Option<MessageId>) -> Self {
        let last = highest.map_or((0, 0), |id| {
            let bytes = id.as_bytes();
            let counter = u16::from_be_bytes([bytes[6], bytes[7]]) & COUNTER_MAX;
            (id.time().millis().cast_unsigned(), counter)
        });
        Self {
            last: Mutex::new(last),
        }
    }

    /// The next id, greater than every one before it.
    pub fn next(&self, now: Timestamp, random: &dyn Random) -> MessageId {
        let (millis, counter) = self.advance(now.millis().cast_unsigned());
        let mut bytes = [0; 10];
        random.fill(&mut bytes);
        bytes[..2].copy_from_slice(&counter.to_be_bytes());
        MessageId(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
    }

    fn advance(&self, now: u64) -> (u64, u16) {
        let mut last = self
            .last
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        *last = match *last {
            (millis, _) if now > millis => (now, 0),
            (millis, counter) if counter < COUNTER_MAX => (millis, counter + 1),
            (millis, _) => (millis + 1, 0),
        };
        *last
    }
}

/// The store's number of a message: unique per installation, rising in commit order; also its `seq` on its topic
/// (strictly increasing per topic, gaps allowed). Starts at 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Num(pub u64);

impl Num {
    /// The first number that is never given out: a delivery's number and its receipts must fit 64 bits.
    pub const END: Self = Self(1 << (u64::BITS - DELIVERY_INDEX_BITS - RECEIPT_BITS));
}

/// The internal number of a topic, channel, subscription or key: unique over all kinds and never reused, so that a
/// re-created name adopts nothing of its predecessor. Starts at 1.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct ResourceId(pub u64);

/// Bits of a delivery's number that count the deliveries of one message.
const DELIVERY_INDEX_BITS: u32 = 17;

/// A delivery's number: the message's number and the delivery's place among that message's deliveries.
/// Written `dlv_` and decimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(u64);

impl DeliveryId {
    /// The `index`-th delivery of message `num`.
    ///
    /// # Panics
    /// When `index` has more than 17 bits or `num` is past [`Num::END`]: the store refuses both earlier.
    #[must_use]
    pub fn new(num: Num, index: u32) -> Self {
        assert!(
            index < 1 << DELIVERY_INDEX_BITS && num <= Num::END,
            "delivery number out of range"
        );
        Self(num.0 << DELIVERY_INDEX_BITS | u64::from(index))
    }

    /// From the number as stored.
    #[must_use]
    pub const fn from_u64(number: u64) -> Self {
        Self(number)
    }

    /// The number as stored; fits 63 bits.
    #[must_use]
    pub const fn as_u64(self) -> u64 {
        self.0
    }

    /// The message it delivers.
    #[must_use]
    pub const fn num(self) -> Num {
        Num(self.0 >> DELIVERY_INDEX_BITS)
    }

    /// Its place among the message's deliveries, from 0.
    #[must_use]
    pub const fn index(self) -> u32 {
        (self.0 & ((1 << DELIVERY_INDEX_BITS) - 1)) as u32
    }
}

/// Bits of a receipt that tell one lease of a delivery from its earlier ones.
const RECEIPT_BITS: u32 = 5;

/// What a consumer holds while it has leased a message: which delivery, and by which of its receives. Void once the
/// lease has ended or the message was received again. 64 bits, written as decimal digits: Tencent CMQ's clients take a
/// receipt handle for an unsigned 64-bit number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt(u64);

impl Receipt {
    /// The receipt of a delivery's `receives`-th receive.
    ///
    /// # Panics
    /// When the delivery's number is past [`Num::END`]: the store gives out no such number.
    #[must_use]
    pub fn new(delivery: DeliveryId, receives: u32) -> Self {
        assert!(delivery.num() < Num::END, "receipt out of range");
        Self(delivery.0 << RECEIPT_BITS | Self::mark(receives))
    }

    /// Which delivery.
    #[must_use]
    pub const fn delivery(self) -> DeliveryId {
        DeliveryId(self.0 >> RECEIPT_BITS)
    }

    /// Whether it is of the `receives`-th receive (or of one 32 receives apart, whose lease has long ended).
    #[must_use]
    pub fn is_of(self, receives: u32) -> bool {
        self.0 & Self::mark(u32::MAX) == Self::mark(receives)
    }

    fn mark(receives: u32) -> u64 {
        u64::from(receives) & ((1 << RECEIPT_BITS) - 1)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for Receipt {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidId);
        }
        text.parse().map(Self).map_err(|_| InvalidId)
    }
}

impl Serialize for Receipt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Receipt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Receipt {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Receipt".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^[0-9]{1,20}$", "description": "Decimal digits"})
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "dlv_{}", self.0)
    }
}

impl FromStr for DeliveryId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let digits = text.strip_prefix("dlv_").ok_or(InvalidId)?;
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(InvalidId);
        }
        let number: u64 = digits.parse().map_err(|_| InvalidId)?;
        if number >= 1 << 63 {
            Err(InvalidId)
        } else {
            Ok(Self(number))
        }
    }
}

impl Serialize for DeliveryId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DeliveryId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for DeliveryId {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "DeliveryId".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "pattern": "^dlv_[0-9]{1,19}$"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_receipt_is_of_one_receive_of_one_delivery() {
        let delivery = DeliveryId::new(Num(Num::END.0 - 1), (1 << 17) - 1);
        let receipt = Receipt::new(delivery, 3);
        assert_eq!(receipt.delivery(), delivery);
        assert!(receipt.is_of(3) && !receipt.is_of(2) && !receipt.is_of(4));
        assert_eq!(receipt.to_string().parse(), Ok(receipt));
        for bad in ["", "x", "+1", "-1", " 1", "18446744073709551616"] {
            assert_eq!(bad.parse::<Receipt>(), Err(InvalidId), "{bad}");
        }
    }
    use crate::random::SeededRandom;

    #[test]
    fn ids_rise_when_the_clock_stands_or_steps_back() {
        let random = SeededRandom::new(7);
        let ids = IdGenerator::above(None);
        let mut last = ids.next(Timestamp::from_millis(1_000_000), &random);
        for step in 0..20_000_i64 {
            let id = ids.next(Timestamp::from_millis(1_000_000 - step), &random);
            assert!(id > last);
            last = id;
        }
        let restarted = IdGenerator::above(Some(last));
        assert!(restarted.next(Timestamp::from_millis(5), &random) > last);
    }

    #[test]
    fn an_id_carries_its_time_and_sorts_with_the_bounds() {
        let time = Timestamp::from_millis(1_763_859_600_000);
        let id = IdGenerator::above(None).next(time, &SeededRandom::new(1));
        assert_eq!(id.time(), time);
        assert!(
            MessageId::lowest_at(time) <= id
                && id < MessageId::lowest_at(Timestamp::from_millis(time.millis() + 1))
        );
        assert_eq!(id.to_string().parse::<MessageId>().unwrap(), id);
        assert!(
            "019aacf07c007a319a4e4b1f0c2d9e10"
                .parse::<MessageId>()
                .is_err()
        );
    }

    #[test]
    fn delivery_numbers_hold_message_and_place() {
        let id = DeliveryId::new(Num(12_345), 99_999);
        assert_eq!((id.num(), id.index()), (Num(12_345), 99_999));
        assert_eq!(id.to_string().parse::<DeliveryId>().unwrap(), id);
        for bad in ["dlv_", "dlv_-1", "dlv_9223372036854775808", "1", "dlv_+1"] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad}");
        }
    }
}
