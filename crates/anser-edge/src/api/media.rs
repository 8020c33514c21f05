//! The files of messages that came in: fetched from their platform when they are wanted. Must not read their bytes.

use anser_core::id::MessageId;
use anser_core::resource::Scope;
use anser_gateway::auth::Principal;
use anser_gateway::fetch::FetchedMedia;
use http::{Method, StatusCode};

use super::look::MESSAGE_NOT_FOUND;
use crate::answer;
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

const MEDIA_NOT_FOUND: &str = "media_not_found";

pub(super) fn routes() -> Vec<Route> {
    vec![keyed(
        &[Scope::Read],
        Operation::new(
            Method::POST,
            "/v1/messages/{message}/media/{media}/fetch",
            "fetchMedia",
            "Keep a file of a message that came in",
        )
        .describe(
            "The platform gives the files of its messages for the channel's credentials only, by the keys in header.ext, \
             x-media: {media} is a place in that list, from 0. The file is kept as a blob, by a message of type \
             message.fetched with the message's id in target_id; asked again, that is answered and nothing is fetched.",
        )
        .answer::<FetchedMedia>(200, "The file is kept; GET /v1/blobs/{hash} has its bytes.")
        .problems(&[409, 413, 429, 507]),
        fetch,
    )]
}

async fn fetch(call: Call, principal: Principal) -> Handled {
    let id: MessageId = call.id("message", MESSAGE_NOT_FOUND)?;
    let place: usize = call.id("media", MEDIA_NOT_FOUND)?;
    let gateway = &call.edge.gateway;
    let fetched = Box::pin(gateway.fetch_media(&principal, id, place)).await?;
    Ok(answer::json(StatusCode::OK, &fetched))
}
