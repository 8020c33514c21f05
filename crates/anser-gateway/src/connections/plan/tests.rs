//! The plan without a connection, a clock or a store: what is written, who is told, when it is deaf.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const SILENCE: Duration = Duration::from_secs(90);
const EPOCH: Timestamp = Timestamp::from_millis(1_795_395_600_000);

/// A plan with its time and the journal that it wrote.
struct Run {
    plan: Plan,
    seconds: u64,
    journal: Vec<JournalEntry>,
    reports: Vec<Report>,
    /// Waits are as long as they can be.
    unit: f64,
}

impl Run {
    fn new() -> Self {
        Self::after(&[], 0)
    }

    /// With the journal of earlier runs, so many seconds after the epoch.
    fn after(journal: &[JournalEntry], seconds: u64) -> Self {
        let mut run = Self {
            plan: Plan::new(SILENCE, at(seconds)),
            seconds,
            journal: journal.to_vec(),
            reports: Vec::new(),
            unit: 1.0,
        };
        let newest: Vec<_> = journal.iter().rev().cloned().collect();
        let effects = run.plan.recall(&newest, at(seconds));
        run.keep(effects);
        run.plan.begin(at(seconds));
        run
    }

    fn now(&self) -> Now {
        at(self.seconds)
    }

    fn keep(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Report(report) => self.reports.push(report),
                Effect::Write(entry) => {
                    match self
                        .journal
                        .iter_mut()
                        .find(|known| known.number == entry.number)
                    {
                        Some(known) => *known = entry,
                        None => self.journal.push(entry),
                    }
                }
            }
        }
    }

    /// Time passes, with a tick whenever one is due; answers how the connection ended, if it did.
    fn pass(&mut self, seconds: u64) -> Option<Ending> {
        let until = self.seconds + seconds;
        loop {
            let due = self.plan.next_tick(self.now()).as_secs();
            if self.seconds + due > until {
                self.seconds = until;
                return None;
            }
            self.seconds += due;
            let now = self.now();
            let (effects, ending) = self.plan.tick(now);
            self.keep(effects);
            if ending.is_some() {
                return ending;
            }
        }
    }

    fn live(&mut self, recovery: Recovery) {
        let effects = self.plan.live(Some("s1".to_owned()), recovery, self.now());
        self.keep(effects);
    }

    /// It is live for so long, something being heard every minute, so many events in all.
    fn lives(&mut self, seconds: u64, events: u64) {
        let (began, mut came) = (self.seconds, 0);
        let until = began + seconds;
        while self.seconds < until {
            self.plan.heard(self.now());
            let due = events * (self.seconds + 60 - began).min(seconds) / seconds;
            self.plan.stored(due - came, self.now());
            came = due;
            assert_eq!(self.pass((until - self.seconds).min(60)), None);
        }
    }

    fn lost(&mut self, loss: Loss, again: Again) -> u64 {
        let ending = Ending {
            loss,
            detail: format!("it was {loss:?}"),
            again,
        };
        let (effects, wait) = self.plan.lost(ending, self.unit, self.now());
        self.keep(effects);
        wait.as_secs()
    }

    /// Waits, and begins again.
    fn again(&mut self, wait: u64) {
        self.seconds += wait;
        self.plan.begin(self.now());
    }

    fn entries(&self) -> Vec<Value> {
        let entries = self.journal.iter();
        entries
            .map(|entry| serde_json::to_value(entry).unwrap())
            .collect()
    }

    /// What the journal says, by name.
    fn names(&self) -> Vec<String> {
        let entries = self.entries().into_iter();
        entries
            .map(|entry| entry["event"].as_str().unwrap().to_owned())
            .collect()
    }

    fn told(&self) -> Vec<&'static str> {
        self.reports.iter().map(|report| report.r#type).collect()
    }
}

fn at(seconds: u64) -> Now {
    let since = Duration::from_secs(seconds);
    Now {
        wall: EPOCH.plus(since),
        mono: since,
    }
}

fn time(seconds: u64) -> Value {
    serde_json::to_value(EPOCH.plus(Duration::from_secs(seconds))).unwrap()
}

#[test]
fn a_gap_is_told_with_its_time_its_reason_and_what_it_cost() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(3_600, 120);
    let wait = run.lost(Loss::Network, Again::Backoff);
    assert_eq!(wait, 1);
    for expected in [2, 4] {
        run.again(wait);
        assert_eq!(run.lost(Loss::Network, Again::Backoff), expected);
    }
    run.again(598);
    run.live(Recovery::Missed);
    assert_eq!(run.names(), ["live", "lost", "failed", "live"]);
    let entries = run.entries();
    assert_eq!(entries[0]["tries"], 1);
    assert!(
        entries[0].get("gap").is_none(),
        "there was nothing before it"
    );
    assert_eq!(entries[1]["reason"], "network");
    assert_eq!(entries[1]["live_ms"], 3_600_000);
    assert_eq!(entries[1]["events"], 120);
    assert_eq!(entries[2]["tries"], 2);
    assert_eq!(entries[3]["tries"], 3);
    // Two events a minute, and ten minutes.
    assert_eq!(
        entries[3]["gap"],
        json!({"since": time(3_600), "ms": 600_000, "recovery": "missed", "missed_estimate": 20})
    );
    assert_eq!(run.told(), ["connection.lost", "connection.restored"]);
    assert_eq!(run.reports[0].data["at"], time(3_600));
    assert_eq!(run.reports[0].data["reason"], "network");
    assert_eq!(run.reports[0].data["next_try"], time(3_601));
    assert_eq!(run.reports[1].data["lost_at"], time(3_600));
    assert_eq!(run.reports[1].data["gap_ms"], 600_000);
    assert_eq!(run.reports[1].data["missed_estimate"], 20);
}

