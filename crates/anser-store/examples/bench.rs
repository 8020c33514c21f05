//! What the embedded store costs: `cargo run --release -p anser-store --example bench -- DIR [MESSAGES] [WORKERS]` appends
//! and settles messages of 256 B from as many workers and prints CPU a message; `… -- DIR pending [MESSAGES]` fills a
//! store with pending deliveries and prints how long it takes to open again, and the memory then; `… -- DIR queue
//! [MESSAGES] [WORKERS] [BATCH]` sends, leases and acknowledges, so many messages a call.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::attempt::{Attempt, Timing};
use anser_core::clock::{Clock, SystemClock};
use anser_core::id::{IdGenerator, Receipt, ResourceId};
use anser_core::outcome::OutcomeClass;
use anser_core::random::SeededRandom;
use anser_core::store::{
    Acknowledge, Acknowledged, Acknowledgement, Append, Appended, Claim, ClaimClass,
    CommitObserver, DeliveryRow, Lease, NewDelivery, NewMessage, Settle, Settlement, Store,
};
use anser_store::{SqliteOptions, SqliteStore};
use bytes::Bytes;
use tokio::task::JoinSet;

const TOPIC: ResourceId = ResourceId(1);
const GROUP: ResourceId = ResourceId(2);
const CHANNEL: ResourceId = ResourceId(3);
const MESSAGES: usize = 300_000;
const PENDING: usize = 1_000_000;
const WORKERS: usize = 128;
const BATCH: usize = 1_000;
const DOCUMENT_BYTES: usize = 256;
const LEASE: Duration = Duration::from_secs(30);
/// The kernel counts a process's CPU in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;

type Failure = Box<dyn Error + Send + Sync>;

#[derive(Default)]
struct Commits {
    groups: AtomicU64,
    operations: AtomicU64,
}

impl CommitObserver for Commits {
    fn committed(&self, operations: usize, _: Duration) {
        self.groups.fetch_add(1, Ordering::Relaxed);
        self.operations
            .fetch_add(operations as u64, Ordering::Relaxed);
    }
}

struct Bench {
    store: SqliteStore,
    clock: Arc<SystemClock>,
    random: Arc<SeededRandom>,
    ids: IdGenerator,
}

impl Bench {
    fn open(dir: &Path, commits: Arc<Commits>) -> Result<Self, Failure> {
        let clock = Arc::new(SystemClock::new());
        let random = Arc::new(SeededRandom::new(1));
        let options = SqliteOptions {
            observer: Some(commits),
            ..SqliteOptions::new(dir, Arc::clone(&clock) as _, Arc::clone(&random) as _)
        };
        let store = SqliteStore::open(options)?;
        let ids = IdGenerator::above(store.info().highest_id);
        Ok(Self {
            store,
            clock,
            random,
            ids,
        })
    }

    fn message(&self) -> NewMessage {
        let now = self.clock.now();
        NewMessage {
            id: self.ids.next(now, &*self.random),
            topic: TOPIC,
            time: now,
            document: Bytes::from(vec![b'x'; DOCUMENT_BYTES]),
            dedupe: None,
            blobs: Vec::new(),
            link: None,
            known_as: Vec::new(),
            delete_at: None,
            deliveries: vec![NewDelivery {
                group: GROUP,
                channel: CHANNEL,
                target: None,
                lane: None,
                due: now,
                scheduled: false,
                expires_at: None,
            }],
        }
    }

    async fn append(&self, count: usize) -> Result<Vec<DeliveryRow>, Failure> {
        let messages = (0..count).map(|_| self.message()).collect();
        let append = Append {
            messages,
            atomic: false,
        };
        let mut rows = Vec::new();
        for answer in self.store.append(append).await? {
            if let Appended::Stored { deliveries, .. } = answer {
                rows.extend(deliveries);
            }
        }
        Ok(rows)
    }

    async fn settle(&self, row: &DeliveryRow) -> Result<(), Failure> {
        let now = self.clock.now();
        let attempt = Attempt {
            number: 1,
            started: now,
            timing: Timing {
                total_us: 1_234,
                first_byte_us: 1_200,
                ..Timing::default()
            },
            peer: Some("127.0.0.1:8080".into()),
            status: Some(204),
            outcome: OutcomeClass::Delivered,
            error: None,
            degraded: Vec::new(),
            platform_ids: Vec::new(),
            possible_duplicate: None,
            report: None,
            next: None,
            request_headers: Vec::new(),
            response_headers: Vec::new(),
            response: String::new(),
        };
        let settlement = Settlement {
            token: row.token(),
            to: Settle::Delivered,
            at: now,
            attempt: Some(attempt),
            unlogged: false,
            known_as: Vec::new(),
        };
        self.store.settle(vec![settlement]).await?;
        Ok(())
    }

    /// Leases so many and acknowledges them; answers how many there were.
    async fn consume(&self, count: usize) -> Result<usize, Failure> {
        let now = self.clock.now();
        let lease = Lease {
            queue: GROUP,
            max: count,
            spent_max: count,
            now,
            until: now.plus(LEASE),
            accepted_from: Timestamp::EPOCH,
            receives_max: None,
        };
        let leased = self.store.lease(lease).await?.deliveries;
        let acknowledgements = leased.iter().map(|one| Acknowledgement {
            queue: GROUP,
            receipt: Receipt::new(one.row.id, one.row.attempts),
            at: now,
            to: Acknowledge::Done { rewindable: false },
        });
        let answers = self.store.acknowledge(acknowledgements.collect()).await?;
        let done = |answer: &&Acknowledged| matches!(answer, Acknowledged::Done { .. });
        Ok(answers.iter().filter(done).count())
    }
}

