//! Native requests of every format as snapshots, settings, rotation, and that no text breaks a request.

use std::fmt::Write as _;
use std::time::Duration;

use anser_core::attempt::PossibleDuplicate;
use anser_core::channel::HttpRequest;
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::OutcomeClass;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const MESSAGES: [(&str, &str); 4] = [
    ("text", include_str!("../../fixtures/text.json")),
    ("json", include_str!("../../fixtures/json.json")),
    ("bytes", include_str!("../../fixtures/bytes.json")),
    ("segments", include_str!("../../fixtures/segments.json")),
];

fn now() -> Timestamp {
    "2026-11-23T01:00:07.900Z".parse().unwrap()
}

fn message(name: &str) -> Message {
    let (_, json) = MESSAGES.iter().find(|(given, _)| *given == name).unwrap();
    Message::from_json(json.as_bytes()).unwrap()
}

fn context(format: Option<&str>) -> Context<'_> {
    Context {
        now: now(),
        delivery: DeliveryId::new(Num(6_942_316_962), 3),
        num: Num(6_942_316_962),
        attempt: 2,
        possible_duplicate: None,
        subscription: Some("mysubscription"),
        format,
        target: None,
        installation: 100_015_036,
        rung: 0,
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

fn open(settings: Value) -> Result<Arc<dyn Channel>, Problem> {
    Webhook.open(&settings)
}

fn send(channel: &dyn Channel, message: &Message, context: &Context<'_>) -> HttpRequest {
    let plan = channel.render(message, context).unwrap();
    assert_eq!(plan.steps.len(), 1);
    channel
        .request(&plan.steps[0], message, context)
        .unwrap()
        .into_http()
        .unwrap()
}

fn show(request: &HttpRequest) -> String {
    let mut text = format!("{} {}\n", request.method, request.url);
    for (name, value) in &request.headers {
        let value = value.to_str().unwrap().replace(
            concat!("anser/", env!("CARGO_PKG_VERSION")),
            "anser/VERSION",
        );
        writeln!(text, "{name}: {value}").unwrap();
    }
    match std::str::from_utf8(&request.body) {
        Ok(body) => write!(text, "\n{body}").unwrap(),
        Err(_) => write!(text, "\n{}", request.body.escape_ascii()).unwrap(),
    }
    text
}

#[test]
fn requests_of_every_format() {
    let channel = open(json!({"url": "http://hooks.example:8080/in?a=1"})).unwrap();
    for (name, _) in MESSAGES {
        for format in Format::ALL {
            let request = send(&*channel, &message(name), &context(Some(format.name())));
            insta::assert_snapshot!(format!("{}__{name}", format.name()), show(&request));
        }
    }
}

#[test]
fn everything_set() {
    let channel = open(json!({
        "url": "https://hooks.example/in",
        "format": "data",
        "secret": SECRET,
        "headers": {"X-Tenant": "cn-7", "User-Agent": "mine", "x-empty": ""},
        "auth": {"basic": {"username": "Aladdin", "password": "open sesame"}}
    }))
    .unwrap();
    let mut context = context(None);
    context.possible_duplicate = Some(PossibleDuplicate::Restart);
    insta::assert_snapshot!(
        "everything_set",
        show(&send(&*channel, &message("json"), &context))
    );
    // A subscription's format wins, and a CMQ receiver sees the signature only because it was asked for.
    context.format = Some("cmq-json");
    insta::assert_snapshot!(
        "signed_cmq",
        show(&send(&*channel, &message("text"), &context))
    );
}

#[test]
fn receivers_are_told_of_edits_and_recalls() {
    let manifest = Webhook.manifest();
    for word in ["edit", "recall"] {
        assert!(manifest.capabilities.contains(&word));
    }
    let channel = open(json!({"url": "https://hooks.example/in"})).unwrap();
    let mut linked = message("json");
    linked.header.target_id = Some("019aacf0-7c00-7a31-9a4e-4b1f0c2d9e0f".parse().unwrap());
    linked.header.r#type = "message.edited".to_owned();
    for format in Format::ALL {
        let context = context(Some(format.name()));
        let plans = [
            channel.edit(&linked, &[], &context),
            channel.recall(&linked, &[], &context),
        ];
        if format.is_cmq() {
            for plan in plans {
                assert_eq!(plan.unwrap_err().code, "not_available");
            }
            continue;
        }
        for plan in plans {
            assert_eq!(plan.unwrap(), channel.render(&linked, &context).unwrap());
        }
        let name = format!("edited__{}", format.name());
        insta::assert_snapshot!(name, show(&send(&*channel, &linked, &context)));
    }
}

#[test]
fn cmq_push_is_as_documented() {
    let channel = open(json!({"url": "http://a.example/", "format": "cmq-json"})).unwrap();
    let json = include_str!("../../fixtures/text.json")
        .replace("2026-11-23T01:00:00.000Z", "1970-05-10T16:03:52.999Z")
        .replace(r#""topic":"orders""#, r#""topic":"MyTopic""#)
        .replace(r#"["vip","东京"]"#, r#"["a","b"]"#)
        .replace(
            r#""héllo 你好 \"quoted\"\nsecond line""#,
            r#""test message""#,
        );
    let message = Message::from_json(json.as_bytes()).unwrap();
    let request = send(&*channel, &message, &context(None));
    assert_eq!(
        std::str::from_utf8(&request.body).unwrap(),
        r#"{"TopicOwner":100015036,"topicName":"MyTopic","subscriptionName":"mysubscription","msgId":"6942316962","msgBody":"test message","publishTime":11203432}"#
    );
    let names: Vec<&str> = request
        .headers
        .keys()
        .map(http::HeaderName::as_str)
        .collect();
    assert_eq!(
        names,
        [
            "content-type",
            "user-agent",
            "x-cmq-request-id",
            "x-cmq-message-id",
            "x-cmq-message-tag"
        ]
    );
    assert_eq!(request.headers["content-type"], "text/plain");
    assert_eq!(
        request.headers["user-agent"],
        "Qcloud Notification Service Agent"
    );
    assert_eq!(request.headers["x-cmq-message-tag"], "a, b");
    assert_eq!(request.headers["x-cmq-message-id"], "6942316962");
}

#[test]
fn cmq_request_ids_differ_by_attempt_and_delivery() {
    let channel = open(json!({"url": "http://a.example/", "format": "cmq-simplified"})).unwrap();
    let message = message("text");
    let mut seen = std::collections::HashSet::new();
    for num in [1, 2, 3, 1 << 40] {
        for index in 0..4 {
            for attempt in 1..=180 {
                let mut context = context(None);
                context.delivery = DeliveryId::new(Num(num), index);
                context.attempt = attempt;
                let request = send(&*channel, &message, &context);
                let id = request.headers["x-cmq-request-id"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                assert!(id.bytes().all(|byte| byte.is_ascii_digit()), "{id}");
                assert!(seen.insert(id));
            }
        }
    }
}

#[test]
fn an_event_inside_bytes_is_not_taken_for_the_event() {
    let channel = open(json!({"url": "http://a.example/"})).unwrap();
    let json = include_str!("../../fixtures/bytes.json")
        .replace("image/cbor", "Application/CloudEvents+json; charset=utf-8");
    let message = Message::from_json(json.as_bytes()).unwrap();
    let context = context(Some("cloudevents-binary"));
    let plan = channel.render(&message, &context).unwrap();
    assert_eq!(
        plan.degraded,
        ["cloudevents-binary->cloudevents-structured"]
    );
    let event: Value = serde_json::from_slice(&plan.steps[0].body).unwrap();
    assert_eq!(event["data_base64"], "AP+hYWEBDQo=");
}

#[test]
fn the_digest_is_passed_on_only_where_it_is_the_bodys() {
    let channel = open(json!({"url": "http://a.example/"})).unwrap();
    let mut message = message("json");
    let digest = |message: &Message, format| {
        let request = send(&*channel, message, &context(Some(format)));
        request.headers.get("content-digest").cloned()
    };
    message.header.digest = Some("sha-256=AAAA".to_owned());
    assert_eq!(digest(&message, "data").unwrap(), "sha-256=:AAAA:");
    assert_eq!(
        digest(&message, "cloudevents-binary").unwrap(),
        "sha-256=:AAAA:"
    );
    for format in ["anser", "cloudevents-structured", "cmq-simplified"] {
        assert_eq!(digest(&message, format), None, "{format}");
    }
}

#[test]
fn format_names_are_those_of_the_settings() {
    for format in Format::ALL {
        assert_eq!(serde_json::to_value(format).unwrap(), format.name());
        assert_eq!(Format::parse("format", format.name()).unwrap(), format);
    }
    let channel = open(json!({"url": "http://a.example/"})).unwrap();
    let problem = channel
        .render(&message("text"), &context(Some("xml")))
        .unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("invalid_format", Some("format"))
    );
}

#[test]
fn outcomes_follow_the_subscription() {
    let channel = open(json!({"url": "http://a.example/"})).unwrap();
    let message = message("text");
    let class = |cmq_policy, fail_fast_4xx, status: u16| {
        let context = Context {
            cmq_policy,
            fail_fast_4xx,
            ..context(None)
        };
        let plan = channel.render(&message, &context).unwrap();
        let response = HttpResponse {
            status: http::StatusCode::from_u16(status).unwrap(),
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::new(),
        };
        channel
            .classify(&plan.steps[0], &Ok(response), &context)
            .class()
    };
    assert_eq!(class(false, false, 410), OutcomeClass::Gone);
    assert_eq!(class(true, false, 410), OutcomeClass::Retry);
    assert_eq!(class(false, true, 404), OutcomeClass::Rejected);
    assert_eq!(class(false, false, 404), OutcomeClass::Retry);
}

mod settings {
    use super::*;

    #[test]
    fn refused_with_the_path() {
        let url = "https://a.example/";
        let long = format!("https://a.example/{}", "a".repeat(2_040));
        let olds: Vec<Value> = (0..11)
            .map(|_| json!({"secret": SECRET, "until": "2026-11-24T00:00:00Z"}))
            .collect();
        #[rustfmt::skip]
        let table = [
            (json!([]), "invalid_field", "settings"),
            (json!({}), "invalid_field", "settings.url"),
            (json!({"url": 5}), "invalid_field", "settings.url"),
            (json!({"url": url, "bogus": 1}), "invalid_field", "settings.bogus"),
            (json!({"urls": [url]}), "not_available", "settings.urls"),
            (json!({"url": "a.example"}), "invalid_url", "settings.url"),
            (json!({"url": "/in"}), "invalid_url", "settings.url"),
            (json!({"url": "ftp://a.example/"}), "invalid_url", "settings.url"),
            (json!({"url": "https://"}), "invalid_url", "settings.url"),
            (json!({"url": "https://u:p@a.example/"}), "invalid_url", "settings.url"),
            (json!({"url": "https://a.example/#x"}), "invalid_url", "settings.url"),
            (json!({"url": "https://a.exa\nmple/"}), "invalid_url", "settings.url"),
            (json!({"url": " https://a.example/"}), "invalid_url", "settings.url"),
            (json!({"url": long}), "invalid_url", "settings.url"),
            (json!({"url": url, "format": "xml"}), "invalid_field", "settings.format"),
            (json!({"url": url, "secret": "hunter2"}), "invalid_secret", "settings.secret"),
            (json!({"url": url, "previous_secrets": [{"secret": "x", "until": "2026-11-24T00:00:00Z"}]}), "invalid_secret", "settings.previous_secrets[0].secret"),
            (json!({"url": url, "previous_secrets": olds}), "too_many", "settings.previous_secrets"),
        ];
        check_refused(&table);
    }

    fn check_refused(table: &[(Value, &str, &str)]) {
        for (settings, code, field) in table {
            let problem = open(settings.clone()).err().expect("refused");
            let found = (problem.code, problem.field.as_deref());
            assert_eq!(found, (*code, Some(*field)), "{settings}: {problem}");
        }
    }

    #[test]
    fn headers_and_credentials_refused_with_the_path() {
        let url = "https://a.example/";
        let many: serde_json::Map<String, Value> =
            (0..33).map(|i| (format!("x-{i}"), "v".into())).collect();
        let header = |name: &str, value: &str| json!({"url": url, "headers": {name: value}});
        let basic = |username: &str, password: &str| json!({"url": url, "auth": {"basic": {"username": username, "password": password}}});
        #[rustfmt::skip]
        let table = [
            (json!({"url": url, "headers": many}), "too_many", "settings.headers"),
            (header("bad name", "v"), "invalid_header", "settings.headers.bad name"),
            (header("", "v"), "invalid_header", "settings.headers."),
            (header("x-a", "a\r\nx: y"), "invalid_header", "settings.headers.x-a"),
            (header("x-a", "é"), "invalid_header", "settings.headers.x-a"),
            (header("x-a", " v"), "invalid_header", "settings.headers.x-a"),
            (json!({"url": url, "headers": {"x-a": "1", "X-A": "2"}}), "invalid_header", "settings.headers.x-a"),
            (json!({"url": url, "headers": {"x-a": 1}}), "invalid_field", "settings.headers.x-a"),
            (basic("a:b", "p"), "invalid_auth", "settings.auth.basic.username"),
            (basic("a", "p\n"), "invalid_auth", "settings.auth.basic.password"),
            (json!({"url": url, "auth": {"basic": {"username": "a"}}}), "invalid_field", "settings.auth.basic.password"),
            (json!({"url": url, "auth": {}}), "invalid_auth", "settings.auth"),
            (json!({"url": url, "auth": {"digest": {}}}), "invalid_field", "settings.auth.digest"),
            (json!({"url": url, "auth": {"basic": {"username": "a", "password": "b"}, "bearer": {"token": "t"}}}), "invalid_auth", "settings.auth"),
            (json!({"url": url, "auth": {"bearer": {"token": ""}}}), "invalid_auth", "settings.auth.bearer.token"),
            (json!({"url": url, "auth": {"bearer": {"token": "a b"}}}), "invalid_auth", "settings.auth.bearer.token"),
            (json!({"url": url, "auth": {"bearer": {"token": "a"}}, "headers": {"Authorization": "x"}}), "invalid_header", "settings.headers"),
        ];
        check_refused(&table);
        for name in [
            "Host",
            "content-length",
            "Transfer-Encoding",
            "connection",
            "webhook-id",
            "anser-x",
            "x-cmq-a",
            "ce-id",
            "upgrade",
            "te",
            "trailer",
            "keep-alive",
            "proxy-authorization",
            "Expect",
        ] {
            let problem = open(header(name, "v")).err().expect("refused");
            assert_eq!(problem.code, "reserved_header", "{name}");
        }
    }

    #[test]
    fn accepted() {
        for settings in [
            json!({"url": "http://127.0.0.1:1/"}),
            json!({"url": "https://[::1]/a?b=c%20d", "format": "cloudevents-binary"}),
            json!({"url": "https://a.example", "secret": null, "auth": null}),
            json!({"url": "https://a.example", "headers": {"Authorization": "Token x", "content-type": "text/json"}}),
            json!({"url": "https://a.example", "auth": {"basic": {"username": "ü", "password": ""}}}),
        ] {
            let channel =
                open(settings.clone()).unwrap_or_else(|problem| panic!("{settings}: {problem}"));
            assert!(channel.endpoint().is_some());
        }
    }

    #[test]
    fn credentials_are_marked_as_sensitive() {
        let channel = open(json!({
            "url": "https://a.example",
            "headers": {"x-api-key": "k"},
            "auth": {"bearer": {"token": "t"}}
        }))
        .unwrap();
        let request = send(&*channel, &message("text"), &context(None));
        assert_eq!(request.headers["authorization"], "Bearer t");
        assert!(request.headers["authorization"].is_sensitive());
        assert!(request.headers["x-api-key"].is_sensitive());
        assert!(!request.headers["webhook-id"].is_sensitive());
    }
}

mod rotation {
    use super::*;

    fn signatures(settings: &Value, at: Timestamp) -> Vec<String> {
        let channel = open(settings.clone()).unwrap();
        let context = Context {
            now: at,
            ..context(None)
        };
        let request = send(&*channel, &message("text"), &context);
        request
            .headers
            .get("webhook-signature")
            .map_or(Vec::new(), |value| {
                value
                    .to_str()
                    .unwrap()
                    .split(' ')
                    .map(str::to_owned)
                    .collect()
            })
    }

    #[test]
    fn an_old_secret_signs_until_its_time() {
        let until = now().plus(Duration::from_secs(3_600));
        let settings =
            json!({"url": "https://a.example", "secret": SECRET, "headers": {"x-a": "b"}});
        let before = signatures(&settings, now());
        let (rotated, shown) = Webhook
            .rotate(&settings, "v1", &[1; 32], now(), until)
            .unwrap();
        assert_eq!(rotated["secret"], shown.as_str());
        assert_eq!(rotated["headers"], settings["headers"]);
        assert!(shown.starts_with("whsec_"));

        let during = signatures(&rotated, until.minus(Duration::from_millis(1)));
        assert_eq!(during.len(), 2);
        let both = signatures(&rotated, now());
        assert!(
            both[0] != before[0] && both[1] == before[0],
            "the new one first"
        );
        assert_eq!(signatures(&rotated, until).len(), 1);
    }

    #[test]
    fn the_first_secret_and_a_grace_of_nothing() {
        let settings = json!({"url": "https://a.example"});
        let (first, _) = Webhook
            .rotate(&settings, "v1", &[1; 32], now(), now())
            .unwrap();
        assert!(first.get("previous_secrets").is_none());
        let (second, _) = Webhook
            .rotate(&first, "v1", &[2; 32], now(), now())
            .unwrap();
        assert!(second.get("previous_secrets").is_none());
        assert_eq!(signatures(&second, now()).len(), 1);
    }

    #[test]
    fn keeps_the_newest_and_drops_the_expired() {
        let mut settings = json!({"url": "https://a.example"});
        for i in 0..15_u8 {
            let until = now().plus(Duration::from_secs(3_600 + u64::from(i)));
            (settings, _) = Webhook
                .rotate(&settings, "v1", &[i; 32], now(), until)
                .unwrap();
        }
        let old = settings["previous_secrets"].as_array().unwrap();
        assert_eq!(old.len(), OLD_SECRETS_MAX);
        assert_eq!(
            old[0]["secret"],
            format!("whsec_{}", BASE64.encode([13; 32]))
        );
        assert_eq!(signatures(&settings, now()).len(), 1 + OLD_SECRETS_MAX);

        let later = now().plus(Duration::from_secs(2 * 3_600));
        let until = later.plus(Duration::from_secs(1));
        let (settings, _) = Webhook
            .rotate(&settings, "v1", &[99; 32], later, until)
            .unwrap();
        assert_eq!(settings["previous_secrets"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn from_a_shared_secret_to_a_key_pair() {
        let settings = json!({"url": "https://a.example", "secret": SECRET});
        let until = now().plus(Duration::from_secs(60));
        let (rotated, shown) = Webhook
            .rotate(&settings, "v1a", &[5; 32], now(), until)
            .unwrap();
        let (secret, public) = shown.split_once(' ').unwrap();
        assert_eq!(rotated["secret"], secret);
        assert!(secret.starts_with("whsk_"));
        let public = BASE64
            .decode(public.strip_prefix("whpk_").unwrap())
            .unwrap();

        let request = send(&*open(rotated).unwrap(), &message("bytes"), &context(None));
        let header = |name: &str| request.headers[name].to_str().unwrap();
        let (pair, shared) = header("webhook-signature").split_once(' ').unwrap();
        assert!(shared.starts_with("v1,"));
        let signed = [
            format!("{}.{}.", header("webhook-id"), header("webhook-timestamp")).as_bytes(),
            &request.body,
        ]
        .concat();
        let signature = BASE64.decode(pair.strip_prefix("v1a,").unwrap()).unwrap();
        UnparsedPublicKey::new(&ED25519, public)
            .verify(&signed, &signature)
            .unwrap();
    }

    #[test]
    fn refused() {
        let settings = json!({"url": "https://a.example"});
        let problem = Webhook
            .rotate(&settings, "v2", &[0; 32], now(), now())
            .unwrap_err();
        assert_eq!(
            (problem.code, problem.field.as_deref()),
            ("invalid_field", Some("kind"))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn no_text_breaks_a_request(
        texts in proptest::collection::vec(any::<String>(), 7),
        tags in proptest::collection::vec(any::<String>(), 0..4),
        bytes in any::<Vec<u8>>(),
        form in 0..3_u8,
        attempt in any::<u32>(),
        signed in any::<bool>(),
    ) {
        let mut message = message("text");
        let header = &mut message.header;
        header.key = Some(texts[0].clone());
        header.routing_key = Some(texts[1].clone());
        header.correlation_id = Some(texts[2].clone());
        header.reply_to = Some(texts[3].clone());
        header.digest = Some(format!("sha-256={}", texts[4]));
        header.topic = texts[5].clone();
        header.r#type = texts[6].clone();
        header.tags = tags;
        message.body = match form {
            0 => anser_core::message::Body::Bytes { bytes, media_type: texts[0].clone() },
            1 => serde_json::from_value(json!({"data": texts[1]})).unwrap(),
            _ => serde_json::from_value(json!({"segments": [{"type": "text", "text": texts[2]}]})).unwrap(),
        };
        let mut settings = json!({"url": "https://a.example/"});
        if signed {
            settings["secret"] = SECRET.into();
        }
        let channel = open(settings).unwrap();
        for format in Format::ALL {
            let context = Context { attempt, ..context(Some(format.name())) };
            let request = send(&*channel, &message, &context);
            for (name, value) in &request.headers {
                let printable = value.as_bytes().iter().all(|byte| (0x20..0x7F).contains(byte));
                prop_assert!(printable, "{}: {:?}", name, value);
            }
            if format == Format::CmqJson || format == Format::CloudEventsStructured {
                prop_assert!(serde_json::from_slice::<Value>(&request.body).is_ok());
            }
        }
    }
}
