//! What every wire can do: publish with a confirm, receive in order, go on from where it was, read a topic.

use serde_json::json;

use super::client::Client;
use super::{WIRES, World, say, text};
use crate::harness::Api;

#[tokio::test]
async fn each_wire_publishes_receives_and_goes_on_from_where_it_was() {
    let world = World::start().await;
    for wire in WIRES {
        let (ann, bob) = (format!("ann-{wire}"), format!("bob-{wire}"));
        let (ann_token, bob_token) = (world.token(&ann).await, world.token(&bob).await);
        let mut from = Client::open(wire, &world, &ann_token, None).await;
        let mut to = Client::open(wire, &world, &bob_token, None).await;
        let address = format!("user:{bob}");
        for word in ["one", "two"] {
            let answer = from.done(say(&address, word)).await;
            assert_eq!(answer["durable"], true, "{wire}: {answer}");
        }
        for word in ["one", "two"] {
            let event = to.next_of("message").await;
            assert_eq!(text(&event), word, "{wire}");
            assert_eq!(event["message"]["header"]["from"]["id"], ann.as_str());
            assert_eq!(event["message"]["header"]["from"]["kind"], "user");
        }
        // The connection is cut; what is said meanwhile comes on the next one, and nothing twice.
        let position = to.position.clone();
        drop(to);
        for word in ["three", "four"] {
            from.done(say(&address, word)).await;
        }
        let mut to = Client::open(wire, &world, &bob_token, position.as_deref()).await;
        from.done(say(&address, "five")).await;
        for word in ["three", "four", "five"] {
            assert_eq!(text(&to.next_of("message").await), word, "{wire}");
        }
        let answer = from.ask(json!({"op": "no.such.thing"})).await;
        assert_eq!(
            (&answer["op"], &answer["code"]),
            (&json!("error"), &json!("unknown_op"))
        );
        from.done(json!({"op": "ping"})).await;
    }
}

#[tokio::test]
async fn a_topic_is_read_by_those_who_may_and_gone_on_with() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "orders"})).await;
    let rights = json!({"read": ["orders"], "publish": ["orders"]});
    let issuer = json!({"rights": rights});
    let (status, answer) = api.patch("/v1/issuers/app", &issuer).await;
    assert_eq!(status, 200, "{answer}");
    for wire in WIRES {
        let token = world.token(&format!("reader-{wire}")).await;
        let mut reader = Client::open(wire, &world, &token, None).await;
        reader
            .done(json!({"op": "subscribe", "topic": "orders"}))
            .await;
        let publish = |n: u32| json!({"op": "publish", "topic": "orders", "message": {"body": {"data": {"text": n.to_string()}}}});
        reader.done(publish(1)).await;
        let event = reader.next_of("message").await;
        assert_eq!(
            (text(&event), &event["stream"]),
            ("1", &json!("topic:orders"))
        );
        let offset = event["offset"].as_str().unwrap().to_owned();
        reader.done(publish(2)).await;
        assert_eq!(text(&reader.next_of("message").await), "2");
        reader
            .done(json!({"op": "unsubscribe", "topic": "orders"}))
            .await;
        reader
            .done(json!({"op": "subscribe", "topic": "orders", "after": offset}))
            .await;
        assert_eq!(text(&reader.next_of("message").await), "2", "{wire}");
    }
    let limited = json!({"user": "ann", "rights": {"read": [], "publish": []}});
    let token = world.mint(limited).await;
    let mut ann = Client::open("ws", &world, &token, None).await;
    for refused in [
        json!({"op": "subscribe", "topic": "orders"}),
        json!({"op": "publish", "topic": "orders", "message": {"body": {"data": 1}}}),
    ] {
        let answer = ann.ask(refused).await;
        assert_eq!(
            (&answer["status"], &answer["code"]),
            (&json!(403), &json!("topic_not_allowed")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn a_stream_reads_topics_from_its_address_and_resumes_all_of_them_by_one_id() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &json!({"name": "orders"})).await;
    let rights = json!({"rights": {"read": ["orders"]}});
    api.patch("/v1/issuers/app", &rights).await;
    let token = world.token("ann").await;
    let event = |text: &str| json!({"body": {"data": {"text": text}}});
    let publish = async |text: &str| {
        api.make("/v1/topics/orders/messages", &event(text)).await;
    };
    for wire in ["sse", "poll"] {
        let query = format!("{token}&read=topic:orders");
        let mut client = Client::open(wire, &world, &query, None).await;
        publish("one").await;
        assert_eq!(text(&client.next_of("message").await), "one", "{wire}");
        let position = client.position.clone().unwrap();
        assert!(position.contains("topic:orders="), "{position}");
        drop(client);
        publish("two").await;
        // The handle of a poll's session may be stale: the position goes on by itself.
        let position = position
            .rsplit_once('.')
            .map_or(&*position, |(_, rest)| rest);
        let mut client = Client::open(wire, &world, &query, Some(position)).await;
        assert_eq!(text(&client.next_of("message").await), "two", "{wire}");
    }
}

#[tokio::test]
async fn a_lost_answer_of_a_poll_is_given_again_and_a_newer_poll_ends_the_older() {
    let world = World::start().await;
    let token = world.token("bob").await;
    let api = Api::new(world.server.base(), None);
    let poll = async |after: &str, wait: u16| {
        let path = format!("/poll?token={token}&wait={wait}{after}");
        let (status, answer) = api.get(&path).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let welcome = poll("", 30).await;
    let after = format!("&after={}", welcome["after"].as_str().unwrap());
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    ann.done(say("user:bob", "one")).await;
    let first = poll(&after, 30).await;
    assert_eq!(text(&first["events"][0]), "one");
    assert_eq!(poll(&after, 30).await, first, "the answer got lost");
    let after = format!("&after={}", first["after"].as_str().unwrap());
    let (older, newer) = tokio::join!(poll(&after, 55), poll(&after, 0));
    let both = [&older, &newer].map(|answer| answer["events"].as_array().unwrap().len());
    assert_eq!(both, [0, 0]);
    let (status, answer) = api.get("/poll?wait=56").await;
    assert_eq!((status, &answer["code"]), (422, &json!("out_of_range")));
    let (status, answer) = api.post("/poll?session=s_x", &json!({"op": "ping"})).await;
    assert_eq!(
        (status, &answer["code"]),
        (404, &json!("session_not_found"))
    );
}
