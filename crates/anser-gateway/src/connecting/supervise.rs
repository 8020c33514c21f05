//! Who keeps each channel's connection: starts a task for each channel that is to be connected, stops those of channels that
//! changed or are gone, and ends them all with the gateway. Must not connect anything itself.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use anser_core::id::ResourceId;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use super::keep::{Keeper, Stop, now};
use crate::connections::Link;
use crate::gateway::{Gateway, Phase};

/// Before a channel is connected again whose task broke down, which must not happen.
const AFTER_PANIC: Duration = Duration::from_secs(60);

/// A channel's task.
struct Running {
    link: Arc<Link>,
    stop: watch::Sender<Option<Stop>>,
    task: Id,
}

/// All of them.
#[derive(Default)]
struct Links {
    running: HashMap<ResourceId, Running>,
    tasks: JoinSet<()>,
}

/// Keeps the channels connected that are to be, until the gateway stops.
pub(crate) async fn supervise(gateway: Arc<Gateway>) {
    let mut links = Links::default();
    let mut phase = gateway.phase.subscribe();
    links.reconcile(&gateway, None);
    loop {
        let broken = tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase != Phase::Running) => break,
            Some(ended) = links.tasks.join_next_with_id() => links.ended(&gateway, ended),
            () = gateway.connections.changed() => None,
        };
        links.reconcile(&gateway, broken);
    }
    for running in links.running.values() {
        running.tell(Stop::Shutdown);
    }
    while let Some(ended) = links.tasks.join_next_with_id().await {
        links.ended(&gateway, ended);
    }
}

impl Links {
    /// Stops what is not to be any more, and starts what is to be and is not. `broken`: a channel whose task broke down.
    fn reconcile(&mut self, gateway: &Arc<Gateway>, broken: Option<ResourceId>) {
        let snapshot = gateway.config.load_full();
        for (id, running) in &self.running {
            match snapshot.channels_by_id.get(id) {
                None => running.tell(Stop::Deleted),
                Some(entry) if running.link.differs(entry) => running.tell(Stop::Changed),
                Some(_) => {}
            }
        }
        for (id, entry) in &snapshot.channels_by_id {
            // One that is being stopped is started when it has ended.
            if self.running.contains_key(id) {
                continue;
            }
            if let Some(link) = Link::of(entry, now(gateway)) {
                let pause = if broken == Some(*id) {
                    AFTER_PANIC
                } else {
                    Duration::ZERO
                };
                self.start(gateway, Arc::new(link), pause);
            }
        }
    }

    fn start(&mut self, gateway: &Arc<Gateway>, link: Arc<Link>, pause: Duration) {
        let (stop, stopped) = watch::channel(None);
        let keeper = Keeper {
            link: Arc::clone(&link),
            gateway: Arc::clone(gateway),
        };
        let task = self.tasks.spawn(keeper.run(stopped, pause)).id();
        let id = link.id();
        gateway.connections.add(Arc::clone(&link));
        self.running.insert(id, Running { link, stop, task });
    }

    /// Answers the channel if its task broke down.
    fn ended(
        &mut self,
        gateway: &Gateway,
        ended: Result<(Id, ()), JoinError>,
    ) -> Option<ResourceId> {
        let (task, broken) = match ended {
            Ok((task, ())) => (task, false),
            Err(error) => {
                tracing::error!(%error, "the task of a connection ended badly");
                (error.id(), true)
            }
        };
        let found = self.running.iter().find(|(_, one)| one.task == task);
        let channel = found.map(|(id, _)| *id)?;
        self.running.remove(&channel);
        gateway.connections.remove(channel);
        broken.then_some(channel)
    }
}

impl Running {
    /// Tells it to stop, and why; the first reason stays.
    fn tell(&self, why: Stop) {
        self.stop.send_if_modified(|stop| {
            let first = stop.is_none();
            stop.get_or_insert(why);
            first
        });
    }
}
