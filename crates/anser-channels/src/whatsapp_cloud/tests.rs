//! Forms, numbers, settings, uploads, templates and the table of codes; requests against those of a client library.

use std::time::Duration;

use anser_core::channel::{BodyPart, HttpResponse};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, Run, text_runs};
use crate::kit::dialect::tests::hostile;
use crate::kit::testing::{check_refused, check_refused_urls, context, judge, of_url};

fn settings() -> Value {
    json!({"phone_number_id": "106", "access_token": "hidden", "to": "15551234567"})
}

fn channel() -> Arc<dyn Channel> {
    WhatsAppCloud.open(&settings()).unwrap()
}

fn with_template() -> Arc<dyn Channel> {
    let mut settings = settings();
    settings["template"] = json!({"name": "note", "language": "en_US", "with_text": true});
    WhatsAppCloud.open(&settings).unwrap()
}

fn rendered(body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    crate::kit::testing::rendered(&*channel(), body, rung)
}

/// A message with those members of its header, and an attachment `a1`.
fn message(body: &Value, header: &Value, attachment: Option<Value>) -> Message {
    let mut json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": body
    });
    for (name, value) in header.as_object().unwrap() {
        json["header"][name] = value.clone();
    }
    json["attachments"] = attachment.into_iter().collect();
    Message::from_json(json.to_string().as_bytes()).unwrap()
}

fn sent(message: &Message, context: &Context<'_>) -> Vec<Value> {
    let channel = channel();
    let plan = channel.render(message, context).unwrap();
    let bodies = plan.steps.iter().map(|step| {
        let request = channel.request(step, message, context).unwrap();
        serde_json::from_slice(&request.into_http().unwrap().body).unwrap()
    });
    bodies.collect()
}

fn answer(status: u16, body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

fn error(code: i64) -> String {
    json!({"error": {"message": format!("(#{code}) m"), "type": "OAuthException", "code": code,
        "error_data": {"messaging_product": "whatsapp", "details": "why"}, "fbtrace_id": "f"}})
    .to_string()
}

/// As whatsapp-api-js 6.3.0 sends it, but for what we add to know the message's status again.
#[test]
fn a_text_as_a_client_library_sends_it() {
    let hi = message(&json!({"data": "hi"}), &json!({}), None);
    let plan = channel().render(&hi, &context(0)).unwrap();
    let request = channel().request(&plan.steps[0], &hi, &context(0)).unwrap();
    let request = request.into_http().unwrap();
    assert_eq!(
        request.url.as_str(),
        "https://graph.facebook.com/v24.0/106/messages"
    );
    assert_eq!(request.headers["authorization"], "Bearer hidden");
    assert!(request.headers["authorization"].is_sensitive());
    let mut body: Value = serde_json::from_slice(&request.body).unwrap();
    let ours = body
        .as_object_mut()
        .unwrap()
        .shift_remove("biz_opaque_callback_data");
    assert!(ours.unwrap().as_str().unwrap().starts_with("dlv_"));
    assert_eq!(
        body,
        json!({"messaging_product": "whatsapp", "recipient_type": "individual", "to": "15551234567", "type": "text",
            "text": {"body": "hi", "preview_url": false}})
    );
}

#[test]
fn a_place_and_a_contact_are_native() {
    let (bodies, degraded) = rendered(
        &json!({"segments": [{"type": "location", "lat": 1.5, "lon": 2.5, "name": "n", "address": "a"},
            {"type": "contact", "name": "Ann", "phones": ["+1555"]}]}),
        0,
    );
    assert_eq!(
        bodies,
        [
            json!({"type": "location", "location": {"longitude": 2.5, "latitude": 1.5, "name": "n", "address": "a"}}),
            json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "Ann", "first_name": "Ann"},
                "phones": [{"phone": "+1555"}]}]}),
        ]
    );
    assert!(degraded.is_empty());
}

#[test]
fn a_reply_names_what_it_answers_in_its_first_part_and_its_own_chat() {
    let text = json!({"data": "long ".repeat(1_000)});
    let reply = message(
        &text,
        &json!({"reply_to": "wamid.CTX", "to": ["wa/15551234567"]}),
        None,
    );
    let bodies = sent(&reply, &context(0));
    assert_eq!(bodies.len(), 2);
    assert_eq!(bodies[0]["context"], json!({"message_id": "wamid.CTX"}));
    assert_eq!(bodies[1].get("context"), None);
    let elsewhere = json!({"reply_to": "wamid.CTX", "conversation": {"id": "wa/4915112345678", "type": "direct"}});
    for header in [
        json!({"reply_to": "om_1"}),
        json!({"reply_to": "wamid.CTX", "to": ["wa/15551234567", "wa/4915112345678"]}),
        elsewhere,
    ] {
        let bodies = sent(&message(&text, &header, None), &context(0));
        assert_eq!(bodies[0].get("context"), None, "{header}");
    }
}

