//! Load: publishers at full speed, each an item or a batch at a time, which repeat what they got no answer to.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::ledger::{Item, Ledger};
use crate::harness::Api;

/// Publishers at work at a time.
pub(super) const PUBLISHERS: usize = 8;
/// Ordering keys of each publisher.
const KEYS: usize = 4;
/// Of so many publishers, one publishes without ordering keys.
const KEYLESS_EVERY: usize = 4;
/// Items in a batch of those publishers that make batches.
const BATCH: usize = 7;

/// The ledger, and how far it has come.
#[derive(Clone)]
pub(super) struct Books {
    pub(super) ledger: Arc<Mutex<Ledger>>,
    count: watch::Sender<usize>,
}

impl Books {
    pub(super) fn new() -> Self {
        Self {
            ledger: Arc::new(Mutex::new(Ledger::default())),
            count: watch::Sender::new(0),
        }
    }

    /// Waits until at least so many items are acknowledged.
    pub(super) async fn acknowledged(&self, count: usize) {
        let mut seen = self.count.subscribe();
        let enough = tokio::time::timeout(
            crate::harness::DEADLINE,
            seen.wait_for(|seen| *seen >= count),
        )
        .await;
        assert!(enough.is_ok(), "publishing came to a halt");
    }

    fn acknowledge(&self, item: Item, id: &Value) {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.acknowledge(item, id);
        let count = ledger.acknowledged();
        drop(ledger);
        self.count.send_replace(count);
    }
}

/// A publisher; between two servers it remembers what it is not sure of.
pub(super) struct Publisher {
    number: usize,
    /// The next item that is not acknowledged.
    next: usize,
    /// How many items its last request had; a repeat is the same request.
    open: usize,
}

impl Publisher {
    pub(super) const fn new(number: usize) -> Self {
        Self {
            number,
            next: 0,
            open: 0,
        }
    }

    fn item(&self, n: usize) -> Value {
        let mut header = json!({"type": "crash.test"});
        if !self.number.is_multiple_of(KEYLESS_EVERY) {
            header["key"] = format!("{}-{}", self.number, n % KEYS).into();
        }
        json!({
            "header": header,
            "body": {"data": {"publisher": self.number, "n": n}},
            "dedupe_key": format!("{}-{n}", self.number),
        })
    }

    /// Publishes once; false when no answer came.
    async fn publish(&mut self, api: &Api, books: &Books) -> bool {
        if self.open == 0 {
            self.open = if self.number.is_multiple_of(2) {
                1
            } else {
                BATCH
            };
        }
        let items: Vec<Value> = (self.next..self.next + self.open)
            .map(|n| self.item(n))
            .collect();
        let body = if self.open == 1 {
            items[0].clone()
        } else {
            json!(items)
        };
        let request = api
            .request(reqwest::Method::POST, "/v1/topics/crash/messages")
            .json(&body);
        let Ok((status, answer)) = api.try_send(request).await else {
            return false;
        };
        let results = match status {
            202 => std::slice::from_ref(&answer),
            200 => answer["results"].as_array().unwrap().as_slice(),
            // A gateway that is going down may say so; nothing was stored then, or it is not sure.
            503 => return false,
            _ => panic!("{status} {answer}"),
        };
        assert_eq!(results.len(), self.open, "{answer}");
        for (place, result) in results.iter().enumerate() {
            // Of a batch that met the shutdown: the rest is repeated.
            if result["status"] == 503 {
                self.next += place;
                self.open -= place;
                return false;
            }
            books.acknowledge((self.number, self.next + place), &result["id"]);
        }
        self.next += self.open;
        self.open = 0;
        true
    }

    async fn until_no_answer(mut self, api: Api, books: Books) -> Self {
        while self.publish(&api, &books).await {}
        self
    }

    /// Makes sure of what was left open.
    pub(super) async fn finish(&mut self, api: &Api, books: &Books) {
        if self.open > 0 {
            assert!(
                self.publish(api, books).await,
                "no answer from a server that nobody stopped"
            );
        }
    }
}

/// Sets all publishers to work until each got no answer.
pub(super) fn publish_all(
    publishers: Vec<Publisher>,
    api: &Api,
    books: &Books,
) -> JoinSet<Publisher> {
    let mut work = JoinSet::new();
    for publisher in publishers {
        work.spawn(publisher.until_no_answer(api.clone(), books.clone()));
    }
    work
}
