//! The waiters against a model of a store: whatever the order of things, nobody sleeps while a message is there.

use std::collections::{BTreeMap, BTreeSet};

use anser_core::id::ResourceId;
use proptest::prelude::*;

use super::*;

const QUEUE: Group = ResourceId(7);

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}

#[test]
fn the_longest_waiting_is_woken_first_and_keeps_its_place() {
    let mut waiting = Waiting::new(10);
    let tickets: Vec<Ticket> = (0..3).map(|_| waiting.enter(QUEUE).unwrap()).collect();
    for ticket in &tickets {
        let slept = waiting.sleep(QUEUE, *ticket, *ticket);
        assert_eq!(slept, Sleep::Asleep);
    }
    assert_eq!(waiting.wake(QUEUE, 2), tickets[..2]);
    // The second finds nothing and sleeps again, before the third.
    waiting.sleep(QUEUE, tickets[1], tickets[1]);
    assert_eq!(waiting.wake(QUEUE, 1), tickets[1..2]);
    assert_eq!(waiting.count(), 3);
    assert!(waiting.wake(ResourceId(8), 5).is_empty());
}

#[test]
fn what_comes_during_a_try_is_tried_again_for() {
    let mut waiting = Waiting::new(10);
    let (first, second) = (waiting.enter(QUEUE).unwrap(), waiting.enter(QUEUE).unwrap());
    assert!(waiting.wake(QUEUE, 1).is_empty());
    assert_eq!(waiting.sleep(QUEUE, first, 1), Sleep::TryAgain);
    assert_eq!(waiting.sleep(QUEUE, second, 2), Sleep::Asleep);
    assert_eq!(waiting.sleep(QUEUE, first, 1), Sleep::Asleep);
}

#[test]
fn who_goes_away_passes_its_wake_on() {
    let mut waiting = Waiting::new(2);
    let (first, second) = (waiting.enter(QUEUE).unwrap(), waiting.enter(QUEUE).unwrap());
    assert_eq!(waiting.enter(QUEUE), Err(Refused::Full));
    waiting.sleep(QUEUE, first, 1);
    waiting.arm(QUEUE, at(50));
    waiting.sleep(QUEUE, second, 2);
    assert_eq!(waiting.wake(QUEUE, 1), [1]);
    assert!(!waiting.give_up(QUEUE, first), "it has been woken");
    assert_eq!(waiting.leave(QUEUE, first, true), [2]);
    assert_eq!(waiting.leave(QUEUE, second, false), Vec::<i32>::new());
    assert_eq!((waiting.count(), waiting.next_alarm()), (0, None));
    waiting.enter(QUEUE).unwrap();
    assert!(waiting.close().is_empty());
    assert_eq!(waiting.enter(QUEUE), Err(Refused::Closed));
}

/// What happens, in any order.
#[derive(Debug, Clone)]
enum Event {
    /// A message is committed; it is told of later.
    Commit { delay: i64 },
    /// What was committed is told of.
    Tell,
    /// A receive begins to wait.
    Enter,
    /// The store answers a receive that is trying.
    Answer(usize),
    /// A receive takes the answer in.
    TakeIn(usize),
    /// A receive's time is up.
    TimeOut(usize),
    /// A receive's client goes away.
    GoAway(usize),
    /// Time passes.
    Pass(i64),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => prop_oneof![Just(0), 1..40i64].prop_map(|delay| Event::Commit { delay }),
        3 => Just(Event::Tell),
        4 => Just(Event::Enter),
        6 => (0..8usize).prop_map(Event::Answer),
        6 => (0..8usize).prop_map(Event::TakeIn),
        2 => (0..8usize).prop_map(Event::TimeOut),
        3 => (0..8usize).prop_map(Event::GoAway),
        2 => (1..20i64).prop_map(Event::Pass),
    ]
}

/// What the store answered.
#[derive(Debug, Clone, Copy)]
struct Answer {
    found: bool,
    more: bool,
    next_due: Option<Timestamp>,
}

/// A receive as the code around `Waiting` runs it.
#[derive(Debug, Default)]
struct Receive {
    asleep: bool,
    owes: bool,
    last: bool,
    answer: Option<Answer>,
}

#[derive(Debug)]
struct Model {
    waiting: Waiting<Ticket>,
    receives: BTreeMap<Ticket, Receive>,
    /// Messages there, by when they are due.
    messages: Vec<Timestamp>,
    untold: Vec<Timestamp>,
    now: Timestamp,
    received: usize,
    empty: usize,
    causes: usize,
}

impl Model {
    fn new() -> Self {
        Self {
            waiting: Waiting::new(100),
            receives: BTreeMap::new(),
            messages: Vec::new(),
            untold: Vec::new(),
            now: at(1_000),
            received: 0,
            empty: 0,
            causes: 0,
        }
    }

    fn woken(&mut self, tickets: Vec<Ticket>) {
        for ticket in tickets {
            // Signals to those who have gone are lost, as with a channel.
            if let Some(receive) = self.receives.get_mut(&ticket) {
                assert!(receive.asleep, "only who sleeps is woken");
                receive.asleep = false;
            }
        }
    }

    /// The `n`-th receive for which this holds.
    fn nth(&self, n: usize, wanted: impl Fn(&Receive) -> bool) -> Option<Ticket> {
        let tickets: Vec<Ticket> = self
            .receives
            .iter()
            .filter(|(_, receive)| wanted(receive))
            .map(|(ticket, _)| *ticket)
            .collect();
        (!tickets.is_empty()).then(|| tickets[n % tickets.len()])
    }

