//! Isolation and memory: very many deliveries behind one blocked key; what other lanes notice, and a restart with them.

use crate::bench::gateway::Gateway;
use crate::bench::load::{self, ClosedLoop, Published};
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::receiver::{BLOCKED_KEY, Endpoint, Sink};
use crate::bench::setup;
use crate::bench::stats::Latencies;
use crate::bench::table::{Row, Section, Target, figure};
use crate::bench::usage::{Meter, Usage, micros_each};
use anyhow::bail;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "bench";
/// The most the message format lets into one request.
const BATCH: u64 = 1_000;
const BATCH_PUBLISHERS: u64 = 4;
/// After this no more is published; what is there then counts.
const FILL_LIMIT: Duration = Duration::from_secs(120);
const WARM_UP: Duration = Duration::from_secs(1);
/// How long other lanes are measured each time.
const LOOK: Duration = Duration::from_secs(4);
const PER_SECOND: u32 = 200;
/// Lanes that are not blocked.
const LANES: usize = 100;
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let data = plan.data("blocked")?;
    let gateway = plan.start(&data)?;
    let sink = Sink::new(plan.clock);
    let endpoints = Endpoint::listen_all(&sink, 1).await?;
    setup::route(gateway.address(), TOPIC, &endpoints).await?;
    let requests = other_lanes();
    look(plan, &gateway, &sink, &requests, WARM_UP).await?;
    let without = look(plan, &gateway, &sink, &requests, LOOK).await?;
    let (backlog, filling) = fill(plan, &gateway, &sink).await?;
    let with = look(plan, &gateway, &sink, &requests, LOOK).await?;
    let resident_before = gateway.resident_mib()?;
    let (tries_before, stopping) = (sink.refused(), gateway.stop().await?);

    let gateway = plan.start(&data)?;
    let resident_at_start = gateway.resident_mib()?;
    let after = look(plan, &gateway, &sink, &requests, LOOK).await?;
    let found = Found {
        backlog,
        filling,
        without,
        with,
        after,
        resident_before,
        resident_at_start,
        resident_after: gateway.resident_mib()?,
        tries: (tries_before, sink.refused() - tries_before),
        stopping,
        start: gateway.start_time(),
    };
    Ok(found.section())
}

/// What came out.
#[derive(Debug)]
struct Found {
    backlog: Published,
    filling: Usage,
    /// Latencies of the other lanes: before there is a backlog, with it, with it after the restart.
    without: Latencies,
    with: Latencies,
    after: Latencies,
    /// MiB, at the same times.
    resident_before: f64,
    resident_at_start: f64,
    resident_after: f64,
    /// Of the blocked head, before and after the restart.
    tries: (u64, u64),
    stopping: Duration,
    start: Duration,
}

impl Found {
    fn section(&self) -> Section {
        let messages = figure(self.backlog.messages as f64);
        Section {
            name: "blocked".to_owned(),
            title: format!(
                "{messages} deliveries behind one key whose head is refused; {PER_SECOND} messages a second on \
                 {LANES} other lanes"
            ),
            rows: self.rows(),
            grids: Vec::new(),
            notes: vec![format!(
                "Published {BATCH} a request in {:.0} s. The blocked head was tried {} times before the restart and {} \
                 times after. Stopping took {:.1} s.",
                self.filling.wall.as_secs_f64(),
                self.tries.0,
                self.tries.1,
                self.stopping.as_secs_f64()
            )],
        }
    }

    fn rows(&self) -> Vec<Row> {
        let p99 = self.with.p99_ms() / self.without.p99_ms();
        let p50 = self.with.p50_ms() / self.without.p50_ms();
        let start = self.start.as_secs_f64();
        let cpu = micros_each(self.filling.gateway, self.backlog.messages);
        vec![
            Row::new(
                "other lanes, 99th percentile, with / without",
                Target::AtMost(2.0),
                p99,
                "×",
            ),
            Row::fact("other lanes, median, with / without", p50, "×"),
            Row::fact(
                "other lanes, 99th percentile without",
                self.without.p99_ms(),
                "ms",
            ),
            Row::fact(
                "other lanes, 99th percentile with",
                self.with.p99_ms(),
                "ms",
            ),
            Row::fact("gateway CPU to store one of them", cpu, "µs"),
            Row::fact("gateway resident with them", self.resident_before, "MiB"),
            Row::new(
                "restart with them, until it listens",
                Target::AtMost(5.0),
                start,
                "s",
            ),
            Row::fact(
                "gateway resident when it listens again",
                self.resident_at_start,
                "MiB",
            ),
            Row::new(
                "gateway resident after more work",
                Target::AtMost(300.0),
                self.resident_after,
                "MiB",
            ),
            Row::fact(
                "other lanes, 99th percentile after the restart",
                self.after.p99_ms(),
                "ms",
            ),
        ]
    }
}

fn other_lanes() -> Vec<Request> {
    let mut requests = Vec::new();
    for lane in 0..LANES {
        requests.push(Request::single(TOPIC, Lane::of(&format!("lane{lane}"))));
    }
    requests
}

/// Publishes to the other lanes for a while.
async fn look(
    plan: &Plan,
    gateway: &Gateway,
    sink: &Sink,
    requests: &[Request],
    duration: Duration,
) -> anyhow::Result<Latencies> {
    let before = sink.received();
    sink.take_latencies();
    let published = load::open_loop(
        gateway.address(),
        requests,
        PER_SECOND,
        duration,
        plan.clock,
    )
    .await?;
    let expected = published.messages;
    if !load::drained(sink, before + expected, PATIENCE, plan.clock).await {
        let came = sink.received() - before;
        bail!("{came} of {expected} deliveries on other lanes came");
    }
    Ok(sink.take_latencies())
}

/// Publishes the backlog.
async fn fill(
    plan: &Plan,
    gateway: &Gateway,
    sink: &Arc<Sink>,
) -> anyhow::Result<(Published, Usage)> {
    let backlog = usize::try_from(plan.backlog)?;
    // None of them arrives, so that the window has to hold them all.
    sink.open_window(2 * backlog);
    let request = Request::batch(TOPIC, Lane::of(BLOCKED_KEY), usize::try_from(BATCH)?);
    let closed_loop = ClosedLoop {
        gateway: gateway.address(),
        requests: vec![request; usize::try_from(BATCH_PUBLISHERS)?],
        deliveries: 1,
        duration: FILL_LIMIT,
        requests_max: plan.backlog / BATCH / BATCH_PUBLISHERS,
    };
    let meter = Meter::begin(Some(gateway.pid()))?;
    let published = closed_loop.run(plan.clock, sink).await?;
    Ok((published, meter.read()?))
}
