//! What connections keep in memory on which nothing happens.

use super::System;
use crate::bench::clock::Clock;
use crate::bench::plan::Plan;
use crate::bench::usage::Meter;
use crate::bench::wire::{Client, Place, Wire};
use anyhow::Context;
use std::time::Duration;
use tokio::task::JoinSet;

/// Connections that are opened at a time.
const AT_ONCE: usize = 64;
/// Until the server has come to rest.
const SETTLING: Duration = Duration::from_secs(2);
/// What the rows are called, in the order of [`Found::values`].
pub(super) const ROWS: [&str; 5] = [
    "opened, /s",
    "resident before, MiB",
    "resident with them, MiB",
    "a connection, KiB",
    "of a core, %",
];

/// What was found; memory in bytes.
pub(super) struct Found {
    per_second: f64,
    before: f64,
    with: f64,
    connections: f64,
    share: f64,
}

impl Found {
    pub(super) fn values(&self) -> Vec<f64> {
        let mib = 1024.0 * 1024.0;
        let each = (self.with - self.before) / 1024.0 / self.connections;
        vec![
            self.per_second,
            self.before / mib,
            self.with / mib,
            each,
            self.share,
        ]
    }
}

/// Opens them, waits, looks.
pub(super) async fn run(plan: &Plan, system: System<'_>, wire: Wire) -> anyhow::Result<Found> {
    let server = system.start(plan)?;
    let before = server.resident()?;
    let clock = Clock::start();
    let clients = open(wire, server.place(), plan.connections).await?;
    let took = clock.elapsed();
    tokio::time::sleep(SETTLING).await;
    let meter = Meter::begin(Some(server.pid()))?;
    tokio::time::sleep(SETTLING).await;
    let usage = meter.read()?;
    let with = server.resident()?;
    let connections = clients.len() as f64;
    drop(clients);
    Ok(Found {
        per_second: connections / took.as_secs_f64(),
        before,
        with,
        connections,
        share: 100.0 * usage.gateway.as_secs_f64() / usage.wall.as_secs_f64(),
    })
}

/// So many clients, each a user of its own, in the order of their numbers.
pub(super) async fn open(wire: Wire, place: Place, count: usize) -> anyhow::Result<Vec<Client>> {
    let mut opening = JoinSet::new();
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        if opening.len() >= AT_ONCE {
            clients.push(joined(opening.join_next().await)?);
        }
        let user = user(number);
        opening.spawn(async move { (number, Client::open(wire, place, &user).await) });
    }
    while !opening.is_empty() {
        clients.push(joined(opening.join_next().await)?);
    }
    clients.sort_by_key(|(number, _)| *number);
    Ok(clients.into_iter().map(|(_, client)| client).collect())
}

/// The user of a client.
pub(super) fn user(number: usize) -> String {
    format!("u{number}")
}

type Opened = (usize, anyhow::Result<Client>);

fn joined(
    opened: Option<Result<Opened, tokio::task::JoinError>>,
) -> anyhow::Result<(usize, Client)> {
    let (number, client) = opened
        .context("nothing is being opened")?
        .context("a client ended early")?;
    let client = client.with_context(|| format!("connection {number}"))?;
    Ok((number, client))
}
