//! Tokens, forms, refusals, windows and files of a number, from known answers.

use super::super::Platform;
use super::super::trial::{Trial, part};
use super::*;

const NUMBER: &str = "106540352200001";

fn trial() -> Trial {
    let mut trial = Trial::of(Platform::WhatsApp);
    let token = trial.robot.secret.clone().unwrap();
    trial.authorization = Some(format!("Bearer {token}").parse().unwrap());
    trial
}

fn to(number: &str, more: Value) -> Value {
    let mut body = json!({"messaging_product": "whatsapp", "to": number});
    body.as_object_mut()
        .unwrap()
        .extend(more.as_object().unwrap().clone());
    body
}

fn text(said: &str) -> Value {
    to(
        "15550001001",
        json!({"type": "text", "text": {"body": said}}),
    )
}

/// 0 for a message that was taken.
fn code(answer: &Answer) -> i64 {
    let value = answer.value();
    assert_eq!(value["error"].is_null(), answer.status == 200, "{value}");
    value["error"]["code"].as_i64().unwrap_or(0)
}

fn uploaded(trial: &mut Trial, media_type: &str, bytes: &[u8]) -> Answer {
    let mut file = part("file", Some("f"), bytes);
    file.media_type = Some(media_type.to_owned());
    let parts = vec![part("messaging_product", None, b"whatsapp"), file];
    trial.upload(&format!("/v24.0/{NUMBER}/media"), parts)
}

#[test]
fn a_message_is_taken_with_its_id_and_what_comes_back_with_its_news() {
    let mut trial = trial();
    let mut body = text("hi");
    body["to"] = "+1 (555) 000-1001".into();
    body["biz_opaque_callback_data"] = "delivery-7".into();
    let answer = trial.post(&body);
    assert_eq!(
        answer.value(),
        json!({"messaging_product": "whatsapp", "contacts": [{"input": "+1 (555) 000-1001", "wa_id": "15550001001"}],
            "messages": [{"id": "wamid.SimWhatsApp00000000000000000001"}]})
    );
    let letter = &trial.letters[0];
    assert_eq!(
        (&*letter.conversation, &*letter.kind, &*letter.text),
        ("15550001001", "text", "hi")
    );
    assert_eq!(letter.body["biz_opaque_callback_data"], "delivery-7");
}

#[test]
fn the_token_opens_its_own_number_only() {
    let mut trial = trial();
    assert_eq!(code(&trial.post_to("/v21.0/1/messages", &text("hi"))), 100);
    assert_eq!(code(&trial.post_to("/messages", &text("hi"))), 2500);
    trial.authorization = Some("Bearer x".parse().unwrap());
    let refused = trial.post(&text("hi"));
    assert_eq!((refused.status, code(&refused)), (401, 190));
    trial.authorization = None;
    assert_eq!(code(&trial.post(&text("hi"))), 104);
    assert_eq!(trial.breaches[2..], [Breach::Credentials; 2]);
}

#[test]
fn a_number_tells_of_itself_what_is_asked() {
    let mut trial = trial();
    let path = format!("/v24.0/{NUMBER}?fields=display_phone_number,verified_name");
    let answer = trial.send(Method::GET, &path, "", bytes::Bytes::new());
    assert_eq!(
        answer.value(),
        json!({"display_phone_number": "+1 555-010-0001", "verified_name": "Anser", "id": NUMBER})
    );
}

/// Every form that is one thing, and the same with something wrong; the code of the answer.
fn plain_forms() -> Vec<(Value, i64)> {
    vec![
        (json!({"text": {"body": "no type"}}), 0),
        (json!({"type": "text", "text": {"body": " "}}), 131_008),
        (
            json!({"type": "text", "text": {"body": "x".repeat(4_097)}}),
            100,
        ),
        (
            json!({"text": {"body": "x"}, "context": {"message_id": "wamid.A"}}),
            0,
        ),
        (
            json!({"text": {"body": "x"}, "context": {"message_id": "7"}}),
            131_009,
        ),
        (
            json!({"text": {"body": "x"}, "biz_opaque_callback_data": "x".repeat(513)}),
            131_009,
        ),
        (
            json!({"type": "image", "image": {"link": "https://e.com/a.png", "caption": "c"}}),
            0,
        ),
        (
            json!({"type": "image", "image": {"link": "a.png"}}),
            131_009,
        ),
        (json!({"type": "image", "image": {"id": "7"}}), 100),
        (json!({"type": "image", "image": {}}), 100),
        (
            json!({"type": "audio", "audio": {"link": "https://e.com/a", "caption": "c"}}),
            131_009,
        ),
        (
            json!({"type": "location", "location": {"latitude": 1.5, "longitude": "2.5"}}),
            0,
        ),
        (
            json!({"type": "location", "location": {"latitude": 91, "longitude": 2}}),
            131_009,
        ),
        (
            json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "A B", "first_name": "A"}}]}),
            0,
        ),
        (
            json!({"type": "contacts", "contacts": [{"name": {"formatted_name": "A B"}}]}),
            131_009,
        ),
        (
            json!({"type": "reaction", "reaction": {"message_id": "wamid.A", "emoji": "👍"}}),
            0,
        ),
        (json!({"type": "fax", "fax": {}}), 131_051),
    ]
}

