//! The conformance suite: each registered kind, by its own manifest and example, against the contract.

use std::collections::HashSet;
use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Checkpoint, Context, Exchange, HttpResponse, Plan, Request, SendError,
    SendErrorKind, Step, StepKind,
};
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::Outcome;
use anser_core::{Message, Timestamp};
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::limits::{check_limits, check_mentions};

/// Text, image, file, audio, voice and video; inline, as blobs and by URL.
pub(crate) const MEDIA: &str = include_str!("../../fixtures/media.json");
const MESSAGES: [&str; 6] = [
    include_str!("../../fixtures/text.json"),
    include_str!("../../fixtures/json.json"),
    include_str!("../../fixtures/bytes.json"),
    include_str!("../../fixtures/segments.json"),
    include_str!("../../fixtures/chat.json"),
    MEDIA,
];
/// More forms than any kind has.
const RUNGS_MAX: u8 = 8;
/// Bytes of a body that no platform takes, but for a native one.
const BODY_BYTES_MAX: usize = 160 * 1024;
/// Settings whose names hold one of these are secrets.
const SECRET_WORDS: [&str; 4] = ["secret", "password", "token", "auth"];

fn messages() -> impl Iterator<Item = Message> {
    MESSAGES
        .iter()
        .map(|json| Message::from_json(json.as_bytes()).unwrap())
}

pub(crate) fn context(format: Option<&str>) -> Context<'_> {
    Context {
        now: Timestamp::from_millis(1_795_395_607_000),
        delivery: DeliveryId::new(Num(7), 1),
        num: Num(7),
        attempt: 1,
        possible_duplicate: None,
        subscription: Some("s1"),
        format,
        target: None,
        installation: 1,
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

pub(crate) fn examples(kind: &dyn ChannelKind) -> Vec<Value> {
    let settings = kind.manifest().settings;
    let examples = settings["examples"].as_array().cloned();
    examples.expect("the settings schema has examples")
}

/// What the steps of a plan gave, as if the platform had taken them all: a key for each, and an address to upload to.
pub(crate) fn outputs(plan: &Plan) -> Vec<Option<String>> {
    let output = |(place, step): (usize, &Step)| match step.kind {
        StepKind::Call => format!("key-{place}- https://upload.example/key-{place}-"),
        _ => format!("key-{place}-"),
    };
    plan.steps
        .iter()
        .enumerate()
        .map(output)
        .map(Some)
        .collect()
}

/// The requests of a plan, one a step.
pub(crate) fn requests(
    channel: &dyn Channel,
    plan: &Plan,
    message: &Message,
    context: &Context<'_>,
) -> Vec<Request> {
    let outputs = outputs(plan);
    let media = Bytes::from_static(b"the bytes of an attachment");
    let request = |(place, step): (usize, &Step)| {
        let context = Context {
            step: place,
            outputs: &outputs[..place],
            media: step.loaded.then_some(&media),
            ..context.clone()
        };
        channel.request(step, message, &context).unwrap()
    };
    plan.steps.iter().enumerate().map(request).collect()
}

/// The kinds that send; others only receive.
fn senders() -> impl Iterator<Item = Box<dyn ChannelKind>> {
    let kinds = anser_channels::registry().into_iter();
    kinds.filter(|kind| !only_receives(&**kind))
}

fn only_receives(kind: &dyn ChannelKind) -> bool {
    kind.manifest().capabilities == ["receive"]
}

fn open(kind: &dyn ChannelKind) -> Vec<Arc<dyn Channel>> {
    examples(kind)
        .iter()
        .map(|settings| kind.open(settings).unwrap())
        .collect()
}

#[test]
fn kinds_are_unique_and_found_by_name() {
    let mut seen = HashSet::new();
    for kind in anser_channels::registry() {
        let name = kind.manifest().kind;
        assert!(seen.insert(name), "{name} twice");
        assert_eq!(anser_channels::find(name).unwrap().manifest().kind, name);
    }
    assert!(anser_channels::find("nothing").is_none());
}

#[test]
fn manifests_are_complete() {
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        let name = manifest.kind;
        assert!(
            name.bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
        );
        for text in [manifest.label, manifest.summary, manifest.setup] {
            assert!(!text.trim().is_empty(), "{name}");
        }
        assert!(
            manifest
                .links
                .iter()
                .all(|link| link.starts_with("https://"))
        );
        assert!(!manifest.links.is_empty(), "{name}");
        assert_eq!(manifest.formats.is_empty(), only_receives(&*kind), "{name}");
        let unique: HashSet<_> = manifest.formats.iter().collect();
        assert_eq!(unique.len(), manifest.formats.len(), "{name}");
    }
}

