//! As fast as it goes: single publishes, batches, fan-out. What counts is processor time for each delivery.

use crate::bench::gateway::Gateway;
use crate::bench::load::{self, ClosedLoop, PUBLISHERS};
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::setup;
use crate::bench::stats::Latencies;
use crate::bench::table::{Row, Section, Target, figure};
use crate::bench::usage::{Meter, micros_each};
use anyhow::bail;
use std::sync::Arc;
use std::time::Duration;

const TOPIC: &str = "bench";
/// Before it is measured, the gateway learns how many requests the endpoint takes at once.
const WARM_UP: Duration = Duration::from_millis(1_500);
/// Nothing arriving for so long means that something is lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// Deliveries under way at most, where publishing can outrun delivery: else we measure how long a queue can get.
const WINDOW: usize = 10_000;
/// Where it cannot, since each publisher waits for its answer: only a bound.
const WINDOW_WIDE: usize = 1_000_000;
const BATCH: usize = 100;
const FAN_OUT: usize = 10;

/// One way to publish.
#[derive(Clone, Debug)]
struct Shape {
    name: &'static str,
    title: String,
    request: Request,
    endpoints: usize,
    window: usize,
    cpu: f64,
    rate: f64,
    /// Median and 99th percentile, where they have targets.
    latency: Option<(f64, f64)>,
}

/// Single publishes to one webhook.
pub(crate) async fn single(plan: &Plan) -> anyhow::Result<Section> {
    let shape = Shape {
        name: "single",
        title: format!("{PUBLISHERS} publishers, one message a request, one webhook"),
        request: Request::single(TOPIC, Lane::default()),
        endpoints: 1,
        window: WINDOW_WIDE,
        cpu: 60.0,
        rate: 14_000.0,
        latency: Some((2.0, 6.0)),
    };
    measure(plan, shape).await
}

/// Batches to one webhook, delivered one by one.
pub(crate) async fn batch(plan: &Plan) -> anyhow::Result<Section> {
    let shape = Shape {
        name: "batch",
        title: format!(
            "{PUBLISHERS} publishers, {BATCH} messages a request, one webhook, delivered one by one"
        ),
        request: Request::batch(TOPIC, Lane::default(), BATCH),
        endpoints: 1,
        window: WINDOW,
        cpu: 22.0,
        rate: 42_000.0,
        latency: None,
    };
    measure(plan, shape).await
}

/// Every message to ten webhooks.
pub(crate) async fn fan_out(plan: &Plan) -> anyhow::Result<Section> {
    let shape = Shape {
        name: "fan-out",
        title: format!(
            "{PUBLISHERS} publishers, one message a request, {FAN_OUT} webhooks each; figures for a delivery"
        ),
        request: Request::single(TOPIC, Lane::default()),
        endpoints: FAN_OUT,
        window: WINDOW,
        cpu: 24.0,
        rate: 35_000.0,
        latency: None,
    };
    measure(plan, shape).await
}

/// What one run showed; times are for a delivery.
#[derive(Debug)]
struct Run {
    deliveries: u64,
    per_second: f64,
    gateway_micros: f64,
    harness_micros: f64,
    latencies: Latencies,
    answers: Latencies,
    overloads: u64,
}

impl Run {
    fn ratio(&self) -> f64 {
        self.gateway_micros / self.harness_micros
    }
}

async fn measure(plan: &Plan, shape: Shape) -> anyhow::Result<Section> {
    let data = plan.data(shape.name)?;
    let gateway = plan.start(&data)?;
    let sink = Sink::new(plan.clock);
    let endpoints = Endpoint::listen_all(&sink, shape.endpoints).await?;
    setup::route(gateway.address(), TOPIC, &endpoints).await?;
    run(plan, &shape, &gateway, &sink, WARM_UP).await?;
    let mut runs = Vec::new();
    for _ in 0..plan.repeats {
        runs.push(run(plan, &shape, &gateway, &sink, plan.duration).await?);
    }
    runs.sort_by(|left, right| left.gateway_micros.total_cmp(&right.gateway_micros));
    let resident = gateway.resident_mib()?;
    let Some(best) = runs.first() else {
        bail!("no run at all");
    };
    let mut rows = rows(&shape, best);
    rows.push(Row::fact("gateway resident afterwards", resident, "MiB"));
    let notes = notes(&runs);
    Ok(Section {
        name: shape.name.to_owned(),
        title: shape.title,
        rows,
        grids: Vec::new(),
        notes,
    })
}