#[test]
fn a_card_is_interactive_if_all_of_it_fits() {
    let card = |actions: Value| {
        json!({"segments": [{"type": "card", "title": "T", "sections": ["Total **9.90**"], "footer": "f",
            "fields": [{"name": "n", "value": "v"}], "actions": actions}]})
    };
    let link = json!({"id": "a", "label": "Open", "kind": "url", "value": "https://a.example/o"});
    let reply =
        |id: &str| json!({"id": id, "label": format!("L{id}"), "kind": "callback", "value": 1});
    let (bodies, degraded) = rendered(&card(json!([link])), 0);
    assert_eq!(
        bodies[0]["interactive"],
        json!({"type": "cta_url", "header": {"type": "text", "text": "T"}, "body": {"text": "Total *9.90*\n\n*n*: v"},
            "footer": {"text": "f"},
            "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://a.example/o"}}})
    );
    assert!(degraded.is_empty());
    let (bodies, _) = rendered(&card(json!([reply("a"), reply("b")])), 0);
    assert_eq!(
        bodies[0]["interactive"]["action"]["buttons"][1],
        json!({"type": "reply", "reply": {"id": "b", "title": "Lb"}})
    );
    for actions in [
        json!([]),
        json!([link, link]),
        json!([link, reply("a")]),
        json!([reply("a"), reply("b"), reply("c"), reply("d")]),
        json!([reply("a"), reply("a")]),
        json!([{"id": "a", "label": "More than twenty characters", "kind": "url", "value": "https://a.example"}]),
    ] {
        let (bodies, degraded) = rendered(&card(actions.clone()), 0);
        assert_eq!(bodies[0]["type"], "text", "{actions}");
        assert_eq!(degraded, ["card->markdown"]);
    }
}

