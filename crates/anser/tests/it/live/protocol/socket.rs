//! Socket.IO, revision 5. The sections named are those of the document's README.

use serde_json::{Value, json};

use super::super::World;
use super::{Socket, connect};

/// "Connection to a namespace": the answer names the socket; a refusal says why, and the client may try again.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_connects_or_is_told_why_not() {
    let world = World::start().await;
    let mut socket = Socket::open(&world).await;
    let refused = socket.ask("40").await;
    let refused: Value = serde_json::from_str(refused.strip_prefix("44").unwrap()).unwrap();
    let message = refused["message"].as_str().unwrap();
    assert!(message.starts_with("missing_key: "), "{refused}");
    let refused = socket.ask(r#"40{"token":"a.b.c"}"#).await;
    assert!(refused.starts_with(r#"44{"message":""#), "{refused}");
    let connected = socket.ask(&connect(&world, "ann").await).await;
    let connected: Value = serde_json::from_str(connected.strip_prefix("40").unwrap()).unwrap();
    assert!(connected["sid"].is_string(), "{connected}");
    assert_eq!(connected.as_object().unwrap().len(), 1, "{connected}");
}

/// "Connection to a namespace": there is one namespace; others are refused by name.
#[tokio::test(flavor = "multi_thread")]
async fn there_is_no_other_namespace() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    for packet in ["40/random", "40/random,", r#"40/random,{"token":"x"}"#] {
        let refused = socket.ask(packet).await;
        assert_eq!(
            refused, r#"44/random,{"message":"Invalid namespace"}"#,
            "{packet}"
        );
    }
    // What is sent there nevertheless is not heard.
    socket.send(r#"42/random,1["ping"]"#).await;
    socket.answers().await;
}

/// "Connection to a namespace": a client that does not connect to one in time is closed.
#[tokio::test(flavor = "multi_thread")]
async fn who_connects_to_no_namespace_is_closed() {
    let world = World::start().await;
    let mut socket = Socket::open(&world).await;
    socket.closed().await;
}

/// "Packet encoding": what is no packet closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_packet_that_is_none_closes_the_connection() {
    let world = World::start().await;
    for bad in [
        "4abc", "4", "49", "42", "42{}", "42[", "42[]", "421", "43[]", "44{}", "46[]",
    ] {
        let mut socket = Socket::of_user(&world, "ann").await;
        socket.send(bad).await;
        socket.closed().await;
    }
}

/// "Disconnection from a namespace": the client leaves, and says nothing more there. Exception: it cannot come back on the
/// same connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_client_leaves_the_namespace() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    socket.send("41").await;
    let refused = socket.ask(&connect(&world, "ann").await).await;
    assert!(
        refused.starts_with(r#"44{"message":"session_closed: "#),
        "{refused}"
    );
    socket.send(r#"427["ping"]"#).await;
    socket.closed().await;
}

/// "Disconnection from a namespace": the server ends a session, says why, and disconnects the client.
#[tokio::test(flavor = "multi_thread")]
async fn the_server_disconnects_a_client() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    let api = world.server.api();
    let (status, answer) = api.post("/v1/presence/ann/kick", &json!({})).await;
    assert_eq!(status, 200, "{answer}");
    let closed = socket.packet().await.unwrap();
    assert!(
        closed.starts_with(r#"42["closed",{"op":"closed","reason":"kicked""#),
        "{closed}"
    );
    assert_eq!(socket.packet().await.as_deref(), Some("41"));
}

/// "Sending and receiving data" and "Acknowledgement".
#[tokio::test(flavor = "multi_thread")]
async fn events_are_heard_and_acknowledged_with_their_numbers() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    for number in ["0", "456", "9007199254740991"] {
        let answer = socket.ask(&format!(r#"42{number}["ping",{{}}]"#)).await;
        let answer = answer.strip_prefix(&format!("43{number}")).unwrap();
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer[0]["op"], "ok", "{answer}");
        assert_eq!(answer.as_array().unwrap().len(), 1, "{answer}");
    }
    // Without a number nothing is answered, except a refusal.
    socket.send(r#"42["ping"]"#).await;
    let refused = socket.ask(r#"42["message",1,"2",{"3":[true]}]"#).await;
    assert!(
        refused.starts_with(r#"42["error",{"op":"error""#),
        "{refused}"
    );
    let refused = socket.ask(r#"423["dance",{}]"#).await;
    assert!(refused.starts_with(r#"433[{"op":"error""#), "{refused}");
    assert!(refused.contains("unknown_op"), "{refused}");
    // Acknowledgements of what was never sent.
    socket.send("4399[]").await;
    socket.answers().await;
}

/// "Acknowledgement": a message carries a number, and is given once when that is answered.
#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_acknowledged_by_its_number() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    let frame = json!({"message": {"header": {"to": ["user:ann"]}, "body": {"data": "hello"}}});
    socket
        .send(&format!("42{}", json!(["publish", frame])))
        .await;
    let message = socket.packet().await.unwrap();
    let (number, event) = message.strip_prefix("42").unwrap().split_at(1);
    assert_eq!(number, "1", "{message}");
    assert!(
        event.starts_with(r#"["message",{"op":"message","stream":"mailbox""#),
        "{message}"
    );
    socket.send("431[]").await;
    socket.answers().await;
    socket.send("41").await;
    socket.send("1").await;
    socket.closed().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    socket.answers().await;
}

/// "Sending and receiving data", binary: attachments are refused, whole, and nothing else is.
#[tokio::test(flavor = "multi_thread")]
async fn binary_attachments_are_refused() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    let arguments = r#"["publish",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]"#;
    for (number, refused) in [("", r#"42["error",{"#), ("8", "438[{")] {
        socket.send(&format!("452-{number}{arguments}")).await;
        socket.send_binary(&[1, 2, 3]).await;
        socket.send_binary(&[4, 5, 6]).await;
        let answer = socket.packet().await.unwrap();
        assert!(answer.starts_with(refused), "{answer}");
        assert!(
            answer.contains("binary arguments are not taken"),
            "{answer}"
        );
    }
    socket.answers().await;
}

/// "Packet encoding": attachments follow their packet, and nothing else comes between.
#[tokio::test(flavor = "multi_thread")]
async fn attachments_out_of_place_close_the_connection() {
    let world = World::start().await;
    let mut socket = Socket::of_user(&world, "ann").await;
    socket.send_binary(&[1]).await;
    socket.closed().await;
    let mut socket = Socket::of_user(&world, "bob").await;
    let packet = r#"451-["publish",{"_placeholder":true,"num":0}]"#;
    socket.send(packet).await;
    socket.send(packet).await;
    socket.closed().await;
}