async fn run(
    plan: &Plan,
    shape: &Shape,
    gateway: &Gateway,
    sink: &Arc<Sink>,
    duration: Duration,
) -> anyhow::Result<Run> {
    let before = sink.received();
    sink.take_latencies();
    sink.open_window(shape.window);
    let closed_loop = ClosedLoop {
        gateway: gateway.address(),
        requests: vec![shape.request.clone(); PUBLISHERS],
        deliveries: shape.endpoints as u64,
        duration,
        requests_max: u64::MAX,
    };
    let begun = plan.clock.nanos();
    let meter = Meter::begin(Some(gateway.pid()))?;
    let published = closed_loop.run(plan.clock, sink).await?;
    let deliveries = published.messages * shape.endpoints as u64;
    let all = load::drained(sink, before + deliveries, PATIENCE, plan.clock).await;
    let usage = meter.read()?;
    if !all || sink.faults() > 0 {
        let came = sink.received() - before;
        bail!(
            "{came} of {deliveries} deliveries came, {} were not what was published",
            sink.faults()
        );
    }
    let seconds = (sink.last_nanos() - begun) as f64 / 1e9;
    Ok(Run {
        deliveries,
        per_second: deliveries as f64 / seconds,
        gateway_micros: micros_each(usage.gateway, deliveries),
        harness_micros: micros_each(usage.harness, deliveries),
        latencies: sink.take_latencies(),
        answers: published.answers,
        overloads: published.overloads,
    })
}

fn rows(shape: &Shape, best: &Run) -> Vec<Row> {
    let mut rows = vec![
        Row::new(
            "gateway CPU, a delivery",
            Target::AtMost(shape.cpu),
            best.gateway_micros,
            "µs",
        ),
        Row::new(
            "delivered, end to end",
            Target::AtLeast(shape.rate),
            best.per_second,
            "/s",
        ),
        Row::fact("harness CPU, a delivery", best.harness_micros, "µs"),
        Row::fact("gateway CPU / harness CPU", best.ratio(), ""),
    ];
    let (p50, p99) = (best.latencies.p50_ms(), best.latencies.p99_ms());
    let targets = match shape.latency {
        Some((p50, p99)) => (Target::AtMost(p50), Target::AtMost(p99)),
        None => (Target::None, Target::None),
    };
    rows.push(Row::new("publish → received, median", targets.0, p50, "ms"));
    rows.push(Row::new(
        "publish → received, 99th percentile",
        targets.1,
        p99,
        "ms",
    ));
    rows.push(Row::fact(
        "publish → answered, median",
        best.answers.p50_ms(),
        "ms",
    ));
    rows.push(Row::fact(
        "publish → answered, 99th percentile",
        best.answers.p99_ms(),
        "ms",
    ));
    rows
}

fn notes(runs: &[Run]) -> Vec<String> {
    let mut notes = Vec::new();
    if let [_, .., _] = runs {
        let each: Vec<String> = runs
            .iter()
            .map(|run| {
                let (cpu, rate, ratio) = (run.gateway_micros, run.per_second, run.ratio());
                format!(
                    "{} µs, {}/s, ratio {}",
                    figure(cpu),
                    figure(rate),
                    figure(ratio)
                )
            })
            .collect();
        notes.push(format!(
            "The run with the least gateway CPU of {}: {}.",
            runs.len(),
            each.join("; ")
        ));
    }
    let deliveries: u64 = runs.iter().map(|run| run.deliveries).sum();
    let overloads: u64 = runs.iter().map(|run| run.overloads).sum();
    notes.push(format!(
        "{} deliveries, none lost; {overloads} publishes were put off because of overload.",
        figure(deliveries as f64)
    ));
    notes
}
