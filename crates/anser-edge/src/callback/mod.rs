//! The door that platforms call: `/in/{channel}`. A request is handed on byte for byte and answered in the time that a
//! platform waits. Must not verify or read anything itself: that is the channel's, and the gateway asks it.
//!
//! It asks for no key, and the developer mode's guard does not stand before it: platforms call by whatever name the gateway
//! is known outside. What lets a request in is its signature, which no page that a browser was lured to can make.

use std::time::Duration;

use anser_core::channel::HttpResponse;
use anser_core::inbound::{INBOUND_BYTES_MAX, InboundRequest};
use anser_core::{Problem, ProblemKind};
use anser_gateway::inbound::NotReceived;
use axum::body::Body;
use http::{Method, Response};
use schemars::JsonSchema;

use crate::answer::{self, Answer};
use crate::body;
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, public};

/// How long a platform may wait for its answer, its body included: Feishu, Slack and Discord give up after 3 s and send it
/// again (`platforms.md` §0.4).
const ANSWER_TIME_MAX: Duration = Duration::from_millis(2_500);
/// Any content type: what a platform calls its body is for its channel to judge.
const ANYTHING: &str = "*/*";

pub(crate) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        public(
            describe(op(
                Method::POST,
                "/in/{channel}",
                "takeCallback",
                "Take in what a platform sends",
            ))
            .body_of_any_kind(&[ANYTHING]),
            take_in,
        ),
        public(
            describe(op(
                Method::GET,
                "/in/{channel}",
                "verifyCallback",
                "Answer a platform that checks the URL",
            )),
            take_in,
        ),
    ]
}

fn describe(operation: Operation) -> Operation {
    operation
        .describe(
            "For platforms and other senders, not for clients of this API: no key is asked for, the channel verifies the \
             request by the secret in its settings. Its events are on the topic that the channel's field `inbound` names \
             before it is answered; the same event sent again is not stored again. 503: it is to be sent again.",
        )
        .query::<CallbackQuery>()
        .answer_text(ANYTHING, "Taken; the answer that the platform expects.")
        .problems(&[400, 401, 405, 408, 413])
}

/// Whatever the platform puts there; the channel reads it.
#[derive(JsonSchema)]
struct CallbackQuery {}

async fn take_in(call: Call) -> Handled {
    let channel = call.param("channel")?.into_owned();
    match tokio::time::timeout(ANSWER_TIME_MAX, hand_over(call, &channel)).await {
        Ok(handled) => handled,
        // What was begun goes on: what it stores is known when the platform sends it again.
        Err(_) => {
            tracing::warn!(%channel, "a callback could not be answered in time; it is to be sent again");
            Err(too_slow())
        }
    }
}

async fn hand_over(call: Call, channel: &str) -> Handled {
    let (edge, parts, body) = call.into_parts();
    let body = body::read(body, INBOUND_BYTES_MAX, edge.options.body_timeout).await?;
    let request = InboundRequest {
        method: &parts.method,
        query: parts.uri.query().unwrap_or(""),
        headers: &parts.headers,
        body: &body,
    };
    match edge.gateway.take_in(channel, &request).await {
        Ok(response) => Ok(answered(response)),
        Err(refused) => match NotReceived::problem(&refused) {
            problem if problem.kind == ProblemKind::Unauthenticated => {
                Ok(answer::unverified(&problem))
            }
            problem => Err(problem),
        },
    }
}

fn answered(response: HttpResponse) -> Answer {
    let mut answer = Response::new(Body::from(response.body));
    *answer.status_mut() = response.status;
    *answer.headers_mut() = response.headers;
    answer
}

fn too_slow() -> Problem {
    Problem::new(
        ProblemKind::Unavailable,
        "callback_timeout",
        format!(
            "it could not be taken within {} ms; send it again",
            ANSWER_TIME_MAX.as_millis()
        ),
    )
}