    fn happen(&mut self, event: &Event) {
        match event {
            Event::Commit { delay } => {
                let due = at(self.now.millis() + delay);
                self.messages.push(due);
                self.untold.push(due);
                self.causes += 1;
            }
            Event::Tell => {
                for due in std::mem::take(&mut self.untold) {
                    if due <= self.now {
                        let woken = self.waiting.wake(QUEUE, 1);
                        self.woken(woken);
                    } else {
                        self.waiting.arm(QUEUE, due);
                    }
                }
            }
            Event::Enter => {
                let ticket = self.waiting.enter(QUEUE).unwrap();
                self.receives.insert(ticket, Receive::default());
                self.causes += 1;
            }
            Event::Answer(n) => self.answer(*n),
            Event::TakeIn(n) => self.take_in(*n),
            Event::TimeOut(n) => {
                if let Some(ticket) = self.nth(*n, |receive| receive.owes && !receive.last) {
                    if self.waiting.give_up(QUEUE, ticket) {
                        self.receives.remove(&ticket);
                    } else {
                        self.receives.get_mut(&ticket).unwrap().last = true;
                    }
                }
            }
            Event::GoAway(n) => {
                if let Some(ticket) = self.nth(*n, |_| true) {
                    let receive = self.receives.remove(&ticket).unwrap();
                    let woken = self.waiting.leave(QUEUE, ticket, receive.owes);
                    self.woken(woken);
                    if let Some(answer) = receive.answer {
                        self.note(answer);
                    }
                    if receive.answer.is_some_and(|answer| answer.found) {
                        // Given back.
                        self.messages.push(self.now);
                        self.untold.push(self.now);
                        self.received -= 1;
                    }
                    self.causes += 2;
                }
            }
            Event::Pass(by) => {
                self.now = at(self.now.millis() + by);
                let due = self.waiting.next_alarm();
                self.causes += usize::from(due.is_some_and(|due| due <= self.now));
                let woken = self.waiting.ring(self.now);
                self.woken(woken);
            }
        }
    }

    fn answer(&mut self, n: usize) {
        let trying = |receive: &Receive| !receive.asleep && receive.answer.is_none();
        let Some(ticket) = self.nth(n, trying) else {
            return;
        };
        self.messages.sort_unstable();
        let found = self.messages.first().is_some_and(|due| *due <= self.now);
        if found {
            self.messages.remove(0);
            self.received += 1;
        } else {
            self.empty += 1;
        }
        let more = self.messages.first().is_some_and(|due| *due <= self.now);
        let later = self.messages.iter().find(|due| **due > self.now);
        self.receives.get_mut(&ticket).unwrap().answer = Some(Answer {
            found,
            more,
            next_due: later.copied(),
        });
    }

    fn take_in(&mut self, n: usize) {
        let Some(ticket) = self.nth(n, |receive| receive.answer.is_some()) else {
            return;
        };
        let receive = self.receives.get_mut(&ticket).unwrap();
        let answer = receive.answer.take().unwrap();
        let last = receive.last;
        receive.owes = false;
        self.note(answer);
        if answer.found || last {
            self.receives.remove(&ticket);
            let woken = self.waiting.leave(QUEUE, ticket, false);
            self.woken(woken);
            return;
        }
        let receive = self.receives.get_mut(&ticket).unwrap();
        receive.owes = true;
        let slept = self.waiting.sleep(QUEUE, ticket, ticket);
        receive.asleep = slept == Sleep::Asleep;
    }

    /// What others must know of an answer, whoever takes it in.
    fn note(&mut self, answer: Answer) {
        if let Some(due) = answer.next_due {
            self.waiting.arm(QUEUE, due);
        }
        if answer.found && answer.more {
            self.causes += 1;
            let woken = self.waiting.wake(QUEUE, 1);
            self.woken(woken);
        }
    }

    /// Everybody sleeps, everything was told, no alarm is due, and yet there is a message.
    fn is_forgotten(&self) -> bool {
        let asleep = self.receives.values().all(|receive| receive.asleep);
        let alarm = self.waiting.next_alarm();
        let quiet = self.untold.is_empty() && alarm.is_none_or(|due| due > self.now);
        let due = self.messages.iter().any(|due| *due <= self.now);
        !self.receives.is_empty() && asleep && quiet && due
    }

    /// Lets everything that is under way end.
    fn settle(&mut self) {
        self.happen(&Event::Tell);
        loop {
            self.happen(&Event::Pass(0));
            if self.nth(0, |receive| !receive.asleep).is_none() {
                return;
            }
            self.happen(&Event::Answer(0));
            self.happen(&Event::TakeIn(0));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_048))]

    #[test]
    fn nobody_sleeps_while_a_message_is_there(events in prop::collection::vec(event(), 1..60)) {
        let mut model = Model::new();
        for event in &events {
            model.happen(event);
            prop_assert!(!model.is_forgotten(), "a message nobody will come for: {:?}", model);
        }
        model.settle();
        let asleep = model.receives.len();
        prop_assert_eq!(model.waiting.count(), asleep);
        let due: BTreeSet<Timestamp> = model.messages.iter().copied().collect();
        if asleep > 0 {
            prop_assert!(due.first().is_none_or(|due| *due > model.now), "somebody sleeps: {:?}", model);
            // And the alarm is set for what is to come.
            let alarm = model.waiting.next_alarm();
            prop_assert!(due.first().is_none_or(|due| alarm.is_some_and(|alarm| alarm <= *due)), "no alarm: {:?}", model);
        } else {
            prop_assert_eq!(model.waiting.next_alarm(), None);
        }
        // Nobody asks the store without a reason.
        prop_assert!(model.empty <= model.causes, "{} empty tries, {} causes", model.empty, model.causes);

        model.happen(&Event::Pass(1_000));
        model.settle();
        if !model.receives.is_empty() {
            prop_assert!(model.messages.is_empty());
        }
    }
}
