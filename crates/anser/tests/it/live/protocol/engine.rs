//! Engine.IO, revision 4. The sections named are those of the document's README.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::World;
use super::{Polling, SEPARATOR, Socket, connect, http};

/// What the server says of itself, without the number of the connection ("Handshake").
fn handshake(open: &str) -> Value {
    let mut open: Value = serde_json::from_str(open.strip_prefix('0').unwrap()).unwrap();
    let sid = open.as_object_mut().unwrap().remove("sid").unwrap();
    assert!(!sid.as_str().unwrap().is_empty());
    open
}

fn expected(upgrades: &Value) -> Value {
    json!({"upgrades": upgrades, "pingInterval": 25_000, "pingTimeout": 20_000, "maxPayload": 1_048_576})
}

/// "Handshake", and "Request path", "Query parameters" of "HTTP long-polling".
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_opens_by_polling_and_by_websocket() {
    let world = World::start().await;
    let (status, open) = http(&world, Method::GET, "EIO=4&transport=polling", "").await;
    assert_eq!(
        (status, handshake(&open)),
        (200, expected(&json!(["websocket"])))
    );
    let mut socket = Socket::connect(&world, "EIO=4&transport=websocket")
        .await
        .unwrap();
    let open = socket.next().await.unwrap();
    assert_eq!(handshake(&open), expected(&json!([])));
}

/// "Query parameters": what is wrong with `EIO`, `transport`, `sid` or the method is answered 400.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_request_opens_nothing() {
    let world = World::start().await;
    for (method, query) in [
        (Method::GET, "transport=polling"),
        (Method::GET, "EIO=abc&transport=polling"),
        // Revision 3, of Socket.IO 2, is not spoken.
        (Method::GET, "EIO=3&transport=polling"),
        (Method::GET, "EIO=4"),
        (Method::GET, "EIO=4&transport=abc"),
        (Method::GET, "EIO=4&transport=polling&sid=abc"),
        (Method::GET, "EIO=4&transport=polling&sid=AAAAAAAAAAAAAAAA"),
        (Method::POST, "EIO=4&transport=polling"),
        (Method::PUT, "EIO=4&transport=polling"),
    ] {
        let (status, answer) = http(&world, method.clone(), query, "").await;
        assert_eq!(status, 400, "{method} {query}: {answer}");
    }
    for query in [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=websocket&sid=abc",
    ] {
        assert!(Socket::connect(&world, query).await.is_err(), "{query}");
    }
    // Exception: a number that is well formed and of no connection is answered 101, and closed before anything is said.
    let query = "EIO=4&transport=websocket&sid=AAAAAAAAAAAAAAAA";
    let mut socket = Socket::connect(&world, query).await.unwrap();
    assert_eq!(socket.next().await, None);
}

/// "Message", and "Packet encoding", "HTTP long-polling": packets of one payload are separated by 0x1e, both ways.
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_holds_one_packet_or_several() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    let posted = polling.post(&connect(&world, "ann").await).await;
    assert_eq!(posted, (200, "ok".to_owned()));
    let packets = polling.packets(2).await;
    assert!(packets[0].starts_with("40{"), "{packets:?}");
    assert!(packets[1].starts_with(r#"42["ib",{"#), "{packets:?}");
    let three = (0..3).map(|n| format!(r#"42{n}["ping"]"#));
    let payload = three.collect::<Vec<_>>().join(&SEPARATOR.to_string());
    assert_eq!(polling.post(&payload).await, (200, "ok".to_owned()));
    let answers = polling.packets(3).await;
    for (n, answer) in answers.iter().enumerate() {
        assert!(answer.starts_with(&format!("43{n}[{{")), "{answers:?}");
    }
}

/// "Packet encoding": a packet that is none closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_is_none_closes_the_connection() {
    let world = World::start().await;
    for bad in ["abc", "9", "b!!"] {
        let polling = Polling::open(&world).await;
        assert_eq!(polling.post(bad).await.0, 400, "{bad:?}");
        assert_eq!(polling.poll().await.0, 400, "{bad:?}");
        let mut socket = Socket::open(&world).await;
        socket.send(bad).await;
        socket.closed().await;
    }
}

/// "Handshake": `maxPayload` is what a payload may have at most.
#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_too_long_is_refused() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    let payload = format!("4{}", " ".repeat(1_048_576));
    assert_eq!(polling.post(&payload).await.0, 413);
}

/// "HTTP long-polling": two polls of one connection at a time close it.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_poll_beside_another_closes_the_connection() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    // The first ping comes at once; then a poll waits.
    assert_eq!(polling.poll().await, (200, "2".to_owned()));
    let (one, other) = tokio::join!(polling.poll(), polling.poll());
    let (waited, refused) = if one.0 == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(waited, (200, "1".to_owned()), "{refused:?}");
    assert!(matches!(refused.0, 400 | 500), "{refused:?}");
    assert_eq!(polling.poll().await.0, 400);
}

