//! Random talk in bridged chats, with platforms that fail and a gateway that is killed: in the end every chat has one copy of
//! each message as its author left it, and answers stand where they belong.

use anser_core::outcome::Outcome;
use proptest::prelude::*;

use super::world::{Entry, Setup};

const CHATS: [(&str, &str); 3] = [("red/1", "Red"), ("blue/1", "Blue"), ("grey/1", "Grey")];
/// How long everything may take at the end.
const HOURS: u64 = 12;

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Somebody writes in a chat; the second picks what is answered of what stands there.
    Say(usize, Option<usize>),
    Edit(usize),
    Recall(usize),
    /// The next requests fail.
    Fail(u8),
    Pass(u8),
    Rest,
    Kill,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..CHATS.len(), proptest::option::of(any::<usize>())).prop_map(|(chat, answered)| Step::Say(chat, answered)),
        3 => any::<usize>().prop_map(Step::Edit),
        1 => any::<usize>().prop_map(Step::Recall),
        1 => (1..3_u8).prop_map(Step::Fail),
        1 => (1..40_u8).prop_map(Step::Pass),
        3 => Just(Step::Rest),
        1 => Just(Step::Kill),
    ]
}

/// What somebody wrote.
struct Said {
    chat: usize,
    id: String,
    text: String,
    edited: bool,
    gone: bool,
    /// What it answers, by number.
    answered: Option<usize>,
}

/// The number that a text begins with, behind whatever a copy puts before it.
fn number(text: &str) -> usize {
    let word = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix('#'));
    word.unwrap().parse().unwrap()
}

async fn talk(setup: &mut Setup, steps: Vec<Step>) -> Vec<Said> {
    let mut said: Vec<Said> = Vec::new();
    for step in steps {
        match step {
            Step::Say(chat, answered) => {
                let mut here = setup.world.entries();
                here.retain(|entry| entry.chat == CHATS[chat].0 && !entry.text.contains("edited:"));
                let above = answered.and_then(|pick| here.get(pick.checked_rem(here.len())?));
                let text = format!("#{} new", said.len());
                let reply_to = above.map(|entry| entry.id.as_str());
                let id = setup.say(CHATS[chat].0, &text, reply_to).await;
                said.push(Said {
                    chat,
                    id,
                    text,
                    edited: false,
                    gone: false,
                    answered: above.map(|entry| number(&entry.text)),
                });
            }
            Step::Edit(pick) => {
                let all = said.len();
                let Some(at) = pick.checked_rem(all).filter(|at| !said[*at].gone) else {
                    continue;
                };
                let one = &mut said[at];
                one.text = format!("{}+", one.text);
                one.edited = true;
                setup.edit(CHATS[one.chat].0, &one.id, &one.text).await;
            }
            Step::Recall(pick) => {
                let all = said.len();
                let Some(at) = pick.checked_rem(all).filter(|at| !said[*at].gone) else {
                    continue;
                };
                said[at].gone = true;
                setup.recall(CHATS[said[at].chat].0, &said[at].id).await;
            }
            Step::Fail(count) => {
                for _ in 0..count {
                    let reason = String::new();
                    setup.world.answer(Outcome::Retry { reason });
                }
            }
            Step::Pass(seconds) => setup.pass(seconds.into()).await,
            Step::Rest => setup.rest().await,
            Step::Kill => setup.kill().await,
        }
    }
    said
}

/// The message that an answer in a thread stands below.
fn first(said: &[Said], mut at: usize) -> usize {
    while let Some(above) = said[at].answered {
        at = above;
    }
    at
}

fn check(entries: &[Entry], said: &[Said], chat: &str, at: usize) -> Result<(), TestCaseError> {
    let one = &said[at];
    let of = |at: usize| {
        let mut found = entries.iter().filter(|entry| entry.chat == chat);
        found.find(|entry| number(&entry.text) == at && !entry.text.contains("edited:"))
    };
    let expected = format!("Ann ({}): {}", CHATS[one.chat].1, one.text);
    let here = entries.iter().filter(|entry| entry.chat == chat);
    let copies: Vec<&Entry> = here
        .filter(|entry| number(&entry.text) == at && !entry.gone)
        .collect();
    if chat == "grey/1" {
        // Nothing is changed there: the newest text is the last that was told.
        if !one.gone {
            let last = copies
                .last()
                .map(|entry| entry.text.replace("edited: ", ""));
            prop_assert_eq!(last, Some(expected));
            prop_assert!(one.edited || copies.len() == 1);
        }
    } else if one.gone {
        prop_assert!(copies.is_empty(), "{:?}", copies);
    } else {
        let texts: Vec<&String> = copies.iter().map(|entry| &entry.text).collect();
        prop_assert_eq!(texts, [&expected]);
    }
    let Some(copy) = of(at) else {
        return Ok(());
    };
    let above = one.answered.map(|above| match chat {
        "blue/1" => first(said, above),
        _ => above,
    });
    let above = above.and_then(of).map(|entry| entry.id.clone());
    prop_assert_eq!(&copy.reply_to, &above, "the answer #{} in {}", at, chat);
    Ok(())
}

async fn live(steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut setup = Setup::new().await;
    let chats = CHATS.map(|(chat, _)| chat);
    setup.bridge("all", &chats).await.unwrap();
    setup.bridge("some", &chats[..2]).await.unwrap();
    let said = talk(&mut setup, steps).await;
    setup.pass(HOURS * 3_600).await;
    let rows = setup.deliveries().await;
    prop_assert!(rows.iter().all(|row| row.state.is_final()), "{:?}", rows);
    let entries = setup.world.entries();
    for at in 0..said.len() {
        for (place, (chat, _)) in CHATS.iter().enumerate() {
            if place != said[at].chat {
                check(&entries, &said, chat, at)?;
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn every_chat_has_what_was_said(steps in prop::collection::vec(step(), 1..16)) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(live(steps))?;
    }
}
