//! CMQ's actions on queues themselves: created, listed, looked at, changed and deleted; rewound and cleared. What is done
//! with their messages is in `message`.

use anser_core::Timestamp;
use anser_core::resource::{QueueSpec, RECEIVE_WAIT_MAX};
use anser_gateway::admin::{ListQuery, QueueView};
use serde_json::{Map, Value, json};

use super::answer::{Fields, fields, int, seconds};
use super::error::{
    Fault, INTERNAL, IS_DEAD_LETTER, NO_QUEUE, QUEUE_EXISTS, QUEUES_MAX, REWIND_SECONDS,
};
use super::names::Noun;
use super::policy;
use super::request::Request;

/// `maxMsgHeapNum` unless given.
const HEAP_DEFAULT: u64 = 100_000_000;
/// The largest `maxMsgHeapNum`.
const HEAP_MAX: i64 = 1_000_000_000;
/// `msgRetentionSeconds`, least and most: a minute and 15 days.
const RETENTION: (i64, i64) = (60, 1_296_000);
/// Longest `visibilityTimeout`, 12 hours.
const VISIBILITY_MAX: i64 = 43_200;
/// Members of one page of queues.
const PAGE_MAX: i64 = 1_000;
/// Members of one page of a dead-letter queue's sources.
const SOURCES_PAGE_MAX: i64 = 50;
/// The latest time that a rewind can be asked for: the 10000th year begins after it.
const UNIX_SECONDS_MAX: i64 = 253_402_214_400;

/// CreateQueue.
pub(super) async fn create(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.params.required("queueName")?;
    Noun::Queue.check(name)?;
    let mut changes = attributes(request)?;
    changes.entry("max_messages").or_insert(HEAP_DEFAULT.into());
    let spec: QueueSpec = serde_json::from_value(Value::Object(changes))
        .map_err(|error| Fault::from(&INTERNAL).detail(error.to_string()))?;
    check_rewind(spec.rewind, spec.retention)?;
    let gateway = request.gateway();
    let _one_at_a_time = request.edge.cmq_changes.lock().await;
    if gateway.queue_in_force(name).is_some() {
        return Err(Fault::from(&QUEUE_EXISTS));
    }
    if gateway.queues_configured() >= request.options().queues_max {
        return Err(Fault::from(&QUEUES_MAX));
    }
    let put = gateway
        .create_queue(request.principal, name, spec)
        .await
        .map_err(|problem| match problem.code {
            "already_exists" => Fault::from(&QUEUE_EXISTS),
            _ => Fault::from(problem),
        })?;
    if !put.created {
        return Err(Fault::from(&QUEUE_EXISTS));
    }
    Ok(fields([("queueId", Noun::Queue.id(put.view.resource.id))]))
}

/// SetQueueAttributes: what is not sent stays.
pub(super) async fn set_attributes(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    let changes = attributes(request)?;
    let queue = request
        .gateway()
        .queue_in_force(name)
        .ok_or_else(|| Fault::from(&NO_QUEUE))?;
    let after = |field: &str, now: u64| changes.get(field).and_then(Value::as_u64).unwrap_or(now);
    check_rewind(
        after("rewind", queue.spec.rewind),
        after("retention", queue.spec.retention),
    )?;
    request
        .gateway()
        .patch_queue(request.principal, name, Value::Object(changes), None)
        .await?;
    Ok(Fields::new())
}

/// The attributes that were sent, as fields of a queue.
fn attributes(request: &Request<'_>) -> Result<Map<String, Value>, Fault> {
    let params = request.params;
    let (retention_min, retention_max) = RETENTION;
    let mut fields = Map::new();
    for (parameter, field, range) in [
        ("maxMsgHeapNum", "max_messages", 1..=HEAP_MAX),
        (
            "pollingWaitSeconds",
            "wait",
            0..=RECEIVE_WAIT_MAX.cast_signed(),
        ),
        ("visibilityTimeout", "lease", 1..=VISIBILITY_MAX),
        ("maxMsgSize", "max_message_bytes", super::message_bytes()),
        (
            "msgRetentionSeconds",
            "retention",
            retention_min..=retention_max,
        ),
        ("rewindSeconds", "rewind", 0..=i64::MAX),
    ] {
        if let Some(value) = params.integer(parameter, range)? {
            fields.insert(field.to_owned(), value.into());
        }
    }
    if let Some(text) = params.text("deadLetterPolicy")? {
        fields.insert("dead_letter".to_owned(), policy::parse(text)?);
    }
    Ok(fields)
}

fn check_rewind(rewind: u64, retention: u64) -> Result<(), Fault> {
    if rewind > retention {
        return Err(Fault::from(&REWIND_SECONDS));
    }
    Ok(())
}

