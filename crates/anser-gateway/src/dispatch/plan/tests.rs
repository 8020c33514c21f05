//! The plan against a small model of store and endpoints: random lives with invariants checked at every step, and the
//! rules of delivery.md one by one.

mod silence;
mod targets;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};

use anser_core::store::Settle;
use proptest::prelude::*;

use super::*;

const CHANNEL: u64 = 1;

/// Facts by group number: group `g` sends through channel `g % channels + 1`.
#[derive(Clone, Default)]
struct World {
    channels: u64,
    gate: bool,
    breaker: bool,
    held: BTreeSet<u64>,
    gone: BTreeSet<u64>,
    rate: Option<Rate>,
    target_rate: Option<Rate>,
    /// Targets may ask for pauses, without a rate too.
    limits: bool,
}

impl Facts for World {
    fn group(&self, group: Group) -> Option<GroupFacts> {
        if self.gone.contains(&group.0) {
            return None;
        }
        let channel = group.0 % self.channels + CHANNEL;
        Some(GroupFacts {
            scope: Scope(channel),
            channel: ResourceId(channel),
            gate: self.gate,
            held: self.held.contains(&group.0),
            no_breaker: !self.breaker,
            rate: None,
            targets: self.limits || self.target_rate.is_some(),
        })
    }

    fn scope_rate(&self, _: Scope) -> Option<Rate> {
        self.rate
    }

    fn target(&self, group: Group, target: Option<&str>) -> Option<TargetFacts> {
        let number: u64 = target.map_or(0, |target| target.parse().unwrap());
        Some(TargetFacts {
            key: TargetKey((group.0 % self.channels) << 32 | number),
            rate: self.target_rate,
        })
    }
}

/// The store's side: rows by number, lanes kept as the contract says, claims answered later than they were asked.
struct Sim {
    gate: bool,
    plan: Plan,
    now: Now,
    rows: BTreeMap<DeliveryId, DeliveryRow>,
    running: BTreeMap<DeliveryId, DeliveryRow>,
    claims: Vec<(Claim, Claimed)>,
    started: Vec<DeliveryId>,
    finished: Vec<DeliveryId>,
    /// When attempts under way began.
    began: BTreeMap<DeliveryId, Duration>,
    /// When the platform saw requests, by channel and target.
    seen: BTreeMap<(u64, Option<String>), Vec<Duration>>,
    /// How often a delivery was sent back to disk until its target's turn.
    postponed: usize,
    channels: u64,
    next: u64,
}

impl Sim {
    fn new(world: World, options: PlanOptions) -> Self {
        let now = Now {
            wall: Timestamp::from_millis(1_000_000),
            mono: Duration::from_secs(1_000),
        };
        Self {
            gate: world.gate,
            channels: world.channels,
            plan: Plan::new(options, Arc::new(world), None),
            now,
            rows: BTreeMap::new(),
            running: BTreeMap::new(),
            claims: Vec::new(),
            started: Vec::new(),
            finished: Vec::new(),
            began: BTreeMap::new(),
            seen: BTreeMap::new(),
            postponed: 0,
            next: 1,
        }
    }

    /// Stores a delivery and offers it, if it is the head of its lane.
    fn publish(&mut self, group: u64, lane: Option<u64>) -> DeliveryId {
        self.publish_to(group, lane, None)
    }

    fn publish_to(&mut self, group: u64, lane: Option<u64>, target: Option<u64>) -> DeliveryId {
        let id = DeliveryId::new(Num(self.next), 0);
        self.next += 1;
        let blocked = lane.is_some()
            && self
                .rows
                .values()
                .any(|row| row.group.0 == group && row.lane == lane && !row.state.is_final());
        let row = DeliveryRow {
            id,
            topic: ResourceId(100),
            group: ResourceId(group),
            channel: ResourceId(CHANNEL),
            target: target.map(|target| target.to_string()),
            lane,
            state: if blocked {
                DeliveryState::Waiting
            } else {
                DeliveryState::Pending
            },
            due: self.now.wall,
            expires_at: None,
            accepted: self.now.wall,
            first_attempt: None,
            attempts: 0,
            attempts_before: 0,
            scheduled: false,
            ordered: true,
            possible_duplicate: None,
            checkpoint: None,
            bytes: 10,
            rewindable: false,
        };
        self.rows.insert(id, row.clone());
        self.plan.offer(row, None, self.now);
        id
    }

    fn advance(&mut self, by: Duration) {
        self.now = Now {
            wall: self.now.wall.plus(by),
            mono: self.now.mono + by,
        };
    }

