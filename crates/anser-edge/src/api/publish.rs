//! Publish: one item or a batch, to a topic or directly.

use std::time::Duration;

use anser_core::message::Item;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use anser_gateway::auth::Principal;
use anser_gateway::publish::{
    Acks, OnUnroutable, PublishOptions, Published, Results, WAIT_DEFAULT, WAIT_MAX,
};
use http::{HeaderName, Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answer::{self, Answer, JSON, ProblemBody};
use crate::batch::{self, Batch};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

/// Names a single publish, so that a repeat is answered as the first was (draft-ietf-httpapi-idempotency-key-header).
pub(super) const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

pub(super) fn routes() -> Vec<Route> {
    vec![
        keyed(
            &[Scope::Publish],
            describe(Operation::new(
                Method::POST,
                "/v1/topics/{topic}/messages",
                "publish",
                "Publish one message or a batch",
            ))
            .body::<Items>(&[JSON]),
            publish,
        ),
        keyed(
            &[Scope::Publish],
            describe(Operation::new(
                Method::POST,
                "/v1/messages",
                "publishDirect",
                "Send one message or a batch to the addresses in header.to",
            ))
            .body::<Items>(&[JSON])
            .problems(&[404]),
            publish_direct,
        ),
    ]
}

/// What every publishing call has in common.
pub(super) fn describe(operation: Operation) -> Operation {
    operation
        .describe(
            "A single item is answered 202 once it is stored, or with its problem; an array is answered 200 with one \
             result per item in order, unless atomic=true. With wait=delivered the answer comes after every \
             delivery's first attempt (200), or at wait_timeout (202).",
        )
        .query::<PublishQuery>()
        .header(
            "Idempotency-Key",
            "^[!-~]([ -~]{0,254}[!-~])?$",
            "Makes a single publish idempotent, as dedupe_key does; give one of the two.",
        )
        .answer::<Answered>(200, "A batch: results in order. Or, with wait=delivered, every delivery was tried.")
        .answer::<Published>(202, "Accepted.")
        .problems(&[400, 409])
}

/// How a publish is confirmed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct PublishQuery {
    /// When to answer: `none` (at once, before it is durable), `stored` or `replicated`.
    acks: Acks,
    /// `delivered`: answer after each delivery's first attempt.
    wait: Option<Wait>,
    /// Seconds to wait at most; default 10.
    #[schemars(range(min = 0.0, max = 60.0))]
    wait_timeout: Option<f64>,
    /// Refuse a message that nothing takes.
    mandatory: bool,
    /// What happens to a message that nothing takes: `store`, or `keep`, which reports it on `$ops`.
    on_unroutable: OnUnroutable,
    /// All items of a batch or none.
    atomic: bool,
}

/// What to wait for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Wait {
    /// Each delivery's first attempt.
    Delivered,
}

impl TryFrom<PublishQuery> for PublishOptions {
    type Error = Problem;

    fn try_from(query: PublishQuery) -> Result<Self, Problem> {
        let most = WAIT_MAX.as_secs_f64();
        let limit = match (query.wait, query.wait_timeout) {
            (None, None) => None,
            (None, Some(_)) => {
                let rule = "goes with wait=delivered only";
                return Err(Problem::invalid("invalid_parameter", "wait_timeout", rule));
            }
            (Some(Wait::Delivered), None) => Some(WAIT_DEFAULT),
            (Some(Wait::Delivered), Some(seconds)) if (0.0..=most).contains(&seconds) => {
                Some(Duration::from_secs_f64(seconds))
            }
            (Some(Wait::Delivered), Some(_)) => {
                let rule = format!("must be between 0 and {most} seconds");
                return Err(Problem::invalid("invalid_parameter", "wait_timeout", rule));
            }
        };
        Ok(Self {
            acks: query.acks,
            wait: limit,
            mandatory: query.mandatory,
            on_unroutable: query.on_unroutable,
            atomic: query.atomic,
            ..Self::default()
        })
    }
}

