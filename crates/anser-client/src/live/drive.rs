//! The thin shell around [`Plan`]: one task that holds the connection, asks for tokens, keeps the time and passes on what
//! the plan decides. Decides nothing.

use std::collections::HashMap;
use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::Clock;
use rustls::ClientConfig;
use tokio::sync::{mpsc, oneshot};

use super::frame;
use super::link::{Came, Link};
use super::plan::{Do, Input, Pass, Plan, Reply};
use super::told::{Told, Wanted};
use crate::Error;
use crate::credential::Credential;
use crate::server::Server;

/// Events that wait for the application. Messages are held to the server's window, so that they always find room; what is
/// of use only now is left out above the half.
pub(super) const EVENTS_MAX: usize = 2_048;
/// A source of tokens answers within this.
const TOKEN_WITHIN: Duration = Duration::from_secs(10);

/// What the application's side sends.
pub(super) enum Command {
    /// It wants something.
    Want(Wanted, oneshot::Sender<Result<Reply, Error>>),
    /// It is done with a message.
    Acknowledge(anser_core::live::Stream, u64),
    /// It ends.
    Close,
}

/// What the driver gives the application.
pub(super) enum Given {
    /// Something happened.
    Told(Told),
    /// So many events were left out before this one.
    Skipped(u64),
    /// It ended badly.
    Failed(Error),
}

type Token = Pin<Box<dyn Future<Output = Result<Pass, String>> + Send>>;
type Dialled = Pin<Box<dyn Future<Output = Result<Link, Error>> + Send>>;

/// The task's state.
pub(super) struct Driver {
    plan: Plan,
    clock: Arc<dyn Clock>,
    server: Arc<Server>,
    tls: Option<Arc<ClientConfig>>,
    credential: Credential,
    commands: mpsc::UnboundedReceiver<Command>,
    events: mpsc::Sender<Given>,
    ready: Option<oneshot::Sender<Result<(), Error>>>,
    link: Option<Link>,
    token: Option<Token>,
    dialled: Option<Dialled>,
    waiting: HashMap<u64, oneshot::Sender<Result<Reply, Error>>>,
    wanted: u64,
    skipped: u64,
    over: bool,
}

/// What a driver is made of.
pub(super) struct Parts {
    pub(super) plan: Plan,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) server: Server,
    pub(super) tls: Option<Arc<ClientConfig>>,
    pub(super) credential: Credential,
    pub(super) commands: mpsc::UnboundedReceiver<Command>,
    pub(super) events: mpsc::Sender<Given>,
    pub(super) ready: oneshot::Sender<Result<(), Error>>,
}

impl Driver {
    pub(super) fn new(parts: Parts) -> Self {
        Self {
            plan: parts.plan,
            clock: parts.clock,
            server: Arc::new(parts.server),
            tls: parts.tls,
            credential: parts.credential,
            commands: parts.commands,
            events: parts.events,
            ready: Some(parts.ready),
            link: None,
            token: None,
            dialled: None,
            waiting: HashMap::new(),
            wanted: 0,
            skipped: 0,
            over: false,
        }
    }

    /// Until the session is over.
    pub(super) async fn run(mut self) {
        while !self.over {
            let deadline = self.plan.deadline();
            let wait = deadline.map(|at| at.saturating_sub(self.clock.monotonic()));
            let input = tokio::select! {
                came = came(&mut self.link) => Some(self.came(came)),
                pass = done(&mut self.token) => {
                    self.token = None;
                    Some(Some(Input::Token(pass)))
                }
                opened = done(&mut self.dialled) => {
                    self.dialled = None;
                    Some(self.opened(opened))
                }
                command = self.commands.recv() => Some(self.commanded(command)),
                () = due(wait) => None,
            };
            let now = self.clock.monotonic();
            match input {
                Some(Some(input)) => self.plan.take(input, now),
                Some(None) => {}
                None => self.plan.tick(now),
            }
            self.act();
        }
    }

    fn came(&mut self, came: Came) -> Option<Input> {
        Some(match came {
            Came::Frame(json) => match frame::read(&json) {
                Ok(heard) => Input::Heard(heard),
                Err(cause) => Input::Cut(cause),
            },
            Came::Alive => Input::Alive,
            Came::Cut(cause) => {
                self.link = None;
                Input::Cut(cause)
            }
        })
    }

    fn opened(&mut self, opened: Result<Link, Error>) -> Option<Input> {
        Some(match opened {
            Ok(link) => {
                self.link = Some(link);
                Input::Opened
            }
            Err(error) => Input::NotOpened(error),
        })
    }

