//! What platforms send in: verified, decrypted, appended and answered, as fast as it goes and at a rate that leaves the
//! gateway idle most of the time, with a webhook behind it and without.

use crate::bench::callback::{Callback, Platform};
use crate::bench::connection::Connection;
use crate::bench::gateway::Gateway;
use crate::bench::load::{self, ClosedLoop, PUBLISHERS};
use crate::bench::plan::Plan;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::setup;
use crate::bench::stats::Latencies;
use crate::bench::table::{Grid, Section};
use crate::bench::usage::{Meter, micros_each};
use anyhow::{Context, bail};
use std::sync::Arc;
use std::time::Duration;

const NAME: &str = "callbacks";
const TOPIC: &str = "talk";
const PER_SECOND: u32 = 200;
const WARM_UP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// What the rows are called, in the order of [`Column::values`].
const ROWS: [&str; 12] = [
    "verified and appended, /s",
    "gateway CPU, a callback, µs",
    "harness CPU, a callback, µs",
    "at full speed: sent → answered, median, ms",
    "… 99th percentile, ms",
    "at 200/s: sent → answered, median, ms",
    "… 99th percentile, ms",
    "… gateway CPU, a callback, µs",
    "at 200/s with a webhook: sent → answered, median, ms",
    "… 99th percentile, ms",
    "… sent → received by the webhook, median, ms",
    "… 99th percentile, ms",
];

/// What was measured of one platform.
struct Column {
    fast: Fast,
    alone: Steady,
    beside: Steady,
}

/// As fast as it goes.
struct Fast {
    per_second: f64,
    gateway_micros: f64,
    harness_micros: f64,
    answers: Latencies,
}

/// At a fixed rate.
struct Steady {
    gateway_micros: f64,
    answers: Latencies,
    received: Latencies,
}

impl Column {
    fn values(&self) -> [f64; ROWS.len()] {
        let Self {
            fast,
            alone,
            beside,
        } = self;
        [
            fast.per_second,
            fast.gateway_micros,
            fast.harness_micros,
            fast.answers.p50_ms(),
            fast.answers.p99_ms(),
            alone.answers.p50_ms(),
            alone.answers.p99_ms(),
            alone.gateway_micros,
            beside.answers.p50_ms(),
            beside.answers.p99_ms(),
            beside.received.p50_ms(),
            beside.received.p99_ms(),
        ]
    }
}

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut columns = Vec::new();
    for platform in Platform::ALL {
        columns.push(Column {
            fast: fast(plan, platform).await?,
            alone: steady(plan, platform, 0).await?,
            beside: steady(plan, platform, 1).await?,
        });
    }
    let heads = Platform::ALL.map(|platform| platform.title().to_owned());
    let rows = ROWS.iter().enumerate().map(|(at, what)| {
        let values = columns.iter().map(|column| column.values()[at]).collect();
        ((*what).to_owned(), values)
    });
    Ok(Section {
        name: NAME.to_owned(),
        title: format!(
            "messages of 256 bytes of text from a platform, over {PUBLISHERS} connections or {PER_SECOND} a second"
        ),
        rows: Vec::new(),
        grids: vec![Grid {
            head: std::iter::once("callbacks".to_owned()).chain(heads).collect(),
            rows: rows.collect(),
        }],
        notes: vec![
            format!(
                "At full speed the run with the least gateway CPU of {}; nothing is subscribed there.",
                plan.repeats
            ),
            "The harness encrypts and signs each callback itself, within the time that is measured.".to_owned(),
        ],
    })
}

/// A gateway with the platform's channel, and so many webhooks behind its topic.
async fn gateway(
    plan: &Plan,
    folder: &std::path::Path,
    platform: Platform,
    endpoints: &[Endpoint],
) -> anyhow::Result<Gateway> {
    let gateway = Gateway::start(&plan.binary, folder)?;
    setup::route(gateway.address(), TOPIC, endpoints).await?;
    let mut api = Connection::open(gateway.address()).await?;
    api.post("/v1/channels", &platform.channel(TOPIC)).await?;
    Ok(gateway)
}

async fn fast(plan: &Plan, platform: Platform) -> anyhow::Result<Fast> {
    let data = plan.data(NAME)?;
    let gateway = gateway(plan, data.path(), platform, &[]).await?;
    let sink = Sink::new(plan.clock);
    once(plan, platform, &gateway, &sink, WARM_UP).await?;
    let mut runs = Vec::new();
    for _ in 0..plan.repeats {
        runs.push(once(plan, platform, &gateway, &sink, plan.duration).await?);
    }
    runs.sort_by(|left, right| left.gateway_micros.total_cmp(&right.gateway_micros));
    runs.into_iter().next().context("no run at all")
}

async fn once(
    plan: &Plan,
    platform: Platform,
    gateway: &Gateway,
    sink: &Arc<Sink>,
    duration: Duration,
) -> anyhow::Result<Fast> {
    let closed_loop = ClosedLoop {
        gateway: gateway.address(),
        requests: Callback::of(platform, PUBLISHERS),
        deliveries: 0,
        duration,
        requests_max: u64::MAX,
    };
    let meter = Meter::begin(Some(gateway.pid()))?;
    let published = closed_loop.run(plan.clock, sink).await?;
    let usage = meter.read()?;
    if published.overloads > 0 {
        bail!("{} callbacks were put off", published.overloads);
    }
    Ok(Fast {
        per_second: published.messages as f64 / usage.wall.as_secs_f64(),
        gateway_micros: micros_each(usage.gateway, published.messages),
        harness_micros: micros_each(usage.harness, published.messages),
        answers: published.answers,
    })
}

async fn steady(plan: &Plan, platform: Platform, webhooks: u64) -> anyhow::Result<Steady> {
    let data = plan.data(NAME)?;
    let sink = Sink::new(plan.clock);
    let endpoints = Endpoint::listen_all(&sink, usize::try_from(webhooks)?).await?;
    let gateway = gateway(plan, data.path(), platform, &endpoints).await?;
    let callbacks = Callback::of(platform, PUBLISHERS);
    let address = gateway.address();
    let warm = load::open_loop(address, &callbacks, PER_SECOND, WARM_UP, plan.clock).await?;
    load::drained(&sink, warm.messages * webhooks, PATIENCE, plan.clock).await;
    sink.take_latencies();
    let meter = Meter::begin(Some(gateway.pid()))?;
    let duration = plan.duration * 2;
    let published = load::open_loop(address, &callbacks, PER_SECOND, duration, plan.clock).await?;
    let expected = (warm.messages + published.messages) * webhooks;
    if !load::drained(&sink, expected, PATIENCE, plan.clock).await || sink.faults() > 0 {
        let (came, faults) = (sink.received(), sink.faults());
        bail!("{came} of {expected} deliveries came, {faults} were not what was sent in");
    }
    let usage = meter.read()?;
    Ok(Steady {
        gateway_micros: micros_each(usage.gateway, published.messages),
        answers: published.answers,
        received: sink.take_latencies(),
    })
}