/// "Heartbeat": the server pings, and who answers stays. Exception: the first ping comes at once, not after `pingInterval`.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_pings_and_is_answered() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    assert_eq!(polling.poll().await, (200, "2".to_owned()));
    assert_eq!(polling.post("3").await, (200, "ok".to_owned()));
    let mut socket = Socket::open(&world).await;
    assert_eq!(socket.next().await.as_deref(), Some("2"));
    socket.send("3").await;
    let connected = socket.ask(&connect(&world, "ann").await).await;
    assert!(connected.starts_with("40{"), "{connected}");
}

/// "Heartbeat": a client that does not answer within `pingTimeout`, 20 seconds, is closed. The one test that takes so long.
#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_answer_a_ping_is_closed() {
    let world = World::start().await;
    let mut socket = Socket::open(&world).await;
    socket.send(&connect(&world, "ann").await).await;
    let polling = Polling::open(&world).await;
    let posted = polling.post(&connect(&world, "bob").await).await;
    assert_eq!(posted.0, 200);
    // Each step has the harness's deadline.
    while socket.next().await.is_some() {}
    while polling.poll().await.0 == 200 {}
    let (_, sessions) = world.server.api().get("/v1/sessions").await;
    assert_eq!(sessions["items"], json!([]), "{sessions}");
}

/// The packet `close` of "Protocol".
#[tokio::test(flavor = "multi_thread")]
async fn a_client_closes() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    assert_eq!(polling.poll().await, (200, "2".to_owned()));
    let (waiting, closing) = tokio::join!(polling.poll(), polling.post("1"));
    assert_eq!(closing, (200, "ok".to_owned()));
    // A poll that waits is ended by a `noop`; one that comes later finds nothing.
    assert!(
        waiting == (200, "6".to_owned()) || waiting.0 == 400,
        "{waiting:?}"
    );
    assert_eq!(polling.poll().await.0, 400);
    let mut socket = Socket::open(&world).await;
    socket.send("1").await;
    socket.closed().await;
}

/// "Upgrade": the probe, the `noop` that ends a waiting poll, and the packet `upgrade`.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_goes_from_polling_to_websocket() {
    let world = World::start().await;
    let polling = Polling::open(&world).await;
    let mut socket = polling.upgrade().await.unwrap();
    socket.send("2probe").await;
    assert_eq!(socket.next().await.as_deref(), Some("3probe"));
    assert_eq!(polling.poll().await, (200, "6".to_owned()));
    socket.send("5").await;
    let connected = socket.ask(&connect(&world, "ann").await).await;
    assert!(connected.starts_with("40{"), "{connected}");
    // From now on there is no other way in.
    assert_eq!(polling.poll().await.0, 400);
    let mut second = polling.upgrade().await.unwrap();
    assert_eq!(second.next().await, None);
    let welcome = socket.packet().await.unwrap();
    assert!(welcome.starts_with(r#"42["ib",{"#), "{welcome}");
    socket.answers().await;
}
