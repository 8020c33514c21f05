//! The route table's entries: a description with the handler behind it. What every request goes through is here and only
//! here: the developer mode's guard, the key, its scope, the refusal of unknown parameters, and problems as answers.

use std::future::Future;
use std::sync::Arc;

use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use anser_gateway::auth::Principal;
use axum::body::Body;
use axum::extract::State;
use axum::routing::{MethodFilter, MethodRouter, on};
use http::Request;
use http::request::Parts;

use crate::answer::{self, Answer};
use crate::bearer::bearer;
use crate::call::Call;
use crate::operation::Operation;
use crate::options::EdgeOptions;
use crate::state::Edge;
use crate::{body, guard, query};

/// What a handler answers.
pub(crate) type Handled = Result<Answer, Problem>;

/// A route: what it is and what it does.
pub(crate) struct Route {
    /// What it is.
    pub(crate) operation: Operation,
    /// What it does.
    pub(crate) service: MethodRouter<Arc<Edge>>,
}

/// A route that needs a key with one of `scopes`.
pub(crate) fn keyed<H, F>(scopes: &'static [Scope], operation: Operation, handler: H) -> Route
where
    H: Fn(Call, Principal) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Handled> + Send,
{
    keyed_unless(|_| false, scopes, operation, handler)
}

/// A route that needs a key with one of `scopes`, unless the settings open it to everybody.
pub(crate) fn keyed_unless<H, F>(
    open: fn(&EdgeOptions) -> bool,
    scopes: &'static [Scope],
    mut operation: Operation,
    handler: H,
) -> Route
where
    H: Fn(Call, Principal) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Handled> + Send,
{
    operation.scopes = scopes;
    let (template, with_query) = (operation.path, operation.query.is_some());
    let service = on(
        filter(&operation),
        move |State(edge): State<Arc<Edge>>, request: Request<Body>| async move {
            let _counted = edge.gateway.metrics().http_request();
            let (parts, body) = request.into_parts();
            let caller = if open(&edge.options) {
                Ok(Principal::system())
            } else {
                admit(&edge, &parts, scopes)
            };
            let admitted = caller.and_then(|principal| {
                if !with_query {
                    query::none(parts.uri.query())?;
                }
                Ok(principal)
            });
            match admitted {
                Ok(principal) => {
                    settle(handler(Call::new(edge, parts, body, template), principal).await)
                }
                Err(problem) => {
                    body::discard(body).await;
                    answer::problem(&problem)
                }
            }
        },
    );
    Route { operation, service }
}

/// A route that anybody may call.
pub(crate) fn public<H, F>(operation: Operation, handler: H) -> Route
where
    H: Fn(Call) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Handled> + Send,
{
    let (template, with_query) = (operation.path, operation.query.is_some());
    let service = on(
        filter(&operation),
        move |State(edge): State<Arc<Edge>>, request: Request<Body>| async move {
            let _counted = edge.gateway.metrics().http_request();
            let (parts, body) = request.into_parts();
            let known = if with_query {
                Ok(())
            } else {
                query::none(parts.uri.query())
            };
            match known {
                Ok(()) => settle(handler(Call::new(edge, parts, body, template)).await),
                Err(problem) => answer::problem(&problem),
            }
        },
    );
    Route { operation, service }
}

fn settle(handled: Handled) -> Answer {
    handled.unwrap_or_else(|problem| answer::problem(&problem))
}

fn filter(operation: &Operation) -> MethodFilter {
    MethodFilter::try_from(operation.method.clone()).unwrap_or(MethodFilter::GET)
}

/// Who is calling, if they may.
fn admit(edge: &Edge, parts: &Parts, scopes: &[Scope]) -> Result<Principal, Problem> {
    let bearer = bearer(parts)?;
    if bearer.is_none() && edge.gateway.options().dev {
        guard::check(parts, &edge.options.trusted_hosts)?;
    }
    let principal = edge.gateway.authenticate(bearer)?;
    let mut missing = Ok(());
    for scope in scopes {
        missing = principal.require(*scope);
        if missing.is_ok() {
            break;
        }
    }
    missing.map(|()| principal)
}

/// The answer where no route is.
pub(crate) async fn no_such_route(request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    body::discard(body).await;
    answer::problem(&Problem::new(
        ProblemKind::NotFound,
        "no_such_route",
        format!(
            "there is nothing at {}; /openapi.json lists what there is",
            parts.uri.path()
        ),
    ))
}

/// The answer where a route is, for other methods; axum adds `Allow`.
pub(crate) async fn method_not_allowed(request: Request<Body>) -> Answer {
    let (parts, body) = request.into_parts();
    body::discard(body).await;
    answer::problem(&Problem::new(
        ProblemKind::MethodNotAllowed,
        "method_not_allowed",
        format!(
            "{} cannot be used here; the allow header names what can",
            parts.method
        ),
    ))
}
