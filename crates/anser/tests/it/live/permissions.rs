//! A stranger learns nothing: over every operation and wire, what somebody is told who may not see a user is the same
//! whether that user is there or not, whether a room or topic is there or not, and nothing of what the others do comes.

use serde_json::{Value, json};

use super::client::Client;
use super::{KEY, WIRES, World, say, text};
use crate::harness::Api;

/// What a stranger may try about `bob`, who is in the room `den` and reads the topic `plans`. A user of their own, so that
/// what is refused for having been done before does not depend on the wire before.
fn attempts(bob: &str) -> Vec<Value> {
    let user = format!("user:{bob}");
    let phone = format!("{user}/phone");
    let about = |op: &str| json!({"op": op, "principal": bob});
    let body = json!({"body": {"data": 1}});
    let transient =
        |to: &str| json!({"op": "publish", "transient": true, "to": [to], "message": body});
    let question = |id: &str, to: &str, r#type: &str, payload: Value| json!({"op": "iq", "id": id, "to": to, "type": r#type, "payload": payload});
    let mut attempts: Vec<Value> = [
        "presence.probe",
        "presence.subscribe",
        "presence.probe",
        "presence.approve",
        "presence.refuse",
        "presence.unsubscribe",
        "presence.unsubscribe",
    ]
    .map(about)
    .to_vec();
    attempts.extend([
        question("1", &user, "get", json!({"battery": true})),
        question("2", &phone, "set", json!({"ring": true})),
        question("3", &user, "get", json!({"query": "ping"})),
        question("4", &phone, "get", json!({"query": "ping"})),
        question("q1", &user, "result", json!({"forged": true})),
        transient(&user),
        transient(&phone),
        say(&user, "hello"),
        say(&phone, "hello"),
        json!({"op": "ack", "up_to": "999999999"}),
        json!({"op": "presence.probe"}),
    ]);
    attempts
}

/// What is asked about things that are there (`den`, `plans`) or not.
fn about_places(room: &str, topic: &str) -> Vec<Value> {
    let body = json!({"body": {"data": 1}});
    let address = format!("room:{room}");
    vec![
        json!({"op": "subscribe", "room": room, "after": "0"}),
        json!({"op": "unsubscribe", "room": room}),
        json!({"op": "subscribe", "topic": topic, "after": "0"}),
        json!({"op": "unsubscribe", "topic": topic}),
        json!({"op": "subscribe", "topic": format!("$room.{room}"), "after": "0"}),
        say(&address, "let me in"),
        json!({"op": "publish", "transient": true, "to": [address], "message": body}),
        json!({"op": "publish", "topic": topic, "message": body}),
        json!({"op": "publish", "transient": true, "topic": topic, "message": body}),
        json!({"op": "ack", "stream": format!("room:{room}"), "up_to": "999999999"}),
    ]
}

/// What an answer says, apart from what is the gateway's count and clock.
fn said(mut answer: Value, names: &[(&str, &str)]) -> String {
    let object = answer.as_object_mut().unwrap();
    for field in ["ref", "id", "seq", "time"] {
        object.remove(field);
    }
    let mut text = answer.to_string();
    for (name, stands_for) in names {
        text = text.replace(name, stands_for);
    }
    text
}

async fn ask_all(client: &mut Client, frames: Vec<Value>, names: &[(&str, &str)]) -> Vec<String> {
    let mut answers = Vec::new();
    for frame in frames {
        let answer = client.ask(frame.clone()).await;
        answers.push(format!("{} {}", frame["op"], said(answer, names)));
    }
    answers
}

/// What came until the stranger's own message, apart from that.
async fn events_so_far(client: &mut Client, own: &str) -> Vec<Value> {
    client.done(say(&format!("user:{own}"), "the end")).await;
    let mut events = Vec::new();
    loop {
        let event = client.next().await;
        if event["op"] == "message" && event["message"]["header"]["from"]["id"] == own {
            assert_eq!(text(&event), "the end");
            return events;
        }
        events.push(event);
    }
}

/// A server with a room and a topic, and an application whose users may read it when their token says so.
async fn private_world() -> World {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "plans"})).await;
    let members: Vec<String> = WIRES.iter().map(|wire| format!("bob-{wire}")).collect();
    api.make("/v1/rooms", &json!({"name": "den", "members": members}))
        .await;
    let rights = json!({"rights": {"read": ["plans", "$presence"], "publish": ["plans"]}});
    let (status, answer) = api.patch("/v1/issuers/app", &rights).await;
    assert_eq!(status, 200, "{answer}");
    world
}

