//! Looking at messages and deliveries, and the operator's hand on them: the manual retry.

use anser_core::Timestamp;
use anser_core::id::{DeliveryId, MessageId};
use anser_core::resource::Scope;
use anser_gateway::auth::Principal;
use anser_gateway::look::{
    DeliveryQuery, DeliveryView, MessageQuery, MessageView, Page, ViewState,
};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::paging::{self, PageQuery};
use crate::answer;
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

pub(super) const MESSAGE_NOT_FOUND: &str = "message_not_found";
const DELIVERY_NOT_FOUND: &str = "delivery_not_found";

pub(super) fn routes() -> Vec<Route> {
    let mut routes = message_routes();
    routes.extend(delivery_routes());
    routes
}

fn message_routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            // The gateway lets `consume` follow a topic, and only `read` look around.
            &[Scope::Consume, Scope::Read],
            op(
                Method::GET,
                "/v1/messages",
                "listMessages",
                "List messages, newest first",
            )
            .describe(
                "A filtered page reads at most 10,000 rows and may come short, then with a cursor.",
            )
            .query::<MessagesQuery>()
            .answer::<Page<MessageView>>(200, "A page.")
            .problems(&[404]),
            list_messages,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/messages/{message}",
                "getMessage",
                "Show a message",
            )
            .answer::<MessageView>(200, "The message."),
            get_message,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/messages/{message}/deliveries",
                "listMessageDeliveries",
                "List a message's deliveries",
            )
            .query::<PageQuery>()
            .answer::<Page<DeliveryView>>(200, "A page, in the order they were made."),
            message_deliveries,
        ),
    ]
}

fn delivery_routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Read],
            op(Method::GET, "/v1/deliveries", "listDeliveries", "List deliveries, newest first")
                .describe("A filtered page reads at most 10,000 rows and may come short, then with a cursor.")
                .query::<DeliveriesQuery>()
                .answer::<Page<DeliveryView>>(200, "A page.")
                .problems(&[404]),
            list_deliveries,
        ),
        keyed(
            &[Scope::Read],
            op(Method::GET, "/v1/deliveries/{delivery}", "getDelivery", "Show a delivery with its attempts")
                .answer::<DeliveryView>(200, "The delivery."),
            get_delivery,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/deliveries/{delivery}/retry",
                "retryDelivery",
                "Try a delivery again now",
            )
            .describe(
                "One that had ended runs outside the original order and says ordered: false from then on; one that \
                 waits for its next time does not wait any longer.",
            )
            .answer::<DeliveryView>(202, "It will be tried.")
            .problems(&[409]),
            retry_delivery,
        ),
    ]
}

/// Which messages to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct MessagesQuery {
    /// Only of this topic.
    topic: Option<String>,
    /// Only of types that match this pattern: `*` is one word, `#` any number.
    r#type: Option<String>,
    /// Only with this tag.
    tag: Option<String>,
    /// Accepted at or after.
    since: Option<Timestamp>,
    /// Accepted before.
    until: Option<Timestamp>,
    /// Oldest first, to follow a topic: an empty page then still has a cursor.
    follow: bool,
    /// Members of the page; default 50.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `cursor` of the page before.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    cursor: Option<String>,
}

/// Which deliveries to list.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct DeliveriesQuery {
    /// Only in this state.
    state: Option<ViewState>,
    /// Only of this subscription: `TOPIC/NAME`.
    subscription: Option<String>,
    /// Only through this channel.
    channel: Option<String>,
    /// Only into this queue; not together with `channel`.
    queue: Option<String>,
    /// Only of messages accepted at or after.
    since: Option<Timestamp>,
    /// Members of the page; default 50.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `cursor` of the page before.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    cursor: Option<String>,
}

async fn list_messages(call: Call, principal: Principal) -> Handled {
    let query: MessagesQuery = call.query()?;
    let page = call
        .edge
        .gateway
        .list_messages(
            &principal,
            MessageQuery {
                topic: query.topic,
                r#type: query.r#type,
                tag: query.tag,
                since: query.since,
                until: query.until,
                follow: query.follow,
                limit: paging::limit(query.limit)?,
                cursor: paging::cursor(query.cursor)?,
            },
        )
        .await?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn get_message(call: Call, principal: Principal) -> Handled {
    let id: MessageId = call.id("message", MESSAGE_NOT_FOUND)?;
    let message = call.edge.gateway.get_message(&principal, id).await?;
    Ok(answer::json(StatusCode::OK, &message))
}

async fn message_deliveries(call: Call, principal: Principal) -> Handled {
    let id: MessageId = call.id("message", MESSAGE_NOT_FOUND)?;
    let query: PageQuery = call.query()?;
    let limit = paging::limit(query.limit)?;
    let page = call
        .edge
        .gateway
        .message_deliveries(&principal, id, limit, query.cursor.as_deref())
        .await?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn list_deliveries(call: Call, principal: Principal) -> Handled {
    let query: DeliveriesQuery = call.query()?;
    let page = call
        .edge
        .gateway
        .list_deliveries(
            &principal,
            DeliveryQuery {
                state: query.state,
                subscription: query.subscription,
                channel: query.channel,
                queue: query.queue,
                since: query.since,
                limit: paging::limit(query.limit)?,
                cursor: paging::cursor(query.cursor)?,
            },
        )
        .await?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn get_delivery(call: Call, principal: Principal) -> Handled {
    let id: DeliveryId = call.id("delivery", DELIVERY_NOT_FOUND)?;
    let delivery = call.edge.gateway.get_delivery(&principal, id).await?;
    Ok(answer::json(StatusCode::OK, &delivery))
}

async fn retry_delivery(call: Call, principal: Principal) -> Handled {
    let id: DeliveryId = call.id("delivery", DELIVERY_NOT_FOUND)?;
    let delivery = call.edge.gateway.retry_delivery(&principal, id).await?;
    Ok(answer::json(StatusCode::ACCEPTED, &delivery))
}
