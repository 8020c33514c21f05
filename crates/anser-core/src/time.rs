//! Points in time as the gateway uses them: UTC, millisecond resolution, RFC 3339 in JSON. Must not read a clock.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A UTC instant in milliseconds since 1970-01-01T00:00:00Z. In JSON an RFC 3339 date-time with three decimals and `Z`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The largest instant taken from outside, 9999-12-31T00:00:00Z, so that sums with any duration never overflow.
pub const TIMESTAMP_MS_MAX: i64 = 253_402_214_400_000;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self(0);
    /// Later than every instant taken from outside.
    pub const FAR_FUTURE: Self = Self(TIMESTAMP_MS_MAX);

    /// From milliseconds since the Unix epoch, clamped to the years 1970 to 9999.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        if millis < 0 {
            Self(0)
        } else if millis > TIMESTAMP_MS_MAX {
            Self(TIMESTAMP_MS_MAX)
        } else {
            Self(millis)
        }
    }

    /// Milliseconds since the Unix epoch, never negative.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch.
    #[must_use]
    pub const fn seconds(self) -> i64 {
        self.0 / 1000
    }

    /// This instant moved later; stops at [`TIMESTAMP_MS_MAX`].
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_add(millis))
    }

    /// This instant moved earlier; stops at the epoch.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        let millis = i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        Self::from_millis(self.0.saturating_sub(millis))
    }

    /// The time from `earlier` to this instant, zero when `earlier` is the later one.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let instant =
            jiff::Timestamp::from_millisecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        write!(f, "{instant:.3}")
    }
}

/// The text is no RFC 3339 date-time between the years 1970 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be an RFC 3339 date-time between 1970 and 9999, such as 2026-11-23T01:00:00Z")]
pub struct InvalidTimestamp;

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    fn from_str(text: &str) -> Result<Self, InvalidTimestamp> {
        let instant: jiff::Timestamp = text.parse().map_err(|_| InvalidTimestamp)?;
        let millis = instant.as_millisecond();
        if !(0..=TIMESTAMP_MS_MAX).contains(&millis) {
            return Err(InvalidTimestamp);
        }
        Ok(Self(millis))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Timestamp".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "format": "date-time", "description": "RFC 3339 date-time, kept to the millisecond, UTC"})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_rfc_3339() {
        for (text, written) in [
            ("2026-11-23T01:00:00Z", "2026-11-23T01:00:00.000Z"),
            ("2026-11-23T09:00:00.1234+08:00", "2026-11-23T01:00:00.123Z"),
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000Z"),
        ] {
            let parsed: Timestamp = text.parse().unwrap();
            assert_eq!(parsed.to_string(), written);
            assert_eq!(written.parse::<Timestamp>().unwrap(), parsed);
        }
        for bad in [
            "",
            "2026-11-23",
            "1969-12-31T23:59:59Z",
            "soon",
            "+12000-01-01T00:00:00Z",
        ] {
            assert!(bad.parse::<Timestamp>().is_err(), "{bad}");
        }
    }

    #[test]
    fn arithmetic_stops_at_the_ends() {
        assert_eq!(
            Timestamp::FAR_FUTURE.plus(Duration::MAX),
            Timestamp::FAR_FUTURE
        );
        assert_eq!(Timestamp::EPOCH.minus(Duration::MAX), Timestamp::EPOCH);
        assert_eq!(
            Timestamp::EPOCH.since(Timestamp::FAR_FUTURE),
            Duration::ZERO
        );
    }
}
