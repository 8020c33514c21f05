//! The conformance suite: each registered kind, by its own manifest and example, against the contract.

use std::collections::HashSet;
use std::sync::Arc;

use anser_core::channel::{
    Channel, ChannelKind, Context, Exchange, HttpResponse, Request, SendError, SendErrorKind,
};
use anser_core::id::{DeliveryId, Num};
use anser_core::outcome::Outcome;
use anser_core::{Message, Timestamp};
use http::header::{CONTENT_LENGTH, HOST};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

const MESSAGES: [&str; 4] = [
    include_str!("../../fixtures/text.json"),
    include_str!("../../fixtures/json.json"),
    include_str!("../../fixtures/bytes.json"),
    include_str!("../../fixtures/segments.json"),
];
/// Settings whose names hold one of these are secrets.
const SECRET_WORDS: [&str; 4] = ["secret", "password", "token", "auth"];

fn messages() -> impl Iterator<Item = Message> {
    MESSAGES
        .iter()
        .map(|json| Message::from_json(json.as_bytes()).unwrap())
}

fn context(format: Option<&str>) -> Context<'_> {
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
        step: 0,
        fail_fast_4xx: false,
        cmq_policy: false,
    }
}

fn examples(kind: &dyn ChannelKind) -> Vec<Value> {
    let settings = kind.manifest().settings;
    let examples = settings["examples"].as_array().cloned();
    examples.expect("the settings schema has examples")
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
                .all(|byte| byte.is_ascii_lowercase() || byte == b'_')
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
        assert!(
            !manifest.links.is_empty() && !manifest.formats.is_empty(),
            "{name}"
        );
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
fn requests_are_pure_and_valid() {
    for kind in anser_channels::registry() {
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
    for step in &plan.steps {
        let make = || channel.request(step, message, context).unwrap();
        let (Request::Http(one), Request::Http(two)) = (make(), make());
        assert_eq!(
            (&one.method, &one.url, &one.headers, &one.body),
            (&two.method, &two.url, &two.headers, &two.body)
        );
        assert!(["http", "https"].contains(&one.url.scheme()));
        assert!(!one.headers.contains_key(HOST) && !one.headers.contains_key(CONTENT_LENGTH));
        for value in one.headers.values() {
            assert!(!value.as_bytes().iter().any(|byte| b"\r\n\0".contains(byte)));
        }
    }
}

#[test]
fn an_unknown_format_is_refused() {
    for kind in anser_channels::registry() {
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
    for kind in anser_channels::registry() {
        for channel in open(&*kind) {
            let message = messages().next().unwrap();
            let context = context(None);
            let plan = channel.render(&message, &context).unwrap();
            let step = plan.steps.last().unwrap();
            let judge = |exchange: &Exchange| channel.classify(step, exchange, &context);
            assert!(matches!(judge(&answer(500)), Outcome::Retry { .. }));
            assert!(matches!(judge(&answer(302)), Outcome::Retry { .. }));
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
