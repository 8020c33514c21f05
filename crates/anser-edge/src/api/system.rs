//! The operator's view of the process: health, readiness, metrics, and the description of the API itself.

use anser_core::resource::Scope;
use anser_gateway::auth::Principal;
use anser_gateway::metrics::CONTENT_TYPE;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Method, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::answer::{self, Answer, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed_unless, public};

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        public(
            op(Method::GET, "/healthz", "health", "Whether the process answers")
                .answer::<Health>(200, "It does."),
            health,
        ),
        public(
            op(Method::GET, "/readyz", "readiness", "Whether messages are taken and delivered now")
                .answer::<Health>(200, "They are; otherwise 503 says why not."),
            ready,
        ),
        keyed_unless(
            |options| options.metrics_public,
            &[Scope::Read],
            op(Method::GET, "/metrics", "metrics", "Counters and gauges for Prometheus")
                .describe("Needs a key with scope read, unless the gateway is configured to show metrics to everybody.")
                .answer_text(CONTENT_TYPE, "One scrape."),
            metrics,
        ),
        public(
            op(Method::GET, "/openapi.json", "openapi", "This document").answer::<Value>(200, "OpenAPI 3.1."),
            openapi,
        ),
    ]
}

/// A sign of life.
#[derive(Debug, Serialize, JsonSchema)]
struct Health {
    /// `ok`.
    status: &'static str,
}

async fn health(_: Call) -> Handled {
    Ok(fresh(answer::json(
        StatusCode::OK,
        &Health { status: "ok" },
    )))
}

async fn ready(call: Call) -> Handled {
    call.edge.gateway.readiness()?;
    health(call).await
}

async fn metrics(call: Call, principal: Principal) -> Handled {
    // A scrape names every topic and channel.
    principal.require_unlimited()?;
    let text = call.edge.gateway.metrics_text();
    Ok(fresh(answer::bytes(StatusCode::OK, CONTENT_TYPE, text)))
}

async fn openapi(call: Call) -> Handled {
    Ok(answer::bytes(StatusCode::OK, JSON, call.edge.document()))
}

/// Not to be answered from a cache.
fn fresh(mut answer: Answer) -> Answer {
    answer
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}