/// Every form of several things, and the same with something wrong; the code of the answer.
fn composed_forms() -> Vec<(Value, i64)> {
    let buttons = |title: &str| {
        json!({"type": "interactive", "interactive": {"type": "button", "body": {"text": "b"}, "action": {"buttons":
            [{"type": "reply", "reply": {"id": "1", "title": title}}, {"type": "reply", "reply": {"id": "2", "title": "No"}}]}}})
    };
    let row = |title: &str| {
        json!({"type": "interactive", "interactive": {"type": "list", "body": {"text": "b"}, "action": {"button": "See",
            "sections": [{"title": "s", "rows": [{"id": "1", "title": title}]}]}}})
    };
    let template = |name: &str| json!({"type": "template", "template": {"name": name, "language": {"code": "en_US"}}});
    vec![
        (buttons("Yes"), 0),
        (buttons("No"), 131_009),
        (buttons("a title that is too long"), 100),
        (row("r"), 0),
        (row("a title that is rather too long"), 100),
        (
            json!({"type": "interactive", "interactive": {"type": "cta_url", "body": {"text": "b"},
                "header": {"type": "image", "image": {"link": "https://e.com/a.png"}},
                "action": {"name": "cta_url", "parameters": {"display_text": "Open", "url": "https://e.com"}}}}),
            0,
        ),
        (template("hello_world"), 0),
        (template("Hello"), 132_001),
        (
            json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "de"}}}),
            132_001,
        ),
        (
            json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"},
                "components": [{"type": "body", "parameters": [{"type": "text", "text": "Bob"}]}]}}),
            132_000,
        ),
    ]
}

#[test]
fn every_type_is_taken_whole_and_not_in_part() {
    for (more, wanted) in plain_forms().into_iter().chain(composed_forms()) {
        let mut trial = trial();
        let body = to("15550001001", more);
        assert_eq!(code(&trial.post(&body)), wanted, "{body}");
    }
    let mut trial = trial();
    let mut body = text("hi");
    body["messaging_product"] = "sms".into();
    assert_eq!(code(&trial.post(&body)), 100);
}

#[test]
fn whom_a_message_cannot_reach_is_told() {
    let mut trial = trial();
    let said = |number: &str| to(number, json!({"text": {"body": "hi"}}));
    assert_eq!(code(&trial.post(&said("15550131026"))), 131_026);
    assert_eq!(code(&trial.post(&said("15550131047"))), 131_047);
    assert_eq!(code(&trial.post(&said("nobody"))), 131_009);
    let template = json!({"type": "template", "template": {"name": "hello_world", "language": {"code": "en_US"}}});
    let answer = trial.post(&to("15550131047", template));
    assert_eq!(answer.value()["messages"][0]["message_status"], "accepted");
}

#[test]
fn eighty_a_second_and_to_one_person_one_in_six_seconds_for_long() {
    let mut trial = trial();
    for _ in 0..45 {
        assert_eq!(code(&trial.post(&text("hi"))), 0);
    }
    let refused = trial.post(&text("hi"));
    assert_eq!((refused.status, code(&refused)), (400, 131_056));
    for number in 0..35 {
        let body = to(
            &format!("1555000{number:04}"),
            json!({"text": {"body": "hi"}}),
        );
        assert_eq!(code(&trial.post(&body)), 0);
    }
    let refused = trial.post(&to("15559990001", json!({"text": {"body": "hi"}})));
    assert_eq!((refused.status, code(&refused)), (429, 130_429));
    trial.advance(Duration::from_secs(6));
    assert_eq!(code(&trial.post(&text("hi"))), 0);
    assert_eq!(code(&trial.post(&text("hi"))), 131_056);
    assert_eq!(trial.breaches, [Breach::Rate; 3]);
}

#[test]
fn files_are_shown_by_their_own_type_and_given_back() {
    let mut trial = trial();
    let answer = uploaded(&mut trial, "image/png", b"\x89PNG");
    let id = answer.value()["id"].as_str().unwrap().to_owned();
    let shown = |kind: &str| to("15550001001", json!({"type": kind, kind: {"id": id}}));
    assert_eq!(code(&trial.post(&shown("image"))), 0);
    assert_eq!(code(&trial.post(&shown("document"))), 0);
    assert_eq!(code(&trial.post(&shown("video"))), 131_053);
    assert_eq!(trial.letters[0].uploads, [&*id]);
    let told = trial.send(
        Method::GET,
        &format!("/v24.0/{id}"),
        "",
        bytes::Bytes::new(),
    );
    assert_eq!(told.value()["file_size"], 4);
    let url = told.value()["url"].as_str().unwrap().to_owned();
    let path = url.strip_prefix("http://").unwrap();
    let back = trial.send(Method::GET, path, "", bytes::Bytes::new());
    assert_eq!(back.body.as_ref(), b"\x89PNG");
    assert_eq!(code(&uploaded(&mut trial, "application/zip", b"PK")), 100);
    assert_eq!(code(&uploaded(&mut trial, "image/png", b"")), 131_053);
}

#[test]
fn a_picture_may_be_larger_as_a_document() {
    let mut trial = trial();
    let large = uploaded(&mut trial, "image/jpeg", &vec![1; (5 << 20) + 1]);
    let id = large.value()["id"].clone();
    for (kind, wanted) in [("image", 131_053), ("document", 0)] {
        let body = to("15550001001", json!({"type": kind, kind: {"id": id}}));
        assert_eq!(code(&trial.post(&body)), wanted, "{kind}");
    }
    assert_eq!(trial.breaches, [Breach::Size]);
}
