//! CMQ's actions on subscriptions. One to an HTTP endpoint is a subscription with a webhook channel of its own, made and
//! removed with it; one to a queue is a subscription to that queue.

use std::sync::Arc;

use anser_core::filter::{BindingKeys, FilterSpec};
use anser_core::name::fold;
use anser_core::resource::{ChannelSpec, CmqFilterType, SubscriptionSpec};
use anser_core::retry::{RetryPreset, RetrySpec};
use anser_gateway::config::{Subscription, Topic};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::answer::{Fields, fields, int, seconds};
use super::error::{
    BINDING_KEYS, CONTENT_FORMAT, ENDPOINT_BLANKS, ENDPOINT_FORMAT, FILTER_TOO_LONG, Fault,
    ILLEGAL_ENDPOINT, MISSING, NO_BINDING_KEY, NO_SUBSCRIPTION, PROTOCOL, QUEUE_IS_SIMPLIFIED,
    STRATEGY, SUBSCRIPTION_EXISTS, SUBSCRIPTIONS_MAX, TAGS_OF_FILTER,
};
use super::names::Noun;
use super::request::Request;
use super::topic;

/// Bytes of an endpoint.
const ENDPOINT_BYTES_MAX: usize = 500;
/// Binding keys of a subscription.
const BINDING_KEYS_MAX: usize = 5;
/// The last place and the most members that a page of subscriptions can have.
const PAGE: (i64, i64) = (1_000, 100);
/// The kind of the channels that are made for endpoints.
const WEBHOOK: &str = "webhook";
/// Bytes of the hash in such a channel's name.
const CHANNEL_HASH_BYTES: usize = 8;

/// `notifyStrategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Strategy {
    Backoff,
    Decay,
}

impl Strategy {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.eq_ignore_ascii_case(Self::Backoff.name()) {
            return Ok(Self::Backoff);
        }
        if text.eq_ignore_ascii_case(Self::Decay.name()) {
            return Ok(Self::Decay);
        }
        Err(Fault::from(&STRATEGY))
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Backoff => "BACKOFF_RETRY",
            Self::Decay => "EXPONENTIAL_DECAY_RETRY",
        }
    }

    const fn retry(self) -> RetrySpec {
        RetrySpec::Preset(match self {
            Self::Backoff => RetryPreset::CmqBackoff,
            Self::Decay => RetryPreset::CmqDecay,
        })
    }

    /// Every schedule that is not the one is the other: CMQ has no third.
    fn of(retry: &RetrySpec) -> Self {
        if *retry == Self::Backoff.retry() {
            Self::Backoff
        } else {
            Self::Decay
        }
    }
}

/// `notifyContentFormat`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Json,
    Simplified,
}

impl Content {
    fn parse(text: &str) -> Result<Self, Fault> {
        if text.eq_ignore_ascii_case("JSON") {
            Ok(Self::Json)
        } else if text.eq_ignore_ascii_case("SIMPLIFIED") {
            Ok(Self::Simplified)
        } else {
            Err(Fault::from(&CONTENT_FORMAT))
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Simplified => "SIMPLIFIED",
        }
    }

    /// The webhook's format.
    const fn format(self) -> &'static str {
        match self {
            Self::Json => "cmq-json",
            Self::Simplified => "cmq-simplified",
        }
    }
}

