//! Publishers: as many as are asked for, as fast as the gateway answers, or at a fixed rate whatever it does.
//!
//! They stop at a time or a count, and never repeat a request whose answer is unknown.

use crate::bench::clock::Clock;
use crate::bench::connection::{Connection, Message};
use crate::bench::payload::Outgoing;
use crate::bench::receiver::Sink;
use crate::bench::stats::Latencies;
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Publishers unless a scenario says otherwise.
pub(crate) const PUBLISHERS: usize = 32;
/// How long a publisher waits after a refusal for overload.
const OVERLOAD_PAUSE: Duration = Duration::from_millis(5);
/// How often we look whether everything has arrived.
const DRAIN_LOOK: Duration = Duration::from_millis(1);
/// Connections that a fixed rate may need at once before we call it an overload.
const OPEN_LOOP_CONNECTIONS_MAX: usize = 2_048;

/// What was published.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    /// Messages accepted.
    pub(crate) messages: u64,
    /// Requests refused because of overload (429, 503, 507) and repeated.
    pub(crate) overloads: u64,
    /// From sending a request to its answer.
    pub(crate) answers: Latencies,
}

/// How closed-loop publishers behave.
#[derive(Clone, Debug)]
pub(crate) struct ClosedLoop<R> {
    /// The gateway.
    pub(crate) gateway: SocketAddr,
    /// One a publisher, each repeats its own.
    pub(crate) requests: Vec<R>,
    /// Deliveries a message makes.
    pub(crate) deliveries: u64,
    /// No request is begun after this.
    pub(crate) duration: Duration,
    /// Stop after so many requests of each publisher.
    pub(crate) requests_max: u64,
}

impl<R: Outgoing> ClosedLoop<R> {
    /// Runs to the end of the time or the count.
    pub(crate) async fn run(self, clock: Clock, sink: &Arc<Sink>) -> anyhow::Result<Published> {
        let end = clock.nanos() + nanos(self.duration);
        let mut publishers = JoinSet::new();
        for request in self.requests {
            let publisher = Publisher {
                connection: Connection::open(self.gateway).await?,
                request,
                deliveries: self.deliveries,
                clock,
                sink: Arc::clone(sink),
            };
            publishers.spawn(publisher.run(end, self.requests_max));
        }
        let mut published = Published::default();
        while let Some(result) = publishers.join_next().await {
            published.add(&result.context("a publisher ended early")??);
        }
        Ok(published)
    }
}

struct Publisher<R> {
    connection: Connection,
    request: R,
    deliveries: u64,
    clock: Clock,
    sink: Arc<Sink>,
}

impl<R: Outgoing> Publisher<R> {
    async fn run(mut self, end: u64, requests_max: u64) -> anyhow::Result<Vec<Answer>> {
        let mut answers = Vec::new();
        let weight = self.request.messages() * self.deliveries;
        for _ in 0..requests_max {
            self.sink.enter(weight).await?;
            if self.clock.nanos() >= end {
                break;
            }
            let answer = publish(&mut self.connection, &mut self.request, self.clock).await?;
            answers.push(answer);
            if answer.accepted == 0 {
                self.sink.leave(weight);
                tokio::time::sleep(OVERLOAD_PAUSE).await;
            }
        }
        Ok(answers)
    }
}

/// One request's result.
#[derive(Clone, Copy, Debug)]
struct Answer {
    nanos: u64,
    accepted: u64,
}

impl Published {
    fn add(&mut self, answers: &[Answer]) {
        for answer in answers {
            self.answers.record(answer.nanos);
            self.messages += answer.accepted;
            self.overloads += u64::from(answer.accepted == 0);
        }
    }
}

/// Publishes once. A refusal for overload accepts nothing; any other is an error.
async fn publish(
    connection: &mut Connection,
    request: &mut impl Outgoing,
    clock: Clock,
) -> anyhow::Result<Answer> {
    let sent = clock.nanos();
    let messages = request.messages();
    let answer = connection.exchange(request.stamped(sent)).await?;
    let accepted = match answer.status()? {
        202 => 1,
        200 if messages == 1 => 1,
        200 => all_accepted(answer, messages)?,
        429 | 503 | 507 => 0,
        other => bail!("a publish was answered {other}: {}", answer.text()),
    };
    Ok(Answer {
        nanos: clock.nanos() - sent,
        accepted,
    })
}

/// A batch answers each item by itself; here they are all alike, so that all or none are taken.
fn all_accepted(answer: Message<'_>, messages: u64) -> anyhow::Result<u64> {
    const ACCEPTED: &[u8] = b"\"status\":202";
    let body = answer.body();
    let accepted = body
        .windows(ACCEPTED.len())
        .filter(|part| *part == ACCEPTED);
    let accepted = accepted.count() as u64;
    if accepted != messages {
        bail!(
            "{accepted} of {messages} items were accepted: {}",
            answer.text()
        );
    }
    Ok(accepted)
}

/// Publishes at a fixed rate, going through the requests in turn. A publish that is slow holds up none behind it.
pub(crate) async fn open_loop<R: Outgoing + Clone>(
    gateway: SocketAddr,
    requests: &[R],
    per_second: u32,
    duration: Duration,
    clock: Clock,
) -> anyhow::Result<Published> {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / per_second);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let end = clock.nanos() + nanos(duration);
    let mut free: Vec<Connection> = Vec::new();
    let mut busy: JoinSet<anyhow::Result<(Connection, Answer)>> = JoinSet::new();
    let mut answers = Vec::new();
    for request in requests.iter().cycle() {
        ticks.tick().await;
        if clock.nanos() >= end {
            break;
        }
        while let Some(result) = busy.try_join_next() {
            let (connection, answer) = result.context("a publisher ended early")??;
            answers.push(answer);
            free.push(connection);
        }
        let mut connection = match free.pop() {
            Some(connection) => connection,
            None if busy.len() < OPEN_LOOP_CONNECTIONS_MAX => Connection::open(gateway).await?,
            None => bail!("{OPEN_LOOP_CONNECTIONS_MAX} publishes at once are not answered"),
        };
        let mut request = request.clone();
        busy.spawn(async move {
            let answer = publish(&mut connection, &mut request, clock).await?;
            Ok((connection, answer))
        });
    }
    while let Some(result) = busy.join_next().await {
        answers.push(result.context("a publisher ended early")??.1);
    }
    let mut published = Published::default();
    published.add(&answers);
    Ok(published)
}

/// Waits until `expected` deliveries have come in all, or nothing comes for so long; says whether they did.
pub(crate) async fn drained(sink: &Sink, expected: u64, patience: Duration, clock: Clock) -> bool {
    let mut looks = tokio::time::interval(DRAIN_LOOK);
    let begun = clock.nanos();
    while sink.received() < expected {
        let quiet_since = sink.last_nanos().max(begun);
        if clock.nanos().saturating_sub(quiet_since) > nanos(patience) {
            return false;
        }
        looks.tick().await;
    }
    true
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
