//! Producers and consumers on one queue, whoever keeps it: as many as there are, as fast as they are answered, until a time
//! or a count. Knows nothing of a protocol; loses and takes twice nothing without saying so.

use crate::bench::clock::Clock;
use crate::bench::payload::DATA_BYTES;
use crate::bench::stats::Latencies;
use crate::bench::usage::{Meter, micros_each};
use anyhow::{Context, bail};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Digits at the beginning of a body: the nanoseconds at which it was sent.
const STAMP_DIGITS: usize = 20;
/// Messages that may be in the queue while producers and consumers work at once.
const WINDOW: usize = 4_096;
/// Nothing comes for so long: something is lost.
const PATIENCE: Duration = Duration::from_secs(15);

/// Puts messages into the queue.
pub(crate) trait Producer: Send + 'static {
    /// How many more may be on their way.
    fn room(&self) -> usize;

    /// Sends them in as few requests as it can; answers how many messages are durable that were not before.
    fn send(&mut self, bodies: &[String]) -> impl Future<Output = anyhow::Result<u64>> + Send;

    /// Waits until everything sent is durable; answers how many were not before.
    fn settle(&mut self) -> impl Future<Output = anyhow::Result<u64>> + Send;
}

/// Takes messages out of the queue.
pub(crate) trait Consumer: Send + 'static {
    /// By which a message is deleted.
    type Handle: Send + Sync + 'static;

    /// Waits for messages, not for ever: none is an answer. May be dropped while it waits, with the consumer.
    fn receive(&mut self) -> impl Future<Output = anyhow::Result<Vec<Taken<Self::Handle>>>> + Send;

    /// They are done with.
    fn delete(
        &mut self,
        handles: &[Self::Handle],
    ) -> impl Future<Output = anyhow::Result<()>> + Send;

    /// There is nothing more to do, and everything that was deleted stays deleted.
    fn close(self) -> impl Future<Output = anyhow::Result<()>> + Send;
}

/// A message that was received.
#[derive(Debug)]
pub(crate) struct Taken<H> {
    /// Deletes it.
    pub(crate) handle: H,
    /// When it was sent.
    pub(crate) sent: u64,
}

/// A message's body, all of it letters and digits.
pub(crate) fn body(nanos: u64) -> String {
    format!(
        "{nanos:0STAMP_DIGITS$}{:x<rest$}",
        "",
        rest = DATA_BYTES - STAMP_DIGITS
    )
}

/// When a body was sent.
pub(crate) fn stamp(body: &[u8]) -> anyhow::Result<u64> {
    let digits = body.get(..STAMP_DIGITS).context("a body cut short")?;
    let text = std::str::from_utf8(digits).context("a body that is not ours")?;
    text.parse().context("a body that is not ours")
}

/// What a stretch of work came to, for a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Phase {
    /// Messages that went through all of it.
    pub(crate) messages: u64,
    /// Of those, a second.
    pub(crate) per_second: f64,
    /// Processor time of the server.
    pub(crate) server_micros: f64,
    /// Processor time of the harness.
    pub(crate) harness_micros: f64,
    /// Share of one processor that the harness took.
    pub(crate) harness_share: f64,
    /// From sending to receiving, where both were done.
    pub(crate) latencies: Latencies,
}

/// How far everybody together has come.
struct Progress {
    clock: Clock,
    sent: AtomicU64,
    taken: AtomicU64,
    last: AtomicU64,
    producing: AtomicU64,
    window: Semaphore,
    latencies: Mutex<Latencies>,
    finished: watch::Sender<bool>,
}

impl Progress {
    fn new(clock: Clock, sent: u64, producers: usize, window: usize) -> Arc<Self> {
        Arc::new(Self {
            clock,
            sent: AtomicU64::new(sent),
            taken: AtomicU64::new(0),
            last: AtomicU64::new(0),
            producing: AtomicU64::new(producers as u64),
            window: Semaphore::new(window),
            latencies: Mutex::new(Latencies::default()),
            finished: watch::Sender::new(false),
        })
    }

    fn add_sent(&self, count: u64) {
        self.sent.fetch_add(count, Ordering::Relaxed);
        self.last.store(self.clock.nanos(), Ordering::Relaxed);
    }

