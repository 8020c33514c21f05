//! Live clients: what idle connections keep in memory, wire by wire; messages to a room of very many; and the time
//! from one user to another. Node's `socket.io` server does the same beside it.

mod fan_out;
mod idle;
mod pairs;

use crate::bench::gateway::{Folder, Gateway};
use crate::bench::peer::{self, Peer};
use crate::bench::plan::Plan;
use crate::bench::process;
use crate::bench::stats::Latencies;
use crate::bench::table::{Grid, Section, figure};
use crate::bench::wire::{Acks, Place, Wire};
use anyhow::Context;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

const NAME: &str = "live";

/// What is measured.
#[derive(Clone, Copy, Debug)]
enum System<'a> {
    /// The gateway.
    Anser,
    /// Node's server, from the packages in this folder.
    Node(&'a Path),
}

/// A server that runs.
enum Running {
    Anser {
        gateway: Gateway,
        place: Place,
        _data: Folder,
    },
    Node(Peer),
}

impl System<'_> {
    fn start(self, plan: &Plan) -> anyhow::Result<Running> {
        let Self::Node(packages) = self else {
            let data = plan.data(NAME)?;
            // Another process may take it meanwhile: then the gateway does not start, and says so.
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
            let tcp = free.local_addr().context("no port is free")?;
            drop(free);
            let settings = [("ANSER_LIVE__TCP", tcp.to_string())];
            let gateway = Gateway::start_with(&plan.binary, data.path(), &settings)?;
            let http = gateway.address();
            return Ok(Running::Anser {
                gateway,
                place: Place { http, tcp },
                _data: data,
            });
        };
        Ok(Running::Node(Peer::start(packages)?))
    }

    fn title(self, wire: Wire) -> String {
        match self {
            Self::Anser => format!("Anser, {}", wire.title()),
            Self::Node(_) => "Node, Socket.IO".to_owned(),
        }
    }
}

impl Running {
    fn place(&self) -> Place {
        match self {
            Self::Anser { place, .. } => *place,
            Self::Node(peer) => {
                let http: SocketAddr = peer.address();
                Place { http, tcp: http }
            }
        }
    }

    fn pid(&self) -> u32 {
        match self {
            Self::Anser { gateway, .. } => gateway.pid(),
            Self::Node(peer) => peer.pid(),
        }
    }

    fn resident(&self) -> anyhow::Result<f64> {
        Ok(process::resident(self.pid())? as f64)
    }
}

/// Messages that went through.
struct Flow {
    per_second: f64,
    /// Processor time of the server for each.
    server_micros: f64,
    harness_micros: f64,
    latencies: Latencies,
}

impl Flow {
    fn values(&self) -> Vec<f64> {
        let (p50, p99) = (self.latencies.p50_ms(), self.latencies.p99_ms());
        vec![
            self.per_second,
            self.server_micros,
            self.harness_micros,
            p50,
            p99,
        ]
    }
}

/// What the rows of a [`Flow`] are called.
const FLOW: [&str; 5] = [
    "delivered, /s",
    "server CPU, a delivery, µs",
    "harness CPU, a delivery, µs",
    "published → received, median, ms",
    "… 99th percentile, ms",
];

/// Runs it.
pub(crate) async fn run(plan: &Plan) -> anyhow::Result<Section> {
    let packages = peer::packages();
    let node = packages.as_deref().map(System::Node);
    let of_node = node.map(|node| (node, Wire::SocketIo));
    let anser = |wire| (System::Anser, wire);
    let (mut idle, mut fan_out, mut pairs) = (Vec::new(), Vec::new(), Vec::new());
    for (system, wire) in Wire::ALL.map(anser).into_iter().chain(of_node) {
        let found = idle::run(plan, system, wire).await;
        let found = found.with_context(|| format!("idle: {}", system.title(wire)))?;
        idle.push((system.title(wire), found.values()));
    }
    let duplex = [Wire::WebSocket, Wire::Tcp, Wire::SocketIo].map(anser);
    for (system, wire) in duplex.into_iter().chain(of_node) {
        let title = system.title(wire);
        let flow = fan_out::run(plan, system, wire, Acks::Usual).await;
        let flow = flow.with_context(|| format!("fan-out: {title}"))?;
        fan_out.push((title.clone(), flow.values()));
        if let (System::Anser, Wire::SocketIo) = (system, wire) {
            let title = format!("{title}, acks together");
            let flow = fan_out::run(plan, system, wire, Acks::Together).await;
            let flow = flow.with_context(|| format!("fan-out: {title}"))?;
            fan_out.push((title, flow.values()));
        }
        let flow = pairs::run(plan, system, wire).await;
        let flow = flow.with_context(|| format!("pairs: {title}"))?;
        pairs.push((title, flow.values()));
    }
    let readers = figure(plan.readers as f64);
    let mut notes = notes(plan);
    notes.push(match &packages {
        Some(packages) => format!(
            "Beside it {}, WebSocket only: it stores nothing and asks for no acknowledgements, and its answer to a publish \
             promises nothing.",
            peer::version(packages)
        ),
        None => "Node's socket.io server was left out: `cargo xtask ci` installs the package.".to_owned(),
    });
    Ok(Section {
        name: NAME.to_owned(),
        title: format!(
            "{} idle connections, a room of {readers}, {}/s from one user to another",
            figure(plan.connections as f64),
            figure(f64::from(pairs::PER_SECOND))
        ),
        rows: Vec::new(),
        grids: vec![
            grid("idle connections", &idle::ROWS, &idle),
            grid(&format!("to a room of {readers}"), &FLOW, &fan_out),
            grid("from one to one", &FLOW, &pairs),
        ],
        notes,
    })
}

fn grid(what: &str, rows: &[&str], columns: &[(String, Vec<f64>)]) -> Grid {
    let heads = columns.iter().map(|(title, _)| title.clone());
    let row = |(at, what): (usize, &&str)| {
        let values = columns.iter().map(|(_, values)| values[at]).collect();
        ((*what).to_owned(), values)
    };
    Grid {
        head: std::iter::once(what.to_owned()).chain(heads).collect(),
        rows: rows.iter().enumerate().map(row).collect(),
    }
}

fn notes(plan: &Plan) -> Vec<String> {
    vec![
        "Each connection is a session of a user of its own, with presence and a mailbox. Its memory is what the process has \
         more of, with all of them, than before the first; what the kernel keeps for the sockets is not in it."
            .to_owned(),
        format!(
            "Messages are stored and synced before they are confirmed, given and acknowledged: on WebSocket and TCP every \
             32nd for all before it, on Socket.IO each by its callback, or in a column of its own as on the others by `ack`. To \
             the room at most {} are on their way at once.",
            fan_out::ON_THEIR_WAY
        ),
        format!(
            "From one to one there are {} pairs; a message counts from when it was to be sent. {} s each.",
            pairs::PAIRS,
            plan.duration.as_secs()
        ),
    ]
}
