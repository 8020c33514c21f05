//! Deliveries that are taken back: what waits never starts, what is under way does not go on, and the rest goes on.

use super::*;

fn one_slot(gate: bool) -> Sim {
    let world = World {
        channels: 1,
        gate,
        ..World::default()
    };
    let options = PlanOptions {
        endpoint_slots_first: 1,
        ..PlanOptions::default()
    };
    Sim::new(world, options)
}

fn all_of(id: DeliveryId) -> Arc<Withdrawal> {
    Arc::new(Withdrawal {
        message: id.num(),
        only: None,
    })
}

#[test]
fn what_is_taken_back_is_not_taken_in_again() {
    let mut sim = one_slot(false);
    let (running, waiting) = (sim.publish(0, None), sim.publish(0, None));
    sim.pump();
    let busy = sim.plan.withdraw(all_of(running));
    assert_eq!(busy.into_iter().collect::<Vec<_>>(), [running]);
    assert!(sim.plan.is_cancelled(running));
    let withdrawal = all_of(waiting);
    assert!(sim.plan.withdraw(Arc::clone(&withdrawal)).is_empty());
    let row = sim.rows[&waiting].clone();
    sim.plan.offer(row, None, sim.now);
    sim.finish_one(running, Ending::Success, &Settle::Delivered);
    sim.pump();
    assert_eq!(sim.started, [running]);
}

#[test]
fn only_what_is_named_is_taken_back() {
    let mut sim = one_slot(false);
    let (running, waiting) = (sim.publish(0, None), sim.publish(0, None));
    sim.pump();
    let other = Withdrawal {
        message: waiting.num(),
        only: Some(HashSet::from([DeliveryId::new(waiting.num(), 7)])),
    };
    assert!(sim.plan.withdraw(Arc::new(other)).is_empty());
    sim.finish_one(running, Ending::Success, &Settle::Delivered);
    sim.pump();
    assert_eq!(sim.started, [running, waiting]);
}

#[test]
fn what_was_being_settled_when_it_was_taken_back_must_end_when_it_would_go_on() {
    let mut sim = one_slot(false);
    let id = sim.publish(0, None);
    sim.pump();
    // Its attempt has failed and is being settled as a retry; then it is taken back.
    sim.plan.finished(id, Ending::Failure, sim.now);
    assert_eq!(sim.plan.withdraw(all_of(id)).len(), 1);
    let mut row = sim.rows[&id].clone();
    row.state = DeliveryState::Retrying;
    assert!(sim.plan.must_end(id, Some(&row)));
    row.state = DeliveryState::Cancelled;
    assert!(!sim.plan.must_end(id, Some(&row)));
    assert!(!sim.plan.is_cancelled(id), "it is forgotten once it ended");
}

#[test]
fn a_claim_that_was_asked_before_brings_nothing_back_that_was_taken_back_meanwhile() {
    let mut sim = one_slot(false);
    let group = ResourceId(0);
    let id = sim.publish(0, None);
    let row = sim.rows[&id].clone();
    // As after a restart: the delivery is on disk only.
    sim = one_slot(false);
    sim.plan.backlog(group, sim.now.wall, sim.now);
    let claim = sim.plan.next_claim(sim.now).unwrap();
    let withdrawal = all_of(id);
    sim.plan.withdraw(Arc::clone(&withdrawal));
    sim.plan.withdrawn(&withdrawal, &[], sim.now);
    let found = Claimed {
        deliveries: vec![row],
        ..Claimed::default()
    };
    sim.plan
        .loaded(group, claim.class, found, HashMap::new(), sim.now);
    assert!(sim.plan.next_start(sim.now).is_none());
}

#[test]
fn a_gate_opens_when_the_failure_behind_it_is_taken_back() {
    let mut sim = one_slot(true);
    let (failed, next) = (sim.publish(0, None), sim.publish(0, None));
    sim.pump();
    sim.answer_claim(0);
    sim.pump();
    let settle = retry(&sim, 60);
    sim.finish_one(failed, Ending::Failure, &settle);
    sim.pump();
    assert_eq!(sim.started, [failed]);
    let withdrawal = all_of(failed);
    assert!(sim.plan.withdraw(Arc::clone(&withdrawal)).is_empty());
    sim.plan.withdrawn(&withdrawal, &[], sim.now);
    let start = sim.plan.next_start(sim.now).map(|start| start.row.id);
    assert_eq!(start, Some(next));
}
