//! The CMQ door: Tencent CMQ's own clients, unchanged, with one of our key pairs. A request is read, its action found, its
//! signature verified, and answered with HTTP 200 whatever became of it. Must not decide what a queue or topic does.

mod admit;
mod answer;
mod error;
mod message;
mod names;
mod params;
mod policy;
mod queue;
mod request;
mod send;
mod signature;
mod subscription;
mod topic;

use std::ops::RangeInclusive;
use std::sync::Arc;

use anser_core::resource::CMQ_MESSAGE_BYTES;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::routing::any;
use bytes::Bytes;
use http::request::Parts;
use http::{Method, Request as HttpRequest};

use self::answer::{Fields, Ids};
use self::error::{Fault, METHOD, MISSING, NO_SUCH_ACTION, UNREADABLE};
use self::params::Params;
use self::request::Request;
use crate::answer::Answer;
use crate::state::Edge;
use crate::{body, route};

/// Where clients call beside `/`: what the documents say, that behind an endpoint with a trailing `/`, and what the PHP
/// client makes of it with GET.
const PATHS: [&str; 3] = [
    "/v2/index.php",
    "//v2/index.php",
    "/v2/index.php/v2/index.php",
];
/// Bytes of a request as sent: a batch of 1 MiB, of which a form may encode every byte as three, and its other parameters.
const REQUEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Adds the door to the router.
pub(crate) fn attach(router: Router<Arc<Edge>>) -> Router<Arc<Edge>> {
    let router = PATHS
        .into_iter()
        .fold(router, |router, path| router.route(path, any(call)));
    router.route("/", any(call_at_root))
}

/// A request where nothing but CMQ lives.
async fn call(State(edge): State<Arc<Edge>>, request: HttpRequest<Body>) -> Answer {
    let _counted = edge.gateway.metrics().http_request();
    let (parts, body) = request.into_parts();
    match read(&edge, &parts, body).await {
        Ok(text) => serve(&edge, &parts, &text).await,
        Err(fault) => answer::make(new_ids(&edge), Err(fault)),
    }
}

/// A request for `/`: clients of CMQ call it when they are given a bare host. What names no action is not theirs.
async fn call_at_root(State(edge): State<Arc<Edge>>, request: HttpRequest<Body>) -> Answer {
    let in_query = has_action(request.uri().query().unwrap_or("").as_bytes());
    if in_query && *request.method() != Method::POST {
        return call(State(edge), request).await;
    }
    if *request.method() != Method::POST {
        return route::no_such_route(request).await;
    }
    let _counted = edge.gateway.metrics().http_request();
    let (parts, body) = request.into_parts();
    match read(&edge, &parts, body).await {
        Ok(text) if has_action(&text) => serve(&edge, &parts, &text).await,
        Ok(_) => route::no_such_route(HttpRequest::from_parts(parts, Body::empty())).await,
        Err(fault) => answer::make(new_ids(&edge), Err(fault)),
    }
}

fn has_action(text: &[u8]) -> bool {
    Params::parse(text).is_ok_and(|params| !matches!(params.bytes("Action"), Ok(None)))
}

/// The parameters as text: the query of a GET, the body of a POST whatever its content type says.
async fn read(edge: &Edge, parts: &Parts, body: Body) -> Result<Bytes, Fault> {
    match parts.method {
        Method::GET => Ok(Bytes::copy_from_slice(
            parts.uri.query().unwrap_or("").as_bytes(),
        )),
        Method::POST => body::read(body, REQUEST_BYTES_MAX, edge.options.body_timeout)
            .await
            .map_err(|problem| Fault::about(&UNREADABLE, "request").detail(problem.to_string())),
        _ => {
            body::discard(body).await;
            Err(Fault::about(&METHOD, parts.method.as_str()))
        }
    }
}

fn new_ids(edge: &Edge) -> Ids {
    Ids {
        // Within what a signed number of 64 bits holds.
        request: edge.gateway.random_number() >> 1,
        client: 0,
    }
}

