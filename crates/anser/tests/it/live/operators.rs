//! What operators see of live clients, and do about them: by the API and by the command line.

use serde_json::{Value, json};

use super::client::Client;
use super::{World, say, text};
use crate::harness::Api;

/// A refusal: its code, the field at fault, and that it says what to do.
fn refused(answer: (u16, Value), status: u16, code: &str, field: &str) {
    let (got, problem) = answer;
    assert_eq!(
        (got, &problem["code"], &problem["field"]),
        (status, &json!(code), &json!(field)),
        "{problem}"
    );
    let detail = problem["detail"].as_str().unwrap_or_default();
    assert!(detail.len() > 10, "it says the rule: {problem}");
}

async fn ws(world: &World, user: &str) -> Client {
    Client::open("ws", world, &world.token(user).await, None).await
}

/// The next news of a kind.
async fn news(client: &mut Client, kind: &str) -> Value {
    loop {
        let ib = client.next_of("ib").await;
        if ib["kind"] == kind {
            return ib["data"].clone();
        }
    }
}

#[tokio::test]
async fn rooms_are_made_kept_and_left_as_the_operator_says() {
    let world = World::start().await;
    let (server, api) = (&world.server, world.server.api());
    let create = ["room", "create", "dev", "--members", "ann,bob"];
    server.anser(&create).ok();
    let (mut ann, mut bob) = (ws(&world, "ann").await, ws(&world, "bob").await);
    let enter = json!({"op": "subscribe", "room": "dev"});
    ann.done(enter.clone()).await;
    bob.done(enter.clone()).await;
    assert_eq!(news(&mut ann, "room.joined").await["who"]["user"], "bob");
    let sent = server
        .anser(&["send", "--to", "room:dev", "from the operator"])
        .ok();
    assert!(sent.contains("accepted, in room:dev"), "{sent}");
    for client in [&mut ann, &mut bob] {
        let event = client.next_of("message").await;
        assert_eq!(event["stream"], "room:dev");
    }

    // Who is no member any more hears nothing from that moment on, and is told why.
    let (status, answer) = api
        .patch("/v1/rooms/dev", &json!({"members": ["ann"]}))
        .await;
    assert_eq!(status, 200, "{answer}");
    let out = news(&mut bob, "unsubscribed").await;
    assert_eq!(out, json!({"stream": "room:dev", "reason": "not_allowed"}));
    ann.done(say("room:dev", "between us")).await;
    for frame in [enter, say("room:dev", "let me in")] {
        let answer = bob.ask(frame).await;
        assert_eq!(answer["status"], 403, "{answer}");
    }
    assert!(bob.has_nothing_more());

    // Who comes later reads what was said.
    server.anser(&["room", "set", "dev", "open=true"]).ok();
    let mut carol = ws(&world, "carol").await;
    carol
        .done(json!({"op": "subscribe", "room": "dev", "after": "0"}))
        .await;
    carol.next_of("message").await;
    assert_eq!(text(&carol.next_of("message").await), "between us");
    server
        .anser(&["room", "create", "hall", "--open", "--history", "0"])
        .ok();
    carol.done(json!({"op": "subscribe", "room": "hall"})).await;
    let sent = server.anser(&["send", "--to", "room:hall", "hello"]).ok();
    assert!(sent.contains("given to 1 session in room:hall"), "{sent}");
    assert_eq!(carol.next_of("message").await["transient"], true);
    server.anser(&["room", "delete", "dev"]).ok();
    let out = news(&mut carol, "unsubscribed").await;
    assert_eq!(out, json!({"stream": "room:dev", "reason": "gone"}));
}

#[tokio::test]
async fn a_room_that_is_written_wrong_is_refused_with_the_rule() {
    let world = World::start().await;
    let api = world.server.api();
    let make = async |room: Value| api.post("/v1/rooms", &room).await;
    refused(
        make(json!({"name": "x y"})).await,
        422,
        "invalid_name",
        "name",
    );
    let wrong = make(json!({"name": "x", "membres": []})).await;
    assert_eq!(wrong.0, 422, "{wrong:?}");
    assert!(wrong.1.to_string().contains("membres"), "{wrong:?}");
    let (status, problem) = make(json!({"name": "x", "members": ["a/b"]})).await;
    assert_eq!(status, 422, "{problem}");
    let field = problem["field"].as_str().unwrap();
    assert!(field.starts_with("members"), "{problem}");
    let endless = make(json!({"name": "x", "history": u64::MAX})).await;
    assert_eq!((endless.0, &endless.1["field"]), (422, &json!("history")));
    let (status, problem) = api.get("/v1/rooms/dev").await;
    assert_eq!((status, &problem["code"]), (404, &json!("room_not_found")));
}

