//! The queue through the native API: published with `header.to`, received, acknowledged.

use crate::bench::connection::Connection;
use crate::bench::scenario::queue::work::{self, Consumer, Producer, Taken};
use crate::bench::signed;
use anyhow::bail;
use serde_json::json;
use std::net::SocketAddr;

/// Longer than any phase: no lease may run out.
const LEASE_SECONDS: u64 = 43_200;
/// How long a consumer's request waits.
const WAIT_SECONDS: u64 = 10;

/// Makes a queue.
pub(crate) async fn create(gateway: SocketAddr, queue: &str) -> anyhow::Result<()> {
    let mut api = Connection::open(gateway).await?;
    api.post("/v1/queues", &json!({ "name": queue })).await?;
    Ok(())
}

/// A producer or a consumer.
#[derive(Debug)]
pub(crate) struct Client {
    connection: Connection,
    queue: String,
    batch: usize,
    receive: Vec<u8>,
}

impl Client {
    /// Connects; `batch` messages a request.
    pub(crate) async fn open(
        gateway: SocketAddr,
        queue: &str,
        batch: usize,
    ) -> anyhow::Result<Self> {
        let ask = json!({ "max": batch, "wait": WAIT_SECONDS, "lease": LEASE_SECONDS });
        Ok(Self {
            connection: Connection::open(gateway).await?,
            queue: queue.to_owned(),
            batch,
            receive: request(&format!("/v1/queues/{queue}/receive"), &ask.to_string()),
        })
    }
}

impl Producer for Client {
    fn room(&self) -> usize {
        self.batch
    }

    async fn send(&mut self, bodies: &[String]) -> anyhow::Result<u64> {
        const ACCEPTED: &str = "\"status\":202";
        let queue = &self.queue;
        let item = |body: &String| {
            format!(
                "{{\"header\":{{\"to\":[\"queue:{queue}\"]}},\"body\":{{\"data\":\"{body}\"}}}}"
            )
        };
        let items: Vec<String> = bodies.iter().map(item).collect();
        let body = match items.as_slice() {
            [item] if self.batch == 1 => item.clone(),
            items => format!("[{}]", items.join(",")),
        };
        let answer = self
            .connection
            .exchange(&request("/v1/messages", &body))
            .await?;
        let accepted = match answer.status()? {
            202 => 1,
            200 => answer.text().matches(ACCEPTED).count(),
            _ => 0,
        };
        if accepted != bodies.len() {
            bail!(
                "{accepted} of {} were accepted: {}",
                bodies.len(),
                answer.text()
            );
        }
        Ok(accepted as u64)
    }

    async fn settle(&mut self) -> anyhow::Result<u64> {
        Ok(0)
    }
}

impl Consumer for Client {
    type Handle = String;

    async fn receive(&mut self) -> anyhow::Result<Vec<Taken<String>>> {
        let answer = self.connection.exchange(&self.receive).await?;
        if answer.status()? != 200 {
            bail!("a receive was refused: {}", answer.text());
        }
        let receipts = signed::texts(answer.body(), "receipt")?;
        let bodies = signed::texts(answer.body(), "data")?;
        if receipts.len() != bodies.len() {
            bail!("{} receipts and {} bodies", receipts.len(), bodies.len());
        }
        let mut taken = Vec::with_capacity(receipts.len());
        for (handle, body) in receipts.into_iter().zip(bodies) {
            let sent = work::stamp(body.as_bytes())?;
            taken.push(Taken { handle, sent });
        }
        Ok(taken)
    }

    async fn delete(&mut self, receipts: &[String]) -> anyhow::Result<()> {
        const DONE: &str = "\"ok\":true";
        let path = format!("/v1/queues/{}/ack", self.queue);
        let body = json!({ "receipts": receipts }).to_string();
        let answer = self.connection.exchange(&request(&path, &body)).await?;
        if answer.status()? != 200 || answer.text().matches(DONE).count() != receipts.len() {
            bail!(
                "not all of {} receipts held: {}",
                receipts.len(),
                answer.text()
            );
        }
        Ok(())
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(())
    }
}

fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .into_bytes()
}
