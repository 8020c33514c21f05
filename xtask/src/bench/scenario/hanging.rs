//! Isolation: half of the endpoints stop answering; what the others notice.

use crate::bench::clock::Clock;
use crate::bench::gateway::Gateway;
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

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let data = plan.data("hanging")?;
    let gateway = plan.start(&data)?;
    let (healthy, sick) = (Sink::new(plan.clock), Sink::new(plan.clock));
    let setting_up = Clock::start();
    let apart = Apart::start()?;
    let (requests, _endpoints) = build(plan, &gateway, &healthy, (&sick, &apart)).await?;
    let set_up = setting_up.elapsed().as_secs_f64();
    let phase = |duration| publish(plan, &gateway, &requests, &healthy, duration);
    phase(WARM_UP).await?;
    let without = phase(plan.hanging.0).await?;
    sick.hang();
    let with = phase(plan.hanging.1).await?;
    let ratio = with.p99_ms() / without.p99_ms();
    let rows = vec![
        Row::new(
            "99th percentile, with / without",
            Target::AtMost(2.0),
            ratio,
            "×",
        ),
        Row::fact("99th percentile while all answer", without.p99_ms(), "ms"),
        Row::fact("99th percentile while half hang", with.p99_ms(), "ms"),
        Row::fact("median while all answer", without.p50_ms(), "ms"),
        Row::fact("median while half hang", with.p50_ms(), "ms"),
        Row::fact(
            "gateway resident afterwards",
            gateway.resident_mib()?,
            "MiB",
        ),
    ];
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
            "{} s without and {} s with; {} requests were left without an answer. \
             Setting up {} topics, channels and subscriptions took {set_up:.1} s.",
            plan.hanging.0.as_secs(),
            plan.hanging.1.as_secs(),
            figure(sick.hung() as f64),
            figure(plan.endpoints as f64)
        )],
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
