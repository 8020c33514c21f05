//! Chat platforms: what a message costs on each kind of channel without I/O, and how fast a gateway sends through a Feishu
//! app to a stand-in whose limits are lifted.

use crate::bench::connection::Connection;
use crate::bench::gateway::Gateway;
use crate::bench::plan::Plan;
use crate::bench::stand_in::{Counted, StandIn};
use crate::bench::table::{Grid, Row, Section, Target, figure};
use crate::bench::usage::{Meter, Usage, micros_each};
use crate::cargo;
use anyhow::{Context, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;

const PLATFORM: &str = "feishu";
const KIND: &str = "feishu-app";
const CHANNEL: &str = "chat";
/// Messages in one request.
const BATCH: u64 = 100;
/// Messages that are published and not yet taken, at most: publishing must not be what is measured.
const WINDOW: u64 = 2_000;
/// Chats, in turn: the platform's limit on one of them, which the gateway keeps, is not what is measured.
const CHATS: u64 = 20_000;
/// Far above what one process can do.
const RATE: u64 = 100_000;
/// Before it counts: the token is fetched, connections are made, and the gateway learns how many requests it may have open.
const WARM_UP: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_millis(2);
/// Nothing being taken for so long means that something is lost.
const PATIENCE: Duration = Duration::from_secs(15);
/// Of the gateway, from the issue that asks for it.
const PER_CPU_SECOND_MIN: f64 = 500.0;

/// Builds what it runs.
pub(crate) fn build() -> anyhow::Result<()> {
    cargo::run(&mut cargo::cargo(&[
        "build",
        "--release",
        "--package",
        "anser-channels",
        "--example",
        "bench",
    ]))
}

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let kinds = kinds()?;
    let data = plan.data("chat")?;
    let gateway = plan.start(&data)?;
    let mut stand = StandIn::start(&plan.binary, PLATFORM).await?;
    let mut publisher = Publisher::open(&gateway, &stand).await?;
    publisher.run(&gateway, &mut stand, WARM_UP).await?;
    let run = publisher.run(&gateway, &mut stand, plan.duration).await?;
    Ok(Section {
        name: "chat".to_owned(),
        title: format!("messages of one text through a {KIND} channel to a stand-in without limits; what each kind of channel costs"),
        rows: rows(&run, gateway.resident_mib()?),
        grids: vec![grid(&kinds)],
        notes: vec![
            format!(
                "{} messages of one text to {} chats in turn, published {BATCH} a request; all were taken, by {} requests over {} \
                 connections. The stand-in is a process of its own on the same machine and took {} µs of CPU a message.",
                figure(run.messages as f64),
                figure(CHATS as f64),
                figure(run.requests as f64),
                run.connections,
                figure(micros_each(run.stand_in, run.messages)),
            ),
            "By kind: rendering, making all requests of the plan and classifying their answers, without I/O; a message with text, \
             mention, picture, card and file; the fastest of 7 runs of a loop in one thread."
                .to_owned(),
        ],
    })
}

/// What one kind of channel costs, as `examples/bench.rs` tells it.
#[derive(Debug, Deserialize)]
struct Kind {
    kind: String,
    requests: f64,
    render_us: f64,
    request_us: f64,
    classify_us: f64,
}

fn kinds() -> anyhow::Result<Vec<Kind>> {
    let program = cargo::root().join("target/release/examples/bench");
    let text = cargo::read(&mut Command::new(program))?;
    let kinds = text.lines().map(serde_json::from_str);
    kinds
        .collect::<Result<_, _>>()
        .context("cannot read what the channels cost")
}

fn grid(kinds: &[Kind]) -> Grid {
    let head = [
        "A message, without I/O",
        "requests",
        "render, µs",
        "requests, µs",
        "answers, µs",
        "in all, µs",
    ];
    let row = |kind: &Kind| {
        let all = kind.render_us + kind.request_us + kind.classify_us;
        let values = vec![
            kind.requests,
            kind.render_us,
            kind.request_us,
            kind.classify_us,
            all,
        ];
        (kind.kind.clone(), values)
    };
    Grid {
        head: head.map(str::to_owned).to_vec(),
        rows: kinds.iter().map(row).collect(),
    }
}