/// ListQueue.
pub(super) fn list(request: &Request<'_>) -> Result<Fields, Fault> {
    let page = request.page(i64::MAX, PAGE_MAX)?;
    let mut queues = Vec::new();
    let mut query = ListQuery {
        limit: anser_core::limits::PAGE_MAX,
        cursor: None,
    };
    loop {
        let part = request.gateway().list_queues(request.principal, &query)?;
        queues.extend(part.items);
        query.cursor = part.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let (total, found) = page.of(queues, |queue| &queue.resource.name);
    let members = found
        .iter()
        .map(|queue| member(&Noun::Queue.id(queue.resource.id), &queue.resource.name));
    Ok(fields([
        ("totalCount", int(total as u64)),
        ("queueList", members.collect()),
    ]))
}

fn member(id: &Value, name: &str) -> Value {
    json!({"queueId": id, "queueName": name})
}

/// GetQueueAttributes.
pub(super) async fn attributes_of(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    let QueueView { resource, .. } = request.gateway().get_queue(request.principal, name)?;
    let state = request
        .gateway()
        .queue_state(request.principal, name)
        .await?;
    let spec = &resource.spec;
    let rewindable = int(state.rewindable);
    let mut answer = fields([
        (
            "maxMsgHeapNum",
            int(spec.max_messages.unwrap_or(HEAP_MAX.cast_unsigned())),
        ),
        ("pollingWaitSeconds", int(spec.wait)),
        ("visibilityTimeout", int(spec.lease)),
        ("maxMsgSize", int(spec.max_message_bytes)),
        ("msgRetentionSeconds", int(spec.retention)),
        ("createTime", seconds(resource.created_at)),
        ("lastModifyTime", seconds(resource.updated_at)),
        ("activeMsgNum", int(state.active)),
        ("inactiveMsgNum", int(state.leased)),
        ("delayMsgNum", int(state.delayed)),
        ("minMsgTime", state.oldest.map_or(0.into(), seconds)),
        ("rewindSeconds", int(spec.rewind)),
        // The documents spell it one way, the old Go client reads the other.
        ("rewindmsgNum", rewindable.clone()),
        ("rewindMsgNum", rewindable),
    ]);
    if let Some(dead_letter) = &spec.dead_letter {
        answer.insert(
            "deadLetterPolicy".to_owned(),
            policy::write(dead_letter).into(),
        );
    }
    Ok(answer)
}

/// DeleteQueue. Subscriptions that go to it go with it.
pub(super) async fn delete(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    request
        .gateway()
        .delete_queue(request.principal, name, true, None)
        .await
        .map_err(|problem| match problem.code {
            "in_use" => Fault::from(&IS_DEAD_LETTER).detail(problem.to_string()),
            _ => Fault::from(problem),
        })?;
    Ok(Fields::new())
}

/// RewindQueue.
pub(super) async fn rewind(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    let from = request
        .params
        .required_integer("startConsumeTime", 0..=UNIX_SECONDS_MAX)?;
    let from = Timestamp::from_millis(from * 1_000);
    request
        .gateway()
        .rewind(request.principal, name, from)
        .await?;
    Ok(Fields::new())
}

/// ClearQueue, which only Tencent's newer control API has.
pub(super) async fn clear(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    request.gateway().purge(request.principal, name).await?;
    Ok(Fields::new())
}

/// UnbindDeadLetterQueue.
pub(super) async fn unbind(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    request
        .gateway()
        .patch_queue(request.principal, name, json!({"dead_letter": null}), None)
        .await?;
    Ok(Fields::new())
}

/// ListDeadLetterSourceQueues.
pub(super) fn sources(request: &Request<'_>) -> Result<Fields, Fault> {
    let gateway = request.gateway();
    let name = request.name("deadLetterQueueName", Noun::Queue, |name| {
        gateway.queue_in_force(name).is_some()
    })?;
    let page = request.page(i64::MAX, SOURCES_PAGE_MAX)?;
    let queue = gateway.get_queue(request.principal, name)?;
    let (total, found) = page.of(queue.dead_letter_sources, |name| name);
    let members = found.iter().filter_map(|name| {
        let source = gateway.queue_in_force(name)?;
        Some(member(&Noun::Queue.id(source.meta.id), name))
    });
    Ok(fields([
        ("totalCount", int(total as u64)),
        ("queueList", members.collect()),
    ]))
}

/// QueryQueueRoute: where the TCP protocol listens, which is nowhere.
pub(super) fn route(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.queue_name()?;
    match request.gateway().queue_in_force(name) {
        Some(_) => Ok(fields([("addr", json!([]))])),
        None => Err(Fault::from(&NO_QUEUE)),
    }
}
