//! What is sent when; and under random answers, a server that remembers keys next to what senders are told.

use std::collections::BTreeMap;

use anser_core::random::SeededRandom;
use proptest::prelude::*;

use super::*;

const LINGER: Duration = Duration::from_millis(5);

fn plan(batch_messages: usize, batch_bytes: usize) -> Plan {
    let settings = Settings {
        batch_messages,
        batch_bytes,
        linger: LINGER,
        give_up_after: Duration::from_secs(60),
    };
    Plan::new(settings, Arc::new(SeededRandom::new(3)))
}

fn topic(name: &str) -> Lane {
    Lane::Topic(name.to_owned())
}

fn json(number: u64) -> Bytes {
    Bytes::from(format!("{number:04}"))
}

fn refusal(status: u16) -> Refusal {
    Refusal {
        status,
        code: "x".to_owned(),
        detail: "y".to_owned(),
        field: None,
        accepted: None,
    }
}

fn confirm() -> Confirm {
    serde_json::from_value(serde_json::json!({
        "id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10", "duplicate": false, "durable": true,
    }))
    .unwrap()
}

fn drain(plan: &mut Plan) -> Vec<Do> {
    std::iter::from_fn(|| plan.next()).collect()
}

fn sent(done: &[Do]) -> Vec<Vec<u64>> {
    let sends = done.iter().filter_map(|what| match what {
        Do::Send(_, batch) => Some(batch.iter().map(number).collect()),
        _ => None,
    });
    sends.collect()
}

fn number(json: &Bytes) -> u64 {
    std::str::from_utf8(json).unwrap().parse().unwrap()
}

#[test]
fn a_batch_goes_when_it_is_full_or_has_waited() {
    let mut plan = plan(3, 1_000);
    let zero = Duration::ZERO;
    for id in 1..=2 {
        plan.give(id, topic("t"), json(id), zero);
    }
    assert!(drain(&mut plan).is_empty());
    assert_eq!(plan.deadline(), Some(LINGER));
    plan.give(3, topic("t"), json(3), zero);
    assert_eq!(sent(&drain(&mut plan)), [[1, 2, 3]]);
    // While it is under way what comes waits, however much it is; another topic does not.
    for id in 4..=8 {
        plan.give(id, topic("t"), json(id), zero);
    }
    plan.give(9, topic("u"), json(9), zero);
    plan.tick(LINGER);
    assert_eq!(sent(&drain(&mut plan)), [[9]]);
    plan.answered(&topic("t"), Answer::Each(vec![Ok(confirm()); 3]), LINGER);
    assert_eq!(sent(&drain(&mut plan)), [[4, 5, 6]]);
}

#[test]
fn bytes_bound_a_batch_and_a_large_message_goes_alone() {
    let mut plan = plan(100, 10);
    let zero = Duration::ZERO;
    plan.give(1, topic("t"), json(1), zero);
    plan.give(2, topic("t"), Bytes::from(vec![b'0'; 50]), zero);
    assert_eq!(sent(&drain(&mut plan)), [[1]]);
    plan.answered(&topic("t"), Answer::Each(vec![Ok(confirm())]), zero);
    assert_eq!(sent(&drain(&mut plan)).len(), 1);
}

#[test]
fn a_batch_that_was_not_answered_goes_again_as_it_was_before_what_is_behind_it() {
    let mut plan = plan(2, 1_000);
    for id in 1..=4 {
        plan.give(id, topic("t"), json(id), Duration::ZERO);
    }
    drain(&mut plan);
    plan.answered(
        &topic("t"),
        Answer::Nothing("reset".to_owned()),
        Duration::ZERO,
    );
    assert!(sent(&drain(&mut plan)).is_empty());
    let wait = plan.deadline().unwrap();
    assert!(wait > Duration::ZERO && wait <= BACKOFF_MAX, "{wait:?}");
    plan.tick(wait);
    assert_eq!(sent(&drain(&mut plan)), [[1, 2]]);
    // The server may ask for a longer wait, and one message of several may be put off.
    let later = Some(Duration::from_secs(5));
    plan.answered(&topic("t"), Answer::All(refusal(429), later), wait);
    assert_eq!(plan.deadline(), Some(wait + Duration::from_secs(5)));
    plan.tick(wait + Duration::from_secs(5));
    let results = vec![Err(refusal(503)), Err(refusal(422))];
    plan.answered(&topic("t"), Answer::Each(results), wait);
    let done = drain(&mut plan);
    assert!(
        done.iter()
            .any(|what| matches!(what, Do::Outcome(2, Err(Error::Refused(_)))))
    );
    plan.tick(plan.deadline().unwrap());
    assert_eq!(sent(&drain(&mut plan)), [[1, 3]]);
    assert_eq!(plan.retried(), 3);
}

