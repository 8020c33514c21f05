//! Plans that change or take back what was sent before, from the platform's ids of its parts. Must not render anything: the
//! new parts come from the plan of the new content.

use anser_core::Problem;
use anser_core::channel::{Plan, Step, StepKind};
use bytes::Bytes;

use super::plan::{MEDIA_TYPE, VERSION};

/// What a platform lets be changed.
pub(crate) struct Changes<'a> {
    /// Whether the part that such a step would send can also be put in the place of an earlier one; what shows an
    /// attachment usually cannot.
    pub(crate) editable: &'a dyn Fn(&Step) -> bool,
    /// Whether parts can be taken back.
    pub(crate) recalls: bool,
}

/// The plan that puts the parts of `plan` in the place of those in `sent`, in order. A new part that cannot be put in
/// another's place is sent, and the one that was there is taken back where the platform can do so. What is too many of the
/// old is taken back, what is too many of the new is sent. What that leaves undone is recorded: `edit->message` for a
/// part that is sent instead, `edit->left` for one that stays.
///
/// # Errors
/// `no_platform_id` when `sent` is empty.
pub(crate) fn edited(plan: Plan, sent: &[String], changes: &Changes<'_>) -> Result<Plan, Problem> {
    check(sent)?;
    // Marks count steps: what is taken back comes after all that has any.
    let (mut steps, mut last) = (Vec::new(), Vec::new());
    let mut degraded = plan.degraded;
    let mut old = sent.iter();
    for mut step in plan.steps {
        if step.kind != StepKind::Send {
            steps.push(step);
            continue;
        }
        match old.next() {
            Some(id) if (changes.editable)(&step) => {
                change(&mut step, id, changes);
                steps.push(step);
            }
            Some(id) => {
                steps.push(step);
                degraded.push("edit->message".to_owned());
                take_back(id, changes, &mut last, &mut degraded);
            }
            None => steps.push(step),
        }
    }
    for id in old {
        take_back(id, changes, &mut last, &mut degraded);
    }
    steps.append(&mut last);
    degraded.sort_unstable();
    degraded.dedup();
    Ok(Plan {
        version: VERSION,
        steps,
        degraded,
    })
}

/// The step as one that changes a part; its lower form too, where that can take the same place.
fn change(step: &mut Step, id: &str, changes: &Changes<'_>) {
    step.kind = StepKind::Edit;
    step.of = Some(id.to_owned());
    let lower = step.instead.take();
    step.instead = lower.and_then(|mut lower| {
        let [only] = lower.steps.as_mut_slice() else {
            return None;
        };
        let fits = (changes.editable)(only);
        change(only, id, changes);
        fits.then_some(lower)
    });
}

fn take_back(id: &str, changes: &Changes<'_>, steps: &mut Vec<Step>, degraded: &mut Vec<String>) {
    if changes.recalls {
        steps.push(recall(id));
    } else {
        degraded.push("edit->left".to_owned());
    }
}

/// The plan that takes every part back.
///
/// # Errors
/// `no_platform_id` when `sent` is empty.
pub(crate) fn recalled(sent: &[String]) -> Result<Plan, Problem> {
    check(sent)?;
    Ok(Plan {
        version: VERSION,
        steps: sent.iter().map(|id| recall(id)).collect(),
        degraded: Vec::new(),
    })
}

fn recall(id: &str) -> Step {
    Step {
        kind: StepKind::Recall,
        of: Some(id.to_owned()),
        ..Step::send(Bytes::new(), MEDIA_TYPE)
    }
}

fn check(sent: &[String]) -> Result<(), Problem> {
    if !sent.is_empty() {
        return Ok(());
    }
    Err(Problem::invalid(
        "no_platform_id",
        "id",
        "the platform gave no id for what was sent, so that it cannot be changed or taken back",
    ))
}

#[cfg(test)]
mod tests;