    /// Everything the plan wants at this moment. Claims are answered from the state of when they were asked.
    fn pump(&mut self) {
        self.plan.tick(self.now);
        while let Some(claim) = self.plan.next_claim(self.now) {
            let found = self.find(&claim);
            self.claims.push((claim, found));
        }
        while let Some(start) = self.plan.next_start(self.now) {
            if let StartAction::Postpone(at) = start.action {
                self.postpone(start.row.id, at);
                continue;
            }
            assert_eq!(start.action, StartAction::Attempt);
            self.check_start(&start.row);
            self.started.push(start.row.id);
            self.began.insert(start.row.id, self.now.mono);
            self.running.insert(start.row.id, start.row);
        }
    }

    fn postpone(&mut self, id: DeliveryId, at: Timestamp) {
        self.postponed += 1;
        let row = self.rows.get_mut(&id).unwrap();
        row.due = at;
        let (row, group) = (row.clone(), row.group);
        let kept = Kept { row, parked: false };
        self.plan.settled(id, group, Some(kept), None, self.now);
    }

    /// The platform sees the request of an attempt when it begins or when it ends, in turn.
    fn see(&mut self, id: DeliveryId) {
        let row = &self.rows[&id];
        let began = self.began.remove(&id).unwrap();
        let at = if id.num().0.is_multiple_of(2) {
            began
        } else {
            self.now.mono
        };
        let whom = (row.group.0 % self.channels, row.target.clone());
        self.seen.entry(whom).or_default().push(at);
    }

    fn check_start(&self, row: &DeliveryRow) {
        let stored = &self.rows[&row.id];
        assert!(
            !self.running.contains_key(&row.id),
            "{} started twice at once",
            row.id
        );
        assert_eq!(
            stored.state, row.state,
            "{} started from a stale view",
            row.id
        );
        assert!(!stored.state.is_final() && stored.due <= self.now.wall);
        let earlier = self.rows.range(..row.id).any(|(_, other)| {
            row.lane.is_some()
                && other.group == row.group
                && other.lane == row.lane
                && !other.state.is_final()
        });
        assert!(!earlier, "{} overtook its lane", row.id);
        let failed = self
            .rows
            .values()
            .any(|other| other.group == row.group && other.state == DeliveryState::Retrying);
        assert!(
            !self.gate || row.state == DeliveryState::Retrying || !failed,
            "{} passed a closed gate",
            row.id
        );
    }

    fn find(&self, claim: &Claim) -> Claimed {
        let wanted = if claim.class == ClaimClass::Retry {
            DeliveryState::Retrying
        } else {
            DeliveryState::Pending
        };
        let mut rows: Vec<&DeliveryRow> = self
            .rows
            .values()
            .filter(|row| {
                row.group == claim.group && row.state == wanted && !claim.exclude.contains(&row.id)
            })
            .collect();
        rows.sort_by_key(|row| (row.due, row.id));
        let due: Vec<DeliveryRow> = rows
            .iter()
            .filter(|row| row.due <= claim.due_until)
            .map(|row| (*row).clone())
            .collect();
        Claimed {
            more: due.len() > claim.limit,
            deliveries: due.into_iter().take(claim.limit).collect(),
            next_due: rows
                .iter()
                .map(|row| row.due)
                .find(|due| *due > claim.due_until),
        }
    }

    fn answer_claim(&mut self, index: usize) {
        if !self.claims.is_empty() {
            let (claim, found) = self.claims.remove(index % self.claims.len());
            self.plan
                .loaded(claim.group, claim.class, found, HashMap::new(), self.now);
        }
    }

    fn finish(&mut self, index: usize, ending: Ending, to: &Settle) {
        let Some(id) = self
            .running
            .keys()
            .nth(index % self.running.len().max(1))
            .copied()
        else {
            return;
        };
        self.finish_one(id, ending, to);
    }

