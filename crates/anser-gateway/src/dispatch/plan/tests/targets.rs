//! Rates of chats and persons: they hold at the platform for every stretch of time, across groups and restarts; they hold
//! up nobody else, and what waits for them costs neither memory nor writes without end.

use super::*;

const GROUP: u64 = 0;
const CHAT: Option<u64> = Some(1);
const OTHER: Option<u64> = Some(2);

fn rate(per_second: f64, burst: u32) -> Rate {
    Rate { per_second, burst }
}

fn world(target_rate: Rate) -> World {
    World {
        channels: 1,
        target_rate: Some(target_rate),
        ..World::default()
    }
}

fn sim(target_rate: Rate) -> Sim {
    Sim::new(world(target_rate), PlanOptions::default())
}

/// No target saw more than its rate allows in any stretch of time.
fn assert_kept(sim: &mut Sim, rate: Rate) {
    for (whom, seen) in &mut sim.seen {
        seen.sort_unstable();
        for (first, from) in seen.iter().enumerate() {
            for (last, until) in seen.iter().enumerate().skip(first) {
                let most = f64::from(rate.burst) + (*until - *from).as_secs_f64() * rate.per_second;
                let count = f64::from(u32::try_from(last - first + 1).unwrap());
                assert!(
                    count <= most + 1e-6,
                    "{whom:?} saw {count} in {:?}",
                    *until - *from
                );
            }
        }
    }
}

fn succeed(sim: &mut Sim, id: DeliveryId) {
    sim.finish_one(id, Ending::Success, &Settle::Delivered);
}

#[derive(Debug, Clone)]
enum Life {
    Publish(u64, Option<u64>, u64),
    Pump,
    Answer(usize),
    Succeed(usize),
    Fail(usize, u64),
    Limit(usize, u64),
    Advance(u64),
    Configure,
    Restart,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let event = prop_oneof![
        8 => (0_u64..4, prop::option::of(0_u64..3), 0_u64..3)
            .prop_map(|(group, lane, target)| Life::Publish(group, lane, target)),
        6 => Just(Life::Pump),
        3 => (0_usize..8).prop_map(Life::Answer),
        6 => (0_usize..8).prop_map(Life::Succeed),
        1 => (0_usize..8, 1_u64..5_000).prop_map(|(index, delay)| Life::Fail(index, delay)),
        1 => (0_usize..8, 0_u64..90_000).prop_map(|(index, delay)| Life::Limit(index, delay)),
        3 => (1_u64..3_000).prop_map(Life::Advance),
        1 => Just(Life::Configure),
        1 => Just(Life::Restart),
    ];
    prop::collection::vec(event, 1..200)
}

fn lead(world: &World, lives: &[Life]) {
    let mut sim = Sim::new(world.clone(), small());
    for event in lives {
        match *event {
            Life::Publish(group, lane, target) => {
                sim.publish_to(group, lane, Some(target));
            }
            Life::Pump => sim.pump(),
            Life::Answer(index) => sim.answer_claim(index),
            Life::Succeed(index) => sim.finish(index, Ending::Success, &Settle::Delivered),
            Life::Fail(index, delay) => {
                let settle = Settle::Retry {
                    at: sim.now.wall.plus(Duration::from_millis(delay)),
                    possible_duplicate: None,
                    checkpoint: None,
                };
                sim.finish(index, Ending::Failure, &settle);
            }
            Life::Limit(index, delay) => {
                let wait = Duration::from_millis(delay);
                let settle = park(&sim, wait);
                sim.finish(index, Ending::TargetLimited(wait), &settle);
            }
            Life::Advance(millis) => sim.advance(Duration::from_millis(millis)),
            Life::Configure => {
                sim.plan.configure(Arc::new(world.clone()), sim.now);
            }
            Life::Restart => restart(&mut sim, world),
        }
    }
    sim.run_dry();
    assert_eq!((sim.unfinished(), sim.plan.windowed()), (0, 0));
    assert_kept(&mut sim, world.target_rate.unwrap());
}

