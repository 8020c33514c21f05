//! Every question has one outcome, whatever the two sides do.

use std::collections::HashMap;

use anser_core::live::IqType;
use proptest::prelude::*;

use super::*;
use crate::live::plan::{ANSWER_WITHIN, outcome};

#[derive(Debug, Clone)]
enum Step {
    Ask(u64, u64),
    Answer(u64, u64),
    Close(u64),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let who = || 1..5u64;
    let step = prop_oneof![
        4 => (who(), who()).prop_map(|(asker, asked)| Step::Ask(asker, asked)),
        4 => (who(), 1..30u64).prop_map(|(who, key)| Step::Answer(who, key)),
        1 => who().prop_map(Step::Close),
        2 => (1..20u64).prop_map(Step::Wait),
    ];
    proptest::collection::vec(step, 0..60)
}

fn event(id: String) -> Event {
    outcome(id, IqType::Result, "server".to_owned(), None)
}

fn drain(plan: &mut Plan, outcomes: &mut HashMap<(u64, String), usize>, now: Timestamp) {
    for number in 1..5 {
        while let Taken::Event(taken) = plan.take(number, now) {
            if let Event::Iq(iq) = taken
                && iq.id.starts_with('n')
            {
                *outcomes.entry((number, iq.id)).or_default() += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn every_question_has_one_outcome(steps in steps()) {
        let mut plan = Plan::new(Bounds { sessions: 9, of_user: 9, subscriptions: 9 }, Num(0));
        for number in 1..5 {
            admit(&mut plan, number, &number.to_string(), START);
        }
        let (mut now, mut asked) = (START, 0u64);
        let mut owed: Vec<(u64, String)> = Vec::new();
        let mut outcomes = HashMap::new();
        for step in steps {
            match step {
                Step::Ask(asker, to) => {
                    let id = format!("n{asked}");
                    if plan.is_open(asker) && plan.is_open(to) && plan.check_question(asker, &id).is_ok() {
                        asked += 1;
                        plan.put_question((asker, id.clone()), to, event, now);
                        owed.push((asker, id));
                    }
                }
                Step::Answer(who, key) => {
                    plan.answer(who, &format!("q{key}"), event, now);
                }
                Step::Close(who) => {
                    plan.close(who, CloseReason::Lost, None, now);
                    owed.retain(|(asker, _)| *asker != who);
                }
                Step::Wait(seconds) => {
                    now = now.plus(Duration::from_secs(seconds));
                    plan.tick(now);
                }
            }
            drain(&mut plan, &mut outcomes, now);
            prop_assert!(outcomes.values().all(|count| *count == 1));
        }
        plan.tick(now.plus(ANSWER_WITHIN));
        drain(&mut plan, &mut outcomes, now);
        for question in &owed {
            prop_assert_eq!(outcomes.get(question), Some(&1));
        }
    }
}
