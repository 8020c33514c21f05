//! Robots end to end: what their senders post arrives, in the standard form, where the robot belongs; who is nobody is
//! refused as the platform would; and the lines of the guide work as written.

mod guide;
mod posts;
mod round;

use serde_json::{Value, json};

use crate::harness::{Api, Receiver, Server};

#[cfg(feature = "external")]
pub(crate) use guide::{PAGE as GUIDE, Stage};
#[cfg(feature = "external")]
pub(crate) use round::{CHATS, is_card, last};

const KEY: &str = "ak_DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDA";

/// Requests as the senders of a dialect make them.
fn samples(dialect: &str) -> Vec<Value> {
    let folder = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../anser-edge/tests/fixtures/robot"
    );
    let text = std::fs::read_to_string(format!("{folder}/{dialect}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// A topic `alerts` from which everything goes to a receiver.
async fn with_topic(server: &Server, receiver: &Receiver) {
    let api = server.api();
    api.route("alerts", "all", &receiver.url("/all"), json!({}), json!({}))
        .await;
}

/// Makes a robot; its path of a dialect.
async fn robot(api: &Api, body: &Value) -> impl Fn(&str) -> String + use<> {
    let made = api.make("/v1/robots", body).await;
    let token = made["token"].as_str().expect("a token").to_owned();
    move |dialect| format!("/robot/{token}/{dialect}")
}

/// Posts a sample.
async fn post(api: &Api, path: &str, sample: &Value) -> (u16, Value) {
    let body = match &sample["body"] {
        Value::String(text) if path.ends_with("/text") => text.clone(),
        body => body.to_string(),
    };
    let mut request = api.request(reqwest::Method::POST, path).body(body);
    for (name, value) in sample["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap());
    }
    api.try_send(request).await.unwrap()
}
