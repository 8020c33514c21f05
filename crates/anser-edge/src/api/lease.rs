//! What consumers do with a queue: receive messages, each leased for a while, and acknowledge, give back or keep what
//! they hold.

use std::time::Duration;

use anser_core::id::Receipt;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind, Timestamp};
use anser_gateway::auth::Principal;
use anser_gateway::queues::{Receive, Received};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::queue::QUEUE;
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

/// Why a receipt can be void, for every call that takes some.
const VOID: &str = "Each receipt is judged by itself: one whose lease has ended, or whose message was received again \
                    since, is void and answered ok: false.";

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Consume],
            op(
                Method::POST,
                "/v1/queues/{queue}/receive",
                "receive",
                "Receive messages, each leased to the caller",
            )
            .describe(
                "Nobody else receives them until their lease ends; unless they are acknowledged by then, they are \
                 received again. With wait the answer comes as soon as there is a message, or empty when the time is \
                 up.",
            )
            .body::<Ask>(&[JSON])
            .answer::<Messages<'static>>(200, "What there was; fewer than max when there is less, or much of it."),
            receive,
        ),
        keyed(
            &[Scope::Consume],
            op(
                Method::POST,
                "/v1/queues/{queue}/ack",
                "acknowledge",
                "Acknowledge messages: they are done",
            )
            .describe(VOID)
            .body::<Receipts>(&[JSON])
            .answer::<Results>(200, "One result for each receipt, in order."),
            acknowledge,
        ),
        keyed(
            &[Scope::Consume],
            op(
                Method::POST,
                "/v1/queues/{queue}/nack",
                "giveBack",
                "Give messages back, to be received again",
            )
            .describe(VOID)
            .body::<Release>(&[JSON])
            .answer::<Results>(200, "One result for each receipt, in order."),
            release,
        ),
        keyed(
            &[Scope::Consume],
            op(
                Method::POST,
                "/v1/queues/{queue}/extend",
                "extendLease",
                "Keep messages for longer",
            )
            .describe(VOID)
            .body::<Extend>(&[JSON])
            .answer::<Results>(200, "One result for each receipt, in order."),
            extend,
        ),
    ]
}

/// What to receive.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Ask {
    /// Messages at most; default 1.
    #[schemars(range(min = 1, max = 100))]
    max: usize,
    /// Seconds to wait while there is none; default: the queue's `wait`.
    #[schemars(range(min = 0, max = 30))]
    wait: Option<u64>,
    /// Seconds for which they are the caller's; default: the queue's `lease`.
    #[schemars(range(min = 1, max = 43_200))]
    lease: Option<u64>,
}

impl Default for Ask {
    fn default() -> Self {
        Self {
            max: 1,
            wait: None,
            lease: None,
        }
    }
}

/// What was received.
#[derive(Debug, Serialize, JsonSchema)]
struct Messages<'a> {
    /// The messages, the longest due first.
    messages: Vec<Leased<'a>>,
}

/// A message and the caller's hold on it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LeasedMessage")]
struct Leased<'a> {
    /// Proves the hold to `ack`, `nack` and `extend`.
    receipt: Receipt,
    /// The message's place on its topic.
    seq: u64,
    /// How often it has been received, this time included; counted anew after a rewind or a redrive.
    receives: u32,
    /// When it was received first.
    first_received_at: Timestamp,
    /// When the lease ends.
    lease_until: Timestamp,
    /// For a dead letter: where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    dead_letter: Option<DeadLetter<'a>>,
    /// The message, byte for byte as stored.
    #[schemars(with = "anser_core::Message")]
    message: &'a RawValue,
}

/// Where a dead letter was before.
#[derive(Debug, Serialize, JsonSchema)]
struct DeadLetter<'a> {
    /// The queue's name.
    queue: &'a str,
    /// When the message was accepted.
    accepted_at: Timestamp,
    /// How often it was received there.
    receives: u32,
}

