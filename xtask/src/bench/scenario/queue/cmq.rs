//! The queue through the CMQ door: SendMessage, ReceiveMessage, DeleteMessage and their batches, all signed.

use crate::bench::connection::Connection;
use crate::bench::scenario::queue::work::{self, Consumer, Producer, Taken};
use crate::bench::signed::{self, Caller, Credentials};
use anyhow::{Context, bail};
use serde_json::json;
use std::net::SocketAddr;

/// Longer than any phase: no lease may run out.
const VISIBILITY_SECONDS: &str = "43200";
/// How long a consumer's request waits.
const WAIT_SECONDS: &str = "10";

/// A key pair that may do everything.
pub(crate) async fn credentials(gateway: SocketAddr) -> anyhow::Result<Credentials> {
    let mut api = Connection::open(gateway).await?;
    let scopes = ["admin", "publish", "consume", "read"];
    let key = json!({ "name": "bench", "scopes": scopes, "cmq": true });
    let made = api.post("/v1/keys", &key).await?;
    let pair = made.get("cmq").cloned().unwrap_or_default();
    serde_json::from_value(pair).context("a key without a pair for CMQ")
}

/// Makes a queue.
pub(crate) async fn create(
    gateway: SocketAddr,
    who: &Credentials,
    queue: &str,
) -> anyhow::Result<()> {
    let parameters = [
        ("queueName", queue),
        ("visibilityTimeout", VISIBILITY_SECONDS),
    ];
    let mut caller = Caller::open(gateway, who).await?;
    caller.call("CreateQueue", &parameters).await?;
    Ok(())
}

/// A producer or a consumer.
#[derive(Debug)]
pub(crate) struct Client {
    caller: Caller,
    queue: String,
    batch: usize,
    /// `msgBody.1` and so on.
    bodies: Vec<String>,
    handles: Vec<String>,
}

impl Client {
    /// Connects; `batch` messages a request, plain requests for 1.
    pub(crate) async fn open(
        gateway: SocketAddr,
        who: &Credentials,
        queue: &str,
        batch: usize,
    ) -> anyhow::Result<Self> {
        let numbered = |name: &str| {
            (1..=batch)
                .map(|number| format!("{name}.{number}"))
                .collect()
        };
        Ok(Self {
            caller: Caller::open(gateway, who).await?,
            queue: queue.to_owned(),
            batch,
            bodies: numbered("msgBody"),
            handles: numbered("receiptHandle"),
        })
    }

    async fn call(&mut self, action: &str, parameters: &[(&str, &str)]) -> anyhow::Result<()> {
        if self.caller.call(action, parameters).await?.is_none() {
            bail!("{action} was answered that there is no message");
        }
        Ok(())
    }
}

impl Producer for Client {
    fn room(&self) -> usize {
        self.batch
    }

    async fn send(&mut self, bodies: &[String]) -> anyhow::Result<u64> {
        let queue = self.queue.clone();
        let names = self.bodies.clone();
        let mut parameters = vec![("queueName", queue.as_str())];
        if let ([body], 1) = (bodies, self.batch) {
            parameters.push(("msgBody", body));
            self.call("SendMessage", &parameters).await?;
        } else {
            parameters.extend(
                names
                    .iter()
                    .zip(bodies)
                    .map(|(name, body)| (&**name, &**body)),
            );
            self.call("BatchSendMessage", &parameters).await?;
        }
        Ok(bodies.len() as u64)
    }

    async fn settle(&mut self) -> anyhow::Result<u64> {
        Ok(0)
    }
}

impl Consumer for Client {
    type Handle = String;

    async fn receive(&mut self) -> anyhow::Result<Vec<Taken<String>>> {
        let number = self.batch.to_string();
        let mut parameters = vec![
            ("queueName", &*self.queue),
            ("pollingWaitSeconds", WAIT_SECONDS),
        ];
        let action = if self.batch == 1 {
            "ReceiveMessage"
        } else {
            parameters.push(("numOfMsg", &number));
            "BatchReceiveMessage"
        };
        let Some(answer) = self.caller.call(action, &parameters).await? else {
            return Ok(Vec::new());
        };
        let handles = signed::texts(answer, "receiptHandle")?;
        let bodies = signed::texts(answer, "msgBody")?;
        if handles.len() != bodies.len() {
            bail!("{} handles and {} bodies", handles.len(), bodies.len());
        }
        let mut taken = Vec::with_capacity(handles.len());
        for (handle, body) in handles.into_iter().zip(bodies) {
            let sent = work::stamp(body.as_bytes())?;
            taken.push(Taken { handle, sent });
        }
        Ok(taken)
    }

    async fn delete(&mut self, handles: &[String]) -> anyhow::Result<()> {
        let queue = self.queue.clone();
        let names = self.handles.clone();
        let mut parameters = vec![("queueName", queue.as_str())];
        if let ([handle], 1) = (handles, self.batch) {
            parameters.push(("receiptHandle", handle));
            return self.call("DeleteMessage", &parameters).await;
        }
        parameters.extend(
            names
                .iter()
                .zip(handles)
                .map(|(name, handle)| (&**name, &**handle)),
        );
        self.call("BatchDeleteMessage", &parameters).await
    }

    async fn close(self) -> anyhow::Result<()> {
        Ok(())
    }
}
