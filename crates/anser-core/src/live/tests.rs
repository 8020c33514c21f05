//! The frames of live clients as they are on the wires: what is read, what is refused, what is written.

use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::id::Num;
use crate::problem::Problem;

fn read(frame: &Value) -> Result<Request, Problem> {
    Request::from_json(frame.to_string().as_bytes())
}

#[test]
fn every_operation_is_read_by_its_name() {
    let id = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10";
    for frame in [
        json!({"op": "auth", "token": "a.b.c", "resource": "phone", "after": "12"}),
        json!({"op": "subscribe", "topic": "orders", "after": "12"}),
        json!({"op": "subscribe", "room": "dev"}),
        json!({"op": "unsubscribe", "room": "dev"}),
        json!({"op": "publish", "to": ["user:bob"], "message": {"body": {"data": 1.0}}}),
        json!({"op": "ack", "id": id}),
        json!({"op": "ack", "up_to": "12.1795395600000.3", "stream": "topic:orders"}),
        json!({"op": "presence", "show": "dnd", "priority": -1}),
        json!({"op": "presence.subscribe", "principal": "user:bob"}),
        json!({"op": "presence.approve", "principal": "bob"}),
        json!({"op": "presence.refuse", "principal": "bob"}),
        json!({"op": "presence.unsubscribe", "principal": "bob"}),
        json!({"op": "presence.probe"}),
        json!({"op": "iq", "id": "1", "type": "get", "payload": {"query": "ping"}}),
        json!({"op": "ping", "ref": "7"}),
    ] {
        let request = read(&frame).unwrap_or_else(|problem| panic!("{frame}: {problem}"));
        assert_eq!(request.r#ref.is_some(), frame["op"] == "ping");
    }
    let named = Request::from_parts("ping", b"{\"ref\":\"1\"}").unwrap();
    assert!(matches!(named.operation, Operation::Ping));
}

#[test]
fn what_is_published_keeps_its_bytes() {
    let frame = br#"{"op":"publish","topic":"t","message":{"body":{"data":{"b":1.0,"a":12345678901234567890}}}}"#;
    let Operation::Publish(publication) = Request::from_json(frame).unwrap().operation else {
        panic!("not a publish");
    };
    let data = publication.message.body.data.unwrap();
    assert_eq!(data.get(), r#"{"b":1.0,"a":12345678901234567890}"#);
}

#[test]
fn a_refusal_names_the_field_and_keeps_the_mark() {
    for (frame, code, field) in [
        (json!({"op": "dance"}), "unknown_op", "op"),
        (json!({"op": "auth", "tokn": "x"}), "invalid_field", "tokn"),
        (
            json!({"op": "auth", "resource": ""}),
            "invalid_resource",
            "resource",
        ),
        (json!({}), "invalid_field", "op"),
        (json!({"op": "subscribe"}), "invalid_field", "topic"),
        (
            json!({"op": "subscribe", "topic": "a", "room": "b"}),
            "invalid_field",
            "topic",
        ),
        (
            json!({"op": "ack", "up_to": "soon"}),
            "invalid_field",
            "up_to",
        ),
        (json!({"op": "ping", "loud": true}), "invalid_field", "loud"),
        (
            json!({"op": "presence", "show": "busy"}),
            "invalid_field",
            "show",
        ),
        (
            json!({"op": "presence.probe", "principal": "a b"}),
            "invalid_field",
            "principal",
        ),
        (
            json!({"op": "iq", "id": "", "type": "get"}),
            "invalid_text",
            "id",
        ),
    ] {
        let problem = read(&frame).unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (code, Some(field)),
            "{frame}"
        );
    }
    assert_eq!(Request::from_json(b"{").unwrap_err().code, "malformed_json");
    assert_eq!(
        Request::reference(br#"{"op":"x","ref":"9"}"#).as_deref(),
        Some("9")
    );
}

#[test]
fn offsets_and_streams_are_read_as_they_were_written() {
    for text in ["0", "12", "12.1795395600000.7"] {
        assert_eq!(text.parse::<Offset>().unwrap().to_string(), text);
    }
    for bad in [
        "",
        "-1",
        "1.",
        ".1",
        "1.2",
        "1.2.3.4",
        "1.999999999999999.3",
        "99999999999999999999",
    ] {
        assert!(bad.parse::<Offset>().is_err(), "{bad}");
    }
    let at = |text: &str| text.parse::<Offset>().unwrap();
    assert!(at("12") < at("12.5.7") && at("12.5.7") < at("12.6.1") && at("12.6.1") < at("13"));
    for text in ["mailbox", "topic:orders", "room:dev"] {
        assert_eq!(text.parse::<Stream>().unwrap().to_string(), text);
    }
    assert!("queue:x".parse::<Stream>().is_err());
}

#[test]
fn answers_and_events_are_objects_that_name_themselves() {
    let value = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let done = answer_json(Some("1"), &Ok(Answer::Done {}));
    assert_eq!(value(&done), json!({"op": "ok", "ref": "1"}));
    let problem = Problem::invalid("unknown_op", "op", "there is no such operation");
    let refused = value(&answer_json(None, &Err(problem)));
    assert_eq!(
        refused,
        json!({"op": "error", "status": 422, "code": "unknown_op", "field": "op", "detail": "there is no such operation"})
    );
    let id = "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e10".parse().unwrap();
    let document = bytes::Bytes::from_static(br#"{"v":1}"#);
    let offset = Some(Offset::at(Num(12)));
    let event = MessageEvent::new(Stream::Mailbox, offset, id, None, document.clone());
    let event = Event::Message(Arc::new(event));
    assert_eq!(
        &event.to_json()[..],
        br#"{"op":"message","stream":"mailbox","offset":"12","message":{"v":1}}"#
    );
    let transient = MessageEvent::new(Stream::Room("dev".to_owned()), None, id, None, document);
    assert_eq!(value(&transient.to_json())["transient"], true);
    let iq = Event::Iq(IqEvent {
        id: "1".to_owned(),
        r#type: IqType::Result,
        from: "server".to_owned(),
        payload: Some(serde_json::value::to_raw_value(&json!({"a": 1.5})).unwrap()),
    });
    assert_eq!(
        value(&iq.to_json()),
        json!({"op": "iq", "id": "1", "type": "result", "from": "server", "payload": {"a": 1.5}})
    );
    let closed = Event::Closed(Closed {
        reason: CloseReason::ServerStopping,
        detail: None,
    });
    assert_eq!(
        value(&closed.to_json()),
        json!({"op": "closed", "reason": "server_stopping"})
    );
}
