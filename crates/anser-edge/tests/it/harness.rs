//! A gateway with its edge, started for one test, and the check of every answer against the OpenAPI document.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use anser_core::clock::SystemClock;
use anser_core::random::SeededRandom;
use anser_edge::EdgeOptions;
use anser_gateway::blobs::{BlobHandles, BlobOptions, BlobPlace, Blobs, PublicUrl, SignedLinks};
use anser_gateway::metrics::Metrics;
use anser_gateway::secrets::Sealer;
use anser_gateway::sender::{AddressGuard, GuardOptions, Sender, SenderOptions, SystemResolver};
use anser_gateway::{Gateway, GatewayOptions, Parts};
use anser_store::MemoryStore;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::client::{self, Reply};
use crate::platform::TestPlatform;

/// The admin key of every test.
pub(crate) const KEY: &str = "ak_test-0123456789abcdefghijklmnopqrstuvwxyz";

/// A running server.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) gateway: Arc<Gateway>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), anser_edge::TlsError>>,
}

/// Starts a server that asks for keys.
pub(crate) async fn start() -> Server {
    start_with(GatewayOptions::default(), EdgeOptions::default()).await
}

pub(crate) async fn start_with(options: GatewayOptions, edge: EdgeOptions) -> Server {
    let gateway = gateway(options).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = anser_edge::serve(listener, Arc::clone(&gateway), edge, async {
        let _dropped = stopped.await;
    });
    #[expect(clippy::disallowed_methods, reason = "`Server::stop` waits for it")]
    let task = tokio::spawn(serving);
    Server {
        address,
        gateway,
        stop,
        task,
    }
}

async fn gateway(options: GatewayOptions) -> Arc<Gateway> {
    let clock = Arc::new(SystemClock::new());
    let guard = AddressGuard::new(GuardOptions {
        allow_loopback: true,
        ..GuardOptions::default()
    });
    let mut sender = SenderOptions::new(clock.clone(), Arc::new(SystemResolver::new()));
    sender.guard = guard.clone();
    let store = Arc::new(MemoryStore::new());
    let random = Arc::new(SeededRandom::new(1));
    let metrics = Arc::new(Metrics::new());
    let in_memory = BlobPlace::Url {
        url: "memory:///".parse().unwrap(),
        options: BTreeMap::new(),
    };
    let handles = BlobHandles {
        store: store.clone(),
        clock: clock.clone(),
        random: random.clone(),
        metrics: metrics.clone(),
    };
    let blobs = Blobs::new(BlobOptions::new(in_memory), handles).unwrap();
    let public = PublicUrl::new("http://public.example/anser".parse().unwrap()).unwrap();
    let links = SignedLinks::new(&public, &[7; 32], Duration::from_secs(600), clock.clone());
    let mut registry = anser_channels::registry();
    registry.push(Box::new(TestPlatform));
    let parts = Parts {
        store,
        clock,
        random,
        sender: Arc::new(Sender::new(sender).unwrap()),
        guard,
        sealer: Sealer::new(&[7; 32]),
        registry,
        metrics,
        blobs: Arc::new(blobs),
        links: Some(Arc::new(links)),
    };
    let gateway = Gateway::start(parts, options).await.unwrap();
    gateway
        .ensure_admin_key(Some(KEY.to_owned()))
        .await
        .unwrap();
    gateway
}

impl Server {
    /// A request with the admin key and, unless null, a JSON body.
    pub(crate) async fn call(&self, method: &str, target: &str, body: Value) -> Reply {
        self.call_with(method, target, &[], body).await
    }

    pub(crate) async fn call_with(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: Value,
    ) -> Reply {
        let key = format!("Bearer {KEY}");
        let mut all = vec![("authorization", key.as_str())];
        let body = if body.is_null() {
            Vec::new()
        } else {
            body.to_string().into_bytes()
        };
        if !body.is_empty() {
            all.push(("content-type", "application/json"));
        }
        all.extend(headers);
        self.send(method, target, &all, &body).await
    }

    /// A request with exactly these headers. The answer is held against the OpenAPI document.
    pub(crate) async fn send(
        &self,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Reply {
        let reply = client::send(self.address, method, target, headers, body).await;
        check(method, target, &reply);
        reply
    }

    /// A topic named `orders`, a channel `hook` to `url` and a subscription `hook` between them.
    pub(crate) async fn with_hook(&self, url: &str) {
        let resources = [
            ("/v1/topics/orders", json!({})),
            (
                "/v1/channels/hook",
                json!({"kind": "webhook", "settings": {"url": url}}),
            ),
            (
                "/v1/topics/orders/subscriptions/hook",
                json!({"channel": "hook"}),
            ),
        ];
        for (path, spec) in resources {
            let reply = self.call("PUT", path, spec).await;
            assert!([200, 201].contains(&reply.status), "{path}: {reply:?}");
        }
    }

    pub(crate) async fn stop(self) {
        let _gone = self.stop.send(());
        self.task.await.unwrap().unwrap();
        self.gateway.shutdown(Duration::from_secs(1)).await.unwrap();
    }

    /// Tells the edge to stop and goes on.
    pub(crate) fn signal(self) -> JoinHandle<Result<(), anser_edge::TlsError>> {
        let _gone = self.stop.send(());
        self.task
    }
}

static DOCUMENT: LazyLock<Value> = LazyLock::new(anser_edge::openapi);

/// Holds an answer against the document; routes that it does not know must be answered 404 or 405.
fn check(method: &str, target: &str, reply: &Reply) {
    let path = target.split('?').next().unwrap();
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let found = paths.iter().find(|(template, _)| matches(template, path));
    let operation = found.and_then(|(_, methods)| methods.get(method.to_ascii_lowercase()));
    let Some(operation) = operation else {
        assert!(
            [404, 405].contains(&reply.status),
            "{method} {target}: {}",
            reply.status
        );
        return;
    };
    let mut response = &operation["responses"][reply.status.to_string()];
    if let Some(reference) = response["$ref"].as_str() {
        response = DOCUMENT.pointer(reference.trim_start_matches('#')).unwrap();
    }
    assert!(
        response.is_object(),
        "{method} {target} does not list {}: {reply:?}",
        reply.status
    );
    let Some(content) = response["content"].as_object() else {
        assert!(reply.body.is_empty());
        return;
    };
    let media_type = reply.header("content-type").unwrap();
    let schema = &content
        .get(media_type)
        .or_else(|| content.get("*/*"))
        .unwrap_or_else(|| panic!("{method} {target}: {media_type}"))["schema"];
    if !media_type.ends_with("json") {
        return;
    }
    let root = json!({"allOf": [schema], "components": DOCUMENT["components"]});
    let validator = jsonschema::draft202012::new(&root).unwrap();
    let body = reply.json();
    let errors: Vec<String> = validator
        .iter_errors(&body)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{method} {target}: {errors:?} in {body}");
}

fn matches(template: &str, path: &str) -> bool {
    let (mut template, mut path) = (template.split('/'), path.split('/'));
    loop {
        match (template.next(), path.next()) {
            (None, None) => return true,
            (Some(wanted), Some(given)) if wanted.starts_with('{') || wanted == given => {}
            _ => return false,
        }
    }
}
