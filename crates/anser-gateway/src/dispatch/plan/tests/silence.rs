//! Endpoints that stop answering: what they get while they are silent, who does not count as silent, and that work goes
//! on when the silence ends.

use super::*;

const SLOTS: usize = 4;
/// Later than every endpoint is asked again.
const LONG: Duration = Duration::from_secs(10);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn world(channels: u64) -> World {
    World {
        channels,
        ..World::default()
    }
}

/// One endpoint that has answered `answers` requests, each after `usual`.
fn with_history(answers: usize, usual: Duration) -> Sim {
    let mut sim = Sim::new(world(1), PlanOptions::default());
    for _ in 0..answers {
        let id = sim.publish(0, None);
        sim.pump();
        sim.advance(usual);
        sim.finish_one(id, Ending::Success, &Settle::Delivered);
    }
    sim
}

/// Publishes one message every `every` for a while; answers how many attempts that started.
fn publish_for(sim: &mut Sim, time: Duration, every: Duration) -> usize {
    let before = sim.started.len();
    let end = sim.now.mono + time;
    while sim.now.mono < end {
        sim.publish(0, None);
        sim.pump();
        sim.advance(every);
    }
    sim.pump();
    sim.started.len() - before
}

fn timed_out(sim: &mut Sim, id: DeliveryId) {
    let settle = retry(sim, 60);
    sim.finish_one(id, Ending::TimedOut, &settle);
}

#[test]
fn a_silent_endpoint_is_asked_once_more_and_then_left_alone() {
    let mut sim = with_history(10, ms(20));
    assert_eq!(publish_for(&mut sim, ms(1_500), ms(600)), 1);
    assert_eq!(publish_for(&mut sim, ms(13_000), ms(1_000)), 1);
    assert_eq!(sim.running.len(), 2);
    // The plan does not wake for it either.
    assert_eq!(sim.plan.sleep(sim.now), None);
}

#[test]
fn an_answer_ends_the_silence_at_once() {
    let mut sim = with_history(10, ms(20));
    publish_for(&mut sim, LONG, ms(1_000));
    let late = *sim.running.keys().next().unwrap();
    sim.finish_one(late, Ending::Success, &Settle::Delivered);
    sim.pump();
    assert_eq!(sim.running.len(), SLOTS);
}

#[test]
fn a_refusal_and_a_pause_are_answers_too() {
    for ending in [Ending::Refusal, Ending::Limited(ms(1))] {
        let mut sim = with_history(10, ms(20));
        publish_for(&mut sim, LONG, ms(1_000));
        let late = *sim.running.keys().next().unwrap();
        sim.finish_one(late, ending, &Settle::Delivered);
        sim.advance(ms(2));
        sim.pump();
        assert_eq!(sim.running.len(), SLOTS, "{ending:?}");
    }
}

#[test]
fn a_time_out_leaves_one_slot_and_work_goes_on() {
    let mut sim = with_history(10, ms(20));
    publish_for(&mut sim, LONG, ms(1_000));
    for id in sim.running.keys().copied().collect::<Vec<_>>() {
        timed_out(&mut sim, id);
    }
    sim.pump();
    assert_eq!(sim.running.len(), 1);
    // Silent again, and that slot is in use: nothing more until it ends.
    sim.advance(LONG);
    sim.pump();
    assert_eq!(sim.running.len(), 1);
    sim.run_dry();
    assert_eq!(sim.unfinished(), 0);
}

#[test]
fn one_request_that_hangs_keeps_the_others_waiting_only_shortly() {
    let mut sim = with_history(10, ms(20));
    let stuck = sim.publish(0, None);
    sim.pump();
    sim.advance(ms(600));
    let other = sim.publish(0, None);
    sim.pump();
    assert!(!sim.running.contains_key(&other));
    sim.advance(ms(5_100));
    sim.pump();
    assert!(sim.running.contains_key(&other));
    // Its answer shows that the endpoint works: what is stuck says nothing any more.
    sim.finish_one(other, Ending::Success, &Settle::Delivered);
    for _ in 0..20 {
        sim.advance(ms(600));
        let next = sim.publish(0, None);
        sim.pump();
        assert!(sim.running.contains_key(&next));
        sim.advance(ms(20));
        sim.finish_one(next, Ending::Success, &Settle::Delivered);
    }
    assert!(sim.running.contains_key(&stuck));
}