#[test]
fn a_schema_takes_its_own_examples_and_what_opens() {
    for kind in anser_channels::registry() {
        let schema = kind.manifest().settings;
        let validator = jsonschema::validator_for(&schema).unwrap();
        for example in examples(&*kind) {
            validator.validate(&example).unwrap();
            let mut unknown = example.clone();
            unknown["no_such_setting"] = Value::Bool(true);
            assert!(validator.validate(&unknown).is_err());
            let problem = kind.open(&unknown).err().unwrap();
            assert_eq!(problem.field.as_deref(), Some("settings.no_such_setting"));
        }
    }
}

#[test]
fn a_refusal_names_the_settings() {
    for kind in anser_channels::registry() {
        for bad in [
            Value::Null,
            Value::from(1),
            Value::from("x"),
            serde_json::json!([{}]),
        ] {
            let field = kind.open(&bad).err().unwrap().field;
            assert!(field.unwrap().starts_with("settings"), "{bad}");
        }
    }
}

#[test]
fn secrets_can_be_written_only() {
    for kind in anser_channels::registry() {
        let schema = kind.manifest().settings;
        for (name, property) in schema["properties"].as_object().unwrap() {
            let described = property["description"].as_str();
            assert!(described.is_some_and(|text| !text.is_empty()), "{name}");
            if SECRET_WORDS.iter().any(|word| name.contains(word)) {
                assert_eq!(property["writeOnly"], true, "{name}");
            }
            if name == "headers" {
                assert_eq!(property["additionalProperties"]["writeOnly"], true);
            }
        }
    }
}

#[test]
fn what_only_receives_sends_nothing_and_says_so() {
    for kind in anser_channels::registry()
        .iter()
        .filter(|kind| only_receives(&***kind))
    {
        for channel in open(&**kind) {
            assert!(channel.endpoint().is_none() && channel.inbound().is_some());
            for message in messages() {
                let problem = channel.render(&message, &context(None)).unwrap_err();
                assert_eq!(problem.code, "not_available");
                assert!(problem.detail.contains("only receives"), "{problem}");
            }
        }
    }
}

#[test]
fn what_receives_says_so_and_where() {
    for kind in anser_channels::registry() {
        let manifest = kind.manifest();
        if manifest.capabilities.contains(&"receive") {
            assert!(manifest.setup.contains("/in/"), "{}", manifest.kind);
            continue;
        }
        for channel in open(&*kind) {
            assert!(channel.inbound().is_none(), "{}", manifest.kind);
        }
    }
}

#[test]
fn requests_are_pure_and_valid() {
    for kind in senders() {
        let formats = kind.manifest().formats;
        for channel in open(&*kind) {
            for message in messages() {
                for format in std::iter::once(None).chain(formats.iter().copied().map(Some)) {
                    check_requests(&*channel, &message, &context(format));
                }
            }
        }
    }
}

