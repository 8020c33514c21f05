//! The doors of Anser: the native HTTP API, the one that platforms call, and the one that clients of Tencent CMQ call.
//! [`serve`] takes a bound listener and a running gateway and answers until it is told to stop. Whatever comes in passes the
//! same way: read within limits, authenticate, call the gateway, answer. Must not decide anything that a caller through
//! another door would want decided the same way.

mod activity;
mod answer;
mod api;
mod batch;
mod bearer;
mod body;
mod call;
mod callback;
mod cmq;
mod connection;
mod guard;
mod live;
mod openapi;
mod operation;
mod options;
mod origin;
mod places;
mod preface;
mod query;
pub mod robot;
mod route;
mod server;
mod state;
mod tls;

use std::future::Future;
use std::sync::Arc;

use anser_gateway::Gateway;
use axum::Router;
use bytes::Bytes;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;

use live::Live;

pub use live::{
    LIVE_AUTH_TIMEOUT, LIVE_FRAME_BYTES_MAX, LIVE_HALF_OPEN_MAX, LIVE_HALF_OPEN_OF_ADDRESS_MAX,
    LIVE_OPERATIONS_BURST, LIVE_OPERATIONS_PER_SECOND, LIVE_PING_INTERVAL, LIVE_WRITE_TIMEOUT,
};
pub use options::{
    BODY_TIMEOUT, CMQ_HOSTS_MAX, CONNECTIONS_MAX, CmqOptions, EdgeOptions, HEAD_BYTES_MAX,
    HEAD_TIMEOUT, IDLE_TIMEOUT, LIVE_CONNECTIONS_MAX, PublishUnrouted, SHUTDOWN_TIMEOUT,
    SILENT_OF_ADDRESS_MAX, STREAMS_MAX, TlsFiles,
};
pub use origin::LiveOrigins;
pub use tls::TlsError;

/// Where the gateway listens.
#[derive(Debug)]
pub struct Listeners {
    /// HTTP: the API, the other doors, and the wires of live clients that begin as HTTP.
    pub http: TcpListener,
    /// Framed TCP of live clients; absent: none.
    pub live: Option<TcpListener>,
}

impl From<TcpListener> for Listeners {
    fn from(http: TcpListener) -> Self {
        Self { http, live: None }
    }
}

/// Answers on the listeners until `shutdown` completes; then takes no more connections, lets the requests in flight end
/// within [`EdgeOptions::shutdown_timeout`], and returns.
///
/// # Errors
/// When the TLS files cannot be used at the start. Later changes of them that cannot be used are logged and ignored.
pub async fn serve(
    listeners: impl Into<Listeners>,
    gateway: Arc<Gateway>,
    options: EdgeOptions,
    shutdown: impl Future<Output = ()>,
) -> Result<(), TlsError> {
    let waits = Arc::clone(&gateway);
    let (stop, mut stopping) = watch::channel(());
    let shutdown = async move {
        shutdown.await;
        waits.end_waits();
        drop(stop);
    };
    let shown = gateway.metrics().http_connections();
    let edge = Arc::new(state::Edge::new(gateway, options.clone(), document_bytes));
    let mut router = Router::new();
    for route in routes() {
        router = router.route(route.operation.path, route.service);
    }
    router = robot::attach(router);
    if options.cmq.enabled {
        router = cmq::attach(router);
    }
    let live = Live::new(&edge);
    router = live::attach(router, &live);
    let router = router
        .method_not_allowed_fallback(route::method_not_allowed)
        .fallback(route::no_such_route)
        .with_state(edge);
    let Listeners { http, live: framed } = listeners.into();
    let http = async {
        let served = server::run(http, router, &options, shown, shutdown).await;
        live.end(options.shutdown_timeout).await;
        served
    };
    let framed = async {
        let Some(listener) = framed else {
            return Ok(());
        };
        // Completes when the other half is dropped.
        let stopped = async move { drop(stopping.changed().await) };
        live::run_tcp(listener, Arc::clone(&live), stopped).await
    };
    let both = async { tokio::try_join!(http, framed).map(|((), ())| ()) };
    tokio::select! {
        served = both => served,
        () = live::sweep(&live) => Ok(()),
    }
}

/// The OpenAPI 3.1 document of everything that [`serve`] answers.
#[must_use]
pub fn openapi() -> Value {
    let routes = routes();
    let wires = live::operations();
    let routes = routes.iter().map(|route| &route.operation);
    openapi::document(routes.chain(&wires))
}

/// The route table of what the OpenAPI document describes.
fn routes() -> Vec<route::Route> {
    let mut routes = api::routes();
    routes.extend(callback::routes());
    routes
}

fn document_bytes() -> Bytes {
    openapi().to_string().into()
}
