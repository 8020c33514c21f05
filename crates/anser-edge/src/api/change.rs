//! Edit and recall of a message.

use anser_core::Problem;
use anser_core::id::MessageId;
use anser_core::message::Attachment;
use anser_core::message::body::BodyFields;
use anser_core::message::item::parse_json;
use anser_core::resource::Scope;
use anser_gateway::auth::Principal;
use anser_gateway::change::{Changed, Edit};
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::Deserialize;

use super::look::MESSAGE_NOT_FOUND;
use super::publish::idempotency_key;
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

/// Bytes of the body of a recall: room for its reason, every byte of it escaped.
const RECALL_BYTES_MAX: usize = 4 * 1024;

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Publish],
            op(
                Method::PATCH,
                "/v1/messages/{message}",
                "editMessage",
                "Put new content in the place of a message's",
            )
            .describe(
                "The message stays as it is: a linked one is appended, of type message.edited and with its id in \
                 target_id. Where the old content has not gone out, the new one goes in its place; where it has, the \
                 channel is asked to change it.",
            )
            .header(
                "Idempotency-Key",
                "^[!-~]([ -~]{0,254}[!-~])?$",
                "Makes the edit idempotent: the same key and content again is answered without another edit.",
            )
            .body::<EditBody>(&[JSON])
            .answer::<Changed>(200, "What becomes of each delivery.")
            .problems(&[409]),
            edit,
        ),
        keyed(
            &[Scope::Publish],
            op(
                Method::POST,
                "/v1/messages/{message}/recall",
                "recallMessage",
                "Take a message back",
            )
            .describe(
                "What has not gone out is cancelled; where it has, the channel is asked to take it back, by a linked \
                 message of type message.recalled. The body may be left out.",
            )
            .optional_body::<RecallBody>(&[JSON])
            .answer::<Changed>(200, "What becomes of each delivery.")
            .problems(&[409]),
            recall,
        ),
    ]
}

/// The new content.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct EditBody {
    /// What.
    #[schemars(with = "anser_core::message::Body")]
    body: BodyFields,
    /// Bytes that ride along.
    #[serde(default)]
    #[schemars(length(max = 32))]
    attachments: Vec<Attachment>,
}

/// Why a message is taken back.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct RecallBody {
    /// For those who read what happened.
    #[schemars(length(min = 1, max = 256))]
    reason: Option<String>,
}

async fn edit(call: Call, principal: Principal) -> Handled {
    let id: MessageId = call.id("message", MESSAGE_NOT_FOUND)?;
    let edge = call.edge.clone();
    let dedupe_key = idempotency_key(&call)?;
    let most = edge.gateway.options().limits.batch_bytes_max;
    let EditBody { body, attachments } = parse_json("", &call.json_bytes(most).await?)?;
    let edit = Edit {
        body,
        attachments,
        dedupe_key,
    };
    let changed = edge.gateway.edit(&principal, id, edit).await?;
    Ok(answer::json(StatusCode::OK, &changed))
}

async fn recall(call: Call, principal: Principal) -> Handled {
    let id: MessageId = call.id("message", MESSAGE_NOT_FOUND)?;
    let edge = call.edge.clone();
    let RecallBody { reason } = recall_body(&call.json_bytes(RECALL_BYTES_MAX).await?)?;
    let changed = edge.gateway.recall(&principal, id, reason).await?;
    Ok(answer::json(StatusCode::OK, &changed))
}

fn recall_body(json: &[u8]) -> Result<RecallBody, Problem> {
    if json.is_empty() {
        return Ok(RecallBody::default());
    }
    parse_json("", json)
}