fn check_requests(channel: &dyn Channel, message: &Message, context: &Context<'_>) {
    let plan = channel.render(message, context).unwrap();
    assert_eq!(plan, channel.render(message, context).unwrap());
    assert!(!plan.steps.is_empty());
    let made = requests(channel, &plan, message, context);
    let again = requests(channel, &plan, message, context);
    assert_eq!(format!("{made:?}"), format!("{again:?}"));
    for request in &made {
        let (url, headers) = match request {
            Request::Http(request) => (&request.url, &request.headers),
            Request::Upload(request) => (&request.url, &request.headers),
            Request::Mail(_) | Request::Exec(_) => continue,
        };
        assert!(["http", "https"].contains(&url.scheme()));
        assert!(!headers.contains_key(HOST) && !headers.contains_key(CONTENT_LENGTH));
        for value in headers.values() {
            assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
        }
    }
}

#[test]
fn an_unknown_format_is_refused() {
    for kind in senders() {
        for channel in open(&*kind) {
            for message in messages() {
                let context = context(Some("no-such-format"));
                assert_eq!(
                    channel
                        .render(&message, &context)
                        .unwrap_err()
                        .field
                        .as_deref(),
                    Some("format")
                );
            }
        }
    }
}

#[test]
fn classes_that_hold_for_every_channel() {
    let answer = |status: u16| -> Exchange {
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: "{}".into(),
        })
    };
    let error = |kind, sent| -> Exchange {
        let detail = "why".to_owned();
        Err(SendError { kind, sent, detail })
    };
    for kind in senders() {
        let manifest = kind.manifest();
        for channel in open(&*kind) {
            let message = messages().next().unwrap();
            let context = context(None);
            let plan = channel.render(&message, &context).unwrap();
            let step = plan.steps.last().unwrap();
            let judge = |exchange: &Exchange| channel.classify(step, exchange, &context);
            let name = manifest.kind;
            // A mail server's replies have codes of their own.
            let made = requests(&*channel, &plan, &message, &context);
            let is_mail = matches!(made.last(), Some(Request::Mail(_)));
            for status in [500, 302].into_iter().filter(|_| !is_mail) {
                let outcome = judge(&answer(status));
                assert!(
                    matches!(outcome, Outcome::Retry { .. }),
                    "{name}: {outcome:?}"
                );
            }
            for (kind, sent) in [
                (SendErrorKind::Dns, false),
                (SendErrorKind::Refused, false),
                (SendErrorKind::Blocked, false),
                (SendErrorKind::TimedOut, false),
            ] {
                let outcome = judge(&error(kind, sent));
                assert!(
                    matches!(outcome, Outcome::Retry { .. }),
                    "{kind}: {outcome:?}"
                );
            }
            // What may have arrived must not be taken for a plain failure: the next attempt is marked.
            for kind in [SendErrorKind::TimedOut, SendErrorKind::Reset] {
                assert!(matches!(judge(&error(kind, true)), Outcome::Unknown { .. }));
            }
        }
    }
}

#[test]
fn a_token_is_asked_for_and_what_is_none_is_no_token() {
    let answer = |status: u16, body: &str| -> Exchange {
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        })
    };
    for kind in anser_channels::registry() {
        for channel in open(&*kind) {
            let Some(issuer) = channel.token_issuer() else {
                continue;
            };
            let (one, two) = (issuer.request(), issuer.request());
            assert_eq!((&one.url, &one.body), (&two.url, &two.body));
            for exchange in [
                answer(500, ""),
                answer(302, "{}"),
                answer(200, "{}"),
                answer(200, "{\"code\":0,\"errcode\":0}"),
                answer(200, "<html>"),
                Err(SendError {
                    kind: SendErrorKind::TimedOut,
                    sent: true,
                    detail: "why".to_owned(),
                }),
            ] {
                let outcome = issuer.read(&exchange, &context(None)).unwrap_err();
                assert!(!matches!(outcome, Outcome::Delivered { .. }));
            }
        }
    }
}

