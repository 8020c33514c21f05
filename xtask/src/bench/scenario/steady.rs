//! Latency at a rate that leaves the gateway idle most of the time, beside what one fdatasync costs on the same disk.

use crate::bench::clock::Clock;
use crate::bench::load;
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::setup;
use crate::bench::stats::Latencies;
use crate::bench::table::{Row, Section, Target};
use crate::bench::usage::{Meter, micros_each};
use anyhow::{Context, bail};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

const TOPIC: &str = "bench";
const PER_SECOND: u32 = 200;
const WARM_UP: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);
/// What SQLite's log writes for a small commit is about this.
const PROBE_BYTES: usize = 8 * 1024;
const PROBE_SYNCS_MAX: usize = 1_000;
const PROBE_LIMIT: Duration = Duration::from_secs(1);

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let data = plan.data("steady")?;
    let gateway = plan.start(&data)?;
    let sink = Sink::new(plan.clock);
    let endpoints = Endpoint::listen_all(&sink, 1).await?;
    setup::route(gateway.address(), TOPIC, &endpoints).await?;
    let requests = [Request::single(TOPIC, Lane::default())];
    let warm = load::open_loop(
        gateway.address(),
        &requests,
        PER_SECOND,
        WARM_UP,
        plan.clock,
    )
    .await?;
    load::drained(&sink, warm.messages, PATIENCE, plan.clock).await;
    sink.take_latencies();
    let before = probe(data.path())?;
    let duration = plan.duration * 2;
    let meter = Meter::begin(Some(gateway.pid()))?;
    let published = load::open_loop(
        gateway.address(),
        &requests,
        PER_SECOND,
        duration,
        plan.clock,
    )
    .await?;
    let expected = warm.messages + published.messages;
    if !load::drained(&sink, expected, PATIENCE, plan.clock).await {
        bail!("{} of {expected} deliveries came", sink.received());
    }
    let usage = meter.read()?;
    let after = probe(data.path())?;
    let latencies = sink.take_latencies();
    let cpu = micros_each(usage.gateway, published.messages);
    let rows = vec![
        Row::new(
            "publish → received, median",
            Target::AtMost(1.3),
            latencies.p50_ms(),
            "ms",
        ),
        Row::fact(
            "publish → received, 99th percentile",
            latencies.p99_ms(),
            "ms",
        ),
        Row::fact(
            "publish → answered, median",
            published.answers.p50_ms(),
            "ms",
        ),
        Row::fact("fdatasync before, median", before.p50_ms(), "ms"),
        Row::fact("fdatasync before, 99th percentile", before.p99_ms(), "ms"),
        Row::fact("fdatasync after, median", after.p50_ms(), "ms"),
        Row::fact("fdatasync after, 99th percentile", after.p99_ms(), "ms"),
        Row::fact("gateway CPU, a message", cpu, "µs"),
    ];
    Ok(Section {
        name: "steady".to_owned(),
        title: format!("{PER_SECOND} messages a second, one webhook"),
        rows,
        grids: Vec::new(),
        notes: vec![format!(
            "The probe appends {PROBE_BYTES} bytes and syncs them, again and again, in the folder of the data."
        )],
    })
}

/// How long the disk takes to make a small append durable.
fn probe(folder: &Path) -> anyhow::Result<Latencies> {
    let path = folder.join("probe");
    let mut file = std::fs::File::create(&path).context("cannot make the probe's file")?;
    let block = vec![0x5a_u8; PROBE_BYTES];
    let mut latencies = Latencies::default();
    let all = Clock::start();
    for _ in 0..PROBE_SYNCS_MAX {
        if all.elapsed() > PROBE_LIMIT {
            break;
        }
        let one = Clock::start();
        file.write_all(&block).context("cannot write the probe")?;
        file.sync_data().context("cannot sync the probe")?;
        latencies.record(one.nanos());
    }
    std::fs::remove_file(&path).context("cannot remove the probe's file")?;
    Ok(latencies)
}