/// Where a subscription goes.
enum Endpoint<'r> {
    Http(&'r str),
    Queue(&'r str),
}

/// Subscribe.
pub(super) async fn subscribe(request: &Request<'_>) -> Result<Fields, Fault> {
    let topic = topic::find(request)?;
    let name = request.params.required("subscriptionName")?;
    Noun::Subscription.check(name)?;
    let strategy = strategy(request)?.unwrap_or(Strategy::Decay);
    let content = content(request)?.unwrap_or(Content::Json);
    let endpoint = endpoint(request, content)?;
    let filter = filter(request, &topic)?.unwrap_or_default();
    if topic::filter_type(&topic) == CmqFilterType::BindingKey
        && filter.binding_key.as_slice().is_empty()
    {
        return Err(Fault::from(&NO_BINDING_KEY));
    }
    let _one_at_a_time = request.edge.cmq_changes.lock().await;
    let topic = topic::find(request)?;
    if find_in(&topic, name).is_some() {
        return Err(Fault::from(&SUBSCRIPTION_EXISTS));
    }
    if topic.subscriptions.len() >= request.options().subscriptions_max {
        return Err(Fault::from(&SUBSCRIPTIONS_MAX));
    }
    let mut spec = SubscriptionSpec {
        channel: None,
        queue: None,
        bridge: None,
        target: None,
        description: None,
        filter,
        format: None,
        retry: strategy.retry(),
        ordering: None,
        on_exhausted: Default::default(),
        on_dead: Default::default(),
        fail_fast_4xx: false,
        attempt_log: Default::default(),
        rate: None,
        paused: false,
        batch: None,
    };
    match endpoint {
        Endpoint::Queue(queue) => {
            spec.queue = Some(queue.to_owned());
            store(request, &topic, name, spec).await
        }
        Endpoint::Http(url) => {
            let channel = make_channel(request, &topic, name, url, content).await?;
            spec.channel = Some(channel.clone());
            spec.format = Some(content.format().to_owned());
            let stored = store(request, &topic, name, spec).await;
            if stored.is_err() {
                remove_channel(request, &channel).await;
            }
            stored
        }
    }
}

async fn store(
    request: &Request<'_>,
    topic: &Topic,
    name: &str,
    spec: SubscriptionSpec,
) -> Result<Fields, Fault> {
    let put = request
        .gateway()
        .create_subscription(request.principal, &topic.meta.name, name, spec)
        .await
        .map_err(|problem| match problem.code {
            "already_exists" => Fault::from(&SUBSCRIPTION_EXISTS),
            _ => Fault::from(problem),
        })?;
    Ok(fields([(
        "subscriptionId",
        Noun::Subscription.id(put.view.resource.id),
    )]))
}

/// The channel for an endpoint. One that is left over from a subscription deleted through another door is taken again.
async fn make_channel(
    request: &Request<'_>,
    topic: &Topic,
    subscription: &str,
    url: &str,
    content: Content,
) -> Result<String, Fault> {
    let name = channel_name(&topic.meta.name, subscription);
    let mut spec: ChannelSpec = serde_json::from_value(json!({
        "kind": WEBHOOK,
        "settings": {"url": url, "format": content.format()},
    }))
    .map_err(|error| Fault::from(&super::error::INTERNAL).detail(error.to_string()))?;
    spec.description = Some(format!(
        "Made by the CMQ call Subscribe for subscription {subscription} of topic {}; Unsubscribe removes it.",
        topic.meta.name
    ));
    request
        .gateway()
        .put_channel(request.principal, &name, spec, None)
        .await?;
    Ok(name)
}

/// The name of the channel made for a subscription: two that differ in case alone are the same.
fn channel_name(topic: &str, subscription: &str) -> String {
    let hash = Sha256::digest(format!("{}/{}", fold(topic), fold(subscription)));
    let digits: String = hash
        .iter()
        .take(CHANNEL_HASH_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("cmq-{digits}")
}

/// Removes a channel that was made for a subscription. It stays when something else uses it by now.
async fn remove_channel(request: &Request<'_>, name: &str) {
    let removed = request
        .gateway()
        .delete_channel(request.principal, name, false, None)
        .await;
    if let Err(problem) = removed {
        tracing::warn!(channel = name, %problem, "the channel made for a CMQ subscription stays");
    }
}

/// Unsubscribe.
pub(super) async fn unsubscribe(request: &Request<'_>) -> Result<Fields, Fault> {
    let _one_at_a_time = request.edge.cmq_changes.lock().await;
    let (topic, subscription) = find(request)?;
    request
        .gateway()
        .delete_subscription(
            request.principal,
            &topic.meta.name,
            &subscription.meta.name,
            None,
        )
        .await?;
    let own = channel_name(&topic.meta.name, &subscription.meta.name);
    if subscription.spec.channel.as_deref() == Some(own.as_str()) {
        remove_channel(request, &own).await;
    }
    Ok(Fields::new())
}

/// SetSubscriptionAttributes: what is not sent stays.
pub(super) async fn set_attributes(request: &Request<'_>) -> Result<Fields, Fault> {
    let (topic, subscription) = find(request)?;
    let mut patch = Map::new();
    if let Some(strategy) = strategy(request)? {
        let retry = serde_json::to_value(strategy.retry()).unwrap_or_default();
        patch.insert("retry".to_owned(), retry);
    }
    if let Some(content) = content(request)? {
        if subscription.spec.queue.is_none() {
            patch.insert("format".to_owned(), content.format().into());
        } else if content != Content::Simplified {
            return Err(Fault::from(&QUEUE_IS_SIMPLIFIED));
        }
    }
    if let Some(filter) = filter(request, &topic)? {
        let filter = match topic::filter_type(&topic) {
            CmqFilterType::Tags => json!({"tags": filter.tags}),
            CmqFilterType::BindingKey => json!({"binding_key": filter.binding_key}),
        };
        patch.insert("filter".to_owned(), filter);
    }
    change(request, &topic, &subscription, Value::Object(patch)).await
}

/// ClearSubscriptionFilterTags.
pub(super) async fn clear_tags(request: &Request<'_>) -> Result<Fields, Fault> {
    let (topic, subscription) = find(request)?;
    let patch = json!({"filter": {"tags": null}});
    change(request, &topic, &subscription, patch).await
}

async fn change(
    request: &Request<'_>,
    topic: &Topic,
    subscription: &Subscription,
    patch: Value,
) -> Result<Fields, Fault> {
    request
        .gateway()
        .patch_subscription(
            request.principal,
            &topic.meta.name,
            &subscription.meta.name,
            patch,
            None,
        )
        .await?;
    Ok(Fields::new())
}

/// ListSubscriptionByTopic.
pub(super) fn list(request: &Request<'_>) -> Result<Fields, Fault> {
    let (offset_max, limit_max) = PAGE;
    let topic = topic::find(request)?;
    let page = request.page(offset_max, limit_max)?;
    request
        .gateway()
        .get_topic(request.principal, &topic.meta.name)?;
    let mut members: Vec<&Arc<Subscription>> = topic.subscriptions.iter().collect();
    members.sort_by_key(|subscription| fold(&subscription.meta.name));
    let (total, found) = page.of(members, |subscription| &subscription.meta.name);
    let members = found.iter().map(|subscription| {
        let (protocol, endpoint) = destination(request, subscription);
        json!({
            "subscriptionId": Noun::Subscription.id(subscription.meta.id),
            "subscriptionName": subscription.meta.name,
            "protocol": protocol,
            "endpoint": endpoint,
        })
    });
    Ok(fields([
        ("totalCount", int(total as u64)),
        ("subscriptionList", members.collect()),
    ]))
}

/// GetSubscriptionAttributes, with the names that the documents give and those that clients read.
pub(super) fn attributes_of(request: &Request<'_>) -> Result<Fields, Fault> {
    let (topic, subscription) = find(request)?;
    let gateway = request.gateway();
    let view =
        gateway.get_subscription(request.principal, &topic.meta.name, &subscription.meta.name)?;
    let (protocol, endpoint) = destination(request, &subscription);
    let spec = &view.resource.spec;
    let owner = topic.spec.cmq.as_ref().and_then(|cmq| cmq.owner);
    let owner = owner.unwrap_or_else(|| gateway.installation());
    // What goes to a queue is there at once, and waits there.
    let waiting = gateway.waiting(topic.meta.id);
    let waiting = waiting
        .iter()
        .filter(|depth| {
            spec.queue.is_none() && Some(depth.channel) == subscription.destination.id()
        })
        .map(|depth| depth.count)
        .sum();
    let tags: Value = spec.filter.tags.clone().into();
    let keys: Value = spec.filter.binding_key.as_slice().to_vec().into();
    Ok(fields([
        ("topicOwner", owner.to_string().into()),
        ("msgCount", int(waiting)),
        ("protocol", protocol.into()),
        ("protocal", protocol.into()),
        ("endpoint", endpoint.into()),
        ("notifyStrategy", Strategy::of(&spec.retry).name().into()),
        ("notifyContentFormat", content_of(spec).name().into()),
        ("createTime", seconds(view.resource.created_at)),
        ("lastModifyTime", seconds(view.resource.updated_at)),
        ("filterTag", tags.clone()),
        ("filterTags", tags),
        ("bindingKey", keys.clone()),
        ("bindindKey", keys),
    ]))
}

/// Protocol and endpoint. A channel of another kind, or one that the key may not see, shows its name.
fn destination(request: &Request<'_>, subscription: &Subscription) -> (&'static str, String) {
    if let Some(queue) = &subscription.spec.queue {
        return ("queue", queue.clone());
    }
    let channel = subscription.spec.channel.as_deref().unwrap_or_default();
    let url = request
        .gateway()
        .get_channel(request.principal, channel)
        .ok()
        .filter(|view| view.resource.spec.kind == WEBHOOK)
        .and_then(|view| {
            let url = view.resource.spec.settings.get("url");
            url.and_then(Value::as_str).map(str::to_owned)
        });
    ("http", url.unwrap_or_else(|| channel.to_owned()))
}

fn content_of(spec: &SubscriptionSpec) -> Content {
    let simplified =
        spec.queue.is_some() || spec.format.as_deref() == Some(Content::Simplified.format());
    if simplified {
        Content::Simplified
    } else {
        Content::Json
    }
}

/// The topic and subscription that a request names.
fn find(request: &Request<'_>) -> Result<(Arc<Topic>, Arc<Subscription>), Fault> {
    let topic = topic::find(request)?;
    let name = request.name("subscriptionName", Noun::Subscription, |name| {
        find_in(&topic, name).is_some()
    })?;
    let subscription = find_in(&topic, name).ok_or_else(|| Fault::from(&NO_SUBSCRIPTION))?;
    let subscription = Arc::clone(subscription);
    Ok((topic, subscription))
}

fn find_in<'t>(topic: &'t Topic, name: &str) -> Option<&'t Arc<Subscription>> {
    topic
        .subscriptions
        .iter()
        .find(|subscription| subscription.meta.name.eq_ignore_ascii_case(name))
}

