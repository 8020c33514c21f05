//! Sessions: who may begin one, what is seen in it, how it is resumed and when it is over.

use super::super::bot;
use super::*;
use crate::Said;
use crate::platform::Platform;
use crate::platform::trial::Trial;

/// The intents for messages with what they say.
const ALL: u64 = GUILD_MESSAGES | DIRECT_MESSAGES | MESSAGE_CONTENT;

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::Discord);
    trial.robot = bot(1);
    trial.authorization = Some(format!("Bot {}", trial.robot.token).parse().unwrap());
    trial
}

fn frames(told: &[Told]) -> Vec<Value> {
    let frames = told.iter().filter_map(|told| match told {
        Told::Text(text) => Some(serde_json::from_str(text).unwrap()),
        _ => None,
    });
    frames.collect()
}

fn connect(trial: &mut Trial, line: u64) {
    let told = trial.send(
        http::Method::GET,
        "/api/v10/gateway/bot",
        "application/json",
        bytes::Bytes::new(),
    );
    let url = told.value()["url"].as_str().unwrap().to_owned();
    trial
        .open(&format!("{url}/?v=10&encoding=json"), line)
        .unwrap();
    let hello = frames(&trial.hears(line, Heard::Opened)).remove(0);
    assert_eq!(hello["d"]["heartbeat_interval"], 41_250);
}

fn identify(trial: &mut Trial, line: u64, intents: u64) -> Vec<Value> {
    let who =
        json!({"op": 2, "d": {"token": trial.robot.token, "intents": intents, "properties": {}}});
    frames(&trial.bot_says(line, &who))
}

fn resume(trial: &mut Trial, line: u64, session: &Value, number: u64) -> Vec<Value> {
    let which =
        json!({"op": 6, "d": {"token": trial.robot.token, "session_id": session, "seq": number}});
    frames(&trial.bot_says(line, &which))
}

fn say(trial: &mut Trial, chat: usize, text: &str) {
    let talks = Platform::Discord.talks(&Platform::Discord.chats());
    let said = Said {
        chat: talks[chat].clone(),
        text: text.to_owned(),
        ..Said::default()
    };
    trial.say(&said, 1);
}

/// The first of a server's channels, and the conversation with a person.
const CHANNEL: usize = 0;
const DIRECT: usize = 2;

#[test]
fn a_session_begins_for_a_bot_with_intents_that_there_are() {
    let mut trial = trial();
    connect(&mut trial, 1);
    let ready = identify(&mut trial, 1, ALL);
    assert_eq!(
        (ready.len(), &ready[0]["t"], &ready[0]["s"]),
        (1, &json!("READY"), &json!(1))
    );
    assert_eq!(ready[0]["d"]["user"], about(&trial.robot));
    connect(&mut trial, 2);
    let with_servers = identify(&mut trial, 2, ALL | GUILDS);
    assert_eq!(with_servers[1]["t"], "GUILD_CREATE");
    for (said, code) in [
        (json!({"op": 2, "d": {"token": "x", "intents": 0}}), 4004),
        (
            json!({"op": 2, "d": {"token": trial.robot.token, "intents": 1_u64 << 40}}),
            4013,
        ),
        (json!({"op": 4}), 4003),
    ] {
        connect(&mut trial, 3);
        let told = trial.bot_says(3, &said);
        assert!(
            matches!(told[..], [Told::Close(is, _)] if is == code),
            "{said}"
        );
    }
    let told = trial.hears(1, Heard::Text("{".to_owned()));
    assert!(matches!(told[..], [Told::Close(4002, _)]));
}

