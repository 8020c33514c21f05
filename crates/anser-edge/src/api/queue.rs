//! Queues.

use anser_core::Problem;
use anser_core::resource::QueueSpec;
use anser_gateway::Gateway;
use anser_gateway::admin::{ListQuery, Put, QueueView};
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use serde_json::Value;

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    kind::routes::<Queues>()
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
    const CASCADES: bool = true;

    fn list(
        gateway: &Gateway,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<QueueView>, Problem> {
        gateway.list_queues(principal, query)
    }

    fn show(gateway: &Gateway, principal: &Principal, name: &str) -> Result<QueueView, Problem> {
        gateway.get_queue(principal, name)
    }

    async fn create(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: QueueSpec,
    ) -> Result<Put<QueueView>, Problem> {
        gateway.create_queue(principal, name, spec).await
    }

    async fn replace(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: QueueSpec,
        expected: Option<u64>,
    ) -> Result<Put<QueueView>, Problem> {
        gateway.put_queue(principal, name, spec, expected).await
    }

    async fn change(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<QueueView, Problem> {
        gateway.patch_queue(principal, name, patch, expected).await
    }

    async fn delete(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        gateway
            .delete_queue(principal, name, cascade, expected)
            .await
    }

    fn name(view: &QueueView) -> &str {
        &view.resource.name
    }
}
