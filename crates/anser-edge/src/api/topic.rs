//! Topics.

use anser_core::resource::TopicSpec;
use anser_gateway::admin::TopicView;

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

    kind::served_by!(list_topics, get_topic, create_topic, put_topic, patch_topic, delete_topic cascade);

    fn name(view: &TopicView) -> &str {
        &view.name
    }
}