/// Two sessions of ann, and two of bob.
async fn four(world: &World) -> Vec<Client> {
    let mut clients = Vec::new();
    for (user, wire) in [
        ("ann", "ws"),
        ("ann", "tcp"),
        ("bob", "sse"),
        ("bob", "poll"),
    ] {
        let token = world.token(user).await;
        clients.push(Client::open(wire, world, &token, None).await);
    }
    clients
}

#[tokio::test]
async fn sessions_are_listed_by_page_and_by_what_is_wanted() {
    let world = World::start().await;
    let (server, api) = (&world.server, world.server.api());
    let _clients = four(&world).await;
    let list = async |query: &str| {
        let (status, page) = api.get(&format!("/v1/sessions{query}")).await;
        assert_eq!(status, 200, "{page}");
        page
    };
    let wires = |page: &Value| -> Vec<String> {
        let items = page["items"].as_array().unwrap().iter();
        items
            .map(|item| item["transport"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(wires(&list("").await), ["ws", "tcp", "sse", "poll"]);
    assert_eq!(wires(&list("?user=ann").await), ["ws", "tcp"]);
    assert_eq!(wires(&list("?user=bob&transport=poll").await), ["poll"]);
    assert!(wires(&list("?user=carol").await).is_empty());
    let (mut cursor, mut paged) = (String::new(), Vec::new());
    loop {
        let page = list(&format!("?limit=3{cursor}")).await;
        paged.extend(wires(&page));
        match page["cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(paged, ["ws", "tcp", "sse", "poll"]);
    let table = server.anser(&["session", "list", "--user", "ann"]).ok();
    assert!(table.contains("ses_") && table.contains("tcp"), "{table}");
    assert!(!table.contains("poll"), "{table}");

    refused(
        api.get("/v1/sessions?limit=0").await,
        422,
        "out_of_range",
        "limit",
    );
    refused(
        api.get("/v1/sessions?cursor=x").await,
        422,
        "invalid_cursor",
        "cursor",
    );
    refused(
        api.get("/v1/sessions?user=a/b").await,
        422,
        "invalid_user",
        "user",
    );
    let wire = api.get("/v1/sessions?transport=carrier-pigeon").await;
    assert!(
        wire.1["accepted"].as_str().unwrap().contains("socket.io"),
        "{wire:?}"
    );
    refused(wire, 422, "invalid_parameter", "transport");
}

#[tokio::test]
async fn sessions_are_ended_with_a_reason() {
    let world = World::start().await;
    let (server, api) = (&world.server, world.server.api());
    let mut clients = four(&world).await;
    let (_, page) = api.get("/v1/sessions?user=ann&transport=ws").await;
    let id = page["items"][0]["id"].as_str().unwrap();
    server
        .anser(&["session", "kick", id, "--detail", "the shop closes"])
        .ok();
    let closed = clients[0].next_of("closed").await;
    assert_eq!(
        (&closed["reason"], &closed["detail"]),
        (&json!("kicked"), &json!("the shop closes"))
    );
    // It may come back: whoever is to stay out loses the key or the token.
    let mut again = ws(&world, "ann").await;
    again.done(json!({"op": "ping"})).await;
    let ended = server.anser(&["session", "kick", "--user", "bob"]).ok();
    assert!(ended.contains('2'), "{ended}");
    for client in &mut clients[2..] {
        assert_eq!(client.next_of("closed").await["reason"], "kicked");
    }

    let (status, problem) = api.delete(&format!("/v1/sessions/{id}")).await;
    assert_eq!(
        (status, &problem["code"]),
        (404, &json!("session_not_found"))
    );
    let twice = server.anser(&["session", "kick", id]);
    assert!(
        twice.code != 0 && twice.stderr.contains("session_not_found"),
        "{twice:?}"
    );
    let long = json!({"detail": "x".repeat(257)});
    refused(
        api.post("/v1/presence/bob/kick", &long).await,
        422,
        "out_of_range",
        "detail",
    );
}

#[tokio::test]
async fn presence_shows_how_available_a_user_is_and_what_waits() {
    let world = World::start().await;
    let api = world.server.api();
    let show = async |user: &str| api.get(&format!("/v1/presence/{user}")).await;
    let (status, nobody) = show("bob").await;
    assert_eq!(
        (status, &nobody["show"], &nobody["sessions"]),
        (200, &json!("offline"), &json!(0))
    );
    let mut ann = ws(&world, "ann").await;
    ann.done(say("user:bob", "waits")).await;
    assert_eq!(show("bob").await.1["waiting"], 1);
    let mut bob = ws(&world, "bob").await;
    bob.done(json!({"op": "presence", "show": "dnd", "status": "in a meeting"}))
        .await;
    let (_, there) = show("bob").await;
    assert_eq!(
        (&there["show"], &there["status"], &there["sessions"]),
        (&json!("dnd"), &json!("in a meeting"), &json!(1))
    );
    let shown = world.server.anser(&["session", "user", "bob"]).ok();
    assert!(shown.contains("in a meeting"), "{shown}");
    refused(show("b%20b").await, 422, "invalid_user", "user");
    let key = json!({"name": "shop", "scopes": ["read"], "targets": ["user:shop-*"]});
    let key = api.make("/v1/keys", &key).await;
    let limited = Api::new(world.server.base(), key["key"].as_str());
    refused(
        limited.get("/v1/presence/bob").await,
        403,
        "address_not_allowed",
        "user",
    );
    let (_, page) = limited.get("/v1/sessions").await;
    assert_eq!(page["items"], json!([]), "they are not its users");
}

#[tokio::test]
async fn an_issuers_secret_is_changed_and_its_sessions_end() {
    let world = World::start().await;
    let (server, api) = (&world.server, world.server.api());
    let before = world.token("ann").await;
    let mut ann = Client::open("ws", &world, &before, None).await;
    server
        .anser(&["issuer", "set", "app", "description=of the shop"])
        .ok();
    ann.done(json!({"op": "ping"})).await;
    let changed = server
        .anser(&["--output", "json", "issuer", "set", "app", "secret=null"])
        .json();
    let secret = changed["secret"].as_str().unwrap();
    assert!(secret.starts_with("is_"), "{changed}");
    assert_eq!(ann.next_of("closed").await["reason"], "revoked");
    let anonymous = Api::new(server.base(), None);
    let (status, answer) = anonymous.get(&format!("/poll?token={before}")).await;
    assert_eq!(
        (status, &answer["code"]),
        (401, &json!("invalid_signature"))
    );
    let mut ann = ws(&world, "ann").await;
    let shown = server.anser(&["issuer", "get", "app"]).ok();
    assert!(!shown.contains(secret), "{shown}");
    server.anser(&["issuer", "delete", "app"]).ok();
    assert_eq!(ann.next_of("closed").await["reason"], "revoked");

    let make = async |issuer: Value| api.post("/v1/issuers", &issuer).await;
    let short = make(json!({"name": "x", "secret": "too short"})).await;
    assert_eq!(
        (short.0, &short.1["field"]),
        (422, &json!("secret")),
        "{short:?}"
    );
    let forever = make(json!({"name": "x", "lifetime_max": 86_401})).await;
    assert_eq!(
        (forever.0, &forever.1["field"]),
        (422, &json!("lifetime_max"))
    );
    let key = make(json!({"name": "x", "algorithm": "EdDSA"})).await;
    assert_eq!(
        (key.0, &key.1["field"]),
        (422, &json!("public_key")),
        "{key:?}"
    );
    let right = make(json!({"name": "x", "rights": {"reed": []}})).await;
    assert!(
        right.0 == 422 && right.1.to_string().contains("reed"),
        "{right:?}"
    );
    let gone = server.anser(&["token", "mint", "--issuer", "app", "--user", "ann"]);
    assert!(
        gone.code != 0 && gone.stderr.contains("issuer_not_found"),
        "{gone:?}"
    );
}
