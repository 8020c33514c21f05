//! Who may come in, for how long and as whom.

use serde_json::json;
use tokio_tungstenite::tungstenite::Error;

use super::client::{Client, websocket};
use super::{KEY, WIRES, World, say};
use crate::harness::Api;

#[tokio::test]
async fn a_session_ends_with_its_token_unless_a_fresh_one_prolongs_it() {
    let world = World::start().await;
    for wire in WIRES {
        let token = world.mint(json!({"user": "ann", "lifetime": 2})).await;
        let mut ann = Client::open(wire, &world, &token, None).await;
        let closed = ann.next_of("closed").await;
        assert_eq!(closed["reason"], "expired", "{wire}: {closed}");
    }
    let token = world.mint(json!({"user": "bob", "lifetime": 3})).await;
    let mut bob = Client::open("ws", &world, &token, None).await;
    let for_other = world.token("ann").await;
    let refused = bob.ask(json!({"op": "auth", "token": for_other})).await;
    assert_eq!(refused["code"], "user_not_allowed", "{refused}");
    let other_rights = json!({"user": "bob", "rights": {"send": ["user:ann"]}});
    let other_rights = world.mint(other_rights).await;
    let refused = bob.ask(json!({"op": "auth", "token": other_rights})).await;
    assert_eq!(refused["code"], "rights_changed", "{refused}");
    let fresh = world.token("bob").await;
    bob.done(json!({"op": "auth", "token": fresh})).await;
    // Somebody whose token ends later than bob's first one is closed; bob is still there.
    let clock = world.mint(json!({"user": "clock", "lifetime": 4})).await;
    let mut clock = Client::open("tcp", &world, &clock, None).await;
    assert_eq!(clock.next_of("closed").await["reason"], "expired");
    bob.done(json!({"op": "ping"})).await;
}

#[tokio::test]
async fn issuers_are_made_and_tokens_minted_by_the_command_line() {
    let world = World::start().await;
    let server = &world.server;
    let create = [
        "issuer", "create", "shop", "--users", "shop-*", "--read", "orders.*",
    ];
    let shown = server.anser(&create).ok();
    assert!(
        shown.contains("is_") && shown.contains("only time"),
        "{shown}"
    );
    let again = server.anser(&create).ok();
    assert!(
        again.contains("unchanged") && !again.contains("is_"),
        "{again}"
    );
    let mint = ["token", "mint", "--issuer", "shop", "--user", "shop-1"];
    let token = server.anser(&mint).ok();
    let mut shop = Client::open("ws", &world, token.trim(), None).await;
    shop.done(json!({"op": "ping"})).await;
    let refused = server.anser(&["token", "mint", "--issuer", "shop", "--user", "ann"]);
    assert!(
        refused.code != 0 && refused.stderr.contains("user_not_allowed"),
        "{refused:?}"
    );
    let listed = server.anser(&["--output", "json", "issuer", "list"]).json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 2, "{listed}");
    server.anser(&["issuer", "delete", "shop"]).ok();
    assert_eq!(shop.next_of("closed").await["reason"], "revoked");
}

