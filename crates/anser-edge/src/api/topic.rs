//! Topics.

use anser_core::Problem;
use anser_core::resource::TopicSpec;
use anser_gateway::Gateway;
use anser_gateway::admin::{ListQuery, Put, TopicView};
use anser_gateway::auth::Principal;
use anser_gateway::look::Page;
use serde_json::Value;

use super::kind::{self, Calls, Kind};
use super::resource::Revised;
use crate::route::Route;

pub(super) fn routes() -> Vec<Route> {
    kind::routes::<Topics>()
}

impl Revised for TopicView {
    fn revision(&self) -> u64 {
        self.revision
    }
}

/// Topics, to the six calls that every kind has.
struct Topics;

impl Kind for Topics {
    type Spec = TopicSpec;
    type View = TopicView;

    const ALL: &'static str = "/v1/topics";
    const ONE: &'static str = "/v1/topics/{topic}";
    const NAME: &'static str = "topic";
    const CALLS: Calls = Calls {
        list: ("listTopics", "List topics"),
        create: ("createTopic", "Create a topic"),
        show: ("getTopic", "Show a topic"),
        replace: ("putTopic", "Create or replace a topic"),
        change: ("patchTopic", "Change a topic"),
        delete: ("deleteTopic", "Delete a topic"),
    };
    const CASCADES: bool = true;

    fn list(
        gateway: &Gateway,
        principal: &Principal,
        query: &ListQuery,
    ) -> Result<Page<TopicView>, Problem> {
        gateway.list_topics(principal, query)
    }

    fn show(gateway: &Gateway, principal: &Principal, name: &str) -> Result<TopicView, Problem> {
        gateway.get_topic(principal, name)
    }

    async fn create(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: TopicSpec,
    ) -> Result<Put<TopicView>, Problem> {
        gateway.create_topic(principal, name, spec).await
    }

    async fn replace(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        spec: TopicSpec,
        expected: Option<u64>,
    ) -> Result<Put<TopicView>, Problem> {
        gateway.put_topic(principal, name, spec, expected).await
    }

    async fn change(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        patch: Value,
        expected: Option<u64>,
    ) -> Result<TopicView, Problem> {
        gateway.patch_topic(principal, name, patch, expected).await
    }

    async fn delete(
        gateway: &Gateway,
        principal: &Principal,
        name: &str,
        cascade: bool,
        expected: Option<u64>,
    ) -> Result<(), Problem> {
        gateway
            .delete_topic(principal, name, cascade, expected)
            .await
    }

    fn name(view: &TopicView) -> &str {
        &view.name
    }
}
