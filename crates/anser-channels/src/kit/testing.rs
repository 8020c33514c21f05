//! What the tests of every chat platform need: a context, a message, a judged answer. Tests only.

pub(crate) mod acted;
pub(crate) mod connection;
pub(crate) mod fetching;
pub(crate) mod inbound;
pub(crate) mod receiver;

use anser_core::channel::{Channel, ChannelKind, Context, HttpResponse};
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::Outcome;
use anser_core::{Message, Timestamp};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use url::Url;

/// A first attempt at a rung.
pub(crate) fn context(rung: u8) -> Context<'static> {
    Context {
        now: Timestamp::from_millis(1_700_000_000_000),
        delivery: DeliveryId::new(Num(7), 1),
        num: Num(7),
        attempt: 1,
        possible_duplicate: None,
        subscription: None,
        format: None,
        target: None,
        installation: 1,
        rung,
        media_refused: false,
        links: None,
        step: 0,
        outputs: &[],
        media: None,
        token: None,
        fail_fast_4xx: false,
        cmq_policy: false,
    }
}

/// A message with that body.
pub(crate) fn message(body: &Value) -> Message {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": body
    });
    Message::from_json(json.to_string().as_bytes()).unwrap()
}

/// The bodies and the rungs taken.
pub(crate) fn rendered(channel: &dyn Channel, body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    let plan = channel.render(&message(body), &context(rung)).unwrap();
    let bodies = plan.steps.iter();
    let bodies = bodies.map(|step| serde_json::from_slice(&step.body).unwrap());
    (bodies.collect(), plan.degraded)
}

/// What the answer to the first step of a message means.
pub(crate) fn judge(channel: &dyn Channel, body: &Value, status: u16, answer: &str) -> Outcome {
    judge_with(channel, body, status, HeaderMap::new(), answer)
}

/// As [`judge`], with headers.
pub(crate) fn judge_with(
    channel: &dyn Channel,
    body: &Value,
    status: u16,
    headers: HeaderMap,
    answer: &str,
) -> Outcome {
    let plan = channel.render(&message(body), &context(0)).unwrap();
    let response = HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: answer.to_owned().into(),
    };
    channel.classify(&plan.steps[0], &Ok(response), &context(0))
}

/// Each of the settings is refused with that code at that field, without showing the token `hidden`.
pub(crate) fn check_refused(kind: &dyn ChannelKind, table: &[(Value, &str, &str)]) {
    for (settings, code, field) in table {
        let problem = kind.open(settings).err().expect("refused");
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            (*code, Some(*field)),
            "{settings}: {problem}"
        );
        assert!(!problem.to_string().contains("hidden"));
    }
}

/// The settings that a URL stands for, and that they open.
pub(crate) fn of_url(kind: &dyn ChannelKind, url: &str) -> (Value, Option<String>) {
    let found = kind.of_url(&Url::parse(url).unwrap()).unwrap();
    kind.open(&found.0).unwrap();
    found
}

/// Each of the URLs is refused at `to`.
pub(crate) fn check_refused_urls(kind: &dyn ChannelKind, urls: &[&str]) {
    for url in urls {
        let problem = kind.of_url(&Url::parse(url).unwrap()).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("to"), "{url}");
    }
}

/// The classes of answers that are an HTTP 200 with a code, by the code's name.
pub(crate) fn check_codes(channel: &dyn Channel, body: &Value, name: &str, table: &[(i64, &str)]) {
    for (code, wanted) in table {
        let outcome = judge(
            channel,
            body,
            200,
            &json!({name: code, "msg": "m", "errmsg": "m"}).to_string(),
        );
        assert_eq!(format!("{:?}", outcome.class()), *wanted, "{code}");
    }
    for answer in ["", "ok", "{}", "[]", "{\"code\":", "{\"errmsg\":\"ok\"}"] {
        let outcome = judge(channel, body, 200, answer);
        assert!(
            matches!(outcome, Outcome::Unknown { .. }),
            "{answer}: {outcome:?}"
        );
    }
}