#[test]
fn credentials_are_not_good_before_the_platform_says_so() {
    let answer = |status: u16, body: &str| -> Exchange {
        Ok(HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers: HeaderMap::new(),
            body: body.to_owned().into(),
        })
    };
    for kind in anser_channels::registry() {
        let name = kind.manifest().kind;
        for channel in open(&*kind) {
            let Some(check) = channel.credential_check() else {
                continue;
            };
            let context = context(None);
            let make = || format!("{:?}", check.request(&context).unwrap());
            assert_eq!(make(), make());
            for exchange in [
                answer(500, ""),
                answer(302, "{}"),
                answer(401, "{}"),
                Err(SendError {
                    kind: SendErrorKind::TimedOut,
                    sent: true,
                    detail: "why".to_owned(),
                }),
            ] {
                let read = check.read(&exchange, &context);
                let good = matches!(read, Ok(_) | Err(Outcome::Delivered { .. }));
                assert!(!good, "{name}: {exchange:?}");
            }
        }
    }
}

#[test]
fn a_rotated_secret_opens_or_there_is_none() {
    for kind in anser_channels::registry() {
        for settings in examples(&*kind) {
            let now = Timestamp::from_millis(1_000);
            match kind.rotate(&settings, "v1", &[3; 32], now, now) {
                Ok((rotated, shown)) => {
                    assert!(!shown.is_empty() && rotated != settings);
                    kind.open(&rotated).unwrap();
                }
                Err(problem) => assert_eq!(problem.code, "not_available"),
            }
        }
    }
}

/// The plans of every rung of a chat platform, until it has no lower form.
pub(crate) fn ladder(channel: &dyn Channel, message: &Message) -> Vec<Plan> {
    let mut context = context(None);
    let mut plans = Vec::new();
    for rung in 0..=RUNGS_MAX {
        context.rung = rung;
        match channel.render(message, &context) {
            Ok(plan) => plans.push(plan),
            Err(problem) => {
                let known = ["no_lower_form", "empty_message", "too_long"];
                assert!(known.contains(&problem.code), "{problem}");
                return plans;
            }
        }
    }
    panic!("a ladder of more than {RUNGS_MAX} rungs");
}

pub(crate) fn chat_platforms() -> impl Iterator<Item = (&'static str, Arc<dyn Channel>)> {
    let kinds = anser_channels::registry().into_iter();
    kinds
        .filter(|kind| !kind.manifest().generic)
        .map(|kind| (kind.manifest().kind, open(&*kind).remove(0)))
}

#[test]
fn the_ladder_of_forms_ends() {
    for (kind, channel) in chat_platforms() {
        for message in messages() {
            let plans = ladder(&*channel, &message);
            assert!(!plans.is_empty(), "{kind}");
            for (place, plan) in plans.iter().enumerate() {
                assert!(
                    plan.degraded.len() >= place,
                    "{kind}: each rung is recorded"
                );
            }
        }
    }
}

#[test]
fn a_checkpoint_keeps_the_plan() {
    for (_, channel) in chat_platforms() {
        for message in messages() {
            for plan in ladder(&*channel, &message) {
                let checkpoint = Checkpoint {
                    media_refused: true,
                    delivered: vec![None; plan.steps.len()],
                    plan: Some(plan),
                    ..Checkpoint::default()
                };
                assert_eq!(Checkpoint::read(&checkpoint.write()), Some(checkpoint));
            }
        }
    }
}

#[test]
fn a_native_payload_goes_as_it_is() {
    let payload = json!({"anything": ["goes", 1]});
    for (kind, channel) in chat_platforms() {
        let mut message = json!({"v": 1, "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e14", "time": "2026-11-23T01:00:00.000Z",
            "topic": "t", "type": "message", "from": {"kind": "service", "id": "s"}},
            "body": {"segments": [{"type": "raw", "platform": kind, "payload": payload}], "override": {}}});
        let read = |message: &Value| Message::from_json(message.to_string().as_bytes()).unwrap();
        let mut context = context(None);
        let sent = |plan: &Plan| serde_json::from_slice::<Value>(&plan.steps[0].body).unwrap();
        let plan = channel.render(&read(&message), &context).unwrap();
        assert_eq!(sent(&plan)["anything"], payload["anything"], "{kind}");
        message["body"]["override"][kind] = payload.clone();
        message["body"]["segments"] = json!([{"type": "text", "text": "t"}]);
        let plan = channel.render(&read(&message), &context).unwrap();
        assert_eq!(sent(&plan)["anything"], payload["anything"], "{kind}");
        context.rung = 1;
        let plan = channel.render(&read(&message), &context).unwrap();
        assert_eq!(plan.degraded, ["override->text"], "{kind}");
    }
}

