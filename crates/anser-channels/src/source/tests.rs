//! Known answers of the senders, the type and id of every event, the body byte for byte, settings, and what no change of a
//! request may do.

use anser_core::message::Body;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kit::arrival::hex;
use crate::kit::testing::check_refused;
use crate::kit::testing::inbound::{Call, mutated};
use crate::kit::testing::receiver::{check_changed, check_needed, re_encoded};

const NOW: i64 = 1_700_000_000;
const SHARED: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const BODY: &str = "{\"id\": \"evt_1\", \"type\":\"order.paid\",\"action\":\"opened\",\n \"created\":1700000000,\"object_kind\":\"push\",\"n\":1.0, \"big\":123456789012345678901234567890}";

fn open(settings: &Value) -> Arc<dyn Channel> {
    WebhookSource.open(settings).unwrap()
}

fn tag(algorithm: hmac::Algorithm, secret: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let key = hmac::Key::new(algorithm, secret);
    hmac::sign(&key, &parts.concat()).as_ref().to_vec()
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[3; 32]).unwrap()
}

fn public_key() -> String {
    format!("whpk_{}", BASE64.encode(pair().public_key()))
}

/// A scheme, its settings, and a request that its sender would make of a body.
type Sender = (&'static str, Value, Box<dyn Fn(&[u8]) -> Call>);

fn senders() -> Vec<Sender> {
    let mut all = named();
    all.extend(standard_ones());
    all.extend(described());
    all
}

fn standard_ones() -> Vec<Sender> {
    let standard = |body: &[u8]| [b"msg_1.1700000000.", body].concat();
    let shared = move |body: &[u8]| {
        let secret = BASE64.decode(&SHARED[6..]).unwrap();
        let tag = tag(hmac::HMAC_SHA256, &secret, &[&standard(body)]);
        format!("v1,{}", BASE64.encode(tag))
    };
    let by_headers = |prefix: [&'static str; 3], body: &[u8], signature: String| {
        Call::post(body, NOW).headers(&[
            (prefix[0], "msg_1"),
            (prefix[1], "1700000000"),
            (prefix[2], &signature),
        ])
    };
    const WEBHOOK: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];
    const SVIX: [&str; 3] = ["svix-id", "svix-timestamp", "svix-signature"];
    vec![
        (
            "gitlab",
            json!({"scheme": "gitlab", "secret": SHARED}),
            Box::new(move |body| by_headers(WEBHOOK, body, shared(body))),
        ),
        (
            "standard-webhooks",
            json!({"scheme": "standard-webhooks", "secret": SHARED}),
            Box::new(move |body| by_headers(WEBHOOK, body, format!("v1,AAAA {}", shared(body)))),
        ),
        (
            "standard-webhooks",
            json!({"scheme": "standard-webhooks", "secret": SHARED}),
            Box::new(move |body| by_headers(SVIX, body, shared(body))),
        ),
        (
            "standard-webhooks",
            json!({"scheme": "standard-webhooks", "secret": public_key()}),
            Box::new(move |body| {
                let signature = BASE64.encode(pair().sign(&standard(body)));
                by_headers(WEBHOOK, body, format!("v1a,{signature}"))
            }),
        ),
    ]
}

fn named() -> Vec<Sender> {
    vec![
        (
            "github",
            json!({"scheme": "github", "secret": "s"}),
            Box::new(|body| {
                let tag = tag(hmac::HMAC_SHA256, b"s", &[body]);
                Call::post(body, NOW).headers(&[
                    ("x-hub-signature-256", &format!("sha256={}", hex(&tag))),
                    ("x-github-event", "issues"),
                    ("x-github-delivery", "72d3162e-cc78-11e3-81ab-4c9367dc0958"),
                ])
            }),
        ),
        (
            "gitlab",
            json!({"scheme": "gitlab", "secret": "s"}),
            Box::new(|body| {
                Call::post(body, NOW).headers(&[
                    ("x-gitlab-token", "s"),
                    ("idempotency-key", "f5e0cd11-ac39-49b7-8bd8-bb4a4e4a5b0e"),
                ])
            }),
        ),
        (
            "stripe",
            json!({"scheme": "stripe", "secret": "whsec_test"}),
            Box::new(|body| {
                let tag = tag(hmac::HMAC_SHA256, b"whsec_test", &[b"1700000000.", body]);
                let signature = format!("t=1700000000,v1={},v0=00", hex(&tag));
                Call::post(body, NOW).headers(&[("stripe-signature", &signature)])
            }),
        ),
    ]
}

