//! What the machine takes for one HTTP request received and one sent, without any gateway: the scale for the others.

use crate::bench::load::{self, ClosedLoop, PUBLISHERS};
use crate::bench::payload::{Lane, Request};
use crate::bench::plan::Plan;
use crate::bench::receiver::{Endpoint, Sink};
use crate::bench::table::{Row, Section};
use crate::bench::usage::{Meter, micros_each};
use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

const PATIENCE: Duration = Duration::from_secs(5);
const BODY_BYTES_MAX: usize = 1_024;

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let own = own(plan).await?;
    let hyper = with_hyper(plan).await?;
    Ok(Section {
        name: "floor".to_owned(),
        title: format!(
            "{PUBLISHERS} connections, one request received and one sent each time, no gateway"
        ),
        rows: vec![
            Row::fact("with hyper, server and client", hyper, "µs"),
            Row::fact("with the harness's own connections", own, "µs"),
        ],
        grids: Vec::new(),
        notes: vec!["All in one thread.".to_owned()],
    })
}

/// What every other scenario's publishers and endpoints cost.
async fn own(plan: &Plan) -> anyhow::Result<f64> {
    let sink = Sink::new(plan.clock);
    sink.open_window(PUBLISHERS * 2);
    let endpoint = Endpoint::listen(&sink).await?;
    let closed_loop = ClosedLoop {
        gateway: endpoint.address(),
        requests: vec![Request::direct(Lane::default()); PUBLISHERS],
        deliveries: 1,
        duration: plan.duration,
        requests_max: u64::MAX,
    };
    let meter = Meter::begin(None)?;
    let published = closed_loop.run(plan.clock, &sink).await?;
    let usage = meter.read()?;
    if !load::drained(&sink, published.messages, PATIENCE, plan.clock).await || sink.faults() > 0 {
        bail!(
            "{} of {} requests came",
            sink.received(),
            published.messages
        );
    }
    Ok(micros_each(usage.harness, published.messages))
}

/// The same with the library both the gateway's server and its sender are built on.
async fn with_hyper(plan: &Plan) -> anyhow::Result<f64> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let mut server = JoinSet::new();
    server.spawn(hyper_server(listener));
    let end = plan.clock.elapsed() + plan.duration;
    let mut clients = JoinSet::new();
    let meter = Meter::begin(None)?;
    for _ in 0..PUBLISHERS {
        clients.spawn(hyper_client(address, plan.clock, end));
    }
    let mut exchanges = 0;
    while let Some(result) = clients.join_next().await {
        exchanges += result.context("a client ended early")??;
    }
    Ok(micros_each(meter.read()?.harness, exchanges))
}

async fn hyper_server(listener: TcpListener) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        if stream.set_nodelay(true).is_err() {
            continue;
        }
        let service = hyper::service::service_fn(answer);
        let connection = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(stream), service);
        // One that breaks shows at its client.
        connections.spawn(async move {
            let _ = connection.await;
        });
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the body is capped in this very line"
)]
async fn answer(
    request: hyper::Request<Incoming>,
) -> Result<hyper::Response<Empty<Bytes>>, Infallible> {
    let status = match Limited::new(request.into_body(), BODY_BYTES_MAX)
        .collect()
        .await
    {
        Ok(_) => hyper::StatusCode::OK,
        Err(_) => hyper::StatusCode::BAD_REQUEST,
    };
    let mut response = hyper::Response::new(Empty::new());
    *response.status_mut() = status;
    Ok(response)
}

async fn hyper_client(
    address: SocketAddr,
    clock: crate::bench::clock::Clock,
    end: Duration,
) -> anyhow::Result<u64> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut driver = JoinSet::new();
    driver.spawn(connection);
    let body = Bytes::from(vec![b'x'; crate::bench::payload::DATA_BYTES]);
    let mut exchanges = 0;
    while clock.elapsed() < end {
        let request = hyper::Request::post("/hook")
            .header("host", "127.0.0.1")
            .header("content-type", "application/json")
            .body(Full::new(body.clone()))?;
        let response = sender.send_request(request).await?;
        if !response.status().is_success() {
            bail!("answered {}", response.status());
        }
        exchanges += 1;
    }
    Ok(exchanges)
}