#[test]
fn what_the_platform_kept_is_not_missed() {
    let mut run = Run::new();
    run.live(Recovery::Resumed);
    run.lives(3_600, 3_600);
    run.lost(Loss::Network, Again::Backoff);
    run.again(600);
    run.live(Recovery::Resumed);
    assert_eq!(run.entries()[2]["gap"]["missed_estimate"], 0);
}

#[test]
fn a_day_of_outage_is_one_entry() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(120, 0);
    let mut wait = run.lost(Loss::Network, Again::Backoff);
    let mut tries = 0;
    while run.seconds < 86_400 {
        run.again(wait);
        let loss = if tries % 3 == 0 {
            Loss::Limited
        } else {
            Loss::Network
        };
        wait = run.lost(loss, Again::Backoff);
        tries += 1;
    }
    assert!(tries > 1_400, "{tries}");
    assert_eq!(run.names(), ["live", "lost", "failed"]);
    let failed = &run.entries()[2];
    assert_eq!(failed["tries"], tries);
    assert_eq!(failed["lost_at"], time(120));
    let causes = failed["causes"].as_array().unwrap();
    assert_eq!(causes.len(), 2);
    let counted: u64 = causes
        .iter()
        .map(|cause| cause["tries"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, tries);
    assert_eq!(run.told(), ["connection.lost"], "once");
}

#[test]
fn who_says_nothing_is_deaf_and_was_so_since_it_was_last_heard() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(300, 0);
    // Last heard at 240 s.
    let deaf = run.pass(60).unwrap();
    assert_eq!(run.seconds, 330);
    assert_eq!((deaf.loss, deaf.again), (Loss::Deaf, Again::AtOnce));
    let (effects, wait) = run.plan.lost(deaf, 1.0, run.now());
    run.keep(effects);
    assert_eq!(wait, Duration::ZERO);
    run.again(2);
    run.live(Recovery::Missed);
    let entries = run.entries();
    assert_eq!(entries[1]["reason"], "deaf");
    assert_eq!(entries[1]["last_heard"], time(240));
    assert_eq!(entries[2]["gap"]["since"], time(240));
    assert_eq!(entries[2]["gap"]["ms"], 92_000);
}

#[test]
fn who_is_not_read_is_not_deaf() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.plan.listen(false, run.now());
    assert_eq!(run.pass(600), None);
    run.plan.listen(true, run.now());
    assert_eq!(run.pass(89), None);
    assert_eq!(run.pass(1).unwrap().loss, Loss::Deaf);
}

#[test]
fn who_does_not_become_live_is_given_up() {
    let mut run = Run::new();
    run.plan.heard(run.now());
    let late = run.pass(300).unwrap();
    assert_eq!(run.seconds, LIVE_WITHIN.as_secs());
    assert_eq!(late.loss, Loss::Network);
}

#[test]
fn what_the_platform_asks_for_is_no_trouble_unless_nothing_follows() {
    let mut run = Run::new();
    run.live(Recovery::Resumed);
    run.lives(600, 0);
    assert_eq!(run.lost(Loss::Asked, Again::AtOnce), 0);
    run.again(0);
    run.live(Recovery::Resumed);
    assert!(run.reports.is_empty());
    run.lives(600, 0);
    run.lost(Loss::Asked, Again::AtOnce);
    run.again(0);
    run.lost(Loss::Network, Again::Backoff);
    assert_eq!(run.told(), ["connection.lost"]);
    assert_eq!(run.reports[0].data["at"], time(1_200));
    run.again(1);
    run.live(Recovery::Resumed);
    assert_eq!(run.told(), ["connection.lost", "connection.restored"]);
}

#[test]
fn credentials_that_never_worked_are_reported_and_tried_rarely() {
    let mut run = Run::new();
    for _ in 0..3 {
        let wait = run.lost(Loss::Refused, Again::Rarely);
        assert_eq!(wait, 300);
        assert_eq!(run.plan.view().state, ConnectionState::Refused);
        run.again(wait);
    }
    assert_eq!(run.told(), ["connection.lost"]);
    let view = run.plan.view();
    assert_eq!((view.tries, view.reason), (3, Some(Loss::Refused)));
    run.live(Recovery::Missed);
    assert_eq!(run.told(), ["connection.lost", "connection.restored"]);
    assert_eq!(run.names(), ["failed", "live"]);
    assert_eq!(run.plan.view().reason, None);
}