/// What is done.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Receipts {
    /// As received.
    #[schemars(length(max = 100))]
    receipts: Vec<Receipt>,
}

/// What is given back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Release {
    /// As received.
    #[schemars(length(max = 100))]
    receipts: Vec<Receipt>,
    /// Seconds until they can be received again; default 0.
    #[serde(default)]
    #[schemars(range(min = 0, max = 43_200))]
    delay: u64,
}

/// What is kept.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Extend {
    /// As received.
    #[schemars(length(max = 100))]
    receipts: Vec<Receipt>,
    /// Seconds from now for which they stay the caller's; default: the queue's `lease`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 43_200))]
    lease: Option<u64>,
}

/// What became of each receipt.
#[derive(Debug, Serialize, JsonSchema)]
struct Results {
    /// One for each receipt, in order.
    results: Vec<ReceiptResult>,
}

/// What became of a receipt.
#[derive(Debug, Serialize, JsonSchema)]
struct ReceiptResult {
    /// As given.
    receipt: Receipt,
    /// Whether it held; otherwise nothing was changed.
    ok: bool,
}

async fn receive(call: Call, principal: Principal) -> Handled {
    let (edge, name) = (call.edge.clone(), queue(&call)?);
    let ask: Ask = call.json().await?;
    let receive = Receive {
        max: ask.max,
        wait: ask.wait.map(Duration::from_secs),
        lease: ask.lease.map(Duration::from_secs),
    };
    let received = edge.gateway.receive(&principal, &name, receive).await?;
    let messages = received.iter().map(leased).collect::<Result<_, _>>()?;
    Ok(answer::json(StatusCode::OK, &Messages { messages }))
}

async fn acknowledge(call: Call, principal: Principal) -> Handled {
    let (edge, name) = (call.edge.clone(), queue(&call)?);
    let Receipts { receipts } = call.json().await?;
    let done = edge
        .gateway
        .acknowledge(&principal, &name, receipts.clone())
        .await?;
    Ok(results(receipts, &done))
}

async fn release(call: Call, principal: Principal) -> Handled {
    let (edge, name) = (call.edge.clone(), queue(&call)?);
    let Release { receipts, delay } = call.json().await?;
    let delay = Duration::from_secs(delay);
    let done = edge
        .gateway
        .release(&principal, &name, receipts.clone(), delay)
        .await?;
    Ok(results(receipts, &done))
}

async fn extend(call: Call, principal: Principal) -> Handled {
    let (edge, name) = (call.edge.clone(), queue(&call)?);
    let Extend { receipts, lease } = call.json().await?;
    let lease = lease.map(Duration::from_secs);
    let done = edge
        .gateway
        .extend(&principal, &name, receipts.clone(), lease)
        .await?;
    Ok(results(receipts, &done))
}

fn queue(call: &Call) -> Result<String, Problem> {
    call.param(QUEUE).map(std::borrow::Cow::into_owned)
}

fn leased(received: &Received) -> Result<Leased<'_>, Problem> {
    let row = &received.row;
    let message = serde_json::from_slice(&received.document).map_err(|error| {
        let id = received.message.header.id;
        Problem::new(
            ProblemKind::Internal,
            "store_damaged",
            format!("message {id} is damaged: {error}"),
        )
    })?;
    Ok(Leased {
        receipt: received.receipt,
        seq: received.num.0,
        receives: row.attempts.saturating_sub(row.attempts_before),
        first_received_at: row.first_attempt.unwrap_or(row.accepted),
        lease_until: row.due,
        dead_letter: received.dead_letter.as_ref().map(|origin| DeadLetter {
            queue: &origin.queue,
            accepted_at: origin.accepted,
            receives: origin.receives,
        }),
        message,
    })
}

fn results(receipts: Vec<Receipt>, done: &[bool]) -> answer::Answer {
    let results = receipts
        .into_iter()
        .zip(done)
        .map(|(receipt, ok)| ReceiptResult { receipt, ok: *ok })
        .collect();
    answer::json(StatusCode::OK, &Results { results })
}