/// One item or several.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(
    dead_code,
    reason = "stands for the schema; `batch` reads the body itself"
)]
enum Items {
    /// One.
    One(Box<Item>),
    /// Several, answered in order.
    Many(#[schemars(length(min = 1, max = 1000))] Vec<Item>),
}

/// The answer with status 200.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(
    dead_code,
    reason = "stands for the schema; answers are written from their parts"
)]
enum Answered {
    /// A batch.
    Batch(BatchAnswer<'static>),
    /// A single item, with `wait=delivered`.
    Single(Published),
}

/// The results of a batch, in order.
#[derive(Serialize, JsonSchema)]
struct BatchAnswer<'a> {
    /// One per item.
    results: Vec<ItemAnswer<'a>>,
}

/// What became of one item of a batch.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
enum ItemAnswer<'a> {
    /// Accepted.
    Accepted(AcceptedItem<'a>),
    /// Refused.
    Refused(ProblemBody<'a>),
}

/// An accepted item of a batch.
#[derive(Serialize, JsonSchema)]
struct AcceptedItem<'a> {
    /// What its status would be by itself.
    status: u16,
    /// What became of it.
    #[serde(flatten)]
    #[schemars(with = "Published")]
    published: &'a Published,
}

async fn publish(call: Call, principal: Principal) -> Handled {
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

async fn publish_direct(call: Call, principal: Principal) -> Handled {
    let options: PublishOptions = call.query::<PublishQuery>()?.try_into()?;
    let edge = call.edge.clone();
    let (items, single) = items(call).await?;
    let results = edge
        .gateway
        .publish_direct(&principal, items, options)
        .await?;
    answer(results, single)
}

/// The items of the body, and whether it was a single one.
async fn items(call: Call) -> Result<(Vec<Result<Item, Problem>>, bool), Problem> {
    let limits = call.edge.gateway.options().limits;
    let key = idempotency_key(&call)?;
    let json = call.json_bytes(limits.batch_bytes_max).await?;
    match batch::items(&json, limits.batch_messages_max)? {
        Batch::Single(mut item) => {
            put_key(&mut item, key)?;
            Ok((vec![Ok(item)], true))
        }
        Batch::Many(_) if key.is_some() => Err(key_with_batch()),
        Batch::Many(items) => Ok((items, false)),
    }
}

/// The `Idempotency-Key` of a request.
pub(super) fn idempotency_key(call: &Call) -> Result<Option<String>, Problem> {
    Ok(call.header(&IDEMPOTENCY_KEY)?.map(str::to_owned))
}

/// Puts the header's key on the item.
fn put_key(item: &mut Item, key: Option<String>) -> Result<(), Problem> {
    match (&item.dedupe_key, key) {
        (Some(own), Some(key)) if *own != key => Err(Problem::invalid(
            "ambiguous_dedupe_key",
            "dedupe_key",
            "differs from the Idempotency-Key header; give one of the two",
        )),
        (None, Some(key)) => {
            item.dedupe_key = Some(key);
            Ok(())
        }
        _ => Ok(()),
    }
}

/// One header cannot name many items.
pub(super) fn key_with_batch() -> Problem {
    Problem::invalid(
        "key_with_batch",
        "Idempotency-Key",
        "is for a single item; give each item of a batch its own dedupe_key",
    )
}

/// The answer to the results of a publish.
pub(super) fn answer(results: Results, single: bool) -> Handled {
    if !single {
        return Ok(batch_answer(&results));
    }
    match results.into_iter().next() {
        Some(Ok(published)) => Ok(answer::json(accepted_status(&published), &published)),
        Some(Err(problem)) => Err(problem),
        None => Err(Problem::new(
            ProblemKind::Internal,
            "no_result",
            "the item was taken and not answered",
        )),
    }
}

fn batch_answer(results: &Results) -> Answer {
    let results = results
        .iter()
        .map(|result| match result {
            Ok(published) => ItemAnswer::Accepted(AcceptedItem {
                status: accepted_status(published).as_u16(),
                published,
            }),
            Err(problem) => ItemAnswer::Refused(ProblemBody::from(problem)),
        })
        .collect();
    answer::json(StatusCode::OK, &BatchAnswer { results })
}

fn accepted_status(published: &Published) -> StatusCode {
    if published.deliveries.is_some() && published.settled {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    }
}
