//! CMQ's actions on the messages of a queue: sent, received, deleted.

use std::time::Duration;

use anser_core::Problem;
use anser_core::id::Receipt;
use anser_core::message::Body;
use anser_core::message::item::ItemHeader;
use anser_core::name::queue_address;
use anser_core::resource::{CmqBodyFormat, RECEIVE_WAIT_MAX};
use anser_gateway::queues::{Receive, Received};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::answer::{Fields, fields, int, seconds};
use super::error::{
    DELAY, DELETED_IN_PART, DELETED_NONE, Fault, MISSING, NO_MESSAGE, NO_QUEUE, RECEIPT,
    RECEIPT_FORMAT,
};
use super::params::as_integer;
use super::request::{BATCH_MAX, Request};
use super::send;

/// The longest `delaySeconds`: 70 days.
const DELAY_MAX: u64 = 6_048_000;

/// SendMessage.
pub(super) async fn send_one(request: &Request<'_>) -> Result<Fields, Fault> {
    let (name, most, delay) = sending(request)?;
    let body = request.body(most)?;
    publish(request, name, &[body], delay)
        .await
        .map(send::single)
}

/// BatchSendMessage.
pub(super) async fn send_batch(request: &Request<'_>) -> Result<Fields, Fault> {
    let (name, most, delay) = sending(request)?;
    let bodies = request.bodies(most)?;
    publish(request, name, &bodies, delay)
        .await
        .map(send::batch)
}

/// The queue's name, its longest body, and the delay.
fn sending<'r>(request: &'r Request<'_>) -> Result<(&'r str, u64, u64), Fault> {
    let name = request.queue_name()?;
    let queue = request
        .gateway()
        .queue_in_force(name)
        .ok_or_else(|| Fault::from(&NO_QUEUE))?;
    let most = queue.spec.max_message_bytes;
    let delay = delay(request, queue.spec.retention)?;
    Ok((name, most, delay))
}

/// `delaySeconds`: 0 to 70 days, and less than the queue keeps its messages.
fn delay(request: &Request<'_>, retention: u64) -> Result<u64, Fault> {
    let Some(text) = request.params.text("delaySeconds")? else {
        return Ok(0);
    };
    let delay = as_integer("delaySeconds", text)?;
    u64::try_from(delay)
        .ok()
        .filter(|delay| *delay <= DELAY_MAX && *delay < retention)
        .ok_or_else(|| {
            let most = DELAY_MAX.min(retention.saturating_sub(1));
            Fault::from(&DELAY).detail(format!("must be 0 to {most} for this queue"))
        })
}

async fn publish(
    request: &Request<'_>,
    queue: &str,
    bodies: &[&str],
    delay: u64,
) -> Result<Vec<Value>, Fault> {
    let header = ItemHeader {
        to: vec![queue_address(queue)],
        not_before: (delay > 0).then(|| request.after(delay)),
        ..ItemHeader::default()
    };
    let mut items = request.items(bodies, &header)?;
    if delay > 0 {
        // A repetition is due at another moment, which makes it another message under the same key: a conflict.
        items.iter_mut().for_each(|item| item.dedupe_key = None);
    }
    let options = send::options(false, request.options().clock_skew);
    let results = request
        .gateway()
        .publish_direct(
            request.principal,
            items.into_iter().map(Ok).collect(),
            options,
        )
        .await?;
    send::ids(results)
}

/// ReceiveMessage.
pub(super) async fn receive_one(request: &Request<'_>) -> Result<Fields, Fault> {
    let mut received = receive(request, 1).await?;
    received.pop().ok_or_else(|| Fault::from(&NO_MESSAGE))
}

/// BatchReceiveMessage.
pub(super) async fn receive_batch(request: &Request<'_>) -> Result<Fields, Fault> {
    let most = request
        .params
        .required_integer("numOfMsg", 1..=BATCH_MAX as i64)?;
    let received = receive(request, usize::try_from(most).unwrap_or(1)).await?;
    if received.is_empty() {
        return Err(Fault::from(&NO_MESSAGE));
    }
    let list: Vec<Value> = received.into_iter().map(Value::Object).collect();
    Ok(fields([("msgInfoList", list.into())]))
}

