//! A message too long for one: it arrives in parts, in order, within the platform's limits, and once.

use anser_sim::{Fault, FaultKind, Platform};

use super::{Stage, outcomes, send_text};

/// Parts of at most 2,000 characters on Discord.
const PARTS: usize = 8;

fn long() -> String {
    (0..PARTS * 180).fold(String::new(), |text, word| {
        text + &format!("word{word:05} ")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_takes_its_turn_in_the_platforms_rate() {
    let stage = Stage::set(None, None).await;
    let api = stage.api();
    let sim = stage.sim(Platform::Discord);
    let id = send_text(&api, Platform::Discord, &long()).await;
    let delivery = api.delivery_in(&id, "delivered").await;
    let came = sim.messages();
    assert!(came.len() >= PARTS, "{} parts", came.len());
    let words: Vec<String> = came
        .iter()
        .flat_map(|message| message.text.split_whitespace().map(str::to_owned))
        .filter(|word| word.starts_with("word"))
        .collect();
    let expected: Vec<String> = long().split_whitespace().map(str::to_owned).collect();
    assert_eq!(words, expected, "every word once, in order");
    let counters = sim.counters();
    assert_eq!(
        counters.requests as usize,
        came.len(),
        "none was refused: {counters:?}"
    );
    let last = delivery["attempt_log"].as_array().unwrap().last().unwrap();
    assert_eq!(last["platform_ids"].as_array().unwrap().len(), came.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_fails_is_the_only_one_sent_again() {
    let rate = serde_json::json!({"per_second": 1000, "burst": 100});
    let stage = Stage::set(Some(&[]), Some(rate)).await;
    let api = stage.api();
    let sim = stage.sim(Platform::Discord);
    let fault = Fault {
        every: 4,
        ..Fault::next(1, FaultKind::ServerError { status: 500 })
    };
    sim.fail(fault).unwrap();
    let id = send_text(&api, Platform::Discord, &long()).await;
    let delivery = api.delivery_in(&id, "delivered").await;
    let came = sim.messages().len();
    assert_eq!(sim.counters().requests as usize, came + 1);
    let failed = outcomes(&delivery)
        .into_iter()
        .filter(|outcome| *outcome == "retry");
    assert_eq!(failed.count(), 1, "{delivery:#}");
}
