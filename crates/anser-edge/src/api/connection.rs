//! Connections of channels to their platforms: how they stand, and what their journals say.

use anser_core::resource::Scope;
use anser_gateway::auth::Principal;
use anser_gateway::connections::{ConnectionView, JournalEntry};
use anser_gateway::look::Page;
use http::{Method, StatusCode};

use super::paging::PageQuery;
use super::resource;
use crate::answer;
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/connections",
                "listConnections",
                "List the connections of channels to their platforms",
            )
            .query::<PageQuery>()
            .answer::<Page<ConnectionView>>(200, "How each of them stands."),
            list,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/channels/{channel}/connection",
                "getConnection",
                "Show a channel's connection to its platform",
            )
            .describe("404 `not_connected` when its `inbound.via` is not `connection`.")
            .answer::<ConnectionView>(200, "How it stands."),
            show,
        ),
        keyed(
            &[Scope::Read],
            op(
                Method::GET,
                "/v1/channels/{channel}/connection/journal",
                "getConnectionJournal",
                "Read what became of a channel's connections, the newest first",
            )
            .query::<PageQuery>()
            .answer::<Page<JournalEntry>>(
                200,
                "The newest 1,000 entries are kept. Attempts that failed in one gap are one entry.",
            ),
            journal,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/channels/{channel}/connection/reconnect",
                "reconnectChannel",
                "Connect a channel anew, without waiting for its next attempt",
            )
            .answer::<ConnectionView>(200, "How it stood until now."),
            reconnect,
        ),
    ]
}

async fn list(call: Call, principal: Principal) -> Handled {
    let query = resource::list_query(&call)?;
    let page = call.edge.gateway.list_connections(&principal, &query)?;
    Ok(answer::json(StatusCode::OK, &page))
}

async fn show(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let view = call.edge.gateway.get_connection(&principal, &name)?;
    Ok(answer::json(StatusCode::OK, &view))
}

async fn journal(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let query = resource::list_query(&call)?;
    let gateway = &call.edge.gateway;
    let page = gateway.connection_journal(&principal, &name, &query);
    Ok(answer::json(StatusCode::OK, &page.await?))
}

async fn reconnect(call: Call, principal: Principal) -> Handled {
    let name = call.param("channel")?;
    let view = call.edge.gateway.reconnect(&principal, &name)?;
    Ok(answer::json(StatusCode::OK, &view))
}
