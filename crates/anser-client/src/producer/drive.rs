//! The thin shell around [`Plan`]: one task that takes messages, has the requests under way and tells outcomes. Decides nothing.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::Clock;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use super::http::publish;
use super::plan::{Answer, Do, Lane, Plan};
use super::watch::{Sent, Shared};
use crate::Error;
use crate::http::Http;
use crate::live::Confirm;

/// Who is told what became of a message.
pub(super) type Callback = Box<dyn FnOnce(Result<Confirm, Error>) + Send>;

/// What producers send.
pub(super) enum Command {
    /// A message.
    Message(Box<Outbound>),
    /// Send what there is, and tell when it is settled.
    Flush(oneshot::Sender<()>),
    /// Nothing more is sent.
    Close,
}

/// A message on its way.
pub(super) struct Outbound {
    pub(super) lane: Lane,
    pub(super) json: Bytes,
    pub(super) sent: Sent,
    pub(super) callback: Callback,
    /// Its places in the buffer.
    pub(super) places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

type UnderWay = Pin<Box<dyn Future<Output = (Lane, Answer)> + Send>>;

struct Waiting {
    sent: Sent,
    callback: Callback,
    _places: (OwnedSemaphorePermit, OwnedSemaphorePermit),
}

/// The task's state.
pub(super) struct Driver {
    pub(super) plan: Plan,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) http: Arc<Http>,
    pub(super) shared: Arc<Shared>,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
}

impl Driver {
    /// Until every producer is gone and everything they gave has its outcome.
    pub(super) async fn run(self) {
        let mut running = Running {
            driver: self,
            requests: FuturesUnordered::new(),
            waiting: HashMap::new(),
            flushes: HashMap::new(),
            ids: 0,
            open: true,
        };
        while running.open || !running.driver.plan.is_empty() {
            running.step().await;
        }
    }
}

struct Running {
    driver: Driver,
    requests: FuturesUnordered<UnderWay>,
    waiting: HashMap<u64, Waiting>,
    flushes: HashMap<u64, oneshot::Sender<()>>,
    ids: u64,
    open: bool,
}

impl Running {
    async fn step(&mut self) {
        let driver = &mut self.driver;
        let now = driver.clock.monotonic();
        let wait = driver.plan.deadline().map(|at| at.saturating_sub(now));
        tokio::select! {
            Some((lane, answer)) = self.requests.next() => {
                let now = driver.clock.monotonic();
                driver.plan.answered(&lane, answer, now);
            }
            command = driver.commands.recv(), if self.open => self.take(command),
            () = due(wait) => {
                let now = driver.clock.monotonic();
                driver.plan.tick(now);
            }
        }
        self.act();
    }

    fn take(&mut self, command: Option<Command>) {
        let now = self.driver.clock.monotonic();
        self.ids += 1;
        match command {
            Some(Command::Message(outbound)) => {
                let Outbound {
                    lane,
                    json,
                    sent,
                    callback,
                    places,
                } = *outbound;
                let waiting = Waiting {
                    sent,
                    callback,
                    _places: places,
                };
                self.waiting.insert(self.ids, waiting);
                self.driver.plan.give(self.ids, lane, json, now);
            }
            Some(Command::Flush(done)) => {
                self.flushes.insert(self.ids, done);
                self.driver.plan.flush(self.ids, now);
            }
            // What was sent before it is still taken; then there is nothing more.
            Some(Command::Close) => self.driver.commands.close(),
            None => {
                self.open = false;
                self.driver.plan.flush(self.ids, now);
            }
        }
    }

    fn act(&mut self) {
        while let Some(what) = self.driver.plan.next() {
            match what {
                Do::Send(lane, batch) => {
                    let http = Arc::clone(&self.driver.http);
                    self.requests.push(Box::pin(async move {
                        let answer = publish(&http, &lane, &batch).await;
                        (lane, answer)
                    }));
                }
                Do::Outcome(id, outcome) => {
                    if let Some(waiting) = self.waiting.remove(&id) {
                        self.driver.shared.outcome(&waiting.sent, &outcome);
                        (waiting.callback)(outcome);
                    }
                }
                Do::Flushed(id) => {
                    if let Some(done) = self.flushes.remove(&id) {
                        // Who does not wait any more does not want to know.
                        let _ = done.send(());
                    }
                }
            }
        }
        self.driver.shared.retried(self.driver.plan.retried());
    }
}

async fn due(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
