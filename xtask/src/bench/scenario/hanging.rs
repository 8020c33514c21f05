//! Isolation: half of the endpoints stop answering; what the others notice.

use crate::bench::clock::Clock;
use crate::bench::gateway::{Folder, Gateway};
use crate::bench::load;
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::setup;
use crate::bench::stats::Latencies;
use crate::bench::table::{Row, Section, Target, figure};
use anyhow::{Context, bail};
use std::sync::{Arc, mpsc};
use std::time::Duration;

/// Messages a second, to every endpoint in turn.
const PER_SECOND: u32 = 1_000;
const PATIENCE: Duration = Duration::from_secs(10);
const WARM_UP: Duration = Duration::from_secs(2);

/// Where a folder is in memory on Linux.
const MEMORY: &str = "/dev/shm";

/// Runs it, with the data on disk and in memory: what the disk does now and then hits about as many messages as the 99th
/// percentile leaves out, so that only the second says what the hanging ones do to the others.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let on_disk = measure(plan, &plan.data("hanging")?).await?;
    let folder = format!("{MEMORY}/anser-bench-{}", std::process::id());
    let in_memory = match Folder::create(folder.into()) {
        Ok(data) => Some(measure(plan, &data).await?),
        Err(_) => None,
    };
    let mut rows = Vec::new();
    for (measured, place) in [
        (in_memory.as_ref(), "in memory"),
        (Some(&on_disk), "on disk"),
    ] {
        if let Some(measured) = measured {
            rows.extend(measured.rows(place));
        }
    }
    Ok(Section {
        name: "hanging".to_owned(),
        title: format!(
            "half of {} endpoints stop answering; {} messages a second to all in turn, publish → received of the others",
            plan.endpoints,
            figure(f64::from(PER_SECOND))
        ),
        rows,
        grids: Vec::new(),
        notes: vec![format!(
            "Twice {} s without and {} s with, on each; {} requests were left without an answer. \
             Setting up {} topics, channels and subscriptions took {:.1} s.",
            plan.hanging.0.as_secs(),
            plan.hanging.1.as_secs(),
            figure(on_disk.hung as f64),
            figure(plan.endpoints as f64),
            on_disk.set_up
        )],
    })
}

/// What one gateway did.
struct Measured {
    /// While all answer, twice: how much they differ by themselves.
    without: [Latencies; 2],
    with: Latencies,
    hung: u64,
    set_up: f64,
    resident_mib: f64,
}

impl Measured {
    fn rows(&self, place: &str) -> Vec<Row> {
        let [before, without] = &self.without;
        let ratio = self.with.p99_ms() / without.p99_ms();
        let alone = without.p99_ms() / before.p99_ms();
        let fact =
            |what: &str, value, unit| Row::fact(&format!("{what}, data {place}"), value, unit);
        vec![
            Row::new(
                &format!("99th percentile, with / without, data {place}"),
                Target::AtMost(2.0),
                ratio,
                "×",
            ),
            fact("the same between the two runs without", alone, "×"),
            fact("99th percentile while all answer", without.p99_ms(), "ms"),
            fact("99th percentile while half hang", self.with.p99_ms(), "ms"),
            fact("median while all answer", without.p50_ms(), "ms"),
            fact("median while half hang", self.with.p50_ms(), "ms"),
            fact("gateway resident afterwards", self.resident_mib, "MiB"),
        ]
    }
}

async fn measure(plan: &Plan, data: &Folder) -> anyhow::Result<Measured> {
    let gateway = plan.start(data)?;
    let (healthy, sick) = (Sink::new(plan.clock), Sink::new(plan.clock));
    let setting_up = Clock::start();
    let apart = Apart::start()?;
    let (requests, _endpoints) = build(plan, &gateway, &healthy, (&sick, &apart)).await?;
    let set_up = setting_up.elapsed().as_secs_f64();
    let phase = |duration| publish(plan, &gateway, &requests, &healthy, duration);
    phase(WARM_UP).await?;
    let without = [phase(plan.hanging.0).await?, phase(plan.hanging.0).await?];
    sick.hang();
    let with = phase(plan.hanging.1).await?;
    Ok(Measured {
        without,
        with,
        hung: sick.hung(),
        set_up,
        resident_mib: gateway.resident_mib()?,
    })
}

/// A thread for the endpoints that will hang: elsewhere they would be other machines, and what it takes to accept their
/// connections must not count as the latency of those that answer.
struct Apart {
    runtime: tokio::runtime::Handle,
    _end: mpsc::Sender<()>,
}

impl Apart {
    fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .context("cannot start a second runtime")?;
        let handle = runtime.handle().clone();
        let (end, ended) = mpsc::channel();
        std::thread::spawn(move || {
            // Ends when the other half is dropped.
            let _ = ended.recv();
            runtime.shutdown_background();
        });
        Ok(Self {
            runtime: handle,
            _end: end,
        })
    }

    async fn listen(&self, sink: &Arc<Sink>) -> anyhow::Result<Vec<Endpoint>> {
        let sink = Arc::clone(sink);
        self.runtime
            .spawn(async move { Endpoint::listen_all(&sink, 1).await })
            .await
            .context("an endpoint did not start")?
    }
}

/// An endpoint, a channel, a subscription and a topic each; every second one will hang.
async fn build(
    plan: &Plan,
    gateway: &Gateway,
    healthy: &Arc<Sink>,
    (sick, apart): (&Arc<Sink>, &Apart),
) -> anyhow::Result<(Vec<Request>, Vec<Vec<Endpoint>>)> {
    let (mut requests, mut endpoints) = (Vec::new(), Vec::new());
    for index in 0..plan.endpoints {
        let topic = format!("t{index}");
        let endpoint = if index % 2 == 0 {
            Endpoint::listen_all(healthy, 1).await?
        } else {
            apart.listen(sick).await?
        };
        setup::route(gateway.address(), &topic, &endpoint).await?;
        requests.push(Request::single(&topic, Lane::default()));
        endpoints.push(endpoint);
    }
    Ok((requests, endpoints))
}

/// Publishes for a while and waits for what the healthy ones should get: every second message, beginning with the first.
async fn publish(
    plan: &Plan,
    gateway: &Gateway,
    requests: &[Request],
    healthy: &Sink,
    duration: Duration,
) -> anyhow::Result<Latencies> {
    let before = healthy.received();
    healthy.take_latencies();
    let published = load::open_loop(
        gateway.address(),
        requests,
        PER_SECOND,
        duration,
        plan.clock,
    )
    .await?;
    if published.overloads > 0 {
        bail!(
            "{} publishes were refused because of overload",
            published.overloads
        );
    }
    let expected = published.messages.div_ceil(2);
    if !load::drained(healthy, before + expected, PATIENCE, plan.clock).await {
        let came = healthy.received() - before;
        bail!("{came} of {expected} deliveries to healthy endpoints came");
    }
    Ok(healthy.take_latencies())
}
