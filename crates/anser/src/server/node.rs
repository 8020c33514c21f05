//! A gateway put together: data, keys, sender, use cases, listener; and taken apart in the order that loses nothing.
//! Must not know why it is started: `serve` and `demo` do.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anser_core::clock::{Clock, SystemClock};
use anser_core::random::Random;
use anser_core::store::SharedStore;
use anser_edge::{CmqOptions, EdgeOptions, Listeners, PublishUnrouted, TlsFiles};
use anser_gateway::blobs::BlobHandles;
use anser_gateway::dispatch::PlanOptions;
use anser_gateway::metrics::Metrics;
use anser_gateway::secrets::Sealer;
use anser_gateway::sender::{AddressGuard, GuardOptions, Sender, SenderOptions, SystemResolver};
use anser_gateway::{Gateway, GatewayOptions, Parts};
use anser_store::{SqliteOptions, SqliteStore};
use anyhow::{Context as _, anyhow};
use tokio::net::TcpListener;

use super::entropy::OsRandom;
use super::files;
use super::keys;
use super::runtime;
use super::settings::{Allowed, Cmq, Settings, Unrouted};

/// A gateway that is ready to answer.
pub(crate) struct Node {
    gateway: Arc<Gateway>,
    listeners: Listeners,
    edge: EdgeOptions,
    address: SocketAddr,
    limit: Duration,
}

/// The data and what goes with it, without a gateway: for work on a stopped server.
pub(crate) struct Data {
    /// The store.
    pub(crate) store: SharedStore,
    /// The machine's clock.
    pub(crate) clock: Arc<dyn Clock>,
    /// The operating system's randomness.
    pub(crate) random: Arc<dyn Random>,
    metrics: Arc<Metrics>,
}

impl Data {
    /// Opens the data in a folder, which is made when it is missing.
    pub(crate) fn open(folder: &Path, reserve_bytes: Option<u64>) -> anyhow::Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let random: Arc<dyn Random> = Arc::new(OsRandom::default());
        let metrics = Arc::new(Metrics::new());
        let mut options = SqliteOptions::new(folder, Arc::clone(&clock), Arc::clone(&random));
        options.reserve_bytes = reserve_bytes;
        options.observer = Some(metrics.clone());
        let store = SqliteStore::open(options)?;
        Ok(Self {
            store: Arc::new(store),
            clock,
            random,
            metrics,
        })
    }
}

