//! Queues, and what an operator does with what is in them. What consumers do is in `lease`.

use anser_core::Timestamp;
use anser_core::resource::{QueueSpec, Scope};
use anser_gateway::admin::QueueView;
use anser_gateway::auth::Principal;
use anser_gateway::queues::QueueState;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::answer::{self, JSON};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed};

/// The parameter that names a queue.
pub(super) const QUEUE: &str = "queue";
/// Messages that one call takes back from a dead-letter queue, unless it says otherwise.
const REDRIVE_DEFAULT: usize = 1_000;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = kind::routes::<Queues>();
    routes.extend(operator_routes());
    routes
}

fn operator_routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Consume, Scope::Read],
            op(
                Method::GET,
                "/v1/queues/{queue}/state",
                "getQueueState",
                "Show how many messages are in a queue",
            )
            .answer::<QueueState>(200, "As counted now."),
            state,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/queues/{queue}/rewind",
                "rewindQueue",
                "Receive acknowledged messages again",
            )
            .describe(
                "Those that were accepted at or after a time and acknowledged within the queue's rewind; they are \
                 received in the order in which they were accepted.",
            )
            .body::<Rewind>(&[JSON])
            .answer::<Counted>(200, "How many are in the queue again.")
            .problems(&[409]),
            rewind,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/queues/{queue}/purge",
                "purgeQueue",
                "Cancel every message in a queue",
            )
            .answer::<Counted>(200, "How many were cancelled; leased ones too."),
            purge,
        ),
        keyed(
            &[Scope::Admin],
            op(
                Method::POST,
                "/v1/queues/{queue}/redrive",
                "redriveQueue",
                "Send dead letters back where they came from",
            )
            .describe("The oldest first. What came here otherwise, or whose queue is gone, stays.")
            .body::<Redrive>(&[JSON])
            .answer::<Counted>(200, "How many are in their queues again."),
            redrive,
        ),
    ]
}

/// From when on messages are to be received again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Rewind {
    /// Messages accepted at or after this: within the queue's `rewind`, and not behind its oldest message that is not
    /// acknowledged.
    from: Timestamp,
}

/// How many dead letters go back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
struct Redrive {
    /// At most so many; default 1000.
    #[schemars(range(min = 1, max = 10_000))]
    limit: usize,
}

impl Default for Redrive {
    fn default() -> Self {
        Self {
            limit: REDRIVE_DEFAULT,
        }
    }
}

/// How many messages a call was about.
#[derive(Debug, Serialize, JsonSchema)]
struct Counted {
    /// So many.
    count: u64,
}

async fn state(call: Call, principal: Principal) -> Handled {
    let name = call.param(QUEUE)?;
    let state = call.edge.gateway.queue_state(&principal, &name).await?;
    Ok(answer::json(StatusCode::OK, &state))
}

async fn rewind(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let name = call.param(QUEUE)?.into_owned();
    let Rewind { from } = call.json().await?;
    counted(edge.gateway.rewind(&principal, &name, from).await?)
}

async fn purge(call: Call, principal: Principal) -> Handled {
    let name = call.param(QUEUE)?;
    counted(call.edge.gateway.purge(&principal, &name).await?)
}

async fn redrive(call: Call, principal: Principal) -> Handled {
    let edge = call.edge.clone();
    let name = call.param(QUEUE)?.into_owned();
    let Redrive { limit } = call.json().await?;
    counted(edge.gateway.redrive(&principal, &name, limit).await?)
}

fn counted(count: u64) -> Handled {
    Ok(answer::json(StatusCode::OK, &Counted { count }))
}

impl Revised for QueueView {
    fn revision(&self) -> u64 {
        self.resource.revision
    }
}

/// Queues, to the six calls that every kind has.
struct Queues;

impl Kind for Queues {
    type Spec = QueueSpec;
    type View = QueueView;

    const ALL: &'static str = "/v1/queues";
    const ONE: &'static str = "/v1/queues/{queue}";
    const NAME: &'static str = "queue";
    const CALLS: Calls = Calls {
        list: ("listQueues", "List queues"),
        create: ("createQueue", "Create a queue"),
        show: ("getQueue", "Show a queue"),
        replace: ("putQueue", "Create or replace a queue"),
        change: ("patchQueue", "Change a queue"),
        delete: ("deleteQueue", "Delete a queue and what is in it"),
    };

    kind::served_by!(list_queues, get_queue, create_queue, put_queue, patch_queue, delete_queue cascade);

    fn name(view: &QueueView) -> &str {
        &view.resource.name
    }
}