fn strategy(request: &Request<'_>) -> Result<Option<Strategy>, Fault> {
    let text = request.params.text("notifyStrategy")?;
    text.map(Strategy::parse).transpose()
}

fn content(request: &Request<'_>) -> Result<Option<Content>, Fault> {
    let text = request.params.text("notifyContentFormat")?;
    text.map(Content::parse).transpose()
}

/// `protocol` and `endpoint`, checked as far as they can be before something is made of them.
fn endpoint<'r>(request: &'r Request<'_>, content: Content) -> Result<Endpoint<'r>, Fault> {
    let params = request.params;
    let protocol = params.required("protocol")?;
    let endpoint = params.required("endpoint")?;
    if endpoint.is_empty() {
        return Err(Fault::about(&MISSING, "endpoint"));
    }
    if protocol.eq_ignore_ascii_case("queue") {
        if content != Content::Simplified {
            return Err(Fault::from(&QUEUE_IS_SIMPLIFIED));
        }
        return match request.gateway().queue_in_force(endpoint) {
            Some(_) => Ok(Endpoint::Queue(endpoint)),
            None => {
                Err(Fault::from(&ILLEGAL_ENDPOINT)
                    .detail("there is no such queue; create it first"))
            }
        };
    }
    if !protocol.eq_ignore_ascii_case("http") && !protocol.eq_ignore_ascii_case("https") {
        return Err(Fault::from(&PROTOCOL));
    }
    if endpoint.chars().any(char::is_whitespace) {
        return Err(Fault::from(&ENDPOINT_BLANKS));
    }
    let scheme = endpoint.split_once("://").map(|(scheme, _)| scheme);
    let web = scheme.is_some_and(|scheme| {
        scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https")
    });
    if !web || endpoint.len() > ENDPOINT_BYTES_MAX {
        return Err(Fault::from(&ENDPOINT_FORMAT));
    }
    Ok(Endpoint::Http(endpoint))
}

