//! A bot that asks for updates: what waits for it, what it confirms, and who else may ask.

use super::*;
use crate::{Callback, Said};

/// A stand-in, and the path of its bot's `getUpdates`.
async fn asked() -> (Sim, Arc<ManualClock>, String) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let mut options = SimOptions::new(Platform::Telegram);
    options.clock = Arc::clone(&clock) as Arc<dyn Clock>;
    let sim = Sim::start(options).await.unwrap();
    let path = format!("/bot{}/getUpdates", sim.robots()[0].token);
    (sim, clock, path)
}

fn say(sim: &Sim, text: &str) {
    let said = Said {
        chat: "1001".to_owned(),
        text: text.to_owned(),
        ..Said::default()
    };
    sim.say(&said).unwrap();
}

async fn poll(sim: &Sim, path: &str, body: &Value) -> (u16, Value) {
    let (status, text) = post(sim, path, body).await.unwrap();
    (status, serde_json::from_str(&text).unwrap())
}

fn texts(answer: &Value) -> Vec<&str> {
    let updates = answer["result"].as_array().unwrap();
    let texts = updates
        .iter()
        .map(|update| update["message"]["text"].as_str().unwrap());
    texts.collect()
}

#[tokio::test]
async fn an_update_comes_until_it_is_confirmed() {
    let (sim, _, path) = asked().await;
    say(&sim, "one");
    say(&sim, "two");
    let (_, first) = poll(&sim, &path, &json!({"timeout": 50, "limit": 1})).await;
    assert_eq!(texts(&first), ["one"]);
    let (_, again) = poll(&sim, &path, &json!({})).await;
    assert_eq!(texts(&again), ["one", "two"]);
    let next = first["result"][0]["update_id"].as_i64().unwrap() + 1;
    let (_, rest) = poll(&sim, &path, &json!({"offset": next})).await;
    assert_eq!(texts(&rest), ["two"]);
    let (_, rest) = poll(&sim, &path, &json!({})).await;
    assert_eq!(texts(&rest), ["two"]);
    let counters = sim.counters();
    assert_eq!((counters.posts, counters.events), (5, 1));
}

#[tokio::test]
async fn a_poll_waits_for_what_people_write_and_ends_with_its_time() {
    let (sim, clock, path) = asked().await;
    let wait = json!({"timeout": 50});
    let (answer, ()) = tokio::join!(poll(&sim, &path, &wait), async {
        while sim.counters().requests == 0 {
            tokio::task::yield_now().await;
        }
        say(&sim, "hello");
    });
    assert_eq!(texts(&answer.1), ["hello"]);
    let next = answer.1["result"][0]["update_id"].as_i64().unwrap() + 1;
    let wait = json!({"timeout": 50, "offset": next});
    let (answer, ()) = tokio::join!(poll(&sim, &path, &wait), async {
        while sim.counters().requests == 1 {
            tokio::task::yield_now().await;
        }
        clock.advance(Duration::from_secs(50));
    });
    assert!(texts(&answer.1).is_empty());
}

#[tokio::test]
async fn the_poll_before_another_is_ended_and_a_webhook_ends_them_all() {
    let (sim, _, path) = asked().await;
    let wait = json!({"timeout": 50});
    let ((status, ended), ()) = tokio::join!(poll(&sim, &path, &wait), async {
        while sim.counters().requests == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(poll(&sim, &path, &json!({})).await.0, 200);
    });
    assert_eq!((status, &ended["error_code"]), (409, &json!(409)));
    let told = ended["description"].as_str().unwrap();
    assert!(told.contains("other getUpdates request"), "{told}");

    let mut options = SimOptions::new(Platform::Telegram);
    let secrets = Platform::Telegram.secrets();
    options.callback = Some(Callback::new("http://127.0.0.1:9/", secrets).unwrap());
    let sim = Sim::start(options).await.unwrap();
    assert_eq!(poll(&sim, &path, &json!({})).await.0, 409);
}

#[tokio::test]
async fn kinds_that_are_not_named_do_not_come_and_a_negative_offset_forgets() {
    let (sim, _, path) = asked().await;
    for text in ["one", "two", "three"] {
        say(&sim, text);
    }
    let (_, last) = poll(&sim, &path, &json!({"offset": -1})).await;
    assert_eq!(texts(&last), ["three"]);
    assert_eq!(sim.counters().events, 2);
    let none = json!({"allowed_updates": ["callback_query"]});
    poll(&sim, &path, &none).await;
    say(&sim, "four");
    let (_, still) = poll(&sim, &path, &json!({})).await;
    assert_eq!(texts(&still), ["three"]);
}