#[test]
fn media_is_uploaded_and_shown_with_its_caption() {
    let blob = json!({"blob": "00".repeat(32)});
    let mib = 1024 * 1024;
    for (segment, media_type, size, wanted) in [
        ("image", "image/jpeg", 5 * mib, Some("image")),
        ("image", "image/png", 5 * mib + 1, Some("document")),
        ("image", "image/gif", 1_000, None),
        ("audio", "audio/mpeg", 16 * mib, Some("audio")),
        ("voice", "audio/opus", 1_000, Some("audio")),
        ("video", "video/mp4", 16 * mib, Some("video")),
        ("video", "video/mp4", 17 * mib, Some("document")),
        ("file", "application/pdf", 100 * mib, Some("document")),
        ("file", "application/pdf", 100 * mib + 1, None),
        ("file", "application/zip", 1_000, None),
        ("sticker", "image/webp", 1_000, Some("sticker")),
    ] {
        let attachment = json!({"id": "a1", "name": "n.x", "media_type": media_type, "size": size, "source": blob});
        let body = json!({"segments": [{"type": segment, "att": "a1"}]});
        let message = message(&body, &json!({}), Some(attachment));
        let channel = channel();
        let plan = channel.render(&message, &context(0)).unwrap();
        let Some(wanted) = wanted else {
            assert_eq!(plan.steps.len(), 1, "{segment} {media_type}");
            assert!(!plan.degraded.is_empty());
            continue;
        };
        let [upload, shown] = plan.steps.as_slice() else {
            panic!("{segment} {media_type}: {plan:?}");
        };
        let Request::Upload(request) = channel.request(upload, &message, &context(0)).unwrap()
        else {
            panic!("no upload");
        };
        assert_eq!(
            request.url.as_str(),
            "https://graph.facebook.com/v24.0/106/media"
        );
        assert_eq!(request.headers["authorization"], "Bearer hidden");
        assert!(
            request
                .body
                .contains(&BodyPart::Attachment("a1".to_owned()))
        );
        let key = channel.classify(upload, &answer(200, r#"{"id":"M1"}"#), &context(0));
        let platform_id = Some("M1".to_owned());
        assert_eq!(
            key,
            Outcome::Delivered {
                platform_id: platform_id.clone()
            }
        );
        let second = Context {
            step: 1,
            outputs: &[platform_id, None],
            ..context(0)
        };
        let request = channel
            .request(shown, &message, &second)
            .unwrap()
            .into_http()
            .unwrap();
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        assert_eq!(
            (&body["type"], &body[wanted]["id"]),
            (&json!(wanted), &json!("M1"))
        );
        let refused = channel.classify(shown, &answer(400, &error(131_053)), &second);
        assert!(matches!(refused, Outcome::Degrade { .. }));
    }
}

#[test]
fn text_beside_a_picture_is_its_caption() {
    let attachment = json!({"id": "a1", "media_type": "image/png", "source": {"url": "https://a.example/p.png"}});
    let body =
        json!({"segments": [{"type": "text", "text": "see"}, {"type": "image", "att": "a1"}]});
    let picture = message(&body, &json!({}), Some(attachment.clone()));
    let plan = channel().render(&picture, &context(0)).unwrap();
    let shown: Value = serde_json::from_slice(&plan.steps[1].body).unwrap();
    assert_eq!(
        (plan.steps.len(), &shown["image"]["caption"]),
        (2, &json!("see"))
    );
    // A longer text than a caption's goes on its own.
    let body = json!({"segments": [{"type": "text", "text": "x".repeat(1_025)}, {"type": "image", "att": "a1"}]});
    let plan = channel()
        .render(&message(&body, &json!({}), Some(attachment)), &context(0))
        .unwrap();
    assert_eq!(plan.steps.len(), 3);
}

#[test]
fn a_card_has_its_picture_at_its_head() {
    let attachment = json!({"id": "a1", "media_type": "image/png", "size": 10, "source": {"blob": "00".repeat(32)}});
    let body = json!({"segments": [{"type": "card", "title": "T", "image": "a1",
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example/o"}]}]});
    let card = message(&body, &json!({}), Some(attachment));
    let channel = channel();
    let plan = channel.render(&card, &context(0)).unwrap();
    assert_eq!(plan.steps.len(), 2);
    let second = Context {
        step: 1,
        outputs: &[Some("M1".to_owned()), None],
        ..context(0)
    };
    let request = channel
        .request(&plan.steps[1], &card, &second)
        .unwrap()
        .into_http()
        .unwrap();
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body["interactive"]["header"],
        json!({"type": "image", "image": {"id": "M1"}})
    );
    assert_eq!(body["interactive"]["body"]["text"], "*T*");
}

#[test]
fn outside_of_the_window_the_template_stands_for_the_message() {
    let body = json!({"segments": [{"type": "text", "text": "one\ntwo"}]});
    let judged = |channel: &dyn Channel| judge(channel, &body, 400, &error(131_047));
    let Outcome::Rejected { code, text } = judged(&*channel()) else {
        panic!("taken");
    };
    assert_eq!(code, "131047");
    assert!(text.contains("settings.template"), "{text}");
    let channel = with_template();
    assert!(matches!(judged(&*channel), Outcome::Degrade { .. }));
    let (bodies, degraded) = crate::kit::testing::rendered(&*channel, &body, 1);
    assert_eq!(
        bodies,
        [
            json!({"type": "template", "template": {"name": "note", "language": {"code": "en_US"},
            "components": [{"type": "body", "parameters": [{"type": "text", "text": "one two"}]}]}})
        ]
    );
    assert_eq!(degraded, ["text->template"]);
    let hi = message(&body, &json!({}), None);
    let plan = channel.render(&hi, &context(1)).unwrap();
    let refused = channel.classify(&plan.steps[0], &answer(400, &error(131_047)), &context(1));
    assert!(matches!(refused, Outcome::Rejected { .. }));
    assert_eq!(
        channel.render(&hi, &context(2)).unwrap_err().code,
        "no_lower_form"
    );
}

#[test]
fn codes_count_whatever_the_status() {
    let hi = json!({"data": "hi"});
    for (code, wanted) in [
        (130_429, "Limited"),
        (4, "Limited"),
        (80_007, "Limited"),
        (131_056, "Limited"),
        (131_048, "Limited"),
        (131_049, "Limited"),
        (131_026, "Rejected"),
        (131_051, "Rejected"),
        (131_008, "Rejected"),
        (100, "Rejected"),
        (132_000, "Rejected"),
        (131_031, "Rejected"),
        (368, "Rejected"),
        (190, "Rejected"),
        (0, "Rejected"),
        (1, "Retry"),
        (2, "Retry"),
        (131_000, "Retry"),
        (131_016, "Retry"),
    ] {
        for status in [400, 401, 429, 500] {
            let outcome = judge(&*channel(), &hi, status, &error(code));
            assert_eq!(format!("{:?}", outcome.class()), wanted, "{code} {status}");
        }
    }
    let pair = judge(&*channel(), &hi, 400, &error(131_056));
    assert_eq!(
        pair,
        Outcome::TargetLimited {
            wait: Duration::from_secs(6)
        }
    );
    let card = json!({"segments": [{"type": "card", "title": "T",
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example/o"}]}]});
    let refused = judge(&*channel(), &card, 400, &error(131_009));
    assert!(matches!(refused, Outcome::Degrade { .. }));
}

#[test]
fn only_an_id_is_a_success() {
    let hi = json!({"data": "hi"});
    let good = r#"{"messaging_product":"whatsapp","contacts":[{"input":"1","wa_id":"1"}],"messages":[{"id":"wamid.1","message_status":"accepted"}]}"#;
    let platform_id = Some("wamid.1".to_owned());
    assert_eq!(
        judge(&*channel(), &hi, 200, good),
        Outcome::Delivered { platform_id }
    );
    for body in [
        "",
        "ok",
        "{}",
        r#"{"messages":[]}"#,
        r#"{"messages":[{"id":""}]}"#,
    ] {
        let outcome = judge(&*channel(), &hi, 200, body);
        assert!(
            matches!(outcome, Outcome::Unknown { .. }),
            "{body}: {outcome:?}"
        );
    }
}

#[test]
fn the_token_is_asked_about() {
    let channel = channel();
    let check = channel.credential_check().unwrap();
    let request = check.request(&context(0)).unwrap().into_http().unwrap();
    assert_eq!(request.method, Method::GET);
    assert_eq!(
        request.url.as_str(),
        "https://graph.facebook.com/v24.0/106?fields=display_phone_number,verified_name"
    );
    assert_eq!(request.headers["authorization"], "Bearer hidden");
    let read = |status, body: &str| check.read(&answer(status, body), &context(0));
    let good = r#"{"display_phone_number":"+1 555","verified_name":"Shop","id":"106"}"#;
    assert_eq!(read(200, good).unwrap(), "Shop (+1 555)");
    let Err(Outcome::Rejected { text, .. }) = read(401, &error(190)) else {
        panic!("good");
    };
    assert!(text.contains("settings.access_token"), "{text}");
    assert!(matches!(read(200, "{}"), Err(Outcome::Retry { .. })));
    assert!(matches!(read(503, ""), Err(Outcome::Retry { .. })));
}

#[test]
fn settings_are_checked() {
    let with = |name: &str, value: Value| {
        let mut settings = settings();
        settings[name] = value;
        settings
    };
    let template = |name: &str| json!({"name": name, "language": "en_US"});
    #[rustfmt::skip]
    let table = [
        (json!({"phone_number_id": "1"}), "invalid_field", "settings.access_token"),
        (with("phone_number_id", "+1 555".into()), "invalid_field", "settings.phone_number_id"),
        (with("access_token", "hidden\n".into()), "invalid_secret", "settings.access_token"),
        (with("to", "0151".into()), "invalid_target", "settings.to"),
        (with("api_version", "24".into()), "invalid_field", "settings.api_version"),
        (with("api_version", "v24/../x".into()), "invalid_field", "settings.api_version"),
        (with("template", template("a b")), "invalid_field", "settings.template.name"),
        (with("template", json!({"name": "a"})), "invalid_field", "settings.template.language"),
    ];
    check_refused(&WhatsAppCloud, &table);
    let hi = message(&json!({"data": "hi"}), &json!({}), None);
    for target in ["x", "123", "01511234567", "1555123456789012"] {
        let context = Context {
            target: Some(target),
            ..context(0)
        };
        assert_eq!(
            channel().render(&hi, &context).unwrap_err().code,
            "invalid_target"
        );
    }
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"phone_number_id": "106", "access_token": "T"});
    let number = Some("15551234567".to_owned());
    assert_eq!(
        of_url(&WhatsAppCloud, "whatsapp://106/+15551234567?access_token=T"),
        (wanted, number)
    );
    check_refused_urls(
        &WhatsAppCloud,
        &[
            "whatsapp://106/15551234567",
            "whatsapp://106?access_token=T",
            "whatsapp://x/15551234567?access_token=T",
        ],
    );
}

proptest! {
    /// Nothing of a user's opens a mark: each is inside of a word, or kept from what comes after it.
    #[test]
    fn text_is_never_markup(text in hostile()) {
        // Addresses are left as they are: one with a mark in it must still lead somewhere.
        let runs = text_runs(&text, Look::PLAIN).into_iter();
        let runs: Vec<Run> = runs.filter(|run| !matches!(run, Run::Link { .. })).collect();
        for dialect in [dialect::TEXT, dialect::MARKUP] {
            let written = dialect.write(&[Block::paragraph(runs.clone())]);
            for line in written.split('\n') {
                let line = line.trim_start();
                prop_assert!(!line.starts_with(['>', '-']), "{line}");
                let chars: Vec<char> = line.chars().collect();
                for (place, c) in chars.iter().enumerate() {
                    let before = place.checked_sub(1).map(|before| chars[before]);
                    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
                    let kept = chars.get(place + 1) == Some(&'\u{200b}');
                    prop_assert!(!"*_~`".contains(*c) || kept || (in_word && *c != '`'), "{line}");
                }
            }
            let bare = |text: &str| text.replace('\u{200b}', "");
            let wanted: String = runs.iter().map(|run| match run {
                Run::Text { text, .. } => text.as_str(),
                _ => "\n",
            }).collect();
            prop_assert_eq!(bare(&written), bare(&wanted));
        }
    }
}