    fn add_taken<H>(&self, taken: &[Taken<H>]) {
        let now = self.clock.nanos();
        let mut latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        for one in taken {
            latencies.record(now.saturating_sub(one.sent));
        }
        self.taken.fetch_add(taken.len() as u64, Ordering::Relaxed);
    }

    /// After a consumer's step.
    fn add_done(&self, count: usize) {
        self.window.add_permits(count);
        self.last.store(self.clock.nanos(), Ordering::Relaxed);
        self.look();
    }

    fn look(&self) {
        let all_sent = self.producing.load(Ordering::Relaxed) == 0;
        if all_sent && self.taken.load(Ordering::Relaxed) >= self.sent.load(Ordering::Relaxed) {
            self.finished.send_replace(true);
        }
    }

    fn phase(&self, meter: &Meter, begun: u64, messages: u64) -> anyhow::Result<Phase> {
        let usage = meter.read()?;
        let seconds = self.last.load(Ordering::Relaxed).saturating_sub(begun) as f64 / 1e9;
        let latencies = self
            .latencies
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(Phase {
            messages,
            per_second: messages as f64 / seconds,
            server_micros: micros_each(usage.gateway, messages),
            harness_micros: micros_each(usage.harness, messages),
            harness_share: usage.harness.as_secs_f64() / usage.wall.as_secs_f64(),
            latencies: latencies.clone(),
        })
    }
}

/// One server's process, measured again and again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bench {
    /// The clock of the stamps.
    pub(crate) clock: Clock,
    /// The server's process.
    pub(crate) pid: u32,
    /// How long producers begin requests.
    pub(crate) duration: Duration,
    /// Messages at most while nobody consumes.
    pub(crate) messages_max: u64,
}

impl Bench {
    /// Producers alone.
    pub(crate) async fn fill<P: Producer>(self, producers: Vec<P>) -> anyhow::Result<Phase> {
        let each = self.messages_max / producers.len().max(1) as u64;
        // Nobody gives back room.
        let window = Semaphore::MAX_PERMITS;
        let progress = Progress::new(self.clock, 0, producers.len(), window);
        let meter = Meter::begin(Some(self.pid))?;
        let begun = self.clock.nanos();
        let end = begun + nanos(self.duration);
        let mut tasks = JoinSet::new();
        for producer in producers {
            tasks.spawn(produce(producer, Arc::clone(&progress), end, each));
        }
        join(&mut tasks).await?;
        progress.phase(&meter, begun, progress.sent.load(Ordering::Relaxed))
    }

    /// Consumers alone, until they have received and deleted so many.
    pub(crate) async fn drain<C: Consumer>(
        self,
        consumers: Vec<C>,
        messages: u64,
    ) -> anyhow::Result<Phase> {
        let progress = Progress::new(self.clock, messages, 0, 0);
        let meter = Meter::begin(Some(self.pid))?;
        let begun = self.clock.nanos();
        let mut tasks = JoinSet::new();
        for consumer in consumers {
            tasks.spawn(consume(consumer, Arc::clone(&progress), true));
        }
        join(&mut tasks).await?;
        progress.phase(&meter, begun, messages)
    }

    /// Consumers receive so many, and then as many others delete them: each measured by itself.
    pub(crate) async fn apart<C: Consumer>(
        self,
        consumers: Vec<C>,
        deleters: Vec<C>,
        messages: u64,
    ) -> anyhow::Result<(Phase, Phase)> {
        let progress = Progress::new(self.clock, messages, 0, 0);
        let meter = Meter::begin(Some(self.pid))?;
        let begun = self.clock.nanos();
        let mut tasks = JoinSet::new();
        for consumer in consumers {
            tasks.spawn(consume(consumer, Arc::clone(&progress), false));
        }
        let held = join(&mut tasks).await?;
        let receive = progress.phase(&meter, begun, messages)?;
        let progress = Progress::new(self.clock, messages, 0, 0);
        let meter = Meter::begin(Some(self.pid))?;
        let begun = self.clock.nanos();
        let mut tasks = JoinSet::new();
        for (deleter, received) in deleters.into_iter().zip(held) {
            tasks.spawn(delete(deleter, received, Arc::clone(&progress)));
        }
        join(&mut tasks).await?;
        Ok((receive, progress.phase(&meter, begun, messages)?))
    }

