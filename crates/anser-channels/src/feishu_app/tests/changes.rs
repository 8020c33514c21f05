//! Edits and recalls.

use anser_core::channel::StepKind;
use http::Method;

use super::media::with_media;
use super::*;

fn ids(ids: &[&str]) -> Vec<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

fn requests(message: &Message, plan: &Plan) -> Vec<(Method, String, Value)> {
    let outputs: Vec<_> = plan
        .steps
        .iter()
        .map(|_| Some("img_1".to_owned()))
        .collect();
    let mut requests = Vec::new();
    for (place, step) in plan.steps.iter().enumerate() {
        let context = Context {
            step: place,
            outputs: &outputs,
            ..context(0)
        };
        if let Some(request) = channel()
            .request(step, message, &context)
            .unwrap()
            .into_http()
        {
            let body = serde_json::from_slice(&request.body).unwrap_or(Value::Null);
            requests.push((request.method, request.url.path().to_owned(), body));
        }
    }
    requests
}

#[test]
fn a_text_takes_the_place_of_what_was_sent() {
    let edit = message(&json!({"data": "new"}));
    let plan = channel()
        .edit(&edit, &ids(&["om_1", "om_2"]), &context(0))
        .unwrap();
    let path = |id: &str| format!("/open-apis/im/v1/messages/{id}");
    assert_eq!(
        requests(&edit, &plan),
        [
            (
                Method::PUT,
                path("om_1"),
                json!({"msg_type": "text", "content": "{\"text\":\"new\"}"})
            ),
            (Method::DELETE, path("om_2"), Value::Null),
        ]
    );
}

#[test]
fn a_card_is_changed_at_its_own_end_of_the_api() {
    let edit = with_media(json!([{"type": "card", "title": "T", "image": "png"}]));
    let plan = channel().edit(&edit, &ids(&["om_1"]), &context(0)).unwrap();
    let sent = requests(&edit, &plan);
    let (method, path, body) = &sent[0];
    assert_eq!(
        (method, path.as_str()),
        (&Method::PATCH, "/open-apis/im/v1/messages/om_1")
    );
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(names, ["content"]);
    assert!(
        body["content"]
            .as_str()
            .unwrap()
            .contains("\"img_key\":\"img_1\"")
    );
}

#[test]
fn a_picture_is_sent_anew_and_the_old_part_recalled() {
    let edit = with_media(json!([{"type": "text", "text": "t"}, {"type": "image", "att": "png"}]));
    let plan = channel()
        .edit(&edit, &ids(&["om_1", "om_2"]), &context(0))
        .unwrap();
    let kinds: Vec<_> = plan.steps.iter().map(|step| step.kind).collect();
    assert_eq!(
        kinds,
        [
            StepKind::Upload,
            StepKind::Edit,
            StepKind::Send,
            StepKind::Recall
        ]
    );
    assert_eq!(plan.degraded, ["edit->message"]);
    let sent = requests(&edit, &plan);
    assert_eq!(sent[1].2["receive_id"], "oc_c1");
    assert!(sent[2].1.ends_with("/om_2"));
}

#[test]
fn an_id_that_is_none_reaches_no_address() {
    let recall = message(&json!({"data": {}}));
    let plan = channel()
        .recall(&recall, &ids(&["om_1/../om_2"]), &context(0))
        .unwrap();
    let problem = channel()
        .request(&plan.steps[0], &recall, &context(0))
        .unwrap_err();
    assert_eq!(problem.code, "no_platform_id");
}

#[test]
fn answers_to_changes() {
    let edit = message(&json!({"data": "new"}));
    let card = message(&json!({"segments": [{"type": "card", "title": "T"}]}));
    let sent = ids(&["om_1"]);
    let step = |plan: Result<Plan, Problem>| plan.unwrap().steps.remove(0);
    let text = step(channel().edit(&edit, &sent, &context(0)));
    let card = step(channel().edit(&card, &sent, &context(0)));
    let recall = step(channel().recall(&edit, &sent, &context(0)));
    for (step, code, wanted) in [
        (&text, 0, "Delivered"),
        (&text, 230_011, "Rejected"),
        (&text, 230_054, "Rejected"),
        (&text, 230_072, "Rejected"),
        (&text, 230_020, "Limited"),
        (&card, 230_054, "Degrade"),
        (&card, 230_099, "Degrade"),
        (&recall, 0, "Delivered"),
        (&recall, 230_011, "Delivered"),
        (&recall, 230_110, "Delivered"),
        (&recall, 230_009, "Rejected"),
        (&recall, 230_026, "Rejected"),
        (&recall, 99_991_663, "RefreshAuth"),
    ] {
        let body = json!({"code": code, "msg": "m"}).to_string();
        let outcome = channel().classify(step, &answer(200, &body), &context(0));
        assert_eq!(
            format!("{:?}", outcome.class()),
            wanted,
            "{:?} {code}",
            step.kind
        );
    }
    let limited = channel().classify(&text, &answer(400, r#"{"code":230020}"#), &context(0));
    assert!(matches!(limited, Outcome::TargetLimited { .. }));
}
