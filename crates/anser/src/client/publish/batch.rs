//! Lines that go in one request, and the request. Must not decide on repeats.

use anser_core::limits;
use reqwest::Method;
use serde_json::Value;

use crate::client::api::Api;
use crate::exit::Failure;

/// Bytes kept free of a request's limit for the brackets and commas around its items.
const FRAME_BYTES: usize = limits::BATCH_MESSAGES_MAX + 2;

/// Consecutive lines for the same topic, or for direct addresses.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    topic: Option<String>,
    items: Vec<(u64, String)>,
    bytes: usize,
}

impl Batch {
    /// Adds a line's item, or gives it back when it belongs to the next batch.
    pub(crate) fn add(&mut self, item: Item) -> Result<(), Item> {
        let bytes = self.bytes + item.json.len();
        let fits = self.items.is_empty()
            || (self.topic == item.topic && bytes <= limits::BATCH_BYTES_MAX - FRAME_BYTES);
        if !fits {
            return Err(item);
        }
        self.topic = item.topic;
        self.bytes = bytes;
        self.items.push((item.line, item.json));
        Ok(())
    }

    /// How many lines it has.
    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// Their numbers.
    pub(crate) fn line_numbers(&self) -> impl Iterator<Item = u64> {
        self.items.iter().map(|(line, _)| *line)
    }

    /// The number of the last one; 0 when empty.
    pub(crate) fn last_line(&self) -> u64 {
        self.items.last().map_or(0, |(line, _)| *line)
    }

    /// Publishes it; one result a line, in order.
    pub(crate) async fn send(&self, api: &Api) -> Result<Vec<Value>, Failure> {
        let path = match &self.topic {
            Some(topic) => vec!["v1", "topics", topic.as_str(), "messages"],
            None => vec!["v1", "messages"],
        };
        let items: Vec<&str> = self.items.iter().map(|(_, json)| json.as_str()).collect();
        let body = format!("[{}]", items.join(",")).into_bytes();
        let answer = api.call(Method::POST, &path, &[], Some(body)).await?;
        match answer.json()?.get_mut("results").map(Value::take) {
            Some(Value::Array(results)) if results.len() == self.items.len() => Ok(results),
            _ => Err(Failure::Here(anyhow::anyhow!(
                "the server did not answer with one result a message; is it a gateway of this version?"
            ))),
        }
    }
}

/// A line, ready to be sent.
#[derive(Debug)]
pub(crate) struct Item {
    /// Its number, 1 for the first.
    pub(crate) line: u64,
    /// Its topic; `None` for direct addresses.
    pub(crate) topic: Option<String>,
    /// The item, with a dedupe key.
    pub(crate) json: String,
}
