//! Every outcome and rule of the delivery specification, on the real binary and real requests: one test a rule. Must not
//! look inside; what it knows comes through the API and what a receiver got.

mod answers;
mod changes;
mod dead;
mod editing;
mod endpoint;
mod idempotency;
mod lanes;
mod limits;
mod publishing;
mod routing;
mod schedule;
mod secrecy;

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Api, Receiver, Server};

/// Server, API and receiver, as most tests want them.
struct Stage {
    /// Kept for as long as it is needed.
    server: Server,
    api: Api,
    receiver: Receiver,
}

impl Stage {
    async fn set() -> Self {
        let server = Server::start();
        let api = server.api();
        let receiver = Receiver::start().await;
        Self {
            server,
            api,
            receiver,
        }
    }

    /// A topic `shop` whose only subscription goes to the receiver's `/hook`, with these fields of its own.
    async fn with(subscription: Value) -> Self {
        let stage = Self::set().await;
        let url = stage.receiver.url("/hook");
        stage
            .api
            .route("shop", "hook", &url, json!({}), subscription)
            .await;
        stage
    }

    /// Publishes to `shop` a message with that body and ordering key.
    async fn keyed(&self, data: impl Into<Value>, key: &str) -> String {
        let data: Value = data.into();
        self.api
            .publish(
                "shop",
                &json!({"header": {"key": key}, "body": {"data": data}}),
            )
            .await
    }

    /// Publishes to `shop` a message with that body.
    async fn plain(&self, data: impl Into<Value>) -> String {
        let data: Value = data.into();
        self.api
            .publish("shop", &json!({"body": {"data": data}}))
            .await
    }
}

/// A retry schedule that soon tries again, for as long as a test takes.
fn soon() -> Value {
    json!({"first": 0.02, "factor": 1, "jitter": 0})
}

/// What the messages carried, in the order in which they came.
fn bodies(received: &[crate::harness::Received]) -> Vec<Value> {
    received
        .iter()
        .map(|request| request.json()["body"]["data"].clone())
        .collect()
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

fn in_seconds(seconds: f64) -> Timestamp {
    now().plus(Duration::from_secs_f64(seconds))
}

/// A member of a JSON document that must be a time.
fn time(value: &Value) -> Timestamp {
    value
        .as_str()
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| panic!("no time: {value}"))
}

fn attempts(delivery: &Value) -> &[Value] {
    delivery["attempt_log"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

/// The outcome of each attempt, in order.
fn outcomes(delivery: &Value) -> Vec<&str> {
    attempts(delivery)
        .iter()
        .filter_map(|attempt| attempt["outcome"].as_str())
        .collect()
}
