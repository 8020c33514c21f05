//! A message to several of whom the platform reached some only. Who is missed is the same for all parts of a message, so that
//! the answer to the last one tells, and the parts before it still reach the rest. Must not know how a platform names them.

use anser_core::channel::{Plan, Step};
use anser_core::outcome::Outcome;
use serde_json::{Map, Value};

use super::classify::rejected;
use super::plan::json;

/// Marks the last body of a plan; it is not sent.
pub(crate) const LAST: &str = "_last";

/// Marks the last step of a plan.
pub(crate) fn mark_last(plan: &mut Plan) {
    if let Some(step) = plan.steps.last_mut() {
        let mut body = members(step);
        body.insert(LAST.to_owned(), true.into());
        step.body = json(&Value::Object(body)).into();
    }
}

/// Whether the step is the last of its plan.
pub(crate) fn is_last(step: &Step) -> bool {
    members(step).contains_key(LAST)
}

/// The members of a step's body, which is an object in the plans of chat platforms.
pub(crate) fn members(step: &Step) -> Map<String, Value> {
    serde_json::from_slice(&step.body).unwrap_or_default()
}

/// What it means that the message `id` did not get to `missed`: it ends, since to send it again would repeat it to the others.
pub(crate) fn partly_delivered(missed: &str, id: &str, remedy: &str) -> Outcome {
    let text = format!("delivered to the others, but not to {missed}; message {id}");
    let remedy = format!("{remedy}; sending again repeats it to the others");
    rejected("partly_delivered", &text, &remedy)
}