/// The user's session, which is on the phone, in the room, and reads the topic.
async fn friend(world: &World, user: &str) -> Client {
    let mut client = Client::open("ws", world, &world.token(user).await, None).await;
    for place in [json!({"room": "den"}), json!({"topic": "plans"})] {
        let mut frame = place;
        frame["op"] = "subscribe".into();
        client.done(frame).await;
    }
    client
}

/// What the user hears of the stranger, up to the user's own note: messages that say who they are from, and how often she asked
/// to see the user.
async fn heard(client: &mut Client, user: &str, stranger: &str) -> usize {
    let mut asked = 0;
    loop {
        let event = client.next().await;
        assert_ne!(event["op"], "iq", "a stranger's question came through");
        asked += usize::from(event["op"] == "presence" && event["type"] == "subscribe");
        if event["op"] == "message" && event["stream"] == "mailbox" {
            let from = &event["message"]["header"]["from"];
            if from["id"] == user {
                return asked;
            }
            assert_eq!(from, &json!({"kind": "user", "id": stranger}));
        }
    }
}

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let world = private_world().await;
    for wire in WIRES {
        let (eve, bob, nobody) = (
            format!("eve-{wire}"),
            format!("bob-{wire}"),
            format!("nob-{wire}"),
        );
        let stranger = json!({"user": eve, "rights": {"read": [], "publish": []}});
        let token = world.mint(stranger).await;
        let mut eve_client = Client::open(wire, &world, &token, None).await;
        let mut bob_client = friend(&world, &bob).await;
        let there = ask_all(&mut eve_client, attempts(&bob), &[(&bob, "BOB")]).await;
        let gone = ask_all(&mut eve_client, attempts(&nobody), &[(&nobody, "BOB")]).await;
        assert_eq!(there, gone, "{wire}: whether bob is there can be told");
        let real = about_places("den", "plans");
        let real = ask_all(
            &mut eve_client,
            real,
            &[("den", "ROOM"), ("plans", "TOPIC")],
        )
        .await;
        let unreal = about_places("lair", "plots");
        let unreal = ask_all(
            &mut eve_client,
            unreal,
            &[("lair", "ROOM"), ("plots", "TOPIC")],
        )
        .await;
        assert_eq!(
            real, unreal,
            "{wire}: whether there is a room or topic can be told"
        );

        // The others live on: nothing of it comes to the stranger, and what she sent did no harm.
        bob_client.done(say("room:den", "secret")).await;
        let publish = json!({"op": "publish", "topic": "plans", "message": {"body": {"data": 1}}});
        bob_client.done(publish).await;
        bob_client
            .done(json!({"op": "presence", "show": "dnd"}))
            .await;
        bob_client.done(say(&format!("user:{bob}"), "a note")).await;
        let came = events_so_far(&mut eve_client, &eve).await;
        let outcomes: Vec<(&str, &str)> = came
            .iter()
            .map(|event| {
                (
                    event["op"].as_str().unwrap(),
                    event["from"].as_str().unwrap_or(""),
                )
            })
            .collect();
        assert_eq!(outcomes, [("iq", "server"); 2], "{wire}: {came:?}");
        let asked = heard(&mut bob_client, &bob, &eve).await;
        assert_eq!(asked, 1, "{wire}: that she asks is told, once");
    }
}

#[tokio::test]
async fn nobody_speaks_as_another_in_any_field() {
    let world = private_world().await;
    let boss = json!({"kind": "user", "id": "boss"});
    for wire in WIRES {
        let mut eve = Client::open(wire, &world, &world.token("eve").await, None).await;
        let mut forged = Vec::new();
        for (field, value) in [
            ("from", boss.clone()),
            ("origin", json!({"platform": "x"})),
            ("hops", json!(3)),
            ("id", json!("01a20962-55c6-7000-8c8b-ff2bad1a53ab")),
            ("time", json!("2026-01-01T00:00:00Z")),
            ("target_id", json!("01a20962-55c6-7000-8c8b-ff2bad1a53ab")),
        ] {
            let mut frame = say("user:bob", "I am the boss");
            frame["message"]["header"][field] = value;
            forged.push(frame.clone());
            frame["transient"] = true.into();
            forged.push(frame);
        }
        let mut frame = say("user:bob", "x");
        frame["from"] = boss.clone();
        forged.push(frame);
        let mut frame = say("user:bob", "x");
        frame["message"]["from"] = boss.clone();
        forged.push(frame);
        for extra in ["from", "user"] {
            let mut frame =
                json!({"op": "iq", "id": "1", "to": "user:eve", "type": "get", "payload": {}});
            frame[extra] = "user:boss".into();
            forged.push(frame);
            forged.push(json!({"op": "presence", "show": "chat", extra: "boss"}));
        }
        for frame in forged {
            let answer = eve.ask(frame.clone()).await;
            assert_eq!(answer["op"], "error", "{wire}: {frame}");
            assert!(answer["status"].as_u64() < Some(500), "{answer}");
        }
    }
}

