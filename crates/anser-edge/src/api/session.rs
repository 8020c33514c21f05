//! Live sessions and users as operators see them, and the end of a session.

use anser_core::Problem;
use anser_core::name::UserId;
use anser_core::resource::Scope;
use anser_gateway::admin::ListQuery;
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use anser_gateway::sessions::{SessionId, SessionQuery, SessionView, UserView};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::paging;
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::live::LIVE_WIRES;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/sessions",
                "listSessions",
                "List the live sessions",
            )
            .query::<Sessions>()
            .answer::<Page<SessionView>>(200, "Those that are open, the oldest first."),
            list,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::DELETE,
                "/v1/sessions/{session}",
                "endSession",
                "End a live session",
            )
            .query::<Ending>()
            .answer_empty("It is told why, and over."),
            end,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/presence/{user}/kick",
                "endSessionsOfUser",
                "End every live session of a user",
            )
            .body::<Kick>(&[JSON])
            .answer::<Kicked>(200, "How many there were."),
            kick,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/presence/{user}",
                "getPresence",
                "Show how available a user is, and what waits for the user",
            )
            .describe("There is an answer to every id: users are made by their tokens.")
            .answer::<UserView>(200, "As it stands now."),
            presence,
        ),
    ]
}

/// Characters that may be said to the clients of sessions that are ended.
const DETAIL_CHARACTERS_MAX: usize = 256;

/// Which sessions.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Sessions {
    /// Only of this user.
    user: Option<String>,
    /// Only over this wire, such as `ws`.
    transport: Option<String>,
    /// Members of the page; default 50.
    #[schemars(range(min = 1, max = 500))]
    limit: Option<u32>,
    /// Where to go on: the `cursor` of the page before.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_-]+$"))]
    cursor: Option<String>,
}

/// How a session ends.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
struct Ending {
    /// What its client is told.
    #[schemars(length(max = DETAIL_CHARACTERS_MAX))]
    detail: Option<String>,
}

/// How a user's sessions end.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Kick {
    /// What their clients are told.
    #[schemars(length(max = DETAIL_CHARACTERS_MAX))]
    detail: Option<String>,
}

/// What became of a user's sessions.
#[derive(Debug, Serialize, JsonSchema)]
struct Kicked {
    /// So many ended.
    ended: usize,
}

async fn list(call: Call, principal: Principal) -> Handled {
    let query: Sessions = call.query()?;
    check_filter(&query)?;
    let query = SessionQuery {
        user: query.user,
        transport: query.transport,
        list: ListQuery {
            limit: paging::limit(query.limit)?,
            cursor: paging::cursor(query.cursor)?,
        },
    };
    let page = call.edge.gateway.list_sessions(&principal, &query)?;
    Ok(answer::json(StatusCode::OK, &page))
}

/// A filter that can match nothing is a mistake.
fn check_filter(query: &Sessions) -> Result<(), Problem> {
    if let Some(user) = &query.user {
        UserId::parse("user", user)?;
    }
    match query.transport.as_deref() {
        Some(wire) if !LIVE_WIRES.contains(&wire) => Err(Problem::invalid(
            "invalid_parameter",
            "transport",
            format!("there is no wire {wire:?}"),
        )
        .accepted(LIVE_WIRES.join(", "))),
        Some(_) | None => Ok(()),
    }
}

async fn end(call: Call, principal: Principal) -> Handled {
    let id: SessionId = call.id("session", "session_not_found")?;
    let Ending { detail } = call.query()?;
    check_detail(detail.as_deref())?;
    call.edge.gateway.end_session(&principal, id, detail)?;
    Ok(answer::no_content())
}

async fn kick(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let user = UserId::parse("user", &call.param("user")?)?;
    let Kick { detail } = call.json().await?;
    check_detail(detail.as_deref())?;
    let ended = edge
        .gateway
        .end_sessions_of(&principal, &user, detail.as_deref())?;
    Ok(answer::json(StatusCode::OK, &Kicked { ended }))
}

/// What clients are told is short.
fn check_detail(detail: Option<&str>) -> Result<(), Problem> {
    let characters = detail.map_or(0, |detail| detail.chars().count());
    if characters > DETAIL_CHARACTERS_MAX {
        let rule = format!("has at most {DETAIL_CHARACTERS_MAX} characters, this one {characters}");
        return Err(Problem::invalid("out_of_range", "detail", rule));
    }
    Ok(())
}

async fn presence(call: Call, principal: Principal) -> Handled {
    let user = UserId::parse("user", &call.param("user")?)?;
    let view = call.edge.gateway.show_user(&principal, &user)?;
    Ok(answer::json(StatusCode::OK, &view))
}