#[test]
fn what_happens_is_seen_as_far_as_the_intents_go() {
    let mut trial = trial();
    for (line, intents) in [(1, ALL), (2, GUILD_MESSAGES), (3, DIRECT_MESSAGES)] {
        connect(&mut trial, line);
        identify(&mut trial, line, intents);
    }
    say(&mut trial, CHANNEL, "hello");
    say(&mut trial, CHANNEL, "@anser-sim you");
    say(&mut trial, DIRECT, "to you");
    let texts = |trial: &mut Trial, line| {
        let seen = frames(&trial.hears(line, Heard::Look));
        let seen = seen
            .iter()
            .map(|frame| frame["d"]["content"].as_str().unwrap().to_owned());
        seen.collect::<Vec<String>>()
    };
    assert_eq!(texts(&mut trial, 1)[0], "hello");
    let told_without = texts(&mut trial, 2);
    assert_eq!((told_without.len(), told_without[0].as_str()), (2, ""));
    assert!(told_without[1].ends_with("you"), "it is meant");
    assert_eq!(texts(&mut trial, 3), ["to you"]);
}

#[test]
fn a_session_goes_on_behind_a_number_until_it_is_over() {
    let mut trial = trial();
    connect(&mut trial, 1);
    let session = identify(&mut trial, 1, ALL)[0]["d"]["session_id"].clone();
    say(&mut trial, CHANNEL, "one");
    let one = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(one["s"], 2);
    trial.hears(1, Heard::Gone);
    say(&mut trial, CHANNEL, "two");
    connect(&mut trial, 2);
    let resumed = resume(&mut trial, 2, &session, 1);
    let names: Vec<&Value> = resumed.iter().map(|frame| &frame["t"]).collect();
    assert_eq!(names, ["MESSAGE_CREATE", "MESSAGE_CREATE", "RESUMED"]);
    assert_eq!(resumed[0], one, "the same event with the same number");
    // What is not known, and what is over.
    connect(&mut trial, 3);
    for (which, number) in [(json!("none"), 1), (session.clone(), 99)] {
        let told = resume(&mut trial, 3, &which, number);
        assert_eq!((&told[0]["op"], &told[0]["d"]), (&json!(9), &json!(false)));
    }
    trial.hears(2, Heard::Gone);
    trial.advance(RESUMABLE);
    assert_eq!(resume(&mut trial, 3, &session, 3)[0]["op"], 9);
}

#[test]
fn hearts_are_answered_count_what_was_taken_and_must_not_stand_still() {
    let mut trial = trial();
    connect(&mut trial, 1);
    identify(&mut trial, 1, ALL);
    say(&mut trial, CHANNEL, "one");
    trial.hears(1, Heard::Look);
    let told = trial.bot_says(1, &json!({"op": 1, "d": 2}));
    assert_eq!(frames(&told)[0]["op"], 11);
    assert_eq!(told.len(), 2, "one event was taken");
    assert_eq!(frames(&trial.hears(1, Heard::Refresh))[0]["op"], 7);
    trial.advance(2 * INTERVAL);
    assert!(matches!(
        trial.hears(1, Heard::Look)[..],
        [Told::Close(4009, _)]
    ));
}

#[test]
fn what_a_bot_does_itself_is_told_too_and_a_command_is_answered_in_time() {
    let mut trial = trial();
    connect(&mut trial, 1);
    identify(&mut trial, 1, ALL);
    let path = super::super::messages_path();
    let sent = trial.post_to(&path, &json!({"content": "mine"})).value();
    let seen = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(
        (&seen["t"], &seen["d"]["id"]),
        (&json!("MESSAGE_CREATE"), &sent["id"])
    );
    assert_eq!(seen["d"]["guild_id"], GUILD_ID);
    say(&mut trial, CHANNEL, "/say hello");
    let command = frames(&trial.hears(1, Heard::Look)).remove(0);
    assert_eq!(command["t"], "INTERACTION_CREATE");
    let text = |name: &str| command["d"][name].as_str().unwrap().to_owned();
    let path = format!(
        "/api/v10/interactions/{}/{}/callback",
        text("id"),
        text("token")
    );
    assert_eq!(trial.post_to(&path, &json!({"type": 5})).status, 204);
    trial.advance(Duration::from_secs(4));
    let late = trial.post_to(&path, &json!({"type": 5}));
    assert_eq!(late.value()["code"], 10_062);
}