fn described() -> Vec<Sender> {
    vec![
        (
            "hmac",
            json!({"scheme": "hmac", "secret": "s", "signature_header": "x-sig", "algorithm": "sha512", "encoding": "base64",
                   "prefix": "v1=", "timestamp_header": "x-time", "dedupe_pointer": "/id", "type_pointer": "/type"}),
            Box::new(|body| {
                let tag = tag(hmac::HMAC_SHA512, b"s", &[b"1700000000.", body]);
                let signature = format!("v1={}", BASE64.encode(tag));
                Call::post(body, NOW).headers(&[("x-time", "1700000000"), ("x-sig", &signature)])
            }),
        ),
        (
            "hmac",
            json!({"scheme": "hmac", "secret": "s", "signature_header": "x-sig", "algorithm": "sha1",
                   "dedupe_header": "x-id", "type_header": "x-event"}),
            Box::new(|body| {
                let tag = tag(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, b"s", &[body]);
                Call::post(body, NOW).headers(&[
                    ("x-sig", &hex(&tag)),
                    ("x-id", "17"),
                    ("x-event", "Build Done"),
                ])
            }),
        ),
    ]
}

/// How many of a call's headers are the proof; the others are not signed.
fn proofs(call: &Call) -> usize {
    match call.headers[0].0 {
        "x-hub-signature-256" | "x-gitlab-token" | "x-sig" => 1,
        _ => call.headers.len(),
    }
}

#[test]
fn known_signatures_are_taken() {
    // GitHub's documentation, "Testing the webhook payload validation".
    let github = open(&json!({"scheme": "github", "secret": "It's a Secret to Everybody"}));
    let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
    let call = Call::post("Hello, World!", 0).headers(&[
        ("x-hub-signature-256", signature),
        ("x-github-event", "ping"),
    ]);
    let (_, message) = call.messages(&*github).remove(0);
    assert!(matches!(&message.body, Body::Bytes { bytes, .. } if bytes == b"Hello, World!"));
    // The vectors of the reference libraries of Standard Webhooks.
    let id = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    let seed = BASE64
        .decode("VEVTVFNJR05JTkdLRVlET05PVFVTRVRISVNGT1JBTlk=")
        .unwrap();
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    let public = format!("whpk_{}", BASE64.encode(pair.public_key()));
    for (secret, signature) in [
        (SHARED, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
        (
            &public,
            "v1a,tQ9V2XOqn7jL/DQenEFpqIugdBVtiMmER5mhSkXBNwM0mkATuDe6KYYUuxqtaiHeYGb7KaaBRdM5WqyeFiL8Ag==",
        ),
    ] {
        let channel = open(&json!({"scheme": "standard-webhooks", "secret": secret}));
        let call = Call::post(r#"{"test": 2432232314}"#, 1_614_265_330).headers(&[
            ("webhook-id", id),
            ("webhook-timestamp", "1614265330"),
            ("webhook-signature", signature),
        ]);
        assert_eq!(call.messages(&*channel)[0].0, id);
    }
}

