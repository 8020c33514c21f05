//! Edits, recalls, and whose token it is.

use anser_core::channel::HttpResponse;
use http::{HeaderMap, StatusCode};

use super::media::with_media;
use super::*;

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// The requests of a plan as method and body; an upload as its method only.
fn requests(message: &Message, plan: &Plan) -> Vec<(String, Value)> {
    let request = |step: &Step| {
        let request = channel().request(step, message, &context(0)).unwrap();
        let (url, body) = match request {
            Request::Upload(request) => (request.url, Value::Null),
            other => {
                let request = other.into_http().unwrap();
                (request.url, serde_json::from_slice(&request.body).unwrap())
            }
        };
        (url.path().rsplit('/').next().unwrap().to_owned(), body)
    };
    plan.steps.iter().map(request).collect()
}

fn answer(status: u16, body: &Value) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_string().into(),
    })
}

#[test]
fn text_takes_the_place_of_text_and_the_rest_is_deleted() {
    let edit = message(&json!({"data": "new"}));
    let plan = channel()
        .edit(&edit, &ids(&["7", "8"]), &context(0))
        .unwrap();
    assert_eq!(
        requests(&edit, &plan),
        [
            (
                "editMessageText".to_owned(),
                json!({"chat_id": -5, "message_id": 7, "text": "new"})
            ),
            (
                "deleteMessage".to_owned(),
                json!({"chat_id": -5, "message_id": 8})
            ),
        ]
    );
}

#[test]
fn a_picture_is_sent_anew() {
    let edit = with_media(json!([{"type": "image", "att": "png"}]));
    let plan = channel().edit(&edit, &ids(&["7"]), &context(0)).unwrap();
    let methods: Vec<String> = requests(&edit, &plan)
        .into_iter()
        .map(|(method, _)| method)
        .collect();
    assert_eq!(methods, ["sendPhoto", "deleteMessage"]);
    assert_eq!(plan.degraded, ["edit->message"]);
}

#[test]
fn an_id_that_is_none_is_refused() {
    let recall = message(&json!({"data": {}}));
    for id in ["x", "-1", "7/8", ""] {
        let plan = channel().recall(&recall, &ids(&[id]), &context(0)).unwrap();
        let problem = channel()
            .request(&plan.steps[0], &recall, &context(0))
            .unwrap_err();
        assert_eq!(problem.code, "no_platform_id", "{id}");
    }
}

#[test]
fn answers_to_changes() {
    let edit = message(&json!({"data": "new"}));
    let plan = channel()
        .edit(&edit, &ids(&["7", "8"]), &context(0))
        .unwrap();
    let (edit, recall) = (&plan.steps[0], &plan.steps[1]);
    for (step, text, wanted) in [
        (edit, "Bad Request: message is not modified: x", "Delivered"),
        (edit, "Bad Request: message to edit not found", "Rejected"),
        (
            edit,
            "Bad Request: there is no text in the message to edit",
            "Rejected",
        ),
        (edit, "Bad Request: can't parse entities: x", "Degrade"),
        (
            recall,
            "Bad Request: message to delete not found",
            "Delivered",
        ),
        (
            recall,
            "Bad Request: message can't be deleted for everyone",
            "Rejected",
        ),
    ] {
        let body = json!({"ok": false, "error_code": 400, "description": text});
        let outcome = channel().classify(step, &answer(400, &body), &context(0));
        assert_eq!(format!("{:?}", outcome.class()), wanted, "{text}");
    }
    let done = channel().classify(
        recall,
        &answer(200, &json!({"ok": true, "result": true})),
        &context(0),
    );
    assert_eq!(done, Outcome::Delivered { platform_id: None });
}

#[test]
fn the_bot_is_asked_who_it_is() {
    let channel = channel();
    let check = channel.credential_check().unwrap();
    let request = check.request(&context(0)).unwrap().into_http().unwrap();
    assert_eq!(
        request.url.as_str(),
        "https://api.telegram.org/bot123:AAhidden/getMe"
    );
    let read = |status, body: Value| check.read(&answer(status, &body), &context(0));
    let who = json!({"ok": true, "result": {"id": 123, "is_bot": true, "username": "anser_bot"}});
    assert_eq!(read(200, who), Ok("@anser_bot".to_owned()));
    let refused = read(
        401,
        json!({"ok": false, "error_code": 401, "description": "Unauthorized"}),
    );
    assert!(matches!(refused, Err(Outcome::Rejected { text, .. }) if text.contains("@BotFather")));
    assert!(matches!(
        read(502, json!("<html>")),
        Err(Outcome::Retry { .. })
    ));
}
