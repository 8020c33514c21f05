//! Queues through their routes: wrong input, missing rights, unknown names, full queues, and one message on its way.

use serde_json::{Value, json};

use crate::client::Reply;
use crate::harness::{Server, start};

const RECEIVE: &str = "/v1/queues/jobs/receive";
const ACK: &str = "/v1/queues/jobs/ack";
const NACK: &str = "/v1/queues/jobs/nack";
const EXTEND: &str = "/v1/queues/jobs/extend";
const REWIND: &str = "/v1/queues/jobs/rewind";
const REDRIVE: &str = "/v1/queues/jobs/redrive";

async fn with_queue(spec: Value) -> Server {
    let server = start().await;
    let made = server.call("PUT", "/v1/queues/jobs", spec).await;
    made.expect(201);
    server
}

async fn send(server: &Server, data: Value) -> Reply {
    let item = json!({"header": {"to": ["queue:jobs"]}, "body": {"data": data}});
    server.call("POST", "/v1/messages", item).await
}

async fn receive(server: &Server, ask: Value) -> Vec<Value> {
    let answer = server.call("POST", RECEIVE, ask).await.expect(200);
    answer["messages"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_message_is_received_given_back_kept_and_acknowledged() {
    let server = with_queue(json!({})).await;
    let sent = send(&server, json!({"n": 1.0})).await.expect(202);
    let received = receive(&server, json!({"max": 10, "lease": 60})).await;
    let [message] = received.as_slice() else {
        panic!("{received:?}");
    };
    assert_eq!(message["message"]["header"]["id"], sent["id"]);
    assert_eq!(
        (&message["seq"], &message["receives"]),
        (&sent["seq"], &json!(1))
    );
    assert_eq!(message.get("dead_letter"), None);
    let receipt = &message["receipt"];
    let foreign = json!("123456789");
    let results = |reply: Reply| reply.expect(200)["results"].clone();
    let both = json!({"receipts": [foreign, receipt], "lease": 120});
    assert_eq!(
        results(server.call("POST", EXTEND, both).await),
        json!([{"receipt": foreign, "ok": false}, {"receipt": receipt, "ok": true}])
    );
    let one = json!({"receipts": [receipt]});
    let ok = json!([{"receipt": receipt, "ok": true}]);
    assert_eq!(results(server.call("POST", NACK, one.clone()).await), ok);
    let void = json!([{"receipt": receipt, "ok": false}]);
    assert_eq!(results(server.call("POST", ACK, one).await), void);
    let again = receive(&server, json!({})).await;
    assert_eq!(again[0]["receives"], 2);
    let receipt = &again[0]["receipt"];
    let ok = json!([{"receipt": receipt, "ok": true}]);
    let one = json!({"receipts": [receipt]});
    assert_eq!(results(server.call("POST", ACK, one).await), ok);
    let state = server
        .call("GET", "/v1/queues/jobs/state", Value::Null)
        .await;
    let state = state.expect(200);
    assert_eq!(
        (&state["active"], &state["leased"]),
        (&json!(0), &json!(0)),
        "{state}"
    );
    server.stop().await;
}

#[tokio::test]
async fn bad_input_is_refused_by_name() {
    let server = with_queue(json!({})).await;
    let receipts: Vec<String> = (0..101).map(|number| number.to_string()).collect();
    for (target, body, code, field) in [
        (RECEIVE, json!({"max": 0}), "out_of_range", "max"),
        (RECEIVE, json!({"max": 101}), "out_of_range", "max"),
        (RECEIVE, json!({"wait": 31}), "out_of_range", "wait"),
        (RECEIVE, json!({"lease": 0}), "out_of_range", "lease"),
        (RECEIVE, json!({"lease": 43_201}), "out_of_range", "lease"),
        (RECEIVE, json!({"lease": "1"}), "invalid_field", "lease"),
        (RECEIVE, json!({"count": 1}), "invalid_field", "count"),
        (ACK, json!({}), "invalid_field", "receipts"),
        (
            ACK,
            json!({"receipts": ["1", "x"]}),
            "invalid_field",
            "receipts[1]",
        ),
        (
            ACK,
            json!({"receipts": [1]}),
            "invalid_field",
            "receipts[0]",
        ),
        (ACK, json!({"receipts": receipts}), "too_many", "receipts"),
        (
            NACK,
            json!({"receipts": ["1"], "delay": 43_201}),
            "out_of_range",
            "delay",
        ),
        (
            EXTEND,
            json!({"receipts": ["1"], "lease": 0}),
            "out_of_range",
            "lease",
        ),
        (REWIND, json!({}), "invalid_field", "from"),
        (REWIND, json!({"from": "soon"}), "invalid_field", "from"),
        (REDRIVE, json!({"limit": 0}), "out_of_range", "limit"),
        (REDRIVE, json!({"limit": 10_001}), "out_of_range", "limit"),
    ] {
        let reply = server.call("POST", target, body.clone()).await;
        assert_eq!(reply.status, 422, "{target} {body}: {reply:?}");
        let told = (reply.code(), reply.json()["field"].clone());
        assert_eq!(told, (code.to_owned(), json!(field)), "{target} {body}");
    }
    let from = json!({"from": "2026-01-01T00:00:00.000Z"});
    assert_eq!(server.call("POST", REWIND, from).await.code(), "rewind_off");
    let query = format!("{RECEIVE}?max=1");
    assert_eq!(
        server.call("POST", &query, json!({})).await.code(),
        "unknown_parameter"
    );
    server.stop().await;
}

#[tokio::test]
async fn bad_settings_are_refused_by_name() {
    let server = with_queue(json!({})).await;
    let dead_letter = |queue: &str, more: Value| {
        let mut spec = json!({"queue": queue});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"dead_letter": spec})
    };
    let often = json!({"max_receives": 3});
    for (spec, code, field) in [
        (json!({"lease": 0}), "out_of_range", "lease"),
        (json!({"wait": 31}), "out_of_range", "wait"),
        (json!({"retention": 29}), "out_of_range", "retention"),
        (
            json!({"retention": 60, "rewind": 61}),
            "out_of_range",
            "rewind",
        ),
        (json!({"ordering": "strict"}), "invalid_field", "ordering"),
        (json!({"max_messages": 0}), "out_of_range", "max_messages"),
        (json!({"visibility": 1}), "invalid_field", "visibility"),
        (
            dead_letter("jobs", json!({})),
            "invalid_dead_letter",
            "dead_letter",
        ),
        (
            dead_letter("none", often.clone()),
            "unknown_queue",
            "dead_letter.queue",
        ),
        (
            dead_letter("jobs", json!({"max_receives": 1_001})),
            "out_of_range",
            "dead_letter.max_receives",
        ),
    ] {
        let reply = server.call("PUT", "/v1/queues/other", spec.clone()).await;
        assert_eq!(reply.status, 422, "{spec}: {reply:?}");
        let told = (reply.code(), reply.json()["field"].clone());
        assert_eq!(told, (code.to_owned(), json!(field)), "{spec}");
    }
    let itself = server
        .call("PUT", "/v1/queues/jobs", dead_letter("JOBS", often))
        .await;
    assert_eq!(itself.code(), "nested_dead_letter");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_queue_is_not_found() {
    let server = start().await;
    for (method, path, body) in [
        ("GET", "", Value::Null),
        ("PATCH", "", json!({})),
        ("DELETE", "", Value::Null),
        ("GET", "/state", Value::Null),
        ("POST", "/receive", json!({})),
        ("POST", "/ack", json!({"receipts": ["1"]})),
        ("POST", "/nack", json!({"receipts": ["1"]})),
        ("POST", "/extend", json!({"receipts": ["1"]})),
        (
            "POST",
            "/rewind",
            json!({"from": "2026-01-01T00:00:00.000Z"}),
        ),
        ("POST", "/purge", Value::Null),
        ("POST", "/redrive", json!({})),
    ] {
        let target = format!("/v1/queues/none{path}");
        let reply = server.call(method, &target, body).await;
        let told = (reply.status, reply.code());
        assert_eq!(
            told,
            (404, "queue_not_found".to_owned()),
            "{method} {target}"
        );
    }
    let reply = send(&server, json!(1)).await;
    assert_eq!(
        (reply.status, reply.code()),
        (422, "unknown_queue".to_owned())
    );
    server.stop().await;
}

/// A key with these rights, as a header.
async fn key(server: &Server, name: &str, scopes: Value, targets: Value) -> String {
    let spec = json!({"name": name, "scopes": scopes, "targets": targets});
    let made = server.call("POST", "/v1/keys", spec).await.expect(201);
    format!("Bearer {}", made["key"].as_str().unwrap())
}

#[tokio::test]
async fn keys_do_only_what_they_may() {
    let server = with_queue(json!({})).await;
    server
        .call("PUT", "/v1/queues/other", json!({}))
        .await
        .expect(201);
    let consumer = key(
        &server,
        "consumer",
        json!(["consume"]),
        json!(["queue:jobs"]),
    )
    .await;
    let sender = key(&server, "sender", json!(["publish"]), json!(["queue:*"])).await;
    let json_type = ("content-type", "application/json");
    for (bearer, method, target, status, code) in [
        (&consumer, "POST", RECEIVE, 200, ""),
        (&consumer, "GET", "/v1/queues/jobs/state", 200, ""),
        (
            &consumer,
            "POST",
            "/v1/queues/other/receive",
            403,
            "address_not_allowed",
        ),
        (
            &consumer,
            "GET",
            "/v1/queues/other/state",
            403,
            "address_not_allowed",
        ),
        (
            &consumer,
            "POST",
            "/v1/queues/jobs/redrive",
            403,
            "missing_scope",
        ),
        (
            &consumer,
            "POST",
            "/v1/queues/jobs/purge",
            403,
            "missing_scope",
        ),
        (&consumer, "GET", "/v1/queues/jobs", 403, "missing_scope"),
        (&consumer, "DELETE", "/v1/queues/jobs", 403, "missing_scope"),
        (&sender, "POST", RECEIVE, 403, "missing_scope"),
        (
            &sender,
            "GET",
            "/v1/queues/jobs/state",
            403,
            "missing_scope",
        ),
    ] {
        let headers = [("authorization", bearer.as_str()), json_type];
        let reply = server.send(method, target, &headers, b"{}").await;
        assert_eq!(reply.status, status, "{method} {target}: {reply:?}");
        if status != 200 {
            assert_eq!(reply.code(), code, "{method} {target}");
        }
    }
    sending(&server, &sender, &consumer).await;
    server.stop().await;
}

/// Sending takes the right to publish, and nothing else.
async fn sending(server: &Server, sender: &str, consumer: &str) {
    let json_type = ("content-type", "application/json");
    let item = json!({"header": {"to": ["queue:jobs"]}, "body": {"data": 1}}).to_string();
    for (bearer, status) in [(sender, 202), (consumer, 403)] {
        let headers = [("authorization", bearer), json_type];
        let reply = server.send("POST", "/v1/messages", &headers, item.as_bytes());
        assert_eq!(reply.await.status, status);
    }
}

#[tokio::test]
async fn a_full_queue_takes_no_more() {
    let server = with_queue(json!({"max_messages": 2})).await;
    for n in 0..2 {
        send(&server, json!(n)).await.expect(202);
    }
    let full = send(&server, json!(2)).await;
    assert_eq!((full.status, full.code()), (429, "queue_full".to_owned()));
    assert_eq!(full.header("retry-after"), Some("1"));
    let received = receive(&server, json!({})).await;
    let done = json!({"receipts": [received[0]["receipt"]]});
    server.call("POST", ACK, done).await.expect(200);
    send(&server, json!(2)).await.expect(202);
    let purged = server
        .call("POST", "/v1/queues/jobs/purge", Value::Null)
        .await;
    assert_eq!(purged.expect(200), json!({"count": 2}));
    server.stop().await;
}

#[tokio::test]
async fn a_queue_in_use_is_not_deleted() {
    let server = with_queue(json!({})).await;
    server
        .call("PUT", "/v1/topics/orders", json!({}))
        .await
        .expect(201);
    let subscription = "/v1/topics/orders/subscriptions/jobs";
    for (spec, field) in [
        (json!({}), "channel"),
        (json!({"queue": "jobs", "channel": "hook"}), "queue"),
        (json!({"queue": "jobs", "paused": true}), "paused"),
        (json!({"queue": "none"}), "queue"),
    ] {
        let reply = server.call("PUT", subscription, spec.clone()).await;
        assert_eq!(reply.status, 422, "{spec}: {reply:?}");
        assert_eq!(reply.json()["field"], field, "{spec}");
    }
    let spec = json!({"queue": "jobs"});
    let made = server.call("PUT", subscription, spec).await.expect(201);
    assert_eq!(
        (&made["queue"], made.get("channel")),
        (&json!("jobs"), None)
    );
    let queue = "/v1/queues/jobs";
    let refused = server.call("DELETE", queue, Value::Null).await;
    assert_eq!((refused.status, refused.code()), (409, "in_use".to_owned()));
    let cascade = format!("{queue}?cascade=true");
    assert_eq!(
        server.call("DELETE", &cascade, Value::Null).await.status,
        204
    );
    let gone = server.call("GET", subscription, Value::Null).await;
    assert_eq!(gone.status, 404);
    server.stop().await;
}
