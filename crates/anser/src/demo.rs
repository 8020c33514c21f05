//! `anser demo`: the newcomer's first minute. One process with a gateway, three receivers of which two are in trouble for
//! a while, traffic through the real HTTP API, and a verdict from what the receivers got. Must not reach into the
//! gateway: it sees what any client sees.

mod gauge;
mod port;
mod receiver;
mod screen;
mod tally;
mod traffic;
mod verdict;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::{Clock, SystemClock};
use anyhow::Context as _;
use clap::Args;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::client::{Api, Remote};
use crate::exit::Failure;
use crate::output::Output;
use crate::server::node::Node;
use crate::server::settings::Settings;
use crate::server::{runtime, telemetry};
use gauge::Gauge;
use port::Script;
use receiver::Receivers;
use screen::{Scene, Screen};
use tally::Tally;

/// How long after the planned end the last deliveries may take: longer than the longest pause between two attempts
/// that the troubles can cause.
const GRACE: Duration = Duration::from_secs(20);
/// How often the scene is looked at.
const FRAME: Duration = Duration::from_millis(100);

/// How long to play.
#[derive(Debug, Args)]
pub(crate) struct DemoArguments {
    /// About how long it takes.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(5..=3600))]
    seconds: u64,
}

impl DemoArguments {
    /// Plays, and judges.
    pub(crate) fn run(&self, output: &Output) -> Result<(), Failure> {
        let folder = tempfile::Builder::new()
            .prefix("anser-demo-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let settings = Settings::for_demo(folder.path())?;
        telemetry::start(&settings.log)?;
        runtime::raise_descriptor_limit();
        let runtime = runtime::build(settings.runtime.workers)?;
        let played = runtime.block_on(async {
            tokio::select! {
                played = self.play(&settings, output) => played,
                _ = tokio::signal::ctrl_c() => Err(Failure::Here(anyhow::anyhow!("interrupted; there is no verdict"))),
            }
        });
        runtime.shutdown_timeout(GRACE);
        played
    }

    async fn play(&self, settings: &Settings, output: &Output) -> Result<(), Failure> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let script = Script::new(Duration::from_secs(self.seconds));
        let tally = Arc::new(Tally::new(Arc::clone(&clock)));
        let receivers = Receivers::new(script, Arc::clone(&tally)).await?;
        let node = Node::start(settings).await?;
        let server = format!("{}://{}", node.scheme(), node.address());
        let api = api(&server)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let mut gateway = JoinSet::new();
        gateway.spawn(node.run(async { drop(stopped.await) }));
        traffic::configure(&api, &receivers).await?;
        let mut tasks = JoinSet::new();
        receivers.open(&mut tasks);
        tasks.spawn(traffic::publish(
            api.clone(),
            Arc::clone(&tally),
            script.traffic(),
        ));
        let scene = Scene { server, script };
        let mut screen = Screen::new(output, &scene);
        let gauge = watch(&api, &tally, &scene, &mut screen).await?;
        drop(stop);
        while let Some(ended) = gateway.join_next().await {
            ended.context("the gateway broke off")??;
        }
        tasks.shutdown().await;
        screen.close();
        verdict::tell(output, &tally.snapshot(), &gauge, &scene)
    }
}

/// Shows the scene until everything has arrived, or until nothing more can be expected.
async fn watch(
    api: &Api,
    tally: &Tally,
    scene: &Scene,
    screen: &mut Screen,
) -> Result<Gauge, Failure> {
    let mut frames = tokio::time::interval(FRAME);
    loop {
        frames.tick().await;
        let gauge = Gauge::read(api).await?;
        let snapshot = tally.snapshot();
        screen.show(scene, &snapshot, &gauge);
        let arrived =
            snapshot.finished() && gauge.waiting == 0 && gauge.delivered >= snapshot.due();
        if arrived || snapshot.elapsed > scene.script.length + GRACE {
            return Ok(gauge);
        }
    }
}

fn api(server: &str) -> Result<Api, Failure> {
    let server = server.parse().context("the gateway's address is none")?;
    Api::new(&Remote {
        server,
        key: None,
        ca: None,
    })
}

impl Settings {
    /// The defaults, on loopback, with only errors told: the screen belongs to the demo.
    fn for_demo(folder: &Path) -> anyhow::Result<Self> {
        let mut settings = Self::defaults()?;
        settings.dev = true;
        settings.listen.set_port(0);
        settings.data = folder.join("data");
        "error".clone_into(&mut settings.log.level);
        Ok(settings)
    }
}