/// What one run showed.
#[derive(Debug)]
struct Run {
    messages: u64,
    requests: u64,
    connections: u64,
    usage: Usage,
    stand_in: Duration,
}

fn rows(run: &Run, resident: f64) -> Vec<Row> {
    let messages = run.messages as f64;
    let (gateway, wall) = (
        run.usage.gateway.as_secs_f64(),
        run.usage.wall.as_secs_f64(),
    );
    vec![
        Row::new(
            "sent, a second of the gateway's CPU",
            Target::AtLeast(PER_CPU_SECOND_MIN),
            messages / gateway,
            "",
        ),
        Row::fact("sent, published to taken", messages / wall, "/s"),
        Row::fact(
            "gateway CPU, a message",
            micros_each(run.usage.gateway, run.messages),
            "µs",
        ),
        Row::fact("gateway, of a core", 100.0 * gateway / wall, "%"),
        Row::fact(
            "requests over one connection",
            run.requests as f64 / run.connections.max(1) as f64,
            "",
        ),
        Row::fact("gateway resident afterwards", resident, "MiB"),
    ]
}

struct Publisher {
    api: Connection,
    published: u64,
}

impl Publisher {
    /// Makes the channel.
    async fn open(gateway: &Gateway, stand: &StandIn) -> anyhow::Result<Self> {
        let mut api = Connection::open(gateway.address()).await?;
        let settings = json!({"app_id": stand.told("app_id")?, "app_secret": stand.told("app_secret")?,
            "base_url": stand.told("base_url")?});
        let channel = json!({"name": CHANNEL, "kind": KIND, "settings": settings,
            "rate": {"per_second": RATE, "burst": RATE}});
        api.post("/v1/channels", &channel).await?;
        Ok(Self { api, published: 0 })
    }

    /// Publishes for so long, and waits until all is taken.
    async fn run(
        &mut self,
        gateway: &Gateway,
        stand: &mut StandIn,
        duration: Duration,
    ) -> anyhow::Result<Run> {
        let (first, before, cpu) = (self.published, stand.counted().await?, stand.cpu()?);
        let meter = Meter::begin(Some(gateway.pid()))?;
        let (mut seen, mut seen_at) = (before.accepted, Duration::ZERO);
        loop {
            let counted = stand.counted().await?;
            let wall = meter.read()?.wall;
            if counted.accepted > seen {
                (seen, seen_at) = (counted.accepted, wall);
            }
            let waiting = self.published - counted.accepted;
            let over = wall >= duration;
            if over && waiting == 0 {
                let usage = meter.read()?;
                let stand_in = stand.cpu()?.saturating_sub(cpu);
                return Ok(self.ended(first, before, counted, usage, stand_in));
            }
            if wall.saturating_sub(seen_at) > PATIENCE {
                bail!("{waiting} of {} messages were not taken", self.published);
            }
            if over || waiting >= WINDOW {
                tokio::time::sleep(LOOK).await;
            } else {
                self.publish().await?;
            }
        }
    }

    fn ended(
        &self,
        first: u64,
        before: Counted,
        after: Counted,
        usage: Usage,
        stand_in: Duration,
    ) -> Run {
        Run {
            messages: self.published - first,
            requests: after.requests - before.requests,
            // Those that were made earlier are still used; one is ours.
            connections: after.connections.saturating_sub(1),
            usage,
            stand_in,
        }
    }

    async fn publish(&mut self) -> anyhow::Result<()> {
        let items: Vec<Value> = (0..BATCH).map(|n| item(self.published + n)).collect();
        self.api.post("/v1/messages", &items.into()).await?;
        self.published += BATCH;
        Ok(())
    }
}

fn item(number: u64) -> Value {
    let to = format!("{CHANNEL}/oc_bench{:06}", number % CHATS);
    let text = format!("Order {number} was paid and goes out today.");
    json!({"header": {"to": [to]}, "body": {"segments": [{"type": "text", "text": text}]}})
}