#[tokio::test]
async fn the_name_of_a_session_is_of_no_use_to_somebody_else() {
    let world = World::start().await;
    let (bob, eve) = (world.token("bob").await, world.token("eve").await);
    let as_nobody = Api::new(world.server.base(), None);
    let as_eve = Api::new(world.server.base(), Some(&eve));
    let as_bob = Api::new(world.server.base(), Some(&bob));
    let (_, opened) = as_bob.get("/poll?wait=0").await;
    let (session, after) = (&opened["session"], &opened["after"]);
    let (session, after) = (session.as_str().unwrap(), after.as_str().unwrap());
    let ping = json!({"op": "ping"});
    for path in ["/poll", "/sse"] {
        let operate = format!("{path}?session={session}");
        let (status, answer) = as_eve.post(&operate, &ping).await;
        assert_eq!(
            (status, &answer["code"]),
            (403, &json!("user_not_allowed")),
            "{path}"
        );
        let (status, answer) = as_bob.post(&operate, &ping).await;
        assert_eq!((status, &answer["op"]), (200, &json!("ok")), "{answer}");
    }
    let (status, answer) = as_eve.get(&format!("/poll?wait=0&after={after}")).await;
    assert_eq!(
        (status, &answer["code"]),
        (403, &json!("user_not_allowed")),
        "{answer}"
    );
    let key = Api::new(world.server.base(), Some(KEY));
    let (status, _) = key.post(&format!("/poll?session={session}"), &ping).await;
    assert_eq!(status, 403, "not even another's key");
    for guess in [
        "s_00000000000000000000000000000000",
        "s_",
        "",
        &session[..session.len() - 1],
    ] {
        let (status, answer) = as_nobody
            .post(&format!("/poll?session={guess}"), &ping)
            .await;
        assert_eq!(
            (status, &answer["code"]),
            (404, &json!("session_not_found")),
            "{guess}"
        );
    }
    // A token is for the wires alone.
    for path in [
        "/v1/sessions",
        "/v1/presence/bob",
        "/v1/messages",
        "/v1/rooms",
        "/v1/issuers",
    ] {
        let (status, _) = as_eve.get(path).await;
        assert_eq!(status, 401, "{path}");
    }
}

#[tokio::test]
async fn the_systems_topics_take_a_right_of_their_own() {
    let world = private_world().await;
    let api = world.server.api();
    let key = json!({"name": "all", "scopes": ["read", "consume", "publish"], "topics": ["*"], "targets": ["user:shop-*"]});
    let key = api.make("/v1/keys", &key).await;
    let key = key["key"].as_str().unwrap();
    let everything = json!({"user": "eve", "rights": {"read": ["plans"]}});
    for token in [key.to_owned(), world.mint(everything).await] {
        let mut client = Client::open("ws", &world, &token, None).await;
        client
            .done(json!({"op": "subscribe", "topic": "plans"}))
            .await;
        for topic in ["$presence", "$direct", "$ops", "$dead", "$room.den"] {
            let answer = client.ask(json!({"op": "subscribe", "topic": topic})).await;
            assert_eq!(answer["code"], "topic_not_allowed", "{topic}: {answer}");
            let publish =
                json!({"op": "publish", "topic": topic, "message": {"body": {"data": 1}}});
            let answer = client.ask(publish).await;
            assert_eq!(answer["op"], "error", "{topic}: {answer}");
        }
    }
    let mut bob = Client::open("ws", &world, &world.token("bob-ws").await, None).await;
    bob.done(say("room:den", "secret")).await;
    let limited = Api::new(world.server.base(), Some(key));
    let (_, page) = limited.get("/v1/messages").await;
    assert_eq!(
        page["items"],
        json!([]),
        "rooms and users are not its topics"
    );
    // Whose token names it sees everybody come and go.
    let sees = json!({"user": "guard", "rights": {"read": ["$presence"]}});
    let mut guard = Client::open("ws", &world, &world.mint(sees).await, None).await;
    guard
        .done(json!({"op": "subscribe", "topic": "$presence"}))
        .await;
    bob.done(json!({"op": "presence", "show": "dnd"})).await;
    let event = guard.next_of("message").await;
    let data = &event["message"]["body"]["data"];
    assert_eq!(
        (&data["user"], &data["show"]),
        (&json!("bob-ws"), &json!("dnd"))
    );
}
