//! The table of outcomes, line by line.

use anser_core::outcome::OutcomeClass::{self, *};
use http::{HeaderMap, HeaderValue};

use super::*;

/// Sunday 6 November 1994, 08:49:37 UTC: the example of RFC 9110.
const NOW: i64 = 784_111_777_000;

fn answer(status: u16, retry_after: Option<&str>) -> Exchange {
    let mut headers = HeaderMap::new();
    if let Some(text) = retry_after {
        headers.insert(RETRY_AFTER, HeaderValue::from_str(text).unwrap());
    }
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: "any".into(),
    })
}

fn judge(exchange: &Exchange, fail_fast_4xx: bool, cmq_policy: bool) -> Outcome {
    classify_http(
        exchange,
        Timestamp::from_millis(NOW),
        fail_fast_4xx,
        cmq_policy,
    )
}

#[test]
fn answers() {
    #[rustfmt::skip]
    let table: &[(u16, Option<&str>, OutcomeClass, OutcomeClass, OutcomeClass)] = &[
        // status, Retry-After, plainly, fail_fast_4xx, cmq_policy
        (200, None, Delivered, Delivered, Delivered),
        (202, None, Delivered, Delivered, Delivered),
        (204, None, Delivered, Delivered, Delivered),
        (299, None, Delivered, Delivered, Delivered),
        (101, None, Retry, Retry, Retry),
        (301, None, Retry, Retry, Retry),
        (304, None, Retry, Retry, Retry),
        (307, Some("5"), Retry, Retry, Retry),
        (400, None, Retry, Rejected, Retry),
        (401, None, Retry, Rejected, Retry),
        (404, None, Retry, Rejected, Retry),
        (404, Some("5"), Retry, Rejected, Retry),
        (408, None, Retry, Retry, Retry),
        (410, None, Gone, Gone, Retry),
        (422, None, Retry, Rejected, Retry),
        (425, None, Retry, Retry, Retry),
        (429, None, Retry, Retry, Retry),
        (429, Some("5"), Limited, Limited, Retry),
        (429, Some("soon"), Retry, Retry, Retry),
        (500, Some("5"), Retry, Retry, Retry),
        (503, None, Retry, Retry, Retry),
        (503, Some("5"), Limited, Limited, Retry),
        (599, None, Retry, Retry, Retry),
        (777, None, Retry, Retry, Retry),
    ];
    for (status, retry_after, plain, fail_fast, cmq) in table {
        let exchange = answer(*status, *retry_after);
        let classes = [(false, false), (true, false), (true, true), (false, true)]
            .map(|(fail_fast, cmq)| judge(&exchange, fail_fast, cmq).class());
        assert_eq!(classes, [*plain, *fail_fast, *cmq, *cmq], "{status}");
    }
}

#[test]
fn the_reason_names_the_status() {
    let reason = |status| match judge(&answer(status, None), true, false) {
        Outcome::Retry { reason } | Outcome::Gone { reason } => reason,
        Outcome::Rejected { code, text } => format!("{code}: {text}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(reason(500), "HTTP 500 Internal Server Error");
    assert_eq!(reason(302), "HTTP 302 Found (redirects are not followed)");
    assert_eq!(reason(404), "404: HTTP 404 Not Found");
    assert_eq!(reason(777), "HTTP 777");
}

#[test]
fn pauses() {
    let hour = 3_600;
    for (text, seconds) in [
        ("1", Some(1)),
        (" 120 ", Some(120)),
        ("3600", Some(hour)),
        ("3601", Some(hour)),
        ("99999999999999999999999999", Some(hour)),
        // The three forms of RFC 9110 section 5.6.7.
        ("Sun, 06 Nov 1994 08:50:37 GMT", Some(60)),
        ("Sunday, 06-Nov-94 08:50:37 GMT", Some(60)),
        ("Sun Nov  6 08:50:37 1994", Some(60)),
        ("Mon, 07 Nov 1994 08:50:37 GMT", Some(hour)),
        // No pause at all.
        ("0", None),
        ("Sun, 06 Nov 1994 08:49:37 GMT", None),
        ("Sat, 05 Nov 1994 08:49:37 GMT", None),
        // Garbage.
        ("", None),
        ("-5", None),
        ("+5", None),
        ("1.5", None),
        ("5s", None),
        ("tomorrow", None),
        ("1994-11-06T08:50:37Z", None),
        ("Sun, 99 Nov 1994 08:50:37 GMT", None),
    ] {
        let wait = match judge(&answer(429, Some(text)), false, false) {
            Outcome::Limited { wait } => Some(wait.as_secs()),
            Outcome::Retry { .. } => None,
            other => panic!("{other:?}"),
        };
        assert_eq!(wait, seconds, "{text:?}");
    }
    let mut odd = answer(503, None).unwrap();
    odd.headers
        .insert(RETRY_AFTER, HeaderValue::from_bytes(b"\xff").unwrap());
    assert_eq!(judge(&Ok(odd), false, false).class(), Retry);
}

#[test]
fn errors() {
    use SendErrorKind as Kind;
    for (kind, unsent, sent) in [
        (Kind::Dns, Retry, Retry),
        (Kind::Unreachable, Retry, Retry),
        (Kind::Refused, Retry, Retry),
        (Kind::Blocked, Retry, Retry),
        (Kind::Reset, Retry, Unknown),
        (Kind::TimedOut, Retry, Unknown),
        (Kind::Tls, Retry, Unknown),
        (Kind::Protocol, Retry, Unknown),
    ] {
        for cmq in [false, true] {
            let class = |sent| {
                let error = SendError {
                    kind,
                    sent,
                    detail: "why".to_owned(),
                };
                let outcome = judge(&Err(error), true, cmq);
                if let Outcome::Retry { reason } | Outcome::Unknown { reason } = &outcome {
                    assert_eq!(*reason, format!("{kind}: why"));
                }
                outcome.class()
            };
            assert_eq!((class(false), class(true)), (unsent, sent), "{kind}");
        }
    }
}
