//! What very many consumers cost that wait for a message: memory, processor, and the time until one of them has it.

use crate::bench::gateway::Gateway;
use crate::bench::plan::Plan;
use crate::bench::rabbit::Rabbit;
use crate::bench::scenario::queue::work::{self, Consumer, Producer};
use crate::bench::scenario::queue::{broker, cmq};
use crate::bench::signed::{Caller, Credentials};
use crate::bench::stats::Latencies;
use crate::bench::usage::Meter;
use anyhow::{Context, bail};
use std::time::Duration;
use tokio::task::JoinSet;

/// Consumers that wait.
pub(crate) const POLLS: usize = 1_000;
/// The protocol's longest wait.
const WAIT_SECONDS: &str = "30";
/// No consumer may run into the end of its wait while it is watched.
const WATCHED_MAX: Duration = Duration::from_secs(15);
/// Until all of them wait and the server has come to rest.
const SETTLING: Duration = Duration::from_secs(2);
/// Messages that are sent to the waiting ones, one after the other.
const WOKEN: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// What was found; memory in MiB.
#[derive(Debug)]
pub(crate) struct Found {
    /// Before any of them was connected.
    pub(crate) before: f64,
    /// While they wait.
    pub(crate) waiting: f64,
    /// After they are gone.
    pub(crate) after: f64,
    /// Of a processor, in percent, while they wait.
    pub(crate) share: f64,
    /// From sending to receiving, with all the others waiting on.
    pub(crate) latencies: Latencies,
}

/// Long polls through the CMQ door.
pub(crate) async fn gateway(
    plan: &Plan,
    gateway: &Gateway,
    who: &Credentials,
) -> anyhow::Result<Found> {
    const QUEUE: &str = "bench-polls";
    let address = gateway.address();
    cmq::create(address, who, QUEUE).await?;
    let before = gateway.resident_mib()?;
    let mut polls = JoinSet::new();
    for _ in 0..POLLS {
        let mut caller = Caller::open(address, who).await?;
        let clock = plan.clock;
        polls.spawn(async move {
            let parameters = [("queueName", QUEUE), ("pollingWaitSeconds", WAIT_SECONDS)];
            let answer = caller.call("ReceiveMessage", &parameters).await?;
            let answer = answer.context("a poll ended before its message came")?;
            let bodies = crate::bench::signed::texts(answer, "msgBody")?;
            let sent = work::stamp(bodies.first().context("no body")?.as_bytes())?;
            anyhow::Ok(clock.nanos().saturating_sub(sent))
        });
    }
    let (waiting, share) = watch(plan, gateway.pid(), || gateway.resident_mib()).await?;
    // Only now: a connection that says nothing at first is closed after 15 s.
    let mut producer = cmq::Client::open(address, who, QUEUE, 1).await?;
    let latencies = wake(plan, &mut producer, &mut polls).await?;
    polls.shutdown().await;
    tokio::time::sleep(SETTLING).await;
    Ok(Found {
        before,
        waiting,
        after: gateway.resident_mib()?,
        share,
        latencies,
    })
}

/// Consumers of the broker's that get nothing.
pub(crate) async fn broker(plan: &Plan, rabbit: &Rabbit) -> anyhow::Result<Found> {
    const QUEUE: &str = "bench-polls";
    let mut producer = broker::Publisher::open(rabbit.address(), QUEUE, 1).await?;
    let before = rabbit.resident_mib()?;
    let mut polls = JoinSet::new();
    for _ in 0..POLLS {
        let mut consumer = broker::Subscriber::open(rabbit.address(), QUEUE, 1).await?;
        let clock = plan.clock;
        polls.spawn(async move {
            let taken = consumer.receive().await?;
            let first = taken.first().context("no message")?;
            let nanos = clock.nanos().saturating_sub(first.sent);
            consumer.delete(&[first.handle]).await?;
            consumer.close().await?;
            anyhow::Ok(nanos)
        });
    }
    let (waiting, share) = watch(plan, rabbit.pid()?, || rabbit.resident_mib()).await?;
    let latencies = wake(plan, &mut producer, &mut polls).await?;
    polls.shutdown().await;
    tokio::time::sleep(SETTLING).await;
    Ok(Found {
        before,
        waiting,
        after: rabbit.resident_mib()?,
        share,
        latencies,
    })
}

async fn watch(
    plan: &Plan,
    pid: u32,
    resident: impl Fn() -> anyhow::Result<f64>,
) -> anyhow::Result<(f64, f64)> {
    tokio::time::sleep(SETTLING).await;
    let meter = Meter::begin(Some(pid))?;
    tokio::time::sleep(plan.idle.min(WATCHED_MAX)).await;
    let usage = meter.read()?;
    let share = 100.0 * usage.gateway.as_secs_f64() / usage.wall.as_secs_f64();
    Ok((resident()?, share))
}

/// One message after the other, each received before the next is sent.
async fn wake<P: Producer>(
    plan: &Plan,
    producer: &mut P,
    polls: &mut JoinSet<anyhow::Result<u64>>,
) -> anyhow::Result<Latencies> {
    let mut latencies = Latencies::default();
    for _ in 0..WOKEN {
        producer.send(&[work::body(plan.clock.nanos())]).await?;
        producer.settle().await?;
        let woken = tokio::time::timeout(PATIENCE, polls.join_next()).await;
        match woken.context("a message woke nobody")? {
            Some(nanos) => latencies.record(nanos.context("a consumer ended early")??),
            None => bail!("nobody waits any more"),
        }
    }
    Ok(latencies)
}
