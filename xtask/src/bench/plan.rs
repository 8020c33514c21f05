//! What one run is to do: how long, how often, how much, and with which gateway. Measures nothing.

use crate::bench::clock::Clock;
use crate::bench::gateway::{Folder, Gateway};
use std::path::PathBuf;
use std::time::Duration;

/// Sizes and times, all bounded.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    /// The program under test.
    pub(crate) binary: PathBuf,
    /// Where the data folders go; the disk under it is part of what is measured.
    pub(crate) folder: PathBuf,
    /// The clock all times in messages come from.
    pub(crate) clock: Clock,
    /// How long each throughput run publishes.
    pub(crate) duration: Duration,
    /// Throughput runs, of which the best counts.
    pub(crate) repeats: usize,
    /// How long the idle gateway is watched.
    pub(crate) idle: Duration,
    /// Cold starts, of which the best counts.
    pub(crate) starts: usize,
    /// Endpoints of which half hang.
    pub(crate) endpoints: usize,
    /// How long those are published to: twice before, and after half of them hang.
    pub(crate) hanging: (Duration, Duration),
    /// Messages behind the blocked key.
    pub(crate) backlog: u64,
    /// Messages in a queue while producers or consumers work alone.
    pub(crate) queued: u64,
    /// Live connections on which nothing happens.
    pub(crate) connections: usize,
    /// Live sessions that are in one room.
    pub(crate) readers: usize,
    /// Other programs are measured beside ours, where they are installed.
    pub(crate) beside: bool,
}

impl Plan {
    /// All of it: at most about nine minutes.
    pub(crate) fn full(binary: PathBuf, folder: PathBuf) -> Self {
        Self {
            binary,
            folder,
            clock: Clock::start(),
            duration: Duration::from_secs(5),
            repeats: 3,
            idle: Duration::from_secs(10),
            starts: 5,
            endpoints: 1_000,
            // The gateway gives an attempt 15 s: the second part sees the time-outs of two rounds and what follows. The
            // first is as long, or one slow sync more or less in it would move the ratio.
            hanging: (Duration::from_secs(25), Duration::from_secs(30)),
            backlog: 1_000_000,
            // A queue holds 100,000 leases.
            queued: 64_000,
            connections: 8_000,
            readers: 1_000,
            beside: true,
        }
    }

    /// A look: at most about a minute and a half.
    pub(crate) fn quick(binary: PathBuf, folder: PathBuf) -> Self {
        Self {
            duration: Duration::from_secs(2),
            repeats: 1,
            idle: Duration::from_secs(3),
            starts: 2,
            endpoints: 200,
            hanging: (Duration::from_secs(3), Duration::from_secs(5)),
            backlog: 20_000,
            queued: 16_000,
            connections: 500,
            readers: 100,
            beside: false,
            ..Self::full(binary, folder)
        }
    }

    /// An empty folder for a gateway's data.
    pub(crate) fn data(&self, name: &str) -> anyhow::Result<Folder> {
        Folder::create(self.folder.join(name))
    }

    /// A gateway on it.
    pub(crate) fn start(&self, data: &Folder) -> anyhow::Result<Gateway> {
        Gateway::start(&self.binary, data.path())
    }
}