/// Texts of what is markup somewhere, short and long.
fn hostile() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => Just("<at user_id=\"all\">all</at>".to_owned()),
        4 => Just("<@u1> <!channel> @everyone <@&1>".to_owned()),
        4 => Just(
            "**b** __u__ `c` ~~s~~ [l](https://evil.example) ![i](https://evil.example/p.png)"
                .to_owned()
        ),
        4 => Just("```\ncode\n```\n# h\n> q\n- i\n1. i\n| a |\n|---|\n".to_owned()),
        4 => Just("<a href=\"tg://user?id=1\">x</a>&lt;&#42;".to_owned()),
        4 => Just("\u{202e}👩‍👩‍👧‍👦é中文。\0\r\n\u{7f}".to_owned()),
        1 => Just("w ".repeat(1_500)),
        1 => Just("長".repeat(1_500)),
        1 => Just(format!("a{}", "\u{301}".repeat(2_500))),
        4 => any::<String>(),
    ];
    proptest::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat())
}

fn hostile_segment() -> impl Strategy<Value = Value> {
    (hostile(), hostile(), 0..14_u8).prop_map(|(a, b, form)| match form {
        0 => json!({"type": "text", "text": a, "style": ["bold", "italic", "spoiler"]}),
        1 => json!({"type": "text", "text": a, "style": ["code", "underline"]}),
        2 => json!({"type": "markdown", "text": a}),
        3 => json!({"type": "code", "lang": b, "text": a}),
        4 => json!({"type": "link", "url": format!("https://a.example/{b}"), "title": a}),
        5 => json!({"type": "mention", "kind": "user", "id": format!("!{a}"), "name": b}),
        6 => json!({"type": "mention", "kind": "role", "id": "12345", "name": a}),
        7 => json!({"type": "image", "att": "a1", "alt": a}),
        8 => json!({"type": "quote", "message_id": "m", "from": a, "excerpt": b}),
        9 => json!({"type": "forward", "items": [{"from": a, "segments": [{"type": "text", "text": b}]}]}),
        10 => json!({"type": "location", "lat": 1.0, "lon": 2.0, "name": a}),
        11 => json!({"type": "card", "title": a, "sections": [b], "fields": [{"name": a, "value": b}], "footer": a,
                     "actions": [{"id": "x", "label": b, "kind": "url", "value": "https://a.example"}]}),
        12 => json!({"type": a, "text": b, "x": 1}),
        _ => json!({"type": "text", "text": a}),
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_message_breaks_a_platform(segments in proptest::collection::vec(hostile_segment(), 1..5)) {
        let message = json!({"v": 1, "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e14", "time": "2026-11-23T01:00:00.000Z",
            "topic": "t", "type": "message", "from": {"kind": "service", "id": "s"}}, "body": {"segments": segments},
            "attachments": [{"id": "a1", "source": {"url": "https://files.example/a_(1).png"}}]});
        let Ok(message) = Message::from_json(message.to_string().as_bytes()) else {
            return Ok(());
        };
        for (kind, channel) in chat_platforms() {
            for plan in ladder(&*channel, &message) {
                for step in plan.steps.iter().filter(|step| step.kind == StepKind::Send) {
                    prop_assert!(step.body.len() <= BODY_BYTES_MAX);
                    let body: Value = serde_json::from_slice(&step.body).unwrap();
                    check_limits(kind, &body, step.body.len())?;
                    check_mentions(kind, &body)?;
                }
            }
        }
    }
}