    fn finish_one(&mut self, id: DeliveryId, ending: Ending, to: &Settle) {
        self.running.remove(&id);
        self.see(id);
        self.plan.finished(id, ending, self.now);
        let now = self.now.wall;
        let row = self.rows.get_mut(&id).unwrap();
        row.attempts += 1;
        match to {
            Settle::Retry { at, .. } => (row.state, row.due) = (DeliveryState::Retrying, *at),
            Settle::Park { at, .. } => row.due = *at,
            _ => row.state = DeliveryState::Delivered,
        }
        let row = row.clone();
        let mut promoted = None;
        if row.state.is_final() {
            self.finished.push(id);
            if let Some(next) = self.rows.values_mut().find(|next| {
                row.lane.is_some()
                    && next.lane == row.lane
                    && next.group == row.group
                    && next.state == DeliveryState::Waiting
            }) {
                (next.state, next.due) = (DeliveryState::Pending, now);
                promoted = Some(next.clone());
            }
        }
        let parked = matches!(to, Settle::Park { .. });
        self.plan.settled(
            id,
            row.group,
            Some(Kept { row, parked }),
            promoted,
            self.now,
        );
    }

    /// Lets everything succeed until nothing is left.
    fn run_dry(&mut self) {
        for _ in 0..100_000 {
            self.pump();
            if let Some(id) = self.running.keys().next().copied() {
                self.finish_one(id, Ending::Success, &Settle::Delivered);
            } else if !self.claims.is_empty() {
                self.answer_claim(0);
            } else if let Some(sleep) = self.plan.sleep(self.now) {
                self.advance(sleep.max(Duration::from_millis(1)));
            } else {
                return;
            }
        }
        panic!("the plan never comes to rest");
    }

    fn unfinished(&self) -> usize {
        self.rows
            .values()
            .filter(|row| !row.state.is_final())
            .count()
    }
}

#[derive(Debug, Clone)]
enum Event {
    Publish(u64, Option<u64>),
    Pump,
    Answer(usize),
    Succeed(usize),
    Fail(usize, u64),
    TimeOut(usize, u64),
    Limit(usize, u64),
    Advance(u64),
    Restart,
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        6 => (0_u64..4, prop::option::of(0_u64..3)).prop_map(|(group, lane)| Event::Publish(group, lane)),
        6 => Just(Event::Pump),
        3 => (0_usize..8).prop_map(Event::Answer),
        6 => (0_usize..8).prop_map(Event::Succeed),
        2 => (0_usize..8, 1_u64..5_000).prop_map(|(index, delay)| Event::Fail(index, delay)),
        1 => (0_usize..8, 1_u64..5_000).prop_map(|(index, delay)| Event::TimeOut(index, delay)),
        1 => (0_usize..8, 1_u64..5_000).prop_map(|(index, delay)| Event::Limit(index, delay)),
        2 => (1_u64..3_000).prop_map(Event::Advance),
        1 => Just(Event::Restart),
    ];
    prop::collection::vec(event, 1..200)
}

fn small() -> PlanOptions {
    PlanOptions {
        in_flight_max: 6,
        window_max: 12,
        group_window_max: 4,
        claims_max: 2,
        endpoint_slots_first: 2,
        endpoint_slots_max: 3,
        ..PlanOptions::default()
    }
}

fn live(world: &World, events: &[Event]) {
    let mut sim = Sim::new(world.clone(), small());
    for event in events {
        match *event {
            Event::Publish(group, lane) => {
                let _ = sim.publish(group, if world.gate { None } else { lane });
            }
            Event::Pump => sim.pump(),
            Event::Answer(index) => sim.answer_claim(index),
            Event::Succeed(index) => sim.finish(index, Ending::Success, &Settle::Delivered),
            Event::Fail(index, delay) => {
                let at = sim.now.wall.plus(Duration::from_millis(delay));
                sim.finish(
                    index,
                    Ending::Failure,
                    &Settle::Retry {
                        at,
                        possible_duplicate: None,
                        checkpoint: None,
                    },
                );
            }
            Event::TimeOut(index, delay) => {
                let at = sim.now.wall.plus(Duration::from_millis(delay));
                sim.finish(
                    index,
                    Ending::TimedOut,
                    &Settle::Retry {
                        at,
                        possible_duplicate: None,
                        checkpoint: None,
                    },
                );
            }
            Event::Limit(index, delay) => {
                let wait = Duration::from_millis(delay);
                sim.finish(
                    index,
                    Ending::Limited(wait),
                    &Settle::Park {
                        at: sim.now.wall.plus(wait),
                        possible_duplicate: None,
                        checkpoint: None,
                    },
                );
            }
            Event::Advance(millis) => sim.advance(Duration::from_millis(millis)),
            Event::Restart => restart(&mut sim, world),
        }
        assert!(
            sim.running.len() <= small().in_flight_max && sim.plan.in_flight() == sim.running.len()
        );
    }
    sim.run_dry();
    assert_eq!(
        sim.unfinished(),
        0,
        "left behind: {:?}",
        sim.rows.values().find(|row| !row.state.is_final())
    );
    assert_eq!(sim.plan.windowed(), 0);
}