#[test]
fn every_scheme_takes_what_its_sender_signs_byte_for_byte() {
    let of = [
        (
            "github.issues.opened",
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
        ),
        ("gitlab.push", "f5e0cd11-ac39-49b7-8bd8-bb4a4e4a5b0e"),
        ("stripe.order.paid", "evt_1"),
        ("gitlab.push", "msg_1"),
        ("source.order.paid", "msg_1"),
        ("source.order.paid", "msg_1"),
        ("source.order.paid", "msg_1"),
        ("source.order.paid", "evt_1"),
        ("source.Build_Done", "17"),
    ];
    for ((scheme, settings, signed), (event_type, id)) in senders().into_iter().zip(of) {
        let channel = open(&settings);
        let (key, message) = signed(BODY.as_bytes()).messages(&*channel).remove(0);
        assert_eq!(
            (message.header.r#type.as_str(), key.as_str()),
            (event_type, id)
        );
        assert_eq!(message.body.data().unwrap().get(), BODY, "{scheme}");
        assert_eq!(message.header.from.id, scheme);
        assert_eq!(message.header.origin.unwrap().platform, scheme);
        assert!(message.header.conversation.is_none());
    }
}

#[test]
fn what_is_no_json_is_kept_as_bytes() {
    let (_, settings, signed) = senders().pop().unwrap();
    let channel = open(&settings);
    let deep = format!("{}{}", "[".repeat(101), "]".repeat(101));
    let shallow = format!("{}{}", "[".repeat(100), "]".repeat(100));
    for (body, is_json) in [
        (&b""[..], false),
        (b"\xff\xfe", false),
        (b"{\"a\":", false),
        (b"\"\\ud800\"", false),
        (deep.as_bytes(), false),
        (shallow.as_bytes(), true),
        (b"null", true),
        (b"\"text\"", true),
    ] {
        let mut call = signed(body);
        call.headers.push(("content-type", "text/weird".to_owned()));
        let (_, message) = call.messages(&*channel).remove(0);
        match &message.body {
            Body::Bytes { bytes, media_type } => {
                assert!(!is_json && media_type == "text/weird");
                assert_eq!(bytes, body);
            }
            other => assert!(is_json, "{other:?}"),
        }
    }
}

#[test]
fn a_form_of_github_holds_the_event() {
    let (_, settings, signed) = senders().swap_remove(0);
    let form = "payload=%7B%22action%22%3A%22closed%22%2C%22x%22%3A1.0%7D";
    let mut call = signed(form.as_bytes());
    let media_type = "application/x-www-form-urlencoded".to_owned();
    call.headers.push(("content-type", media_type));
    let (_, message) = call.messages(&*open(&settings)).remove(0);
    assert_eq!(message.header.r#type, "github.issues.closed");
    assert_eq!(
        message.body.data().unwrap().get(),
        r#"{"action":"closed","x":1.0}"#
    );
}

#[test]
fn a_signed_time_is_good_for_a_while() {
    for (scheme, settings, signed) in senders() {
        let channel = open(&settings);
        let has_time = signed(b"{}")
            .headers
            .iter()
            .any(|(_, value)| value.contains("1700000000"));
        let mut longer = settings.clone();
        longer["tolerance_s"] = 600.into();
        for (later, stale) in [(300, false), (301, true), (-300, false), (-301, true)] {
            let mut call = signed(BODY.as_bytes());
            call.now = NOW + later;
            let code = call.sent(&*channel).unwrap().err();
            let code = code.map(|refusal| refusal.kind.code());
            assert_eq!(
                code,
                (stale && has_time).then_some("stale_signature"),
                "{scheme}"
            );
            if has_time && later > 0 {
                call.taken(&*open(&longer));
            }
        }
    }
}

#[test]
fn what_its_sender_did_not_sign_is_refused() {
    for (scheme, settings, signed) in senders() {
        let channel = open(&settings);
        let call = signed(BODY.as_bytes());
        let mut proof = call.clone();
        proof
            .headers
            .truncate(proofs(&call).max(1 + usize::from(call.headers[0].0 == "x-time")));
        if call.headers[0].0 == "x-github-event" {
            continue;
        }
        if scheme != "github" {
            check_needed(&*channel, &proof);
        } else {
            proof.headers.clear();
            assert_eq!(proof.refused(&*channel), "unsigned");
        }
        let mut other = call.clone();
        other.body = re_encoded(&other.body);
        if settings["secret"] != "s" || scheme != "gitlab" {
            assert_eq!(other.refused(&*channel), "wrong_signature", "{scheme}");
        }
        let mut get = call.clone();
        get.method = Method::GET;
        assert_eq!(get.refused(&*channel), "method_not_allowed");
    }
    let github = open(&json!({"scheme": "github", "secret": "s"}));
    let mut call = senders()[0].2(b"{}");
    call.headers.remove(1);
    assert_eq!(call.refused(&*github), "malformed_event", "no event's name");
}

#[test]
fn bad_secrets_are_refused_and_not_repeated() {
    let field = "settings.secret";
    let of = |scheme: &str, secret: &str| json!({"scheme": scheme, "secret": secret});
    check_refused(
        &WebhookSource,
        &[
            (of("github", ""), "invalid_secret", field),
            (of("github", " hidden"), "invalid_secret", field),
            (of("standard-webhooks", "hidden"), "invalid_secret", field),
            (
                of("standard-webhooks", "whsec_hidden!"),
                "invalid_secret",
                field,
            ),
            (
                of("standard-webhooks", "whpk_AAAA"),
                "invalid_secret",
                field,
            ),
            (of("gitlab", "whsec_AAAA"), "invalid_secret", field),
            (json!({"scheme": "github"}), "invalid_field", field),
            (of("nobody", "s"), "invalid_field", "settings.scheme"),
        ],
    );
}

#[test]
fn settings_that_contradict_each_other_are_refused() {
    let unnamed = json!({"scheme": "hmac", "secret": "s"});
    check_refused(
        &WebhookSource,
        &[(unnamed, "missing_field", "settings.signature_header")],
    );
    for (scheme, name, value) in [
        ("github", "prefix", json!("x")),
        ("github", "tolerance_s", json!(9)),
        ("stripe", "tolerance_s", json!(0)),
        ("stripe", "tolerance_s", json!(86_401)),
        ("hmac", "signature_header", json!("a b")),
        ("hmac", "timestamp_header", json!("")),
        ("hmac", "prefix", json!("a b")),
        ("hmac", "dedupe_pointer", json!("id")),
        ("hmac", "algorithm", json!("md5")),
    ] {
        let mut settings = json!({"scheme": scheme, "secret": "s"});
        if scheme == "hmac" {
            settings["signature_header"] = "x-s".into();
        }
        settings[name] = value;
        let field = format!("settings.{name}");
        check_refused(&WebhookSource, &[(settings, "invalid_field", &field)]);
    }
}

#[test]
fn a_type_stands_in_one_place() {
    let both = json!({"scheme": "hmac", "secret": "s", "signature_header": "x-s", "type_pointer": "/a", "type_header": "x"});
    check_refused(
        &WebhookSource,
        &[(both, "invalid_field", "settings.type_pointer")],
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_changed_request_is_refused(place in any::<prop::sample::Index>(), choice in any::<u64>()) {
        let senders = senders();
        let (_, settings, signed) = &senders[place.index(senders.len())];
        let call = signed(BODY.as_bytes());
        let at = usize::try_from(choice % 5).unwrap();
        // GitLab's token covers no body, ids and types of others are not signed; a digit in upper case is the same digit,
        // and of Stripe's list only some is looked at.
        let token = call.headers[0].0 == "x-gitlab-token";
        let free = if at < call.headers.len() { at >= proofs(&call) && call.headers[at].0 != "x-sig" } else { token };
        let flips_case = choice / 5 % 3 == 0 && ((choice / 5) >> 8) & 0xff == 0x20;
        let listed = ["stripe-signature", "webhook-signature"].contains(&call.headers[at.min(call.headers.len() - 1)].0)
            && at < call.headers.len();
        if !free && !flips_case && !listed {
            check_changed(&*open(settings), &call, choice);
        }
    }

    #[test]
    fn a_signature_in_a_list_is_right_or_refused(choice in any::<u64>()) {
        for (_, settings, signed) in senders() {
            let mut call = signed(BODY.as_bytes());
            let Some((_, value)) = call.headers.iter_mut().find(|(name, _)| name.ends_with("signature")) else {
                continue;
            };
            let changed = mutated(value.as_bytes(), choice);
            let Ok(changed) = String::from_utf8(changed) else { continue };
            // All that is taken has the right signature in it, whole.
            let right: Vec<String> = value.split([' ', ',', '=']).filter(|part| part.len() > 40).map(str::to_owned).collect();
            *value = changed.clone();
            if let Some(Ok(_)) = call.sent(&*open(&settings)) {
                prop_assert!(right.iter().any(|part| changed.contains(part)), "{changed}");
            }
        }
    }

    #[test]
    fn whatever_is_signed_is_a_message_or_refused(
        place in any::<prop::sample::Index>(), choice in any::<u64>(), bytes in any::<Vec<u8>>(),
    ) {
        let senders = senders();
        let (_, settings, signed) = &senders[place.index(senders.len())];
        let channel = open(settings);
        for body in [&bytes[..], &mutated(BODY.as_bytes(), choice)] {
            let call = signed(body);
            prop_assert_eq!(call.messages(&*channel).len(), 1);
        }
    }
}
