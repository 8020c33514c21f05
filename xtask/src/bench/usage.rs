//! Processor time of the gateway and of the harness over the same stretch of time.

use crate::bench::clock::Clock;
use crate::bench::process;
use std::time::Duration;

/// A stretch that has begun.
#[derive(Debug)]
pub(crate) struct Meter {
    gateway: Option<u32>,
    gateway_cpu: Duration,
    harness_cpu: Duration,
    clock: Clock,
}

/// What it took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Of the gateway's process.
    pub(crate) gateway: Duration,
    /// Of ours.
    pub(crate) harness: Duration,
    /// Of everybody.
    pub(crate) wall: Duration,
}

impl Meter {
    /// Begins, with the gateway's process or without one.
    pub(crate) fn begin(gateway: Option<u32>) -> anyhow::Result<Self> {
        Ok(Self {
            gateway,
            gateway_cpu: gateway.map_or(Ok(Duration::ZERO), process::cpu)?,
            harness_cpu: process::cpu(std::process::id())?,
            clock: Clock::start(),
        })
    }

    /// What it took until now.
    pub(crate) fn read(&self) -> anyhow::Result<Usage> {
        let wall = self.clock.elapsed();
        let gateway = self.gateway.map_or(Ok(Duration::ZERO), process::cpu)?;
        let harness = process::cpu(std::process::id())?;
        Ok(Usage {
            gateway: gateway.saturating_sub(self.gateway_cpu),
            harness: harness.saturating_sub(self.harness_cpu),
            wall,
        })
    }
}

/// Microseconds each.
pub(crate) fn micros_each(time: Duration, count: u64) -> f64 {
    time.as_secs_f64() * 1e6 / count as f64
}
