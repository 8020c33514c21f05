//! CMQ's actions on topics: created, listed, looked at, changed, deleted, and published to.

use std::sync::Arc;

use anser_core::limits::ROUTING_KEY_DOTS_MAX;
use anser_core::message::item::ItemHeader;
use anser_core::resource::{CmqFilterType, CmqTopic, TopicSpec};
use anser_gateway::admin::ListQuery;
use anser_gateway::config::Topic;
use serde_json::{Value, json};

use super::answer::{Fields, fields, int, seconds};
use super::error::{
    DELIMITERS, Fault, NO_ROUTING_KEY, NO_TOPIC, OUT_OF_RANGE, TAGS_OF_MESSAGE, TOPIC_EXISTS,
    TOPIC_IN_USE, TOPIC_UNSUBSCRIBED, TOPICS_MAX, UNMATCHED,
};
use super::names::Noun;
use super::request::Request;
use super::send;
use crate::options::PublishUnrouted;

/// Seconds that a topic's messages live: a day, which no CMQ client can change (`msgRetentionSeconds`).
const LIFE_SECONDS: u64 = 86_400;
/// Tags of a message, or of a subscription's filter.
pub(super) const TAGS_MAX: usize = 5;
/// Characters of a tag.
const TAG_CHARS_MAX: usize = 16;
/// Bytes of a routing or binding key.
const KEY_BYTES_MAX: usize = 64;
/// Members of one page of topics.
const PAGE_MAX: i64 = 1_000;

/// CreateTopic.
pub(super) async fn create(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.params.required("topicName")?;
    Noun::Topic.check(name)?;
    let max_message_bytes = request
        .params
        .integer("maxMsgSize", super::message_bytes())?
        .map_or(CmqTopic::default().max_message_bytes, i64::cast_unsigned);
    let filter_type = match request.params.integer("filterType", 1..=2)? {
        Some(2) => CmqFilterType::BindingKey,
        Some(_) | None => CmqFilterType::Tags,
    };
    let gateway = request.gateway();
    let spec = TopicSpec {
        retention: LIFE_SECONDS,
        max_age: Some(LIFE_SECONDS),
        cmq: Some(CmqTopic {
            filter_type,
            max_message_bytes,
            owner: (request.app_id != gateway.installation()).then_some(request.app_id),
        }),
        ..TopicSpec::default()
    };
    let _one_at_a_time = request.edge.cmq_changes.lock().await;
    if gateway.topic_in_force(name).is_some() {
        return Err(Fault::from(&TOPIC_EXISTS));
    }
    if gateway.topics_configured() >= request.options().topics_max {
        return Err(Fault::from(&TOPICS_MAX));
    }
    let put = gateway
        .create_topic(request.principal, name, spec)
        .await
        .map_err(|problem| match problem.code {
            "already_exists" => Fault::from(&TOPIC_EXISTS),
            _ => Fault::from(problem),
        })?;
    if !put.created {
        return Err(Fault::from(&TOPIC_EXISTS));
    }
    Ok(fields([("topicId", Noun::Topic.id(put.view.id))]))
}

/// ListTopic.
pub(super) fn list(request: &Request<'_>) -> Result<Fields, Fault> {
    let page = request.page(i64::MAX, PAGE_MAX)?;
    let mut topics = Vec::new();
    let mut query = ListQuery {
        limit: anser_core::limits::PAGE_MAX,
        cursor: None,
    };
    loop {
        let part = request.gateway().list_topics(request.principal, &query)?;
        topics.extend(part.items);
        query.cursor = part.cursor;
        if query.cursor.is_none() {
            break;
        }
    }
    let topics = topics
        .into_iter()
        .filter(|topic| !topic.name.starts_with('$'));
    let (total, found) = page.of(topics, |topic| &topic.name);
    let members = found.iter().map(|topic| {
        let id = Noun::Topic.id(topic.id);
        json!({"topicId": id, "topicName": topic.name})
    });
    Ok(fields([
        ("totalCount", int(total as u64)),
        ("topicList", members.collect()),
    ]))
}

/// GetTopicAttributes.
pub(super) fn attributes_of(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.topic_name()?;
    let topic = request.gateway().get_topic(request.principal, name)?;
    let cmq = topic.spec.cmq.unwrap_or_default();
    // A message is there as long as one destination waits for it; the one that is furthest behind tells how many.
    let waiting = request.gateway().waiting(topic.id);
    let waiting = waiting.iter().map(|depth| depth.count).max().unwrap_or(0);
    Ok(fields([
        ("msgCount", int(waiting)),
        ("maxMsgSize", int(cmq.max_message_bytes)),
        (
            "msgRetentionSeconds",
            int(topic.spec.max_age.unwrap_or(LIFE_SECONDS)),
        ),
        ("createTime", seconds(topic.created_at)),
        ("lastModifyTime", seconds(topic.updated_at)),
        (
            "filterType",
            match cmq.filter_type {
                CmqFilterType::Tags => 1.into(),
                CmqFilterType::BindingKey => 2.into(),
            },
        ),
        ("loggingEnabled", 0.into()),
        ("LoggingEnabled", 0.into()),
    ]))
}

/// SetTopicAttributes.
pub(super) async fn set_attributes(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.topic_name()?;
    let most = request
        .params
        .required_integer("maxMsgSize", super::message_bytes())?;
    let patch = json!({"cmq": {"max_message_bytes": most}});
    request
        .gateway()
        .patch_topic(request.principal, name, patch, None)
        .await?;
    Ok(Fields::new())
}