    /// Producers and consumers at once, with a bounded number of messages between them.
    pub(crate) async fn through<P: Producer, C: Consumer>(
        self,
        producers: Vec<P>,
        consumers: Vec<C>,
    ) -> anyhow::Result<Phase> {
        let progress = Progress::new(self.clock, 0, producers.len(), WINDOW);
        let meter = Meter::begin(Some(self.pid))?;
        let begun = self.clock.nanos();
        let end = begun + nanos(self.duration);
        let mut producing = JoinSet::new();
        for producer in producers {
            producing.spawn(produce(producer, Arc::clone(&progress), end, u64::MAX));
        }
        let mut consuming = JoinSet::new();
        for consumer in consumers {
            consuming.spawn(consume(consumer, Arc::clone(&progress), true));
        }
        join(&mut producing).await?;
        join(&mut consuming).await?;
        progress.phase(&meter, begun, progress.taken.load(Ordering::Relaxed))
    }
}

async fn join<T: 'static>(tasks: &mut JoinSet<anyhow::Result<T>>) -> anyhow::Result<Vec<T>> {
    let mut results = Vec::new();
    while let Some(result) = tasks.join_next().await {
        results.push(result.context("a worker ended early")??);
    }
    Ok(results)
}

async fn produce<P: Producer>(
    mut producer: P,
    progress: Arc<Progress>,
    end: u64,
    messages_max: u64,
) -> anyhow::Result<()> {
    let mut mine = 0;
    while mine < messages_max && progress.clock.nanos() < end {
        let left = usize::try_from(messages_max - mine).unwrap_or(usize::MAX);
        let count = producer.room().min(left);
        progress
            .window
            .acquire_many(u32::try_from(count)?)
            .await?
            .forget();
        let bodies = vec![body(progress.clock.nanos()); count];
        progress.add_sent(producer.send(&bodies).await?);
        mine += count as u64;
    }
    progress.add_sent(producer.settle().await?);
    progress.producing.fetch_sub(1, Ordering::Relaxed);
    progress.look();
    Ok(())
}

/// What a consumer has received and not deleted.
type Held<C> = Vec<Vec<<C as Consumer>::Handle>>;

async fn consume<C: Consumer>(
    mut consumer: C,
    progress: Arc<Progress>,
    delete: bool,
) -> anyhow::Result<Held<C>> {
    let mut finished = progress.finished.subscribe();
    let mut held = Vec::new();
    loop {
        let taken = tokio::select! {
            taken = tokio::time::timeout(PATIENCE, consumer.receive()) => {
                taken.context("nothing comes any more")??
            }
            _ = finished.wait_for(|finished| *finished) => break,
        };
        let count = taken.len();
        progress.add_taken(&taken);
        let handles: Vec<C::Handle> = taken.into_iter().map(|one| one.handle).collect();
        if delete && count > 0 {
            consumer.delete(&handles).await?;
        } else {
            held.push(handles);
        }
        progress.add_done(count);
    }
    consumer.close().await?;
    let (taken, sent) = (
        progress.taken.load(Ordering::Relaxed),
        progress.sent.load(Ordering::Relaxed),
    );
    if taken != sent {
        bail!("{sent} messages were sent and {taken} received");
    }
    Ok(held)
}

async fn delete<C: Consumer>(
    mut consumer: C,
    received: Vec<Vec<C::Handle>>,
    progress: Arc<Progress>,
) -> anyhow::Result<()> {
    for handles in received.iter().filter(|handles| !handles.is_empty()) {
        consumer.delete(handles).await?;
        progress.add_done(handles.len());
    }
    consumer.close().await
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{DATA_BYTES, body, stamp};

    #[test]
    fn the_time_comes_back_from_256_bytes() {
        for nanos in [0, 7, u64::MAX] {
            let body = body(nanos);
            assert_eq!(body.len(), DATA_BYTES);
            assert_eq!(stamp(body.as_bytes()).expect("it is ours"), nanos);
        }
        assert!(stamp(b"short").is_err());
    }
}
