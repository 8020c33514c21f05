//! One room that very many sessions are in: how fast its messages come to all of them.

use super::{Flow, System, idle};
use crate::bench::clock::Clock;
use crate::bench::payload;
use crate::bench::plan::Plan;
use crate::bench::stats::Latencies;
use crate::bench::usage::{Meter, micros_each};
use crate::bench::wire::{Acks, Came, Client, Wire};
use anyhow::{Context, bail};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Messages that have not come to everybody.
pub(super) const ON_THEIR_WAY: usize = 32;
const PUBLISHERS: usize = 4;
const ROOM: &str = "bench";
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK: Duration = Duration::from_millis(5);

/// What all clients share.
struct Progress {
    clock: Clock,
    readers: u64,
    received: AtomicU64,
    latencies: Mutex<Latencies>,
    /// How many more may be published now.
    free: Semaphore,
}

impl Progress {
    fn count(&self, stamp: u64) {
        let nanos = self.clock.nanos().saturating_sub(stamp);
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        latencies.record(nanos);
        drop(latencies);
        let received = self.received.fetch_add(1, Ordering::Relaxed) + 1;
        if received.is_multiple_of(self.readers) {
            self.free.add_permits(1);
        }
    }
}

/// Publishes for as long as the plan says, and waits until everybody has everything.
pub(super) async fn run(
    plan: &Plan,
    system: System<'_>,
    wire: Wire,
    acks: Acks,
) -> anyhow::Result<Flow> {
    let server = system.start(plan)?;
    if let System::Anser = system {
        let mut api = crate::bench::connection::Connection::open(server.place().http).await?;
        let members: Vec<String> = (0..plan.readers + PUBLISHERS).map(idle::user).collect();
        let room = serde_json::json!({ "name": ROOM, "members": members });
        api.post("/v1/rooms", &room).await?;
    }
    let progress = Arc::new(Progress {
        clock: plan.clock,
        readers: plan.readers as u64,
        received: AtomicU64::new(0),
        latencies: Mutex::default(),
        free: Semaphore::new(ON_THEIR_WAY),
    });
    let mut clients = idle::open(wire, server.place(), plan.readers + PUBLISHERS).await?;
    let publishers = clients.split_off(plan.readers);
    let mut readers = JoinSet::new();
    for client in &mut clients {
        client.acknowledge(acks);
        subscribe(client).await?;
    }
    for client in clients {
        readers.spawn(read(client, Arc::clone(&progress)));
    }
    let meter = Meter::begin(Some(server.pid()))?;
    let end = plan.clock.elapsed() + plan.duration;
    let mut publishing = JoinSet::new();
    for client in publishers {
        publishing.spawn(publish(client, Arc::clone(&progress), end));
    }
    let mut published = 0;
    while let Some(count) = publishing.join_next().await {
        published += count.context("a publisher ended early")??;
    }
    let expected = published * progress.readers;
    let last = plan.clock.elapsed() + PATIENCE;
    while progress.received.load(Ordering::Relaxed) < expected {
        if let Some(ended) = readers.try_join_next() {
            ended.context("a reader ended early")??;
        }
        if plan.clock.elapsed() > last {
            let received = progress.received.load(Ordering::Relaxed);
            bail!("{received} of {expected} messages came");
        }
        tokio::time::sleep(LOOK).await;
    }
    let usage = meter.read()?;
    readers.shutdown().await;
    let latencies = progress.latencies.lock();
    let latencies = latencies.unwrap_or_else(PoisonError::into_inner).clone();
    Ok(Flow {
        per_second: expected as f64 / usage.wall.as_secs_f64(),
        server_micros: micros_each(usage.gateway, expected),
        harness_micros: micros_each(usage.harness, expected),
        latencies,
    })
}

async fn subscribe(client: &mut Client) -> anyhow::Result<()> {
    client
        .ask("subscribe", &format!("{{\"room\":\"{ROOM}\"}}"))
        .await?;
    while client.next().await? != Came::Answer {}
    Ok(())
}

async fn read(mut client: Client, progress: Arc<Progress>) -> anyhow::Result<()> {
    loop {
        if let Came::Message(stamp) = client.next().await? {
            progress.count(stamp);
        }
    }
}

/// Answers how many.
async fn publish(
    mut client: Client,
    progress: Arc<Progress>,
    end: Duration,
) -> anyhow::Result<u64> {
    let mut published = 0;
    loop {
        progress.free.acquire().await?.forget();
        if progress.clock.elapsed() >= end {
            // For the others, who wait for it too.
            progress.free.add_permits(1);
            return Ok(published);
        }
        let data = payload::text(progress.clock.nanos());
        let frame = format!(
            "{{\"message\":{{\"header\":{{\"to\":[\"room:{ROOM}\"],\"type\":\"bench.event\"}},\"body\":{{\"data\":{data}}}}}}}"
        );
        client.ask("publish", &frame).await?;
        while client.next().await? != Came::Answer {}
        published += 1;
    }
}
