//! The clock handle. Everything that needs the time is given a [`Clock`]; only [`SystemClock`] reads the machine's.

use std::sync::Mutex;
use std::time::Duration;

use crate::time::Timestamp;

/// A source of wall time and of monotonic time.
pub trait Clock: Send + Sync {
    /// The wall time now. May step backwards when the machine's clock is set.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary origin of this clock; never steps backwards. For measuring durations.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    origin: std::time::Instant,
}

impl SystemClock {
    /// A clock whose monotonic origin is now.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    pub fn new() -> Self {
        Self {
            origin: std::time::Instant::now(),
        }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap_or_default();
        Timestamp::EPOCH.plus(since_epoch)
    }

    fn monotonic(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// A clock that moves only when told to, for tests and simulations.
#[derive(Debug)]
pub struct ManualClock {
    now: Mutex<(Timestamp, Duration)>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self {
            now: Mutex::new((now, Duration::ZERO)),
        }
    }

    /// Moves wall and monotonic time on.
    pub fn advance(&self, by: Duration) {
        let mut now = self.lock();
        now.0 = now.0.plus(by);
        now.1 += by;
    }

    /// Sets the wall time, also backwards, as an operator or NTP would; monotonic time is left alone.
    pub fn set(&self, to: Timestamp) {
        self.lock().0 = to;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.now
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.lock().0
    }

    fn monotonic(&self) -> Duration {
        self.lock().1
    }
}