#[test]
fn who_usually_takes_long_keeps_its_slots() {
    let mut sim = with_history(1, ms(2_000));
    assert_eq!(publish_for(&mut sim, ms(7_000), ms(1_900)), SLOTS);
    // Once in ten is enough to be known for it.
    let mut sim = with_history(1, ms(2_000));
    for _ in 0..9 {
        let id = sim.publish(0, None);
        sim.pump();
        sim.advance(ms(5));
        sim.finish_one(id, Ending::Success, &Settle::Delivered);
    }
    assert_eq!(publish_for(&mut sim, ms(2_000), ms(500)), SLOTS);
    // But it is not known for ever.
    let mut sim = with_history(1, ms(2_000));
    for _ in 0..100 {
        let id = sim.publish(0, None);
        sim.pump();
        sim.finish_one(id, Ending::Success, &Settle::Delivered);
    }
    assert_eq!(publish_for(&mut sim, ms(1_500), ms(600)), 1);
}

#[test]
fn a_new_endpoint_that_is_slow_is_soon_known_for_it() {
    let mut sim = Sim::new(world(1), PlanOptions::default());
    let first = sim.publish(0, None);
    sim.pump();
    sim.advance(ms(2_000));
    sim.finish_one(first, Ending::Success, &Settle::Delivered);
    assert_eq!(publish_for(&mut sim, ms(7_000), ms(1_900)), SLOTS);
}

#[test]
fn endpoints_that_fall_silent_together_are_asked_again_one_by_one() {
    let channels = 500;
    let mut sim = Sim::new(world(channels), PlanOptions::default());
    for _ in 0..2 {
        for group in 0..channels {
            sim.publish(group, None);
        }
        sim.pump();
        sim.advance(ms(501));
    }
    let (mut most, mut all) = (0, 0);
    for _ in 0..60 {
        let before = sim.started.len();
        sim.advance(ms(100));
        sim.pump();
        most = most.max(sim.started.len() - before);
        all += sim.started.len() - before;
    }
    assert_eq!(all, 500);
    assert!(most <= 20, "{most} in a tenth of a second");
}

#[test]
fn the_probe_of_a_breaker_stays_alone() {
    let world = World {
        breaker: true,
        ..world(1)
    };
    let mut sim = Sim::new(world, PlanOptions::default());
    for _ in 0..30 {
        sim.publish(0, None);
    }
    for _ in 0..10 {
        sim.pump();
        let id = *sim.running.keys().next().unwrap();
        timed_out(&mut sim, id);
    }
    for id in sim.running.keys().copied().collect::<Vec<_>>() {
        timed_out(&mut sim, id);
    }
    sim.advance(Duration::from_secs(29));
    sim.pump();
    assert!(sim.running.is_empty(), "the breaker is open");
    sim.advance(Duration::from_secs(1));
    sim.pump();
    assert_eq!(sim.running.len(), 1);
    sim.advance(LONG);
    sim.pump();
    assert_eq!(sim.running.len(), 1, "a silent probe is not doubled");
    sim.run_dry();
    assert_eq!(sim.unfinished(), 0);
}

#[derive(Debug, Clone, Copy)]
enum End {
    Answer,
    Refuse,
    Fail,
    TimeOut,
}

fn end(sim: &mut Sim, id: DeliveryId, how: End) {
    let again = retry(sim, 1);
    match how {
        End::Answer => sim.finish_one(id, Ending::Success, &Settle::Delivered),
        End::Refuse => sim.finish_one(id, Ending::Refusal, &Settle::Delivered),
        End::Fail => sim.finish_one(id, Ending::Failure, &again),
        End::TimeOut => sim.finish_one(id, Ending::TimedOut, &again),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Whatever it took before and whatever comes while it is silent: at most one more attempt, and all work is done
    /// after the silence, however it ended.
    #[test]
    fn silence_holds_and_ends(
        answers in 0_usize..40,
        usual in 1_u64..2_000,
        hanging in 1_usize..=SLOTS,
        gaps in prop::collection::vec(1_u64..3_000, 1..40),
        lanes in any::<bool>(),
        how in prop_oneof![Just(End::Answer), Just(End::Refuse), Just(End::Fail), Just(End::TimeOut)],
    ) {
        let mut sim = with_history(answers, ms(usual));
        for _ in 0..hanging {
            sim.publish(0, None);
        }
        sim.pump();
        prop_assert_eq!(sim.running.len(), hanging);
        // Longer than any usual time calls for.
        sim.advance(ms(4 * 2_000 + 501));
        let (mut lane, before) = (0, sim.started.len());
        for gap in gaps {
            lane += 1;
            sim.publish(0, lanes.then_some(lane % 3));
            sim.pump();
            sim.advance(ms(gap));
        }
        sim.pump();
        let more = sim.started.len() - before;
        prop_assert!(more <= 1, "{} more", more);
        for id in sim.running.keys().copied().collect::<Vec<_>>() {
            end(&mut sim, id, how);
        }
        sim.run_dry();
        prop_assert_eq!(sim.unfinished(), 0);
    }
}
