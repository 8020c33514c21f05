//! `anser serve`: the life of the process around a node. One line on standard output when it is ready, and exit code 0
//! after SIGTERM or Ctrl-C. Must not put anything together itself.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::node::Node;
use super::settings::{Flags, Settings};
use super::{runtime, telemetry};
use crate::output;

/// Runs the gateway until it is told to stop.
pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let settings = Settings::load(flags)?;
    telemetry::start(&settings.log)?;
    runtime::raise_descriptor_limit();
    let runtime = runtime::build(settings.runtime.workers)?;
    let served = runtime.block_on(serve(&settings));
    // What still runs, after a second signal only, is not waited for.
    runtime.shutdown_background();
    served
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    let node = Node::start(settings).await?;
    tracing::info!(
        data = %settings.data.display(),
        dev = settings.dev,
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    output::line(&format!(
        "listening on {}://{}",
        node.scheme(),
        node.address()
    ));
    let (stopping, asked) = tokio::sync::oneshot::channel::<()>();
    let stop = async {
        // Completes when the other half is dropped.
        drop(asked.await);
    };
    let mut running = Box::pin(node.run(stop));
    tokio::select! {
        ended = &mut running => return ended,
        () = signals.next() => {}
    }
    tracing::info!(
        "stopping: requests and attempts under way may finish; a second signal ends at once"
    );
    drop(stopping);
    tokio::select! {
        ended = &mut running => ended,
        () = signals.next() => Err(anyhow::anyhow!(
            "ended at once, on the second signal; what was accepted is safe"
        )),
    }
}

/// What asks the process to stop.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
