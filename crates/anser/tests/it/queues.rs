//! Queues, on the real binary: received, acknowledged, given back, kept, rewound, dead-lettered, and a pool of workers
//! around a kill. Must not look inside; what it knows comes through the API and the command line.

mod command_line;
mod dead_letters;
mod leases;
mod pool;
mod restarts;

use serde_json::{Value, json};

use crate::harness::{Api, Server};

/// The queue of most tests.
const JOBS: &str = "jobs";

/// A server with the queue [`JOBS`] of these settings.
async fn with(spec: Value) -> (Server, Api) {
    let server = Server::start();
    let api = server.api();
    queue(&api, JOBS, spec).await;
    (server, api)
}

async fn queue(api: &Api, name: &str, mut spec: Value) {
    spec["name"] = name.into();
    api.make("/v1/queues", &spec).await;
}

/// Sends a message straight to a queue; answers its id.
async fn send(api: &Api, queue: &str, data: impl Into<Value>) -> String {
    send_with(api, queue, data, json!({})).await
}

/// The same with further fields of the header.
async fn send_with(api: &Api, queue: &str, data: impl Into<Value>, mut header: Value) -> String {
    let data: Value = data.into();
    header["to"] = json!([format!("queue:{queue}")]);
    let item = json!({"header": header, "body": {"data": data}});
    let answer = api.make("/v1/messages", &item).await;
    assert_eq!(answer["matched"], 1, "{answer}");
    answer["id"].as_str().unwrap().to_owned()
}

/// What a receive answers.
async fn receive(api: &Api, queue: &str, ask: Value) -> Vec<Value> {
    let answer = api.make(&format!("/v1/queues/{queue}/receive"), &ask).await;
    answer["messages"].as_array().unwrap().clone()
}

/// Waits for a message, and receives that one.
async fn receive_one(api: &Api, queue: &str) -> Value {
    let mut received = receive(api, queue, json!({"wait": 30})).await;
    assert_eq!(received.len(), 1, "one within the wait");
    received.remove(0)
}

/// Which receipts held for `ack`, `nack` or `extend`.
async fn tell(api: &Api, queue: &str, call: &str, of: &[&Value], mut body: Value) -> Vec<bool> {
    let receipts: Vec<&Value> = of.iter().map(|message| &message["receipt"]).collect();
    body["receipts"] = json!(receipts);
    let answer = api.make(&format!("/v1/queues/{queue}/{call}"), &body).await;
    let results = answer["results"].as_array().unwrap();
    for (result, receipt) in results.iter().zip(&receipts) {
        assert_eq!(&&result["receipt"], receipt, "results are in order");
    }
    results
        .iter()
        .map(|result| result["ok"].as_bool().unwrap())
        .collect()
}

async fn ack(api: &Api, queue: &str, of: &[&Value]) -> Vec<bool> {
    tell(api, queue, "ack", of, json!({})).await
}

async fn state(api: &Api, queue: &str) -> Value {
    let (status, state) = api.get(&format!("/v1/queues/{queue}/state")).await;
    assert_eq!(status, 200, "{state}");
    state
}

/// What messages carry.
fn data(received: &[Value]) -> Vec<Value> {
    received
        .iter()
        .map(|message| message["message"]["body"]["data"].clone())
        .collect()
}
