//! A running stand-in: its listener, and what whoever started it can ask of it and tell it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::book::{Counters, Received};
use crate::door::{House, Withheld, router};
use crate::emit::{Amended, Said, Unsaid};
use crate::fault::{Fault, InvalidFault};
use crate::line::Order;
use crate::options::SimOptions;
use crate::platform::Robot;
use crate::poster;
use crate::shelf::Upload;
use crate::write;

/// Connections that are open at once.
const CONNECTIONS_MAX: usize = 4096;
/// Pause after a failed accept, which mostly means that file descriptors have run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running stand-in. Its port is closed and its connections are cut when it is dropped.
pub struct Sim {
    address: SocketAddr,
    house: Arc<House>,
    _tasks: JoinSet<()>,
    /// Lines end with it.
    _alive: watch::Sender<()>,
}

impl Sim {
    /// Begins to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub async fn start(options: SimOptions) -> io::Result<Self> {
        let listener = TcpListener::bind(options.listen).await?;
        let address = listener.local_addr()?;
        let platform = options.platform;
        let (sender, alive) = watch::channel(());
        let house = Arc::new(House::new(options, format!("http://{address}"), alive));
        let mut tasks = JoinSet::new();
        tasks.spawn(accept(listener, Arc::clone(&house)));
        if let Some(callback) = &house.callback {
            let caller = platform.caller();
            let callback = Arc::clone(callback);
            tasks.spawn(poster::run(Arc::clone(&house), callback, caller));
        }
        Ok(Self {
            address,
            house,
            _tasks: tasks,
            _alive: sender,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What stands for the platform's own base URL, such as `http://127.0.0.1:1234`.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.house.base
    }

    /// The robots that exist.
    #[must_use]
    pub fn robots(&self) -> &[Robot] {
        &self.house.robots
    }

    /// A robot's URL, as its owner would copy it from the platform.
    #[must_use]
    pub fn url(&self, robot: &Robot) -> String {
        format!("{}{}", self.house.base, self.house.platform.path(robot))
    }

    /// The messages that were taken, oldest first.
    #[must_use]
    pub fn messages(&self) -> Vec<Received> {
        self.house.inside().book.messages(0)
    }

    /// The files that were taken, oldest first.
    #[must_use]
    pub fn uploads(&self) -> Vec<Upload> {
        self.house.inside().shelf.uploads(0)
    }

    /// Somebody writes in a chat: the bot is told of it by an event, where there is a callback. Answers the message's id.
    ///
    /// # Errors
    /// When nobody can write that there, or the platform's stand-in has no events.
    pub fn say(&self, said: &Said) -> Result<String, Unsaid> {
        self.house.say(said)
    }

    /// Has somebody edit a message that people wrote, or take it back, and tells the bot of it where there is a callback.
    ///
    /// # Errors
    /// Why that cannot be, or is nothing that the platform tells bots of.
    pub fn amend(&self, amended: &Amended) -> Result<(), Unsaid> {
        self.house.amend(amended)
    }

    /// Does something to the WebSockets that bots have open.
    pub fn order(&self, order: Order) {
        self.house.orders.send_replace(order);
    }

    /// What was counted.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.house.inside().book.counters.clone()
    }

    /// Switches a fault on.
    ///
    /// # Errors
    /// When too many are on already.
    pub fn fail(&self, fault: Fault) -> Result<(), InvalidFault> {
        self.house.inside().faults.add(fault)
    }

    /// Switches all faults off.
    pub fn heal(&self) {
        self.house.inside().faults.clear();
    }
}

/// An answer that a fault switch keeps back.
#[derive(Debug)]
struct Closed;

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed without an answer")
    }
}

impl std::error::Error for Closed {}

async fn accept(listener: TcpListener, house: Arc<House>) {
    let router = router(Arc::clone(&house)).merge(write::router(Arc::clone(&house)));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            Some(ended) = connections.join_next() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a connection of the stand-in broke off");
                }
            }
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    house.inside().book.counters.connections += 1;
                    connections.spawn(serve(stream, router.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn serve(stream: TcpStream, router: Router) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection was gone before it was served");
        return;
    }
    let routes = TowerToHyperService::new(router);
    let service = service_fn(move |request| {
        let answer = routes.call(request);
        async move {
            match answer.await {
                Ok(answer) if answer.extensions().get::<Withheld>().is_some() => Err(Closed),
                Ok(answer) => Ok(answer),
                Err(never) => match never {},
            }
        }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests;