async fn pairs(dir: &Path, messages: usize, workers: usize) -> Result<(), Failure> {
    let commits = Arc::new(Commits::default());
    let bench = Arc::new(Bench::open(dir, Arc::clone(&commits))?);
    let (cpu, began) = (cpu_seconds()?, bench.clock.monotonic());
    let mut set = JoinSet::new();
    for _ in 0..workers {
        let bench = Arc::clone(&bench);
        set.spawn(async move {
            for _ in 0..messages / workers {
                for row in bench.append(1).await? {
                    bench.settle(&row).await?;
                }
            }
            Ok::<(), Failure>(())
        });
    }
    while let Some(done) = set.join_next().await {
        done??;
    }
    let (cpu, took) = (cpu_seconds()? - cpu, bench.clock.monotonic() - began);
    let count = (messages / workers * workers) as f64;
    let groups = commits.groups.load(Ordering::Relaxed);
    println!(
        "{count} messages appended, settled and logged by {workers} workers: {:.1} us CPU a message, {:.0}/s, {:.0} \
         operations a commit",
        cpu / count * 1e6,
        count / took.as_secs_f64(),
        commits.operations.load(Ordering::Relaxed) as f64 / groups.max(1) as f64,
    );
    bench.store.close().await?;
    Ok(())
}

async fn queue(dir: &Path, messages: usize, workers: usize, batch: usize) -> Result<(), Failure> {
    let commits = Arc::new(Commits::default());
    let bench = Arc::new(Bench::open(dir, Arc::clone(&commits))?);
    let (cpu, began) = (cpu_seconds()?, bench.clock.monotonic());
    let mut set = JoinSet::new();
    for _ in 0..workers {
        let bench = Arc::clone(&bench);
        set.spawn(async move {
            let mut done = 0;
            for _ in 0..messages / workers / batch {
                bench.append(batch).await?;
                done += bench.consume(batch).await?;
            }
            Ok::<usize, Failure>(done)
        });
    }
    let mut done = 0;
    while let Some(worker) = set.join_next().await {
        done += worker??;
    }
    let (cpu, took) = (cpu_seconds()? - cpu, bench.clock.monotonic() - began);
    let groups = commits.groups.load(Ordering::Relaxed);
    println!(
        "{done} messages sent, leased and acknowledged by {workers} workers, {batch} a call: {:.1} us CPU a message, \
         {:.0}/s, {:.0} operations a commit",
        cpu / done as f64 * 1e6,
        done as f64 / took.as_secs_f64(),
        commits.operations.load(Ordering::Relaxed) as f64 / groups.max(1) as f64,
    );
    bench.store.close().await?;
    Ok(())
}

async fn pending(dir: &Path, messages: usize) -> Result<(), Failure> {
    let bench = Bench::open(dir, Arc::default())?;
    let (cpu, began) = (cpu_seconds()?, bench.clock.monotonic());
    for _ in 0..messages / BATCH {
        bench.append(BATCH).await?;
    }
    println!(
        "{messages} messages appended, {BATCH} a commit: {:.1} us CPU a message, {:.1} s",
        (cpu_seconds()? - cpu) / messages as f64 * 1e6,
        (bench.clock.monotonic() - began).as_secs_f64(),
    );
    drop(bench);
    reopened(dir).await
}

async fn reopened(dir: &Path) -> Result<(), Failure> {
    let clock = SystemClock::new();
    let bench = Bench::open(dir, Arc::default())?;
    let opened = clock.monotonic();
    let depths = bench.store.depths();
    let claim = Claim {
        group: GROUP,
        class: ClaimClass::First,
        due_until: Timestamp::FAR_FUTURE,
        exclude: Vec::new(),
        limit: BATCH,
    };
    let claimed = bench.store.claim(claim).await?.deliveries.len();
    println!(
        "opened with {} pending in {:.2} s, first {claimed} claimed after {:.2} s, resident {} MiB",
        depths.first().map_or(0, |depth| depth.count),
        opened.as_secs_f64(),
        clock.monotonic().as_secs_f64(),
        resident_mib()?,
    );
    bench.store.close().await?;
    Ok(())
}

fn cpu_seconds() -> Result<f64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: Vec<f64> = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse().ok())
        .collect();
    Ok(ticks.iter().sum::<f64>() / TICKS_PER_SECOND)
}

fn resident_mib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .and_then(|line| line.split_whitespace().next())
        .unwrap_or("0")
        .parse()?;
    Ok(kib / 1024)
}

fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let dir = PathBuf::from(
        arguments
            .next()
            .ok_or("the first argument is a data directory")?,
    );
    let rest: Vec<String> = arguments.collect();
    let number = |at: usize, default| {
        rest.get(at)
            .map_or(Ok(default), |text| text.parse::<usize>())
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    match rest.first().map(String::as_str) {
        Some("pending") => runtime.block_on(pending(&dir, number(1, PENDING)?)),
        Some("queue") => runtime.block_on(queue(
            &dir,
            number(1, MESSAGES)?,
            number(2, WORKERS)?,
            number(3, 1)?,
        )),
        Some("reopen") => runtime.block_on(reopened(&dir)),
        _ => runtime.block_on(pairs(&dir, number(0, MESSAGES)?, number(1, WORKERS)?)),
    }
}