#[tokio::test]
async fn expired_forged_and_missing_credentials_are_refused_on_every_wire() {
    let world = World::start().await;
    let good = world.token("ann").await;
    let (head, _) = good.rsplit_once('.').unwrap();
    let forged = format!("{head}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    let api = Api::new(world.server.base(), None);
    for (token, code) in [
        (&*forged, "invalid_signature"),
        ("a.b.c", "malformed_token"),
        ("ak_unknown", "unknown_key"),
    ] {
        for path in ["/sse", "/poll", "/ws"] {
            let (status, answer) = api.get(&format!("{path}?token={token}")).await;
            assert_eq!((status, &answer["code"]), (401, &json!(code)), "{path}");
        }
        let Err(Error::Http(answer)) = websocket(&world, &format!("token={token}")).await else {
            panic!("it was let in");
        };
        assert_eq!(answer.status(), 401);
    }
    for path in ["/sse", "/poll"] {
        let (status, answer) = api.get(path).await;
        assert_eq!((status, &answer["code"]), (401, &json!("missing_key")));
    }
    let (status, answer) = api.get(&format!("/ws?token={good}")).await;
    assert_eq!((status, &answer["code"]), (400, &json!("no_upgrade")));
    let (status, answer) = api.get(&format!("/sse?token={good}&user=bob")).await;
    assert_eq!((status, &answer["code"]), (403, &json!("user_not_allowed")));
    let (status, _) = api.get(&format!("/sse?token={good}&usr=bob")).await;
    assert_eq!(status, 422);
}

#[tokio::test]
async fn nobody_speaks_as_another() {
    let world = World::start().await;
    for wire in WIRES {
        let mut ann = Client::open(wire, &world, &world.token("ann").await, None).await;
        let mut spoofed = say("user:bob", "I am the boss");
        spoofed["message"]["header"]["from"] = json!({"kind": "user", "id": "boss"});
        let answer = ann.ask(spoofed).await;
        assert_eq!(answer["op"], "error", "{wire}: {answer}");
        assert!(
            answer["field"].as_str().unwrap().contains("from"),
            "{answer}"
        );
        let elsewhere = ann.ask(say("ops/oc_x", "hello")).await;
        assert_eq!(
            (&elsewhere["status"], &elsewhere["code"]),
            (&json!(403), &json!("address_not_allowed")),
            "{wire}: {elsewhere}"
        );
    }
    let mut bob = Client::open("ws", &world, &world.token("bob").await, None).await;
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    ann.done(say("user:bob", "it is me")).await;
    let event = bob.next_of("message").await;
    assert_eq!(event["message"]["header"]["from"]["id"], "ann");
}

#[tokio::test]
async fn what_is_taken_back_ends_what_it_opened() {
    let world = World::start().await;
    let api = world.server.api();
    let key = json!({"name": "shop", "scopes": ["publish", "consume"], "targets": ["user:shop-*"]});
    let key = api.make("/v1/keys", &key).await;
    let key = key["key"].as_str().unwrap();
    let as_user = format!("{key}&user=shop-1");
    for wire in ["sse", "poll"] {
        let mut shop = Client::open(wire, &world, &as_user, None).await;
        shop.done(say("user:shop-2", "hello")).await;
    }
    let mut shop = Client::open("sse", &world, &as_user, None).await;
    let mut ann = Client::open("ws", &world, &world.token("ann").await, None).await;
    let mut operator = Client::open("tcp", &world, KEY, None).await;
    let described = json!({"description": "of the shop"});
    api.patch("/v1/issuers/app", &described).await;
    ann.done(json!({"op": "ping"})).await;
    let (status, _) = api.delete("/v1/issuers/app").await;
    assert_eq!(status, 204);
    assert_eq!(ann.next_of("closed").await["reason"], "revoked");
    shop.done(json!({"op": "ping"})).await;
    let (status, _) = api.delete("/v1/keys/shop").await;
    assert_eq!(status, 204);
    assert_eq!(shop.next_of("closed").await["reason"], "revoked");
    operator.done(json!({"op": "ping"})).await;
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let world = World::start().await;
    let mut clients = Vec::new();
    // Between two polls nobody is there who could be told.
    for wire in WIRES.into_iter().filter(|wire| *wire != "poll") {
        let token = world.token(wire).await;
        clients.push((wire, Client::open(wire, &world, &token, None).await));
    }
    world.server.signal(rustix::process::Signal::TERM);
    for (wire, client) in &mut clients {
        let closed = client.next_of("closed").await;
        assert_eq!(closed["reason"], "server_stopping", "{wire}");
    }
    let mut server = world.server;
    assert!(server.ended().await.success());
    drop(world.options);
}