async fn receive(request: &Request<'_>, max: usize) -> Result<Vec<Fields>, Fault> {
    let name = request.queue_name()?;
    let queue = request
        .gateway()
        .queue_in_force(name)
        .ok_or_else(|| Fault::from(&NO_QUEUE))?;
    // Beyond 30 s it is clamped: the Java client makes 30000 of a negative one.
    let wait = request
        .params
        .integer("pollingWaitSeconds", 0..=i64::MAX)?
        .map(|seconds| seconds.cast_unsigned().min(RECEIVE_WAIT_MAX));
    let receive = Receive {
        max,
        wait: wait.map(Duration::from_secs),
        lease: None,
    };
    let received = request
        .gateway()
        .receive(request.principal, name, receive)
        .await?;
    let format = queue.spec.cmq_format;
    Ok(received
        .iter()
        .map(|received| message(received, format))
        .collect())
}

fn message(received: &Received, format: CmqBodyFormat) -> Fields {
    let row = &received.row;
    let mut message = fields([
        ("msgBody", body(received, format).into()),
        ("msgId", received.num.0.to_string().into()),
        ("receiptHandle", received.receipt.to_string().into()),
        ("enqueueTime", seconds(row.accepted)),
        (
            "firstDequeueTime",
            seconds(row.first_attempt.unwrap_or(row.accepted)),
        ),
        ("nextVisibleTime", seconds(row.due)),
        (
            "dequeueCount",
            int(u64::from(row.attempts.saturating_sub(row.attempts_before))),
        ),
    ]);
    if let Some(origin) = &received.dead_letter {
        message.extend(fields([
            ("originalQueueName", origin.queue.as_str().into()),
            ("originalEnqueueTime", seconds(origin.accepted)),
            ("originalDequeueCount", int(u64::from(origin.receives))),
        ]));
    }
    message
}

/// The body as text. Opaque bytes go as base64, as CMQ pushes send them.
fn body(received: &Received, format: CmqBodyFormat) -> String {
    if format == CmqBodyFormat::Anser {
        return String::from_utf8_lossy(&received.document).into_owned();
    }
    match &received.message.body {
        Body::Bytes { bytes, .. } => BASE64.encode(bytes),
        body @ (Body::Content(_) | Body::Data(_)) => {
            String::from_utf8_lossy(&body.payload().bytes).into_owned()
        }
    }
}

/// DeleteMessage.
pub(super) async fn delete_one(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    let handle = request.params.required("receiptHandle")?;
    if handle.is_empty() {
        return Err(Fault::about(&MISSING, "receiptHandle"));
    }
    let receipt: Receipt = handle.parse().map_err(|_| Fault::from(&RECEIPT_FORMAT))?;
    let done = acknowledge(request, name, vec![receipt]).await?;
    if done.first() == Some(&true) {
        Ok(Fields::new())
    } else {
        Err(Fault::from(&RECEIPT))
    }
}

/// BatchDeleteMessage.
pub(super) async fn delete_batch(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    let handles = request.params.required_list("receiptHandle", BATCH_MAX)?;
    let receipts: Vec<Option<Receipt>> = handles.iter().map(|text| text.parse().ok()).collect();
    let known = receipts.iter().flatten().copied().collect();
    let mut done = acknowledge(request, name, known).await?.into_iter();
    let mut failed = Vec::new();
    for (handle, receipt) in handles.iter().zip(&receipts) {
        if receipt.is_none() || done.next() != Some(true) {
            let fault = Fault::from(&RECEIPT);
            failed.push(json!({
                "code": fault.code(),
                "message": fault.message(),
                "receiptHandle": handle,
            }));
        }
    }
    if failed.is_empty() {
        return Ok(Fields::new());
    }
    let row = if failed.len() == handles.len() {
        &DELETED_NONE
    } else {
        &DELETED_IN_PART
    };
    Err(Fault::from(row).with(fields([("errorList", failed.into())])))
}

/// Asks the gateway also when no handle can be one: the queue may not exist, or the key may lack the right.
async fn acknowledge(
    request: &Request<'_>,
    queue: &str,
    receipts: Vec<Receipt>,
) -> Result<Vec<bool>, Problem> {
    request
        .gateway()
        .acknowledge(request.principal, queue, receipts)
        .await
}