async fn serve(edge: &Edge, parts: &Parts, text: &[u8]) -> Answer {
    let mut ids = new_ids(edge);
    let result = match Params::parse(text) {
        Ok(params) => {
            ids.client = params
                .text("clientRequestId")
                .ok()
                .flatten()
                .and_then(|id| id.parse().ok())
                .unwrap_or(0);
            perform(edge, parts, &params, ids.request).await
        }
        Err(fault) => Err(fault),
    };
    answer::make(ids, result)
}

async fn perform(
    edge: &Edge,
    parts: &Parts,
    params: &Params<'_>,
    id: u64,
) -> Result<Fields, Fault> {
    let name = params.required("Action")?;
    if name.is_empty() {
        return Err(Fault::about(&MISSING, "Action"));
    }
    let action = Action::find(name).ok_or_else(|| Fault::about(&NO_SUCH_ACTION, name))?;
    let caller = admit::admit(edge, parts, params)?;
    let request = Request {
        edge,
        principal: &caller.principal,
        app_id: caller.app_id,
        params,
        repeat: caller.repeat,
        id,
    };
    action.perform(&request).await
}

/// Declares the actions: their names, found ignoring case as clients misspell it, and what performs them.
macro_rules! actions {
    ($($name:ident => $call:path $(, $wait:ident)?;)+) => {
        /// What a request asks for.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Action {
            $($name,)+
        }

        impl Action {
            fn find(name: &str) -> Option<Self> {
                $(if name.eq_ignore_ascii_case(stringify!($name)) {
                    return Some(Self::$name);
                })+
                None
            }

            async fn perform(self, request: &Request<'_>) -> Result<Fields, Fault> {
                match self {
                    $(Self::$name => $call(request)$(.$wait)?,)+
                }
            }
        }
    };
}

actions! {
    SendMessage => message::send_one, await;
    BatchSendMessage => message::send_batch, await;
    ReceiveMessage => message::receive_one, await;
    BatchReceiveMessage => message::receive_batch, await;
    DeleteMessage => message::delete_one, await;
    BatchDeleteMessage => message::delete_batch, await;
    CreateQueue => queue::create, await;
    ListQueue => queue::list;
    GetQueueAttributes => queue::attributes_of, await;
    SetQueueAttributes => queue::set_attributes, await;
    DeleteQueue => queue::delete, await;
    RewindQueue => queue::rewind, await;
    ClearQueue => queue::clear, await;
    UnbindDeadLetterQueue => queue::unbind, await;
    ListDeadLetterSourceQueues => queue::sources;
    QueryQueueRoute => queue::route;
    CreateTopic => topic::create, await;
    ListTopic => topic::list;
    GetTopicAttributes => topic::attributes_of;
    SetTopicAttributes => topic::set_attributes, await;
    DeleteTopic => topic::delete, await;
    QueryTopicRoute => topic::route;
    PublishMessage => topic::publish_one, await;
    BatchPublishMessage => topic::publish_batch, await;
    Subscribe => subscription::subscribe, await;
    Unsubscribe => subscription::unsubscribe, await;
    ListSubscriptionByTopic => subscription::list;
    GetSubscriptionAttributes => subscription::attributes_of;
    SetSubscriptionAttributes => subscription::set_attributes, await;
    ClearSubscriptionFilterTags => subscription::clear_tags, await;
}

/// What `maxMsgSize` may be.
const fn message_bytes() -> RangeInclusive<i64> {
    let (least, _, most) = CMQ_MESSAGE_BYTES;
    least.cast_signed()..=most.cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn actions_are_found_whatever_their_case() {
        for (name, action) in [
            ("SendMessage", Some(Action::SendMessage)),
            // As the Java client spells it.
            (
                "ClearSUbscriptionFIlterTags",
                Some(Action::ClearSubscriptionFilterTags),
            ),
            ("sendmessage", Some(Action::SendMessage)),
            ("SendMessages", None),
            ("", None),
        ] {
            assert_eq!(Action::find(name), action, "{name}");
        }
    }
}
