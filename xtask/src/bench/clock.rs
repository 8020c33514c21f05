//! The machine's clock, for measuring. Nothing the product does may depend on it.

use std::time::{Duration, Instant, SystemTime};

/// Nanoseconds since one moment of this process: small enough to write into a message and to subtract.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// A clock that begins at zero.
    pub(crate) fn start() -> Self {
        Self(now())
    }

    /// Nanoseconds since the start; lasts for 584 years.
    pub(crate) fn nanos(self) -> u64 {
        u64::try_from(self.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Time since the start.
    pub(crate) fn elapsed(self) -> Duration {
        now() - self.0
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a benchmark measures real time; no test looks at the result"
)]
fn now() -> Instant {
    Instant::now()
}

/// Unix time in seconds, as requests are signed with.
#[expect(
    clippy::disallowed_methods,
    reason = "a signature and a document have to carry the real time"
)]
pub(crate) fn unix_seconds() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

/// Today's date, UTC, as `2026-11-23`.
pub(crate) fn today() -> String {
    let (year, month, day) = civil(unix_seconds() / 86_400);
    format!("{year:04}-{month:02}-{day:02}")
}

/// The civil date of a day counted from 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::civil;

    #[test]
    fn days_become_dates() {
        assert_eq!(civil(0), (1970, 1, 1));
        assert_eq!(civil(11_016), (2000, 2, 29));
        assert_eq!(civil(20_780), (2026, 11, 23));
    }
}