/// A new owner finds what the old one left, in flight or not.
fn restart(sim: &mut Sim, world: &World) {
    sim.plan = Plan::new(small(), Arc::new(world.clone()), Some(sim.now.mono));
    for id in std::mem::take(&mut sim.running).into_keys() {
        sim.see(id);
    }
    sim.claims.clear();
    let groups: BTreeSet<Group> = sim
        .rows
        .values()
        .filter(|row| !row.state.is_final())
        .map(|row| row.group)
        .collect();
    for group in groups {
        let due = sim
            .rows
            .values()
            .filter(|row| {
                row.group == group
                    && matches!(row.state, DeliveryState::Pending | DeliveryState::Retrying)
            })
            .map(|row| row.due)
            .min()
            .unwrap();
        assert!(sim.plan.backlog(group, due, sim.now));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_doubled_or_overtaken(events in events(), channels in 1_u64..4) {
        live(&World { channels, ..World::default() }, &events);
    }

    #[test]
    fn gates_come_to_rest_too(events in events()) {
        live(&World { channels: 2, gate: true, ..World::default() }, &events);
    }

    #[test]
    fn rates_come_to_rest_too(events in events(), per_second in 1.0_f64..50.0, burst in 1_u32..5) {
        live(&World { channels: 2, rate: Some(Rate { per_second, burst }), ..World::default() }, &events);
    }
}

fn retry(sim: &Sim, seconds: u64) -> Settle {
    Settle::Retry {
        at: sim.now.wall.plus(Duration::from_secs(seconds)),
        possible_duplicate: None,
        checkpoint: None,
    }
}

#[test]
fn a_closed_gate_lets_only_the_failed_one_through() {
    let mut sim = Sim::new(
        World {
            channels: 1,
            gate: true,
            ..World::default()
        },
        PlanOptions {
            endpoint_slots_first: 2,
            ..PlanOptions::default()
        },
    );
    let first = sim.publish(1, None);
    sim.pump();
    // The gate opens once it knows that nothing failed before.
    assert!(sim.started.is_empty());
    sim.answer_claim(0);
    let rest: Vec<DeliveryId> = (0..5).map(|_| sim.publish(1, None)).collect();
    sim.pump();
    assert_eq!(sim.started, [first, rest[0]]);
    let settle = retry(&sim, 10);
    sim.finish_one(first, Ending::Failure, &settle);
    sim.finish_one(rest[0], Ending::Success, &Settle::Delivered);
    sim.pump();
    assert_eq!(sim.started.len(), 2, "the gate is shut");
    sim.advance(Duration::from_secs(10));
    sim.pump();
    assert_eq!(sim.started[2..], [first]);
    sim.finish_one(first, Ending::Success, &Settle::Delivered);
    sim.pump();
    assert!(sim.started.len() > 3, "the gate is open again");
}

#[test]
fn a_hanging_endpoint_holds_only_its_own_slots() {
    let mut sim = Sim::new(
        World {
            channels: 2,
            ..World::default()
        },
        PlanOptions::default(),
    );
    for _ in 0..1_000 {
        sim.publish(0, None);
    }
    sim.pump();
    assert_eq!(sim.running.len(), 4);
    let other = sim.publish(1, None);
    sim.pump();
    assert!(sim.running.contains_key(&other));
    // After a time-out one slot is left.
    let hung: Vec<DeliveryId> = sim
        .running
        .keys()
        .copied()
        .filter(|id| *id != other)
        .collect();
    for id in hung {
        let settle = retry(&sim, 60);
        sim.finish_one(id, Ending::TimedOut, &settle);
    }
    sim.pump();
    assert_eq!(sim.running.len(), 2);
}

#[test]
fn failing_endpoints_share_half_of_all_slots() {
    let options = PlanOptions {
        in_flight_max: 8,
        ..PlanOptions::default()
    };
    let mut sim = Sim::new(
        World {
            channels: 20,
            ..World::default()
        },
        options,
    );
    let bad: Vec<DeliveryId> = (0..8).map(|group| sim.publish(group, None)).collect();
    sim.pump();
    for id in bad {
        let settle = retry(&sim, 1);
        sim.finish_one(id, Ending::TimedOut, &settle);
    }
    sim.advance(Duration::from_secs(1));
    sim.pump();
    while !sim.claims.is_empty() {
        sim.answer_claim(0);
        sim.pump();
    }
    assert_eq!(sim.running.len(), 4);
    let good = sim.publish(15, None);
    sim.pump();
    assert!(sim.running.contains_key(&good));
}

#[test]
fn endpoints_that_begin_to_hang_leave_room_for_the_others() {
    let options = PlanOptions {
        in_flight_max: 64,
        ..PlanOptions::default()
    };
    let channels = 100;
    let world = World {
        channels,
        ..World::default()
    };
    let mut sim = Sim::new(world, options);
    // Every endpoint works and has grown its slots, then half of them answer no more, one after the other.
    for _ in 0..2 {
        for group in 0..channels {
            sim.publish(group, None);
            sim.pump();
            sim.finish(0, Ending::Success, &Settle::Delivered);
        }
    }
    for second in 0..14 {
        for group in 0..channels / 2 {
            sim.publish(group, None);
        }
        sim.advance(Duration::from_millis(999 + second % 2));
        sim.pump();
    }
    let healthy: Vec<DeliveryId> = (channels / 2..channels)
        .map(|group| sim.publish(group, None))
        .collect();
    for _ in 0..channels {
        sim.pump();
        let Some(id) = healthy.iter().find(|id| sim.running.contains_key(id)) else {
            break;
        };
        sim.finish_one(*id, Ending::Success, &Settle::Delivered);
    }
    let waiting = healthy.iter().filter(|id| !sim.finished.contains(id));
    assert_eq!(waiting.count(), 0, "{} in flight", sim.running.len());
}

#[test]
fn retries_take_a_quarter_while_first_attempts_wait() {
    let options = PlanOptions {
        endpoint_slots_first: 8,
        ..PlanOptions::default()
    };
    let mut sim = Sim::new(
        World {
            channels: 1,
            ..World::default()
        },
        options,
    );
    let failed: Vec<DeliveryId> = (0..8).map(|_| sim.publish(0, None)).collect();
    sim.pump();
    for id in &failed {
        let settle = retry(&sim, 1);
        // A refusal keeps the slots, so that the share is seen alone.
        sim.finish_one(*id, Ending::Refusal, &settle);
    }
    for _ in 0..50 {
        sim.publish(0, None);
    }
    sim.advance(Duration::from_secs(1));
    sim.plan.tick(sim.now);
    let claim = sim.plan.next_claim(sim.now).unwrap();
    let found = sim.find(&claim);
    sim.plan
        .loaded(claim.group, claim.class, found, HashMap::new(), sim.now);
    sim.pump();
    let retries = sim.running.keys().filter(|id| failed.contains(id)).count();
    assert_eq!((sim.running.len(), retries), (9, 2));
}

#[test]
fn a_pause_stops_the_scope_and_keeps_the_order() {
    let mut sim = Sim::new(
        World {
            channels: 1,
            ..World::default()
        },
        PlanOptions {
            endpoint_slots_first: 1,
            endpoint_slots_max: 1,
            ..PlanOptions::default()
        },
    );
    let ids: Vec<DeliveryId> = (0..3).map(|_| sim.publish(0, None)).collect();
    sim.pump();
    let wait = Duration::from_secs(30);
    let at = sim.now.wall.plus(wait);
    sim.finish_one(
        ids[0],
        Ending::Limited(wait),
        &Settle::Park {
            at,
            possible_duplicate: None,
            checkpoint: None,
        },
    );
    sim.advance(Duration::from_secs(29));
    sim.pump();
    assert_eq!(sim.started, [ids[0]]);
    sim.run_dry();
    assert_eq!(sim.finished, ids);
}

#[test]
fn a_held_group_waits_and_a_deleted_one_is_named() {
    let world = World {
        channels: 1,
        held: BTreeSet::from([0]),
        ..World::default()
    };
    let mut sim = Sim::new(world.clone(), PlanOptions::default());
    sim.publish(0, None);
    sim.pump();
    assert!(sim.started.is_empty());
    let open = World {
        held: BTreeSet::new(),
        ..world.clone()
    };
    assert!(sim.plan.configure(Arc::new(open), sim.now).is_empty());
    sim.pump();
    assert_eq!(sim.started.len(), 1);
    let gone = World {
        gone: BTreeSet::from([0]),
        ..world
    };
    assert_eq!(sim.plan.configure(Arc::new(gone), sim.now), [ResourceId(0)]);
    assert_eq!(sim.plan.drop_group(ResourceId(0)), [sim.started[0]]);
    assert!(sim.plan.is_cancelled(sim.started[0]));
}