#[test]
fn what_is_too_much_together_goes_by_halves_and_what_is_refused_is_told() {
    let mut plan = plan(4, 1_000);
    for id in 1..=4 {
        plan.give(id, topic("t"), json(id), Duration::ZERO);
    }
    drain(&mut plan);
    plan.answered(&topic("t"), Answer::All(refusal(413), None), Duration::ZERO);
    assert_eq!(sent(&drain(&mut plan)), [[1, 2]]);
    plan.answered(&topic("t"), Answer::All(refusal(403), None), Duration::ZERO);
    let done = drain(&mut plan);
    assert_eq!(sent(&done), [[3, 4]]);
    let refused = done
        .iter()
        .filter(|what| matches!(what, Do::Outcome(_, Err(Error::Refused(_)))));
    assert_eq!(refused.count(), 2);
}

#[test]
fn a_message_is_given_up_in_its_time_and_told_whether_it_was_sent() {
    let mut plan = plan(1, 1_000);
    for id in 1..=2 {
        plan.give(id, topic("t"), json(id), Duration::ZERO);
    }
    let mut now = Duration::ZERO;
    let mut outcomes = Vec::new();
    while !plan.is_empty() {
        for what in drain(&mut plan) {
            match what {
                Do::Send(lane, _) => plan.answered(&lane, Answer::Nothing("reset".to_owned()), now),
                Do::Outcome(_, outcome) => outcomes.push(outcome.unwrap_err().to_string()),
                Do::Flushed(_) => {}
            }
        }
        if let Some(deadline) = plan.deadline() {
            now = now.max(deadline);
            plan.tick(now);
        }
    }
    outcomes.extend(drain(&mut plan).into_iter().filter_map(|what| match what {
        Do::Outcome(_, outcome) => Some(outcome.unwrap_err().to_string()),
        _ => None,
    }));
    assert_eq!(now, Duration::from_secs(60));
    assert!(
        outcomes[0].contains("not known") && outcomes[0].contains("reset"),
        "{outcomes:?}"
    );
    assert!(outcomes[1].contains("not sent"), "{outcomes:?}");
}

#[test]
fn a_flush_waits_for_what_was_given_before_it_alone() {
    let mut plan = plan(10, 1_000);
    plan.flush(1, Duration::ZERO);
    assert!(matches!(drain(&mut plan)[..], [Do::Flushed(1)]));
    plan.give(2, topic("t"), json(2), Duration::ZERO);
    plan.flush(3, Duration::ZERO);
    plan.give(4, topic("t"), json(4), Duration::ZERO);
    assert_eq!(sent(&drain(&mut plan)), [[2]], "it does not linger");
    plan.answered(
        &topic("t"),
        Answer::Each(vec![Ok(confirm())]),
        Duration::ZERO,
    );
    let done = drain(&mut plan);
    assert!(
        done.iter().any(|what| matches!(what, Do::Flushed(3))),
        "{done:?}"
    );
}

#[test]
fn requests_under_way_are_bounded_and_rooms_go_one_by_one() {
    let mut plan = plan(10, 1_000);
    for id in 1..=40 {
        plan.give(
            id,
            Lane::Room(format!("room:{}", id % 20)),
            json(id),
            Duration::ZERO,
        );
    }
    let first = sent(&drain(&mut plan));
    assert_eq!(first.len(), REQUESTS_MAX);
    assert!(first.iter().all(|batch| batch.len() == 1), "{first:?}");
}