#[test]
fn after_a_kill_the_journal_says_since_when_nobody_was_there() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(615, 41);
    // Killed here, and started 400 s later.
    let mut next = Run::after(&run.journal, 1_015);
    next.live(Recovery::Missed);
    assert_eq!(next.names(), ["live", "away", "live"]);
    let entries = next.entries();
    let seen = entries[0]["seen_at"].clone();
    assert_eq!(seen, time(600), "half a minute before it ended at most");
    assert_eq!(entries[1]["at"], seen);
    assert_eq!(entries[1]["until"], time(1_015));
    assert_eq!(entries[2]["gap"]["since"], seen);
    assert_eq!(entries[2]["gap"]["ms"], 415_000);
    assert_eq!(entries[2]["gap"]["missed_estimate"], 28, "41 in 600 s");
    // Killed again before it was connected: the gap goes on.
    let last = Run::after(&next.journal[..2], 1_100);
    assert_eq!(last.names(), ["live", "away"]);
    assert_eq!(
        last.plan.view().lost_at,
        Some(EPOCH.plus(Duration::from_secs(600)))
    );
}

#[test]
fn a_restart_in_a_gap_goes_on_counting_and_tells_nobody_twice() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(60, 0);
    run.lost(Loss::Network, Again::Backoff);
    run.again(1);
    run.lost(Loss::Network, Again::Backoff);
    let mut next = Run::after(&run.journal, 500);
    next.lost(Loss::Protocol, Again::Backoff);
    assert_eq!(next.names(), ["live", "lost", "failed"]);
    assert_eq!(next.entries()[2]["tries"], 2);
    assert!(next.reports.is_empty());
    next.again(100);
    next.live(Recovery::Missed);
    assert_eq!(next.told(), ["connection.restored"]);
    assert_eq!(next.entries()[3]["tries"], 3);
    assert_eq!(next.entries()[3]["gap"]["ms"], 540_000);
}

#[test]
fn a_stop_is_written_and_no_trouble() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    run.lives(60, 3);
    let effects = run.plan.stopped("the gateway stops", run.now());
    run.keep(effects);
    assert_eq!(run.names(), ["live", "lost"]);
    assert_eq!(run.entries()[1]["reason"], "stopped");
    let mut next = Run::after(&run.journal, 1_000);
    next.live(Recovery::Missed);
    assert_eq!(next.names(), ["live", "lost", "live"]);
    assert_eq!(next.entries()[2]["gap"]["ms"], 940_000);
    assert!(next.reports.is_empty());
}

#[test]
fn a_flood_of_what_cannot_be_read_is_one_entry_a_connection() {
    let mut run = Run::new();
    run.live(Recovery::Missed);
    let mut writes = 0;
    for number in 0..500 {
        let effects = run.plan.unread(&format!("frame {number}"), run.now());
        writes += effects.len();
        run.keep(effects);
    }
    assert_eq!(writes, 1);
    run.lives(60, 0);
    assert_eq!(run.names(), ["live", "unread"]);
    assert_eq!(run.entries()[1]["count"], 500);
    assert_eq!(run.entries()[1]["detail"], "frame 499");
}

proptest! {
    /// Whatever happens: entries are numbered one by one, none but the newest of its kind changes, who was told of a loss is
    /// told of its end, and an estimate is never made of nothing.
    #[test]
    fn the_journal_is_in_order_and_reports_come_in_pairs(
        steps in prop::collection::vec((0..6_u8, 1..400_u64, 0..50_u64), 1..60),
    ) {
        let mut run = Run::new();
        let mut is_live = false;
        for (step, seconds, events) in steps {
            run.seconds += seconds;
            match step {
                0 | 1 if !is_live => {
                    run.live(if step == 0 { Recovery::Resumed } else { Recovery::Missed });
                    is_live = true;
                }
                2 if is_live => run.plan.stored(events, run.now()),
                3 => {
                    let wait = run.lost(Loss::Network, Again::Backoff);
                    prop_assert!(wait <= 60);
                    run.again(wait);
                    is_live = false;
                }
                4 => {
                    let effects = run.plan.unread("?", run.now());
                    run.keep(effects);
                }
                5 => {
                    // Killed.
                    let journal = std::mem::take(&mut run.journal);
                    let reports = std::mem::take(&mut run.reports);
                    run = Run::after(&journal, run.seconds);
                    run.reports = reports;
                    is_live = false;
                }
                _ => {}
            }
        }
        for (place, entry) in run.journal.iter().enumerate() {
            prop_assert_eq!(entry.number, place as u64 + 1);
            if let JournalEvent::Live { gap: Some(gap), .. } = &entry.event {
                prop_assert!(gap.since <= entry.at);
                prop_assert!(gap.recovery != Recovery::Resumed || gap.missed_estimate == 0);
            }
        }
        let told = run.told();
        for pair in told.windows(2) {
            prop_assert_ne!(pair[0], pair[1]);
        }
        prop_assert_ne!(told.first(), Some(&"connection.restored"));
    }
}
