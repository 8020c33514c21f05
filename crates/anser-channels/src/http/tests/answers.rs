//! What answers mean, by rules and without.

use std::time::Duration;

use anser_core::channel::{SendError, SendErrorKind};
use anser_core::outcome::{Outcome, OutcomeClass};
use http::HeaderMap;
use serde_json::{Value, json};

use super::{context, message, open};
use crate::kit::testing::judge_with;

fn judged(rules: &Value, status: u16, headers: HeaderMap, answer: &str) -> Outcome {
    let mut settings = json!({"url": "https://a.example/", "secrets": {"k": "sesame"}});
    let rules = rules.as_object().unwrap();
    settings.as_object_mut().unwrap().extend(rules.clone());
    let channel = open(&settings).unwrap();
    judge_with(&*channel, &json!({"data": "x"}), status, headers, answer)
}

fn judge(rules: &Value, status: u16, answer: &str) -> Outcome {
    judged(rules, status, HeaderMap::new(), answer)
}

fn check(rules: &Value, table: &[(u16, &str, OutcomeClass)]) {
    for (status, answer, wanted) in table {
        let outcome = judge(rules, *status, answer);
        assert_eq!(outcome.class(), *wanted, "{status} {answer}: {outcome:?}");
    }
}

use OutcomeClass::{Delivered, Gone, Limited, Rejected, Retry, Unknown};

#[test]
fn without_rules_the_status_counts() {
    check(
        &json!({}),
        &[
            (200, "", Delivered),
            (204, "{\"ok\":false}", Delivered),
            (404, "", Retry),
            (410, "", Gone),
            (500, "", Retry),
        ],
    );
}

#[test]
fn a_success_rule_decides_over_200() {
    let rules = json!({"success": "json.ok", "rejected": "json.error == 'no_user'", "limited": "json.error == 'slow'",
                       "retry": "status == 410"});
    check(
        &rules,
        &[
            (200, "{\"ok\":true}", Delivered),
            (500, "{\"ok\":true}", Delivered),
            (200, "{\"ok\":false}", Retry),
            (200, "{\"ok\":false,\"error\":\"no_user\"}", Rejected),
            (200, "{\"ok\":false,\"error\":\"slow\"}", Limited),
            (200, "{}", Retry),
            (200, "{\"ok\":", Unknown),
            (200, "<html>", Unknown),
            (200, "[]", Retry),
            (404, "<html>", Retry),
            (410, "{}", Retry),
            (410, "{\"ok\":false,\"error\":\"no_user\"}", Rejected),
        ],
    );
    let rules = json!({"success": "json.data.code == 0"});
    check(
        &rules,
        &[
            (200, "{}", Retry),
            (200, "{\"data\":{\"code\":1}}", Retry),
            (500, "{}", Retry),
        ],
    );
    // What is not there is less than nothing.
    check(
        &json!({"success": "json.code < 1", "rejected": "json.code > 0"}),
        &[
            (200, "{\"code\":0}", Delivered),
            (200, "{\"code\":1}", Rejected),
            (200, "{}", Retry),
        ],
    );
    check(
        &json!({"success": "status.a.b + 1"}),
        &[(200, "", Retry), (500, "", Retry)],
    );
    check(
        &json!({"success": "[] + 1"}),
        &[(200, "", Unknown), (500, "", Retry)],
    );
    let rules = json!({"success": "status == 409 or body == 'ok'"});
    check(
        &rules,
        &[
            (200, "ok", Delivered),
            (200, "no", Retry),
            (409, "", Delivered),
            (200, "", Retry),
        ],
    );
}

#[test]
fn rules_without_one_for_success() {
    let rules = json!({"rejected": "json.status == 'invalid'"});
    check(
        &rules,
        &[
            (200, "", Delivered),
            (200, "{\"status\":\"invalid\"}", Rejected),
            (500, "", Retry),
        ],
    );
}

#[test]
fn a_pause_as_long_as_asked() {
    let wait = |rules: &Value, after: Option<&str>, answer: &str| {
        let mut headers = HeaderMap::new();
        if let Some(after) = after {
            headers.insert("retry-after", after.parse().unwrap());
        }
        match judged(rules, 429, headers, answer) {
            Outcome::Limited { wait } => wait,
            outcome => panic!("{outcome:?}"),
        }
    };
    let seconds = Duration::from_secs;
    let rule = json!({"limited": "status == 429"});
    assert_eq!(wait(&rule, None, ""), seconds(10));
    assert_eq!(wait(&rule, Some("7"), ""), seconds(7));
    assert_eq!(wait(&json!({}), Some("7"), ""), seconds(7));
    let rule = json!({"limited": "status == 429", "retry_after": "json.wait_ms / 1000"});
    assert_eq!(
        wait(&rule, Some("7"), "{\"wait_ms\": 1500}"),
        Duration::from_millis(1_500)
    );
    assert_eq!(wait(&rule, None, "{\"wait_ms\": -5}"), seconds(10));
    assert_eq!(wait(&rule, None, "{\"wait_ms\": 1e30}"), seconds(3_600));
    let rule = json!({"limited": "true", "retry_after": "headers['x-wait'] | float"});
    let mut headers = HeaderMap::new();
    headers.insert("x-wait", "2.5".parse().unwrap());
    let outcome = judged(&rule, 200, headers, "");
    assert_eq!(
        outcome,
        Outcome::Limited {
            wait: Duration::from_millis(2_500)
        }
    );
    let rule = json!({"limited": "true", "retry_after": "json.wait"});
    assert_eq!(wait(&rule, None, "{\"wait\": \"soon\"}"), seconds(10));
}

#[test]
fn ids_and_reasons() {
    let rules = json!({"success": "json.ok", "platform_id": "json.id", "reason": "json.why", "rejected": "status == 400"});
    let delivered = |id: Option<&str>| Outcome::Delivered {
        platform_id: id.map(str::to_owned),
    };
    for (answer, id) in [
        ("{\"ok\":1,\"id\":\"m1\"}", Some("m1")),
        ("{\"ok\":1,\"id\":42}", Some("42")),
        ("{\"ok\":1,\"id\":null}", None),
        ("{\"ok\":1,\"id\":\"\"}", None),
        ("{\"ok\":1}", None),
    ] {
        assert_eq!(judge(&rules, 200, answer), delivered(id), "{answer}");
    }
    assert_eq!(
        judge(&json!({"platform_id": "headers.location"}), 201, ""),
        delivered(None)
    );
    let rejected = judge(&rules, 400, "{\"why\":\"no sesame here\"}");
    assert_eq!(
        rejected,
        Outcome::Rejected {
            code: "400".to_owned(),
            text: "HTTP 400: no ******** here".to_owned()
        }
    );
    let Outcome::Retry { reason } = judge(&rules, 502, "") else {
        panic!("no retry");
    };
    assert_eq!(reason, "HTTP 502 Bad Gateway");
    let Outcome::Retry { reason } = judge(&rules, 200, "{}") else {
        panic!("no retry");
    };
    assert_eq!(reason, "HTTP 200: settings.success does not hold");
}

#[test]
fn no_answer_is_no_matter_of_rules() {
    let channel = open(&json!({"url": "https://a.example/", "success": "true"})).unwrap();
    let plan = channel
        .render(&message(&json!({"data": 1})), &context(0))
        .unwrap();
    let error = SendError {
        kind: SendErrorKind::TimedOut,
        sent: true,
        detail: "why".to_owned(),
    };
    let outcome = channel.classify(&plan.steps[0], &Err(error), &context(0));
    assert_eq!(outcome.class(), Unknown);
}