/// How the server treats a request.
#[derive(Debug, Clone)]
enum Fate {
    /// It takes and answers it.
    Taken,
    /// It takes it, and the answer is lost.
    Unanswered,
    /// It does not get it.
    Lost,
    /// It is overloaded.
    Refused,
    /// One of its messages is against a rule.
    OneRefused(u8),
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        3 => Just(Fate::Taken),
        2 => Just(Fate::Unanswered),
        1 => Just(Fate::Lost),
        1 => Just(Fate::Refused),
        1 => any::<u8>().prop_map(Fate::OneRefused),
    ];
    proptest::collection::vec(fate, 0..40)
}

/// A server that remembers what it accepted of each lane.
#[derive(Default)]
struct Server {
    accepted: BTreeMap<Lane, Vec<u64>>,
    refused: BTreeSet<u64>,
}

impl Server {
    fn serve(&mut self, lane: &Lane, batch: &[Bytes], fate: &Fate) -> Answer {
        let numbers: Vec<u64> = batch.iter().map(number).collect();
        let bad = match fate {
            Fate::Lost => return Answer::Nothing("lost".to_owned()),
            Fate::Refused => return Answer::All(refusal(503), None),
            Fate::OneRefused(which) => Some(numbers[usize::from(*which) % numbers.len()]),
            Fate::Taken | Fate::Unanswered => None,
        };
        let accepted = self.accepted.entry(lane.clone()).or_default();
        let results = numbers.iter().map(|number| {
            if Some(*number) == bad && !accepted.contains(number) {
                self.refused.insert(*number);
                return Err(refusal(422));
            }
            if !accepted.contains(number) {
                accepted.push(*number);
            }
            Ok(confirm())
        });
        let results = results.collect();
        match fate {
            Fate::Unanswered => Answer::Nothing("reset".to_owned()),
            _ => Answer::Each(results),
        }
    }
}

proptest! {
    #[test]
    fn whatever_the_server_answers_each_message_is_accepted_once_and_in_order(
        given in proptest::collection::vec(0..3_u8, 1..60),
        fates in fates(),
    ) {
        let mut plan = plan(4, 40);
        // What is given up may have been accepted: that is not what is looked at here.
        plan.settings.give_up_after = Duration::from_secs(3_600);
        let mut server = Server::default();
        let mut fates = fates.into_iter();
        let mut outcomes: BTreeMap<u64, bool> = BTreeMap::new();
        let mut now = Duration::ZERO;
        let mut given = given.iter().enumerate();
        loop {
            if let Some((place, lane)) = given.next() {
                plan.give(place as u64 + 1, topic(&lane.to_string()), json(place as u64 + 1), now);
            } else if plan.is_empty() {
                break;
            } else if let Some(deadline) = plan.deadline() {
                now = now.max(deadline);
                plan.tick(now);
            }
            while let Some(what) = plan.next() {
                match what {
                    Do::Send(lane, batch) => {
                        let fate = fates.next().unwrap_or(Fate::Taken);
                        let answer = server.serve(&lane, &batch, &fate);
                        plan.answered(&lane, answer, now);
                    }
                    Do::Outcome(id, outcome) => {
                        let before = outcomes.insert(id, outcome.is_ok());
                        prop_assert_eq!(before, None, "two outcomes");
                    }
                    Do::Flushed(_) => {}
                }
            }
        }
        while let Some(what) = plan.next() {
            if let Do::Outcome(id, outcome) = what {
                prop_assert_eq!(outcomes.insert(id, outcome.is_ok()), None, "two outcomes");
            }
        }
        for accepted in server.accepted.values() {
            prop_assert!(accepted.is_sorted(), "{:?}", accepted);
        }
        let accepted: BTreeSet<u64> = server.accepted.into_values().flatten().collect();
        for (id, is_ok) in outcomes {
            prop_assert_eq!(is_ok, accepted.contains(&id), "{}", id);
            prop_assert_eq!(!is_ok, server.refused.contains(&id), "{}", id);
        }
    }
}
