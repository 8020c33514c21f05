//! One user writes to another, at a fixed rate whatever the server does: the time until it is there.

use super::{Flow, System, idle};
use crate::bench::clock::Clock;
use crate::bench::payload;
use crate::bench::plan::Plan;
use crate::bench::stats::Latencies;
use crate::bench::usage::{Meter, micros_each};
use crate::bench::wire::{Came, Client, Wire};
use anyhow::{Context, bail};
use std::time::Duration;
use tokio::task::JoinSet;

/// Those who write, and as many who read.
pub(super) const PAIRS: usize = 50;
/// Messages of all together.
pub(super) const PER_SECOND: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(10);

/// Writes for as long as the plan says.
pub(super) async fn run(plan: &Plan, system: System<'_>, wire: Wire) -> anyhow::Result<Flow> {
    let server = system.start(plan)?;
    let mut readers = idle::open(wire, server.place(), 2 * PAIRS).await?;
    let writers = readers.split_off(PAIRS);
    let period = Duration::from_secs(1) * u32::try_from(PAIRS)? / PER_SECOND;
    let each = plan.duration.as_nanos() / period.as_nanos();
    let each = u64::try_from(each)?;
    let meter = Meter::begin(Some(server.pid()))?;
    let (mut reading, mut writing) = (JoinSet::new(), JoinSet::new());
    for reader in readers {
        reading.spawn(read(reader, plan.clock, each));
    }
    let begin = plan.clock.elapsed();
    for (number, writer) in writers.into_iter().enumerate() {
        let first = begin + period * u32::try_from(number)? / u32::try_from(PAIRS)?;
        let times = Times {
            clock: plan.clock,
            first,
            period,
            each,
        };
        writing.spawn(times.write(writer, idle::user(number)));
    }
    let mut latencies = Latencies::default();
    let all = async {
        while let Some(written) = writing.join_next().await {
            written.context("a writer ended early")??;
        }
        while let Some(read) = reading.join_next().await {
            for nanos in read.context("a reader ended early")?? {
                latencies.record(nanos);
            }
        }
        anyhow::Ok(())
    };
    let within = plan.duration + PATIENCE;
    let Ok(all) = tokio::time::timeout(within, all).await else {
        bail!("not everything came within {} s", within.as_secs());
    };
    all?;
    let usage = meter.read()?;
    let count = latencies.count();
    Ok(Flow {
        per_second: count as f64 / usage.wall.as_secs_f64(),
        server_micros: micros_each(usage.gateway, count),
        harness_micros: micros_each(usage.harness, count),
        latencies,
    })
}

/// When one writes.
#[derive(Clone, Copy)]
struct Times {
    clock: Clock,
    first: Duration,
    period: Duration,
    each: u64,
}

impl Times {
    async fn write(self, mut client: Client, to: String) -> anyhow::Result<()> {
        let mut at = self.first;
        for _ in 0..self.each {
            tokio::time::sleep(at.saturating_sub(self.clock.elapsed())).await;
            // From when it was to be sent: a server that is late makes the next ones late.
            let data = payload::text(u64::try_from(at.as_nanos())?);
            let frame = format!(
                "{{\"message\":{{\"header\":{{\"to\":[\"user:{to}\"],\"type\":\"bench.event\"}},\"body\":{{\"data\":{data}}}}}}}"
            );
            client.ask("publish", &frame).await?;
            while client.next().await? != Came::Answer {}
            at += self.period;
        }
        Ok(())
    }
}

/// How long each message took.
async fn read(mut client: Client, clock: Clock, count: u64) -> anyhow::Result<Vec<u64>> {
    let mut nanos = Vec::new();
    while (nanos.len() as u64) < count {
        if let Came::Message(stamp) = client.next().await? {
            nanos.push(clock.nanos().saturating_sub(stamp));
        }
    }
    Ok(nanos)
}
