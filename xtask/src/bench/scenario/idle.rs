//! What a gateway with nothing to do takes: memory, processor, disk, and the time until it is up.

use crate::bench::load;
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::process;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::setup;
use crate::bench::table::{Row, Section, Target};
use crate::bench::usage::Meter;
use anyhow::{Context, bail};
use std::time::Duration;

const TOPIC: &str = "bench";
/// After its start and a little work it comes to rest.
const SETTLING: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let mut starts = Vec::new();
    for _ in 0..plan.starts {
        let data = plan.data("start")?;
        let gateway = plan.start(&data)?;
        starts.push(gateway.start_time().as_secs_f64() * 1e3);
    }
    starts.sort_by(f64::total_cmp);
    let (Some(best), Some(worst)) = (starts.first(), starts.last()) else {
        bail!("no start at all");
    };

    let data = plan.data("idle")?;
    let gateway = plan.start(&data)?;
    let sink = Sink::new(plan.clock);
    let endpoints = Endpoint::listen_all(&sink, 1).await?;
    setup::route(gateway.address(), TOPIC, &endpoints).await?;
    let requests = [Request::single(TOPIC, Lane::default())];
    let second = Duration::from_secs(1);
    let published = load::open_loop(gateway.address(), &requests, 10, second, plan.clock).await?;
    load::drained(&sink, published.messages, PATIENCE, plan.clock).await;
    tokio::time::sleep(SETTLING).await;
    let meter = Meter::begin(Some(gateway.pid()))?;
    tokio::time::sleep(plan.idle).await;
    let usage = meter.read()?;
    let share = 100.0 * usage.gateway.as_secs_f64() / usage.wall.as_secs_f64();
    let binary = std::fs::metadata(&plan.binary).context("cannot see the binary")?;
    let rows = vec![
        Row::new(
            "resident",
            Target::AtMost(20.0),
            gateway.resident_mib()?,
            "MiB",
        ),
        Row::fact(
            "of that its own, not pages of files",
            process::anonymous(gateway.pid())? as f64 / 1024.0 / 1024.0,
            "MiB",
        ),
        Row::new("of a core", Target::AtMost(0.5), share, "%"),
        Row::new(
            "cold start on an empty folder",
            Target::AtMost(300.0),
            *best,
            "ms",
        ),
        Row::new(
            "binary",
            Target::AtMost(50.0),
            binary.len() as f64 / 1e6,
            "MB",
        ),
        Row::fact("threads", process::threads(gateway.pid())? as f64, ""),
    ];
    Ok(Section {
        name: "idle".to_owned(),
        title: "one topic, one webhook, nothing to do".to_owned(),
        rows,
        grids: Vec::new(),
        notes: vec![
            format!(
                "The best of {} starts, the slowest took {worst:.0} ms; watched for {} s.",
                starts.len(),
                plan.idle.as_secs()
            ),
            "Pages of files are those of the binary and its libraries: the kernel maps them ahead and can take them back."
                .to_owned(),
        ],
    })
}
