//! Noise, and mutations of what senders send: nothing panics, and what is read is a valid message.

use http::HeaderValue;
use proptest::prelude::*;
use serde_json::Value;

use super::{Dialect, Sample, accepted, sample, samples, samples_of};

/// One of many values that a sender might put anywhere.
fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[<>@*_~`|&;: \n\\[\\](){}a-c]{0,40}".prop_map(Value::from),
        Just(Value::from("x".repeat(70_000))),
        Just(Value::from("https://e.example/a?b=c")),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::vec((names(), inner), 0..5)
                .prop_map(|members| members.into_iter().collect()),
        ]
    })
}

fn names() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "type", "text", "content", "elements", "title", "url", "tag", "labels", "alerts", "fields",
        "name", "value", "blocks", "status", "x",
    ])
    .prop_map(str::to_owned)
}

/// Replaces the value that is the `nth` of a document, in order.
fn replace(document: &mut Value, nth: &mut usize, with: &Value) -> bool {
    if *nth == 0 {
        *document = with.clone();
        return true;
    }
    *nth -= 1;
    match document {
        Value::Array(items) => items.iter_mut().any(|item| replace(item, nth, with)),
        Value::Object(members) => members
            .values_mut()
            .any(|member| replace(member, nth, with)),
        _ => false,
    }
}

fn check(sample: &Sample) {
    if let Ok(told) = sample.read() {
        accepted(told);
    }
    let _verdict = sample.prove();
}

/// Texts of marks that open and are never closed, or closed far away.
#[test]
fn texts_full_of_marks_are_read_once() {
    for mark in [
        "<",
        "<at ",
        "<at id=1>",
        "@",
        "*a ",
        "_a_",
        "`",
        "<a>",
        "<@",
        "|",
        "```",
    ] {
        let said = format!("{}>", mark.repeat(40_000 / mark.len()));
        for (dialect, name, pointer) in [
            (Dialect::Feishu, "text", "/content/text"),
            (Dialect::DingTalk, "text", "/text/content"),
            (Dialect::WeCom, "markdown", "/markdown/content"),
            (Dialect::Slack, "text", "/text"),
            (Dialect::Discord, "content", "/content"),
        ] {
            let mut sample = sample(dialect, name);
            let mut body: Value = serde_json::from_slice(&sample.body).unwrap();
            *body.pointer_mut(pointer).unwrap() = said.as_str().into();
            sample.body = body.to_string().into_bytes();
            let told = sample
                .read()
                .unwrap_or_else(|fault| panic!("{mark}: {fault:?}"));
            accepted(told);
        }
    }
}

proptest! {
    #[test]
    fn noise_does_no_harm(body in prop::collection::vec(any::<u8>(), 0..200), media_type in "\\PC{0,40}", query in "\\PC{0,40}") {
        for dialect in Dialect::ALL {
            let mut sample = samples_of(dialect)[0].clone();
            sample.body.clone_from(&body);
            sample.query.clone_from(&query);
            if let Ok(value) = HeaderValue::from_str(&media_type) {
                sample.headers.insert("content-type", value);
            }
            check(&sample);
        }
    }

    #[test]
    fn mutations_of_what_senders_send_do_no_harm(
        which in any::<prop::sample::Index>(),
        changes in prop::collection::vec((0..60_usize, values()), 1..4),
        flip in prop::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let mut sample = which.get(&samples()).clone();
        if let Ok(mut body) = serde_json::from_slice::<Value>(&sample.body) {
            for (mut nth, with) in changes {
                replace(&mut body, &mut nth, &with);
            }
            sample.body = body.to_string().into_bytes();
        }
        if let Some((at, byte)) = flip && !sample.body.is_empty() {
            let at = at.index(sample.body.len());
            sample.body[at] = byte;
        }
        check(&sample);
    }

    #[test]
    fn forms_with_files_do_no_harm(body in "(--X|\r\n|Content-Disposition: form-data; name=\"payload_json\"|filename=\"a\"|; |\\{\\}|[a-z\"=:-]){0,30}") {
        let mut sample = sample(Dialect::Discord, "content").with("content-type", "multipart/form-data; boundary=X");
        sample.body = body.into_bytes();
        check(&sample);
    }
}