/// The filter by what the topic filters by; `None` when the request carries none.
fn filter(request: &Request<'_>, topic: &Topic) -> Result<Option<FilterSpec>, Fault> {
    let mut tags = request.params.list("filterTag")?;
    let mut keys = request.params.list("bindingKey")?;
    tags.retain(|tag| !tag.is_empty());
    keys.retain(|key| !key.is_empty());
    match (tags.len() > topic::TAGS_MAX, keys.len() > BINDING_KEYS_MAX) {
        (true, true) => return Err(Fault::from(&FILTER_TOO_LONG)),
        (true, false) => return Err(Fault::from(&TAGS_OF_FILTER)),
        (false, true) => return Err(Fault::from(&BINDING_KEYS)),
        (false, false) => {}
    }
    topic::check_tags("filterTag", &tags)?;
    for key in &keys {
        topic::check_key("bindingKey", key)?;
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let filter = match topic::filter_type(topic) {
        CmqFilterType::Tags if tags.is_empty() => return Ok(None),
        CmqFilterType::BindingKey if keys.is_empty() => return Ok(None),
        CmqFilterType::Tags => FilterSpec {
            tags: owned(tags),
            ..FilterSpec::default()
        },
        CmqFilterType::BindingKey => FilterSpec {
            binding_key: BindingKeys::Many(owned(keys)),
            ..FilterSpec::default()
        },
    };
    Ok(Some(filter))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_channels_name_ignores_case() {
        let name = channel_name("News", "s1");
        assert_eq!(name, channel_name("news", "S1"));
        assert_ne!(name, channel_name("news", "s2"));
        assert_eq!(name.len(), "cmq-".len() + 2 * CHANNEL_HASH_BYTES);
    }

    #[test]
    fn strategies_and_formats_ignore_case() {
        assert_eq!(Strategy::parse("backoff_retry").unwrap(), Strategy::Backoff);
        assert_eq!(Content::parse("simplified").unwrap(), Content::Simplified);
        let unknown = Strategy::parse("often").unwrap_err();
        assert_eq!(unknown.message(), "(10520)undefined notify retry stragety");
        assert_eq!(Strategy::of(&RetrySpec::default()), Strategy::Decay);
    }
}
