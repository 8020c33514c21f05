//! The HTTP API as a test calls it: status and JSON, nothing hidden.

use std::cell::RefCell;
use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

/// Calls one server.
#[derive(Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

impl Api {
    /// For the server at `base`, such as `http://127.0.0.1:1234`.
    pub(crate) fn new(base: &str, key: Option<&str>) -> Self {
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(75))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        Self {
            http,
            base: base.to_owned(),
            key: key.map(str::to_owned),
        }
    }

    /// A request, to be completed with headers or another body.
    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// Sends a request; `Err` when no whole answer came.
    pub(crate) async fn try_send(
        &self,
        request: reqwest::RequestBuilder,
    ) -> Result<(u16, Value), reqwest::Error> {
        let response = request.send().await?;
        let status = response.status().as_u16();
        let text = response.text().await?;
        let value = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Ok((status, value))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> (u16, Value) {
        self.try_send(request).await.unwrap()
    }

    /// `GET`.
    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::GET, path)).await
    }

    /// `POST`, with JSON.
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.request(Method::POST, path).json(body)).await
    }

    /// `POST`, without a body.
    pub(crate) async fn act(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::POST, path)).await
    }

    /// `PUT`, with JSON.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.request(Method::PUT, path).json(body)).await
    }

    /// `PATCH`, with JSON.
    pub(crate) async fn patch(&self, path: &str, body: &Value) -> (u16, Value) {
        self.send(self.request(Method::PATCH, path).json(body))
            .await
    }

    /// `DELETE`.
    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        self.send(self.request(Method::DELETE, path)).await
    }

    /// `POST` that must succeed.
    pub(crate) async fn make(&self, path: &str, body: &Value) -> Value {
        let (status, answer) = self.post(path, body).await;
        assert!(
            (200..300).contains(&status),
            "POST {path}: {status} {answer}"
        );
        answer
    }

    /// A topic, a webhook channel to `url` and a subscription between them; `channel` and `subscription` are merged
    /// into what is asked for.
    pub(crate) async fn route(
        &self,
        topic: &str,
        name: &str,
        url: &str,
        settings: Value,
        subscription: Value,
    ) {
        let (status, answer) = self
            .post("/v1/topics", &serde_json::json!({"name": topic}))
            .await;
        assert!((200..300).contains(&status), "{status} {answer}");
        let mut channel =
            serde_json::json!({"name": name, "kind": "webhook", "settings": {"url": url}});
        merge(&mut channel["settings"], settings);
        self.make("/v1/channels", &channel).await;
        let mut body = serde_json::json!({"name": name, "channel": name});
        merge(&mut body, subscription);
        self.make(&format!("/v1/topics/{topic}/subscriptions"), &body)
            .await;
    }

    /// Publishes one item, which must be accepted; answers its id.
    pub(crate) async fn publish(&self, topic: &str, item: &Value) -> String {
        let answer = self
            .make(&format!("/v1/topics/{topic}/messages"), item)
            .await;
        answer["id"].as_str().expect("an id").to_owned()
    }

    /// The deliveries of a message.
    pub(crate) async fn deliveries(&self, message: &str) -> Vec<Value> {
        let (status, page) = self
            .get(&format!("/v1/messages/{message}/deliveries"))
            .await;
        assert_eq!(status, 200, "{page}");
        page["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until the only delivery of a message is in `state`, and answers it with its attempts.
    pub(crate) async fn delivery_in(&self, message: &str, state: &str) -> Value {
        let what = format!("the delivery of {message} is {state}");
        let seen = LastSeen::default();
        let found = super::eventually(&what, || async {
            let deliveries = self.deliveries(message).await;
            seen.0.replace(deliveries.clone());
            deliveries
                .into_iter()
                .find(|delivery| delivery["state"] == state)
        })
        .await;
        let id = found["id"].as_str().expect("an id");
        self.get(&format!("/v1/deliveries/{id}")).await.1
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Some(into), Value::Object(from)) = (into.as_object_mut(), from) {
        into.extend(from);
    }
}

/// What a wait that fails saw last.
#[derive(Default)]
struct LastSeen(RefCell<Vec<Value>>);

impl Drop for LastSeen {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("seen last: {:#}", Value::from(self.0.take()));
        }
    }
}