fn park(sim: &Sim, wait: Duration) -> Settle {
    Settle::Park {
        at: sim.now.wall.plus(wait),
        possible_duplicate: None,
        checkpoint: None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn a_targets_rate_holds_in_every_stretch_of_time(
        lives in lives(),
        channels in 1_u64..3,
        per_second in 0.1_f64..20.0,
        burst in 1_u32..4,
        channel_rate in prop::option::of(1.0_f64..30.0),
    ) {
        let world = World {
            channels,
            rate: channel_rate.map(|per_second| rate(per_second, 3)),
            target_rate: Some(rate(per_second, burst)),
            ..World::default()
        };
        lead(&world, &lives);
    }
}

#[test]
fn a_busy_chat_holds_up_no_other_and_is_served_in_order() {
    let mut sim = sim(rate(2.0, 1));
    let busy: Vec<DeliveryId> = (0..5_000)
        .map(|_| sim.publish_to(GROUP, None, CHAT))
        .collect();
    sim.pump();
    assert_eq!(sim.started, [busy[0]], "one at a time");
    let other = sim.publish_to(GROUP, None, OTHER);
    sim.pump();
    while !sim.claims.is_empty() {
        sim.answer_claim(0);
        sim.pump();
    }
    assert!(sim.running.contains_key(&other), "it passes all who wait");
    succeed(&mut sim, other);
    let held = sim.plan.windowed();
    assert!(held < 50, "{held} of a busy chat in memory");
    let before = sim.now.mono;
    sim.run_dry();
    assert_eq!(sim.unfinished(), 0);
    sim.finished.retain(|id| *id != other);
    assert_eq!(sim.finished, busy);
    let took = (sim.now.mono - before).as_secs_f64();
    assert!((2_499.0..2_700.0).contains(&took), "{took} s");
    // Once to wait for their turn, and once more where that was too far off to tell.
    let written = sim.postponed;
    assert!(written < 4 * busy.len(), "{written} writes");
    assert_kept(&mut sim, rate(2.0, 1));
}

#[test]
fn groups_that_share_a_chat_take_turns() {
    let mut sim = sim(rate(1.0, 1));
    for group in [0, 1, 2] {
        for _ in 0..3 {
            sim.publish_to(group, None, CHAT);
        }
    }
    sim.run_dry();
    let groups: Vec<u64> = sim.finished.iter().map(|id| sim.rows[id].group.0).collect();
    for round in groups.chunks(3) {
        let each: BTreeSet<&u64> = round.iter().collect();
        assert_eq!(each.len(), 3, "{groups:?}");
    }
    assert_kept(&mut sim, rate(1.0, 1));
}

#[test]
fn what_waits_for_its_chat_takes_nothing_of_the_channels_rate() {
    let world = World {
        rate: Some(rate(1.0, 2)),
        ..world(rate(0.1, 1))
    };
    let mut sim = Sim::new(world, PlanOptions::default());
    for _ in 0..3 {
        sim.publish_to(GROUP, None, CHAT);
    }
    let other = sim.publish_to(GROUP, None, OTHER);
    sim.pump();
    assert_eq!(sim.started.len(), 2);
    assert!(sim.running.contains_key(&other));
}

#[test]
fn a_chat_that_asks_for_a_pause_gets_it_from_everybody() {
    // Learned, whether a rate is known or not.
    for target_rate in [Some(rate(100.0, 5)), None] {
        let world = World {
            target_rate,
            limits: true,
            ..world(rate(100.0, 5))
        };
        let mut sim = Sim::new(world, PlanOptions::default());
        let first = sim.publish_to(0, None, CHAT);
        sim.pump();
        let wait = Duration::from_secs(30);
        let settle = park(&sim, wait);
        sim.finish_one(first, Ending::TargetLimited(wait), &settle);
        let second = sim.publish_to(1, None, CHAT);
        let other = sim.publish_to(1, None, OTHER);
        sim.pump();
        assert_eq!(sim.started, [first, other]);
        succeed(&mut sim, other);
        let paused = sim.now.mono;
        sim.advance(Duration::from_secs(29));
        sim.pump();
        assert_eq!(sim.started.len(), 2);
        sim.run_dry();
        assert!(sim.now.mono >= paused + wait);
        assert_eq!(sim.finished, [other, first, second]);
    }
}

#[test]
fn an_attempt_that_sent_nothing_costs_no_turn() {
    let mut sim = sim(rate(0.1, 1));
    let first = sim.publish_to(GROUP, None, CHAT);
    let second = sim.publish_to(GROUP, None, CHAT);
    sim.pump();
    assert_eq!(sim.started, [first]);
    let settle = park(&sim, Duration::from_secs(60));
    sim.finish_one(first, Ending::Unsent, &settle);
    sim.pump();
    assert_eq!(sim.started, [first, second]);
}

#[test]
fn a_start_after_another_run_has_no_burst() {
    let facts = world(rate(1.0, 5));
    let mut sim = sim(rate(1.0, 5));
    for _ in 0..5 {
        sim.publish_to(GROUP, None, CHAT);
    }
    sim.pump();
    assert_eq!(
        sim.running.len(),
        PlanOptions::default().endpoint_slots_first
    );
    restart(&mut sim, &facts);
    sim.pump();
    sim.answer_claim(0);
    sim.pump();
    assert!(sim.running.is_empty(), "the run before may have used it up");
    sim.run_dry();
    assert_eq!(sim.unfinished(), 0);
    assert_kept(&mut sim, rate(1.0, 5));
}

#[test]
fn only_so_many_chats_are_kept_in_memory() {
    let options = PlanOptions {
        targets_max: 50,
        endpoint_slots_first: 8,
        ..PlanOptions::default()
    };
    let mut sim = Sim::new(world(rate(1.0, 1)), options);
    for target in 0..400 {
        sim.publish_to(GROUP, None, Some(target));
        sim.publish_to(GROUP, Some(target), Some(target));
    }
    while sim.unfinished() > 0 {
        sim.pump();
        assert!(
            sim.plan.targets.len() <= 50 + 32,
            "{}",
            sim.plan.targets.len()
        );
        if let Some(id) = sim.running.keys().next().copied() {
            succeed(&mut sim, id);
        } else if !sim.claims.is_empty() {
            sim.answer_claim(0);
        } else {
            let sleep = sim.plan.sleep(sim.now).unwrap();
            sim.advance(sleep.max(Duration::from_millis(1)));
        }
    }
    assert_kept(&mut sim, rate(1.0, 1));
}

#[test]
fn what_is_taken_back_leaves_its_turn_to_the_next() {
    let mut sim = sim(rate(1.0, 1));
    let ids: Vec<DeliveryId> = (0..4).map(|_| sim.publish_to(GROUP, None, CHAT)).collect();
    sim.pump();
    succeed(&mut sim, ids[0]);
    sim.pump();
    // The next one is called, and withdrawn before it could start.
    for id in &ids[1..3] {
        let withdrawal = Arc::new(Withdrawal {
            message: id.num(),
            only: None,
        });
        assert!(sim.plan.withdraw(Arc::clone(&withdrawal)).is_empty());
        sim.rows.get_mut(id).unwrap().state = DeliveryState::Cancelled;
        sim.plan.withdrawn(&withdrawal, &[], sim.now);
    }
    sim.run_dry();
    assert_eq!(sim.finished, [ids[0], ids[3]]);
}
