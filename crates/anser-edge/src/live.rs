//! Live clients: WebSocket, server-sent events, long poll and framed TCP, and what these wires share: places for those who
//! have not said who they are, authentication, the opening of a session, and its end with a reason. A wire frames and
//! unframes; what an operation means is the gateway's `sessions`.

mod demo;
mod described;
mod door;
mod duplex;
mod held;
mod origins;
mod pace;
mod poll;
mod position;
mod socket_io;
mod sse;
mod tcp;
mod ws;

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, get, options, post};
use http::Method;

pub(crate) use tcp::run as run_tcp;

use crate::operation::Operation;
use crate::places;
use crate::state::Edge;
use held::Shelf;
use places::{Places, Room};

/// The wires, as operators see them at sessions.
pub(crate) const LIVE_WIRES: [&str; 5] = ["ws", "sse", "poll", "tcp", "socket.io"];
/// Bytes of one frame, or of the body of one request, at most.
pub const LIVE_FRAME_BYTES_MAX: usize = 1024 * 1024;
/// Time for the first frame, which says who it is.
pub const LIVE_AUTH_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections at a time that have not said who they are.
pub const LIVE_HALF_OPEN_MAX: usize = 4_096;
/// The same, of one address (IPv6: of one network of 64 bits).
pub const LIVE_HALF_OPEN_OF_ADDRESS_MAX: usize = 1_024;
/// Between two pings of the server.
pub const LIVE_PING_INTERVAL: Duration = Duration::from_secs(30);
/// Such intervals in which nothing came; then the connection is given up, after 90 seconds.
const SILENT_INTERVALS_MAX: u32 = 3;
/// Time for one write; a client that takes nothing for so long is closed as slow.
pub const LIVE_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Operations of one session in a second, on the long run.
pub const LIVE_OPERATIONS_PER_SECOND: u32 = 200;
/// Operations of one session at once.
pub const LIVE_OPERATIONS_BURST: u32 = 400;

/// What the live wires share, beside what every request is served with.
pub(crate) struct Live {
    edge: Arc<Edge>,
    /// Who is connected.
    places: Arc<Places>,
    /// Sessions whose clients call again and again instead of holding a connection.
    shelf: Shelf,
}

impl Deref for Live {
    type Target = Edge;

    fn deref(&self) -> &Edge {
        &self.edge
    }
}

impl Live {
    /// Nobody is connected.
    pub(crate) fn new(edge: &Arc<Edge>) -> Arc<Self> {
        let room = Room {
            connections: edge.options.live_connections_max,
            half_open: LIVE_HALF_OPEN_MAX,
            half_open_of_address: LIVE_HALF_OPEN_OF_ADDRESS_MAX,
        };
        Arc::new(Self {
            edge: Arc::clone(edge),
            places: Places::new(room, edge.gateway.metrics().live_connections()),
            shelf: Shelf::default(),
        })
    }

    /// Waits, after the sessions were closed, until every client was told and its connection given back.
    pub(crate) async fn end(&self, limit: Duration) {
        self.shelf.clear();
        if tokio::time::timeout(limit, self.places.empty())
            .await
            .is_err()
        {
            tracing::warn!("live connections did not end in time and are cut off");
        }
    }
}

const SSE: &str = "/sse";
const POLL: &str = "/poll";

/// What is described and served of the wires that begin as HTTP, apart from Socket.IO.
fn doors() -> [(Operation, MethodRouter<Arc<Live>>); 5] {
    [
        (described::web_socket(), get(ws::upgrade)),
        (described::events(), get(sse::stream)),
        (
            described::ask(SSE, "liveAskBesideEvents"),
            post(held::operate),
        ),
        (described::poll(), get(poll::poll)),
        (
            described::ask(POLL, "liveAskBesidePolls"),
            post(held::operate),
        ),
    ]
}

/// What is to be known of the wires that begin as HTTP.
pub(crate) fn operations() -> Vec<Operation> {
    let socket_io = [
        described::socket_io(Method::GET, "socketIo"),
        described::socket_io(Method::POST, "socketIoSend"),
    ];
    let doors = doors().into_iter().map(|(operation, _)| operation);
    doors.chain(socket_io).collect()
}

/// Adds the wires that begin as HTTP.
pub(crate) fn attach(router: Router<Arc<Edge>>, live: &Arc<Live>) -> Router<Arc<Edge>> {
    let router = if live.gateway.options().dev {
        demo::attach(router)
    } else {
        router
    };
    let mut wires = socket_io::attach(Router::new(), live);
    for (operation, door) in doors() {
        wires = wires.route(operation.path, door.with_state(Arc::clone(live)));
    }
    for path in [SSE, POLL] {
        let preflight = options(origins::preflight);
        wires = wires.route(path, preflight.with_state(Arc::clone(live)));
    }
    let pages = from_fn_with_state(Arc::clone(live), origins::check);
    router.merge(wires.route_layer(pages))
}

/// Ends, every few seconds, the sessions of clients that do not call again. Never completes.
pub(crate) async fn sweep(live: &Live) {
    live.shelf.sweep(live).await;
}