    fn commanded(&mut self, command: Option<Command>) -> Option<Input> {
        match command {
            Some(Command::Want(wanted, reply)) => {
                self.wanted += 1;
                self.waiting.insert(self.wanted, reply);
                Some(Input::Wanted(self.wanted, wanted))
            }
            Some(Command::Acknowledge(stream, ticket)) => Some(Input::Acknowledged(stream, ticket)),
            Some(Command::Close) => Some(Input::Close),
            None => {
                // Nobody holds the client any more, so that nobody waits for anything.
                self.over = true;
                None
            }
        }
    }

    /// Does what the plan says.
    fn act(&mut self) {
        while let Some(what) = self.plan.next() {
            match what {
                Do::FetchToken => self.token = Some(self.fetch_token()),
                Do::Open => {
                    let (server, tls) = (Arc::clone(&self.server), self.tls.clone());
                    let dialled = async move { Link::open(&server, tls).await };
                    self.dialled = Some(Box::pin(dialled));
                }
                Do::Send(frame) => {
                    if let Some(link) = &mut self.link {
                        link.send(frame);
                    }
                }
                Do::Ping => {
                    if let Some(link) = &mut self.link {
                        link.ping();
                    }
                }
                Do::Finish => {
                    if let Some(link) = &mut self.link {
                        link.finish();
                    }
                }
                Do::Drop => (self.link, self.dialled, self.token) = (None, None, None),
                Do::Tell(told) => self.tell(told),
                Do::Reply(id, reply) => {
                    if let Some(waiting) = self.waiting.remove(&id) {
                        // Who does not wait any more does not want to know.
                        let _ = waiting.send(reply);
                    }
                }
                Do::Ready => self.is_ready(Ok(())),
                Do::End(how) => self.end(how),
            }
        }
    }

    fn is_ready(&mut self, how: Result<(), Error>) {
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(how);
        }
    }

    fn end(&mut self, how: Result<(), Error>) {
        self.over = true;
        if let Err(error) = how {
            if self.ready.is_some() {
                self.is_ready(Err(error));
            } else {
                let _ = self.events.try_send(Given::Failed(error));
            }
        }
    }

    fn tell(&mut self, told: Told) {
        if let Told::Disconnected(cause) = &told {
            tracing::debug!(server = %self.server, %cause, "the live session is cut, and opened again");
        }
        if told.is_passing() && self.events.capacity() < EVENTS_MAX / 2 {
            self.skipped += 1;
            if let Told::Question(question) = told {
                let now = self.clock.monotonic();
                self.plan.take(Input::NotTold(question.id), now);
            }
            return;
        }
        if self.skipped > 0 && self.events.capacity() > EVENTS_MAX / 2 {
            let skipped = std::mem::take(&mut self.skipped);
            self.give(Given::Skipped(skipped));
        }
        self.give(Given::Told(told));
    }

    /// The last place is kept for how it ended. Messages in hand are bounded below the room that there is for them.
    fn give(&mut self, given: Given) {
        if self.events.capacity() > 1 {
            // A receiver that is gone has dropped the commands too, which ends the task.
            let _ = self.events.try_send(given);
        } else {
            debug_assert!(false, "the plan bounds what is in the application's hands");
        }
    }

    fn fetch_token(&self) -> Token {
        let pass = |text: &str| Pass {
            text: Some(text.to_owned()),
            lives: None,
        };
        let fixed = match &self.credential {
            Credential::None | Credential::User(_) => Pass::default(),
            Credential::Key { key, .. } => pass(key),
            Credential::Token(token) => pass(&token.text),
            Credential::Source(source) => {
                let (asked, clock) = (source.0(), Arc::clone(&self.clock));
                return Box::pin(async move {
                    let token = tokio::time::timeout(TOKEN_WITHIN, asked).await;
                    let token = token.map_err(|_| "its source took too long".to_owned())?;
                    let token = token.map_err(|error| error.to_string())?;
                    Ok(Pass {
                        lives: token.expires_at.map(|at| at.since(clock.now())),
                        text: Some(token.text),
                    })
                });
            }
        };
        Box::pin(std::future::ready(Ok(fixed)))
    }
}

/// While a connection is opened nothing else is due: the dialler limits its own time.
async fn due(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => pending().await,
    }
}

async fn came(link: &mut Option<Link>) -> Came {
    match link {
        Some(link) => poll_fn(|cx| link.poll(cx)).await,
        None => pending().await,
    }
}

async fn done<T>(task: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match task {
        Some(task) => task.await,
        None => pending().await,
    }
}