impl Node {
    /// Opens data and listener and starts to deliver what is due. Requests are answered once it runs.
    pub(crate) async fn start(settings: &Settings) -> anyhow::Result<Self> {
        let data = Data::open(&settings.data, settings.disk.reserve_bytes)?;
        let master_key = keys::master_key(&settings.data, &*data.random)?;
        // Before the gateway starts to deliver: a port that is taken is the commonest mistake.
        let listeners = listen(settings).await?;
        let address = listeners
            .http
            .local_addr()
            .context("the listener has no address")?;
        let guard = AddressGuard::new(guard_options(settings));
        let mut options =
            SenderOptions::new(Arc::clone(&data.clock), Arc::new(SystemResolver::new()));
        options.guard = guard.clone();
        options.extra_ca_files.clone_from(&settings.extra_ca);
        options.proxy.clone_from(&settings.proxy);
        options.programs = settings.exec.programs();
        let sender = Sender::new(options).map_err(|problem| anyhow!("{problem}"))?;
        let handles = BlobHandles {
            store: Arc::clone(&data.store),
            clock: Arc::clone(&data.clock),
            random: Arc::clone(&data.random),
            metrics: Arc::clone(&data.metrics),
        };
        let parts = Parts {
            blobs: files::blobs(settings, handles)?,
            links: files::links(settings, &master_key, &data.clock)?,
            store: data.store,
            clock: data.clock,
            random: data.random,
            sender: Arc::new(sender),
            guard,
            sealer: Sealer::new(&master_key),
            registry: anser_channels::registry(),
            metrics: data.metrics,
        };
        let gateway = Gateway::start(parts, gateway_options(settings))
            .await
            .context("cannot start on this data")?;
        if !settings.dev {
            keys::admin_key(&gateway, &settings.data).await?;
        }
        Ok(Self {
            gateway,
            listeners,
            edge: edge_options(settings),
            address,
            limit: Duration::from_secs(settings.shutdown.limit_seconds),
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.edge.tls.is_some() {
            "https"
        } else {
            "http"
        }
    }

    /// Answers requests until `stop` completes or the store fails for good; then lets requests and attempts under way
    /// finish within the limit, and closes the data.
    pub(crate) async fn run(self, stop: impl Future<Output = ()>) -> anyhow::Result<()> {
        let failed = Arc::clone(&self.gateway);
        let mut failure = None;
        let stopped = async {
            tokio::select! {
                () = stop => {}
                why = failed.failed() => failure = Some(why),
            }
        };
        let served = anser_edge::serve(
            self.listeners,
            Arc::clone(&self.gateway),
            self.edge,
            stopped,
        )
        .await;
        let closed = self.gateway.shutdown(self.limit).await;
        served.context("cannot listen with TLS")?;
        if let Some(why) = failure {
            return Err(anyhow!(
                "the store has failed: {why}; what was accepted is safe, start again"
            ));
        }
        closed.context("the data was not closed properly; the next start checks it")
    }
}

async fn listen(settings: &Settings) -> anyhow::Result<Listeners> {
    let http = TcpListener::bind(settings.listen).await.with_context(|| {
        format!(
            "cannot listen on {}; another --listen may do, port 0 takes a free one",
            settings.listen
        )
    })?;
    let live = match settings.live.tcp {
        Some(address) => {
            let listener = TcpListener::bind(address).await;
            let listener = listener.with_context(|| {
                format!("cannot listen on {address} (live.tcp); another port may do")
            })?;
            let bound = listener.local_addr().unwrap_or(address);
            tracing::info!(address = %bound, tls = settings.live.tcp_tls, "framed TCP of live clients");
            Some(listener)
        }
        None => None,
    };
    Ok(Listeners { http, live })
}

fn guard_options(settings: &Settings) -> GuardOptions {
    let mut options = GuardOptions {
        allow_loopback: settings.dev,
        ..GuardOptions::default()
    };
    for allowed in &settings.guard.allow {
        match allowed {
            Allowed::Network(network) => options.allow_cidrs.push(*network),
            Allowed::Host(host) => options.allow_hosts.push(host.clone()),
        }
    }
    options
}

fn gateway_options(settings: &Settings) -> GatewayOptions {
    let dispatch = &settings.dispatch;
    GatewayOptions {
        limits: settings.limits,
        dev: settings.dev,
        dead_retention: Duration::from_secs(settings.retention.dead_letters_seconds),
        attempt_retention: Duration::from_secs(settings.retention.attempts_seconds),
        dispatch: PlanOptions {
            in_flight_max: dispatch.in_flight_max,
            endpoint_slots_max: dispatch.endpoint_in_flight_max,
            window_max: dispatch.window_max,
            group_window_max: dispatch.subscription_window_max,
            disable_after: Duration::from_secs(settings.auto_disable.after_seconds),
            disable_failures: settings.auto_disable.failures_min,
            ..PlanOptions::default()
        },
        ..GatewayOptions::default()
    }
}

fn edge_options(settings: &Settings) -> EdgeOptions {
    let tls = match (&settings.tls.certificate, &settings.tls.key) {
        (Some(certificate), Some(key)) => Some(TlsFiles {
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        _ => None,
    };
    EdgeOptions {
        metrics_public: settings.metrics.public,
        tls,
        live_tcp_tls: settings.live.tcp_tls,
        live_origins: settings.live.origins.clone(),
        cmq: cmq_options(&settings.cmq),
        live_connections_max: runtime::live_connections_max(),
        shutdown_timeout: Duration::from_secs(settings.shutdown.limit_seconds),
        ..EdgeOptions::default()
    }
}

fn cmq_options(settings: &Cmq) -> CmqOptions {
    CmqOptions {
        enabled: settings.enabled,
        publish_unrouted: match settings.publish_unrouted {
            Unrouted::Error => PublishUnrouted::Error,
            Unrouted::Accept => PublishUnrouted::Accept,
        },
        clock_skew: Duration::from_secs(settings.clock_skew),
        hosts: settings.hosts.clone(),
        topics_max: settings.topics_max,
        queues_max: settings.queues_max,
        subscriptions_max: settings.subscriptions_max,
    }
}
