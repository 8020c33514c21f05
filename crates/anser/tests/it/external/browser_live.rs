//! Live clients in a real browser: two tabs on `/live-demo` through a kill of the server, on every wire that browsers have; what
//! pages of other origins may do, with nothing but what browsers and `socket.io-client` have; and `EventSource`, which goes on by
//! itself where it was.

use serde_json::{Value, json};

use super::browser::scenario;
use crate::harness::{Server, ServerOptions};

/// The first admin key of these servers.
const KEY: &str = "live-tests-0123456789abcdef0123456789abcdef";

/// A server that a scenario kills and restarts where it was.
struct Killed(Option<Server>);

impl Killed {
    async fn answer(&mut self, asked: &Value) -> Value {
        let server = self.0.take().unwrap();
        let address = server.base().strip_prefix("http://").unwrap().to_owned();
        let next = match asked.as_str() {
            Some("kill and restart") => server.kill().await.listen_on(&address).start(),
            _ => panic!("asked for {asked}"),
        };
        self.0 = Some(next);
        json!({})
    }
}

async fn two_tabs_talk(ann: &str, bob: &str) {
    let server = Server::start();
    let base = server.base().to_owned();
    let asked = json!({"name": format!("{ann}-{bob}"), "base_url": base, "wires": [ann, bob]});
    let address = base.strip_prefix("http://").unwrap();
    let (mut server, mut options) = (Some(server), None::<ServerOptions>);
    let told = scenario("live_demo", &asked, async |what: &Value| {
        match what.as_str() {
            Some("kill") => options = Some(server.take().unwrap().kill().await),
            Some("restart") => {
                let options = options.take().unwrap().listen_on(address);
                server = Some(options.start());
            }
            _ => panic!("asked for {what}"),
        }
        json!({})
    })
    .await;
    assert_eq!(told["before"], "you do not see each other");
    let (from_ann, from_bob) = (&told["ann"], &told["bob"]);
    assert_eq!(from_ann.as_array().unwrap().len(), 32, "{told}");
    let seen = &told["seen"];
    assert_eq!(seen["ann"], json!({"own": from_ann, "others": from_bob}));
    assert_eq!(seen["bob"], json!({"own": from_bob, "others": from_ann}));
}

#[tokio::test]
async fn two_tabs_talk_over_websocket_through_a_kill_of_the_server() {
    two_tabs_talk("ws", "ws").await;
}

#[tokio::test]
async fn two_tabs_talk_over_long_poll_through_a_kill_of_the_server() {
    two_tabs_talk("poll", "poll").await;
}

#[tokio::test]
async fn two_tabs_talk_over_one_of_each_through_a_kill_of_the_server() {
    two_tabs_talk("ws", "poll").await;
}

#[tokio::test]
async fn two_tabs_talk_over_server_sent_events_through_a_kill_of_the_server() {
    two_tabs_talk("sse", "ws").await;
}

#[tokio::test]
async fn a_room_of_the_demo_tells_everybody_in_it_once() {
    let server = Server::start();
    let asked = json!({"base_url": server.base()});
    let told = scenario("live_demo_room", &asked, async |_: &Value| json!({})).await;
    let said = ["from ann", "from bob", "from carol", "after bob is back"];
    for user in ["ann", "bob", "carol"] {
        assert_eq!(told[user], json!(said), "{user}: {told}");
    }
}

/// A server for pages of these origins, with an application, and what pages are told of it.
async fn open_to(origins: &Value) -> (Server, Value) {
    let server = ServerOptions::default()
        .with_key(KEY)
        .set("live__origins", &origins.to_string())
        .start();
    let api = server.api();
    api.make("/v1/issuers", &json!({"name": "app"})).await;
    let minted = api
        .make("/v1/issuers/app/tokens", &json!({"user": "ann"}))
        .await;
    let told = json!({"base_url": server.base(), "token": minted["token"], "key": KEY});
    (server, told)
}

#[tokio::test]
async fn pages_of_other_origins_talk_when_they_are_named_and_are_told_why_not_otherwise() {
    let mut running = Vec::new();
    let told = scenario("other_origin", &json!({}), async |what: &Value| {
        let (server, told) = open_to(&what["origins"]).await;
        running.push(server);
        told
    })
    .await;
    let talked = json!({
        "ws": "hello", "sse": "hello", "poll": "hello", "socket.io polling": "hello",
        "socket.io websocket": "hello", "with cookies": "TypeError",
    });
    assert_eq!(told["named"], talked);
    assert_eq!(told["any"], talked);
    let stranger = &told["stranger"];
    for wire in ["ws", "sse", "socket.io polling", "socket.io websocket"] {
        assert_eq!(stranger[wire], "refused", "{wire}: {stranger}");
    }
    assert_eq!(stranger["poll"], "TypeError", "{stranger}");
    // Where the browser lets the page read an answer, it names the setting.
    assert_eq!(stranger["why"]["code"], "origin_not_allowed");
    let detail = stranger["why"]["detail"].as_str().unwrap();
    assert!(detail.contains("live.origins"), "{detail}");
}

#[tokio::test]
async fn event_source_goes_on_by_itself_after_a_kill_of_the_server() {
    let mut killed = Killed(None);
    let told = scenario("event_source", &json!({}), async |what: &Value| {
        if what["origins"].is_array() {
            let (server, told) = open_to(&what["origins"]).await;
            killed.0 = Some(server);
            return told;
        }
        killed.answer(what).await
    })
    .await;
    assert_eq!(told["heard"], json!(["one", "two", "three", "four"]));
    assert_eq!(
        told["marked"],
        json!([]),
        "nothing came that may have come before"
    );
    assert!(told["connections"].as_u64().unwrap() >= 2, "{told}");
}
