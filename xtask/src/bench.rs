//! Measures the release build against the targets of the design, with publishers and receivers of its own.
//!
//! This file chooses what is run and prints it. It decides nothing about landing: a missed target does not fail the
//! command, only what could not be measured does. The harness shares the machine with the gateway, so it runs as a
//! release build itself, in one thread.

mod amqp;
mod callback;
mod clock;
mod connection;
mod document;
mod frame;
mod gateway;
mod load;
mod payload;
mod peer;
mod plan;
mod process;
mod rabbit;
mod receiver;
mod scenario;
mod setup;
mod signed;
mod stand_in;
mod stats;
mod table;
mod usage;
mod wire;

use crate::cargo;
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use plan::Plan;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::time::Duration;
use table::Section;
use tokio::signal::unix::{SignalKind, signal};

/// No scenario may take longer.
const SCENARIO_LIMIT: Duration = Duration::from_secs(200);
/// Sockets of the harness at most: 1,000 endpoints with as many connections as the gateway opens to each, and some.
const DESCRIPTORS_WANTED: u64 = 16_384;

/// What to run.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// A look of about a minute and a half: shorter, smaller, once each; writes no document
    #[arg(long)]
    quick: bool,
    /// Only these; writes no document unless told to
    #[arg(long, value_enum, num_args = 1.., value_name = "NAME")]
    only: Vec<Name>,
    /// With --only: their sections take the place of the old ones in docs/benchmarks.md
    #[arg(long, requires = "only", conflicts_with = "quick")]
    record: bool,
    /// How long each throughput run publishes
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: Option<u64>,
}

/// The scenarios, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Name {
    Floor,
    Single,
    Batch,
    FanOut,
    Steady,
    Idle,
    Hanging,
    Blocked,
    Queue,
    Chat,
    Callbacks,
    Live,
}

impl Name {
    async fn run(self, plan: &Plan, named: bool) -> anyhow::Result<Section> {
        match self {
            Self::Floor => scenario::floor::run(plan).await,
            Self::Single => scenario::throughput::single(plan).await,
            Self::Batch => scenario::throughput::batch(plan).await,
            Self::FanOut => scenario::throughput::fan_out(plan).await,
            Self::Steady => scenario::steady::run(plan).await,
            Self::Idle => scenario::idle::run(plan).await,
            Self::Hanging => scenario::hanging::run(plan).await,
            Self::Blocked => scenario::blocked::run(plan).await,
            Self::Queue => scenario::queue::run(plan, named).await,
            Self::Chat => scenario::chat::run(plan).await,
            Self::Callbacks => scenario::callbacks::run(plan).await,
            Self::Live => scenario::live::run(plan).await,
        }
    }

    fn text(self) -> String {
        self.to_possible_value()
            .map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

/// Builds the gateway, measures, prints; a full run also writes `docs/benchmarks.md`.
pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    if cfg!(debug_assertions) {
        return run_in_release(options);
    }
    cargo::run(&mut cargo::cargo(&[
        "build",
        "--release",
        "--package",
        "anser",
    ]))?;
    if options.only.is_empty() || options.only.contains(&Name::Chat) {
        scenario::chat::build()?;
    }
    raise_descriptor_limit()?;
    let target = cargo::root().join("target");
    let (binary, folder) = (target.join("release/anser"), target.join("bench"));
    let mut plan = if options.quick {
        Plan::quick(binary, folder)
    } else {
        Plan::full(binary, folder)
    };
    if let Some(seconds) = options.seconds {
        plan.duration = Duration::from_secs(seconds);
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(measure(options, &plan))
}

/// The same command as an optimised program.
fn run_in_release(options: &Options) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["run", "--release", "--quiet", "--package", "xtask", "--"]);
    command.args(arguments(options));
    cargo::run(&mut command)
}

fn arguments(options: &Options) -> Vec<String> {
    let mut arguments = vec!["bench".to_owned()];
    if options.quick {
        arguments.push("--quick".to_owned());
    }
    if options.record {
        arguments.push("--record".to_owned());
    }
    if let Some(seconds) = options.seconds {
        arguments.extend(["--seconds".to_owned(), seconds.to_string()]);
    }
    for name in &options.only {
        arguments.extend(["--only".to_owned(), name.text()]);
    }
    arguments
}

async fn measure(options: &Options, plan: &Plan) -> anyhow::Result<()> {
    let load_before = load_average();
    let (mut sections, mut failed) = (Vec::new(), Vec::new());
    for name in Name::value_variants() {
        if !options.only.is_empty() && !options.only.contains(name) {
            continue;
        }
        let section = match bounded(*name, plan, !options.only.is_empty()).await? {
            Ok(section) => section,
            Err(error) => {
                failed.push(name.text());
                Section::failed(name.text(), &error)
            }
        };
        println!("{}", section.text());
        sections.push(section);
    }
    let load = format!(
        "Load average before: {load_before}; after, with the benchmark's own: {}.",
        load_average()
    );
    if !options.quick && options.only.is_empty() {
        let command = format!("cargo xtask {}", arguments(options).join(" "));
        document::write(&command, &sections, &load)?;
    }
    if options.record && failed.is_empty() {
        document::record(&sections, &load)?;
    }
    if !failed.is_empty() {
        bail!("not measured: {}", failed.join(", "));
    }
    Ok(())
}

/// Runs one scenario; fails as a whole when we are told to stop, so that its gateway is killed on the way out.
/// Whoever names it has asked for what it needs from outside.
async fn bounded(name: Name, plan: &Plan, named: bool) -> anyhow::Result<anyhow::Result<Section>> {
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let scenario = tokio::time::timeout(SCENARIO_LIMIT, Box::pin(name.run(plan, named)));
    tokio::select! {
        result = scenario => Ok(match result {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("not done after {} s", SCENARIO_LIMIT.as_secs())),
        }),
        _ = interrupted.recv() => bail!("interrupted"),
        _ = terminated.recv() => bail!("terminated"),
    }
}

fn load_average() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace()
        .next()
        .unwrap_or("unknown")
        .to_owned()
}

/// Every endpoint and connection is a descriptor of ours too.
fn raise_descriptor_limit() -> anyhow::Result<()> {
    let now = getrlimit(Resource::Nofile);
    let wanted = DESCRIPTORS_WANTED.min(now.maximum.unwrap_or(u64::MAX));
    if now.current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum: now.maximum,
        };
        setrlimit(Resource::Nofile, raised).context("cannot raise the limit on open files")?;
    }
    // As the gateway does, and for the same reason: the pause would be counted as its latency.
    let highest = i32::try_from(wanted.saturating_sub(1)).unwrap_or(i32::MAX);
    rustix::io::fcntl_dupfd_cloexec(std::io::stderr(), highest)
        .context("cannot enlarge the table of open files")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Name, Options, arguments};
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_release_build_is_asked_for_the_same() {
        let line = [
            "bench",
            "--record",
            "--seconds",
            "3",
            "--only",
            "floor",
            "fan-out",
        ];
        let first = Line::parse_from(line).options;
        let again = Line::parse_from(arguments(&first)).options;
        assert!(again.record);
        assert_eq!(again.seconds, Some(3));
        assert_eq!(again.only, [Name::Floor, Name::FanOut]);
    }
}
