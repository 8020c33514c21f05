//! Events: any body of any content type becomes a message. JSON is kept as `data`, byte for byte; everything else as
//! `bytes` with its media type. Header fields come from `anser-type`, `anser-key` and `anser-tags`, or from CloudEvents.

use anser_core::message::Item;
use anser_core::message::body::BodyFields;
use anser_core::message::item::ItemHeader;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use anser_gateway::auth::Principal;
use anser_gateway::publish::PublishOptions;
use http::header::CONTENT_TYPE;
use http::{HeaderName, Method};

use super::cloud_event::{self, CloudEvent};
use super::payload::payload;
use super::publish::{PublishQuery, answer, describe, idempotency_key, key_with_batch};
use crate::batch::{self, Batch};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

/// Becomes `header.type`.
const ANSER_TYPE: HeaderName = HeaderName::from_static("anser-type");
/// Becomes `header.key`.
const ANSER_KEY: HeaderName = HeaderName::from_static("anser-key");
/// Becomes `header.tags`, split at commas.
const ANSER_TAGS: HeaderName = HeaderName::from_static("anser-tags");

/// Media types of the OpenAPI document; any other is taken as well.
const MEDIA_TYPES: &[&str] = &[
    "application/json",
    "application/octet-stream",
    "text/plain",
    cloud_event::STRUCTURED,
    cloud_event::BATCH,
];

pub(super) fn routes() -> Vec<Route> {
    let operation = Operation::new(
        Method::POST,
        "/v1/topics/{topic}/events",
        "publishEvent",
        "Publish any body as an event",
    );
    let operation = describe(operation)
        .describe(
            "JSON is kept as data, byte for byte, any other content type as bytes. CloudEvents 1.0 are understood in \
             binary mode (ce- headers), structured mode and as a batch: type becomes header.type, time \
             header.occurred_at, partitionkey header.key, traceparent header.traceparent, source and id together the \
             dedupe key; every other attribute is kept in header.ext.cloudevents. The anser- headers win over them.",
        )
        .body_of_any_kind(MEDIA_TYPES)
        .header("anser-type", "^[A-Za-z0-9_.-]{1,128}$", "header.type of the message.")
        .header("anser-key", "^[!-~]([ -~]{0,254}[!-~])?$", "header.key of the message.")
        .header("anser-tags", "^[ -~]*$", "header.tags of the message, split at commas.");
    vec![keyed(&[Scope::Publish], operation, publish_event)]
}

async fn publish_event(call: Call, principal: Principal) -> Handled {
    let options: PublishOptions = call.query::<PublishQuery>()?.try_into()?;
    let edge = call.edge.clone();
    let topic = call.param("topic")?.into_owned();
    let (items, single) = items(call).await?;
    let results = edge
        .gateway
        .publish(&principal, &topic, items, options)
        .await?;
    answer(results, single)
}

async fn items(call: Call) -> Result<(Vec<Result<Item, Problem>>, bool), Problem> {
    let limits = call.edge.gateway.options().limits;
    let given = Given::read(&call)?;
    let attributes = cloud_event::attributes(&call)?;
    let content_type = call.header(&CONTENT_TYPE)?.map(str::to_owned);
    let media_type = call.media_type()?.into_owned();
    let body = call.bytes(limits.batch_bytes_max).await?;
    if media_type == cloud_event::BATCH {
        if given.dedupe_key.is_some() {
            return Err(key_with_batch());
        }
        let Batch::Many(events) =
            batch::read(&body, limits.batch_messages_max, cloud_event::parse)?
        else {
            let rule = "a batch of CloudEvents is a JSON array";
            return Err(Problem::new(
                ProblemKind::Invalid,
                "invalid_cloudevent",
                rule,
            ));
        };
        let items = events
            .into_iter()
            .map(|event| event?.into_item().map(|item| given.put(item)));
        return Ok((items.collect(), false));
    }
    let item = match attributes {
        _ if media_type == cloud_event::STRUCTURED => cloud_event::parse(&body)?.into_item()?,
        _ if media_type.starts_with(cloud_event::FAMILY) => return Err(other_format(&media_type)),
        Some(attributes) => {
            CloudEvent::new(attributes, payload(content_type, &media_type, &body)?).into_item()?
        }
        None => plain(payload(content_type, &media_type, &body)?),
    };
    Ok((vec![Ok(given.put(item))], true))
}

fn plain(body: BodyFields) -> Item {
    Item {
        header: ItemHeader::default(),
        body,
        attachments: Vec::new(),
        dedupe_key: None,
    }
}

fn other_format(media_type: &str) -> Problem {
    Problem::new(
        ProblemKind::MediaType,
        "unsupported_media_type",
        format!("CloudEvents are taken as JSON, not as {media_type}"),
    )
    .accepted(format!(
        "{}, {}",
        cloud_event::STRUCTURED,
        cloud_event::BATCH
    ))
}

/// Header fields given as headers of the request; they win over what the body says.
struct Given {
    r#type: Option<String>,
    key: Option<String>,
    tags: Vec<String>,
    dedupe_key: Option<String>,
}

impl Given {
    fn read(call: &Call) -> Result<Self, Problem> {
        let mut tags = Vec::new();
        for line in call.headers(&ANSER_TAGS) {
            let words = line?.split(',').map(str::trim);
            tags.extend(words.filter(|word| !word.is_empty()).map(str::to_owned));
        }
        Ok(Self {
            r#type: call.header(&ANSER_TYPE)?.map(str::to_owned),
            key: call.header(&ANSER_KEY)?.map(str::to_owned),
            tags,
            dedupe_key: idempotency_key(call)?,
        })
    }

    fn put(&self, mut item: Item) -> Item {
        let header = &mut item.header;
        header.r#type = self.r#type.clone().or(header.r#type.take());
        header.key = self.key.clone().or(header.key.take());
        header.tags.extend(self.tags.iter().cloned());
        item.dedupe_key = self.dedupe_key.clone().or(item.dedupe_key);
        item
    }
}
