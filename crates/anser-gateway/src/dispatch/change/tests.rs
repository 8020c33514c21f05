//! What shows a message after some steps of a plan, and who was taken back. The rest is tested in a whole gateway
//! (`change::tests`).

use anser_core::channel::Step;
use anser_core::id::DeliveryId;
use bytes::Bytes;

use super::*;

fn step(kind: StepKind, of: Option<&str>) -> Step {
    Step {
        kind,
        of: of.map(str::to_owned),
        ..Step::send(Bytes::new(), "text/plain")
    }
}

#[test]
fn the_parts_that_show_a_message_follow_the_steps_that_are_done() {
    let plan = Plan {
        version: 1,
        steps: vec![
            step(StepKind::Upload, None),
            step(StepKind::Edit, Some("a")),
            step(StepKind::Edit, Some("b")),
            step(StepKind::Send, None),
            step(StepKind::Recall, Some("c")),
            step(StepKind::Recall, Some("unknown")),
        ],
        degraded: Vec::new(),
    };
    let before = ["a", "b", "c"].map(str::to_owned);
    let outputs = [Some("key"), None, Some("b2"), Some("d"), None, Some("x")];
    let outputs = outputs.map(|output| output.map(str::to_owned));
    for (done, expected) in [
        (0, vec!["a", "b", "c"]),
        (1, vec!["a", "b", "c"]),
        (2, vec!["a", "b", "c"]),
        (3, vec!["a", "b2", "c"]),
        (4, vec!["a", "b2", "c", "d"]),
        (5, vec!["a", "b2", "d"]),
        (6, vec!["a", "b2", "d"]),
    ] {
        let parts = parts_after(&before, &plan, &outputs[..done]);
        assert_eq!(parts, expected, "{done} steps");
    }
    assert_eq!(parts_after(&[], &plan, &outputs), ["d"]);
}

#[test]
fn one_that_was_opened_again_by_hand_is_taken_back_no_more() {
    let row = DeliveryRow {
        id: DeliveryId::new(Num(1), 0),
        topic: ResourceId(1),
        group: ResourceId(2),
        channel: ResourceId(2),
        target: None,
        lane: None,
        state: DeliveryState::Pending,
        due: Timestamp::EPOCH,
        expires_at: None,
        accepted: Timestamp::EPOCH,
        first_attempt: None,
        attempts: 1,
        attempts_before: 0,
        scheduled: false,
        ordered: true,
        possible_duplicate: None,
        checkpoint: None,
        bytes: 0,
        rewindable: false,
    };
    let withdrawn = Checkpoint {
        withdrawn: true,
        ..Checkpoint::default()
    };
    assert!(is_withdrawn(&row, &withdrawn));
    assert!(!is_withdrawn(&row, &Checkpoint::default()));
    let by_hand = DeliveryRow {
        ordered: false,
        attempts_before: 1,
        ..row
    };
    assert!(!is_withdrawn(&by_hand, &withdrawn));
}