/// DeleteTopic.
pub(super) async fn delete(request: &Request<'_>) -> Result<Fields, Fault> {
    let name = request.topic_name()?;
    request
        .gateway()
        .delete_topic(request.principal, name, false, None)
        .await
        .map_err(|problem| match problem.code {
            "in_use" => Fault::from(&TOPIC_IN_USE),
            _ => Fault::from(problem),
        })?;
    Ok(Fields::new())
}

/// QueryTopicRoute: where the TCP protocol listens, which is nowhere.
pub(super) fn route(request: &Request<'_>) -> Result<Fields, Fault> {
    find(request)?;
    Ok(fields([("addr", json!([]))]))
}

/// PublishMessage.
pub(super) async fn publish_one(request: &Request<'_>) -> Result<Fields, Fault> {
    let topic = find(request)?;
    let body = request.body(body_bytes_max(&topic))?;
    publish(request, &topic, &[body]).await.map(send::single)
}

/// BatchPublishMessage.
pub(super) async fn publish_batch(request: &Request<'_>) -> Result<Fields, Fault> {
    let topic = find(request)?;
    let bodies = request.bodies(body_bytes_max(&topic))?;
    publish(request, &topic, &bodies).await.map(send::batch)
}

/// The topic that a request names.
///
/// # Errors
/// The name is missing or wrong, or there is none.
pub(super) fn find(request: &Request<'_>) -> Result<Arc<Topic>, Fault> {
    let name = request.topic_name()?;
    request
        .gateway()
        .topic_in_force(name)
        .ok_or_else(|| Fault::from(&NO_TOPIC))
}

fn body_bytes_max(topic: &Topic) -> u64 {
    topic
        .spec
        .cmq
        .as_ref()
        .map_or(CmqTopic::default().max_message_bytes, |cmq| {
            cmq.max_message_bytes
        })
}

/// How the subscriptions of a topic choose.
pub(super) fn filter_type(topic: &Topic) -> CmqFilterType {
    topic
        .spec
        .cmq
        .as_ref()
        .map_or_else(CmqFilterType::default, |cmq| cmq.filter_type)
}

async fn publish(
    request: &Request<'_>,
    topic: &Topic,
    bodies: &[&str],
) -> Result<Vec<Value>, Fault> {
    let header = ItemHeader {
        tags: tags(request)?,
        routing_key: routing_key(request, topic)?,
        ..ItemHeader::default()
    };
    let items = request.items(bodies, &header)?;
    let results = request
        .gateway()
        .publish(
            request.principal,
            &topic.meta.name,
            items.into_iter().map(Ok).collect(),
            send::options(true, request.options().clock_skew),
        )
        .await;
    match results {
        Err(problem) if problem.code == "unroutable" => unrouted(request, topic, bodies.len()),
        results => send::ids(results?),
    }
}

/// Nothing takes the message, and nothing is stored: the sender is told, or by the settings it is not.
fn unrouted(request: &Request<'_>, topic: &Topic, count: usize) -> Result<Vec<Value>, Fault> {
    match request.options().publish_unrouted {
        // Numbers that no message has.
        PublishUnrouted::Accept => Ok((0..count as u64)
            .map(|place| request.id.saturating_add(place).to_string().into())
            .collect()),
        PublishUnrouted::Error if topic.subscriptions.is_empty() => {
            Err(Fault::from(&TOPIC_UNSUBSCRIBED))
        }
        PublishUnrouted::Error => Err(Fault::from(&UNMATCHED)),
    }
}

/// `msgTag.N`; empty ones are none.
fn tags(request: &Request<'_>) -> Result<Vec<String>, Fault> {
    let mut tags = request.params.list("msgTag")?;
    tags.retain(|tag| !tag.is_empty());
    if tags.len() > TAGS_MAX {
        return Err(Fault::from(&TAGS_OF_MESSAGE));
    }
    check_tags("msgTag", &tags)?;
    let mut unique: Vec<String> = Vec::with_capacity(tags.len());
    for tag in tags {
        if !unique.iter().any(|known| known == tag) {
            unique.push(tag.to_owned());
        }
    }
    Ok(unique)
}

/// Checks tags of a message or a filter.
///
/// # Errors
/// Too long, or with control characters.
pub(super) fn check_tags(parameter: &str, tags: &[&str]) -> Result<(), Fault> {
    for tag in tags {
        if tag.chars().count() > TAG_CHARS_MAX || tag.chars().any(char::is_control) {
            let rule =
                format!("a tag has at most {TAG_CHARS_MAX} characters, none of them control");
            return Err(Fault::about(&OUT_OF_RANGE, parameter).detail(rule));
        }
    }
    Ok(())
}

/// `routingKey`, which topics that filter by binding keys need.
fn routing_key(request: &Request<'_>, topic: &Topic) -> Result<Option<String>, Fault> {
    match request.params.text("routingKey")? {
        Some(key) => {
            check_key("routingKey", key)?;
            Ok(Some(key.to_owned()))
        }
        None if filter_type(topic) == CmqFilterType::BindingKey => {
            Err(Fault::from(&NO_ROUTING_KEY))
        }
        None => Ok(None),
    }
}

/// Checks a routing or binding key.
///
/// # Errors
/// Too long, too many dots, or control characters.
pub(super) fn check_key(parameter: &str, key: &str) -> Result<(), Fault> {
    if key.bytes().filter(|byte| *byte == b'.').count() > ROUTING_KEY_DOTS_MAX {
        return Err(Fault::from(&DELIMITERS));
    }
    if key.len() > KEY_BYTES_MAX || key.chars().any(char::is_control) {
        let rule = format!("a key has at most {KEY_BYTES_MAX} bytes, no control characters");
        return Err(Fault::about(&OUT_OF_RANGE, parameter).detail(rule));
    }
    Ok(())
}
