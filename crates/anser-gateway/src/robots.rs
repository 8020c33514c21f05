//! Robots at work: found by their token, and what was posted to one published to where it belongs. Must not know what a post
//! looks like, nor check its signature: the door does both.

use std::sync::Arc;
use std::time::Duration;

use anser_core::message::{Item, Origin, Sender, SenderKind};
use anser_core::name::TOPIC_DIRECT;
use anser_core::{Problem, ProblemKind};

use crate::auth::hash_key;
use crate::config::Robot;
use crate::gateway::Gateway;
use crate::publish::{Event, Published, Source, may_pass};

/// For how long what was posted with an id is told from a repeat: senders whose deliveries can be sent again by hand, such as
/// GitHub's, allow it for some days.
const REMEMBER: Duration = Duration::from_secs(3 * 24 * 3600);
/// Bytes of a presented token beyond which it is not even hashed.
const PRESENTED_BYTES_MAX: usize = 512;

/// What was posted to a robot, as a message without destination.
#[derive(Debug, Clone)]
pub struct RobotMessage {
    /// The message. With a dedupe key, what comes with the same one again is not published again.
    pub item: Item,
    /// How it was posted: the dialect.
    pub platform: &'static str,
    /// The sender's own name for what it sent.
    pub kind: String,
    /// The sender's own id of it.
    pub event_id: Option<String>,
}

impl Gateway {
    /// The robot with this token. Robots are found by their token's hash, so the time taken tells nothing of a stored one.
    #[must_use]
    pub fn robot_of(&self, token: &str) -> Option<Arc<Robot>> {
        if token.len() > PRESENTED_BYTES_MAX {
            return None;
        }
        let snapshot = self.config.load();
        snapshot.robots_by_token.get(&hash_key(token)).cloned()
    }

    /// Publishes what was posted to a robot, to its topic or its addresses; answers after the durable commit.
    ///
    /// # Errors
    /// What the message is refused for; with 503 whatever may be taken when it is sent again: no room, a store that does not
    /// answer, and what an operator may mend, such as a channel that is gone or a schema that does not fit.
    pub async fn publish_posted(
        &self,
        robot: &Robot,
        posted: RobotMessage,
    ) -> Result<Published, Problem> {
        let name = &robot.meta.name;
        let mut item = posted.item;
        let topic = match &robot.spec.topic {
            Some(topic) => topic.as_str(),
            None => {
                item.header.to.clone_from(&robot.spec.to);
                TOPIC_DIRECT
            }
        };
        let event = Event {
            from: Sender {
                kind: SenderKind::Bot,
                id: name.clone(),
                name: None,
                platform: Some(posted.platform.to_owned()),
                account: Some(name.clone()),
            },
            origin: Some(Origin {
                platform: posted.platform.to_owned(),
                account: Some(name.clone()),
                r#type: Some(posted.kind).filter(|kind| !kind.is_empty()),
                event_id: posted.event_id,
                message_id: None,
            }),
            hops: 0,
            item,
        };
        let source = Source {
            resource: robot.meta.id,
            remember: REMEMBER,
        };
        let taken = match self.publish_events(source, topic, vec![event]).await {
            Ok(mut results) => results.pop().unwrap_or_else(|| {
                let detail = "what was posted was taken and not answered";
                Err(Problem::new(ProblemKind::Internal, "no_result", detail))
            }),
            Err(problem) => Err(problem),
        };
        taken.map_err(|problem| {
            let gone = ["unknown_channel", "unknown_queue"].contains(&problem.code);
            if gone || may_pass(&problem) {
                tracing::warn!(robot = %name, %problem, "what was posted to a robot is not taken now");
                return Problem {
                    kind: ProblemKind::Unavailable,
                    ..problem
                };
            }
            problem
        })
    }
}
