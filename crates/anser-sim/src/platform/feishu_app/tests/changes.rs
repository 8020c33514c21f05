//! What becomes of a message that was sent: edits, updates of cards, recalls.

use super::*;

fn change(trial: &mut Trial, method: Method, id: &str, body: &Value) -> Value {
    let target = format!("{MESSAGES}/{id}");
    let body = match body {
        Value::Null => Bytes::new(),
        body => body.to_string().into(),
    };
    trial
        .send(method, &target, "application/json", body)
        .value()
}

fn sent(trial: &mut Trial, body: &Value) -> String {
    let answer = send(trial, body);
    answer["data"]["message_id"].as_str().unwrap().to_owned()
}

fn text(said: &str) -> Value {
    json!({"msg_type": "text", "content": json!({"text": said}).to_string()})
}

fn card(said: &str) -> Value {
    json!({"schema": "2.0", "body": {"elements": [{"tag": "markdown", "content": said}]}})
}

fn other_app(trial: &mut Trial) {
    trial.robot = app(2);
    authorize(trial);
}

#[test]
fn a_text_is_edited_twenty_times_and_by_its_sender_alone() {
    let mut trial = authorized();
    let id = sent(&mut trial, &hi(""));
    for number in 0..20 {
        let answer = change(&mut trial, Method::PUT, &id, &text(&number.to_string()));
        assert_eq!(
            (&answer["code"], &answer["data"]["updated"]),
            (&json!(0), &json!(true))
        );
    }
    assert_eq!(
        change(&mut trial, Method::PUT, &id, &text("21"))["code"],
        230_072
    );
    assert_eq!(trial.changes.len(), 20);
    let last = &trial.changes[19];
    assert_eq!(
        (&*last.conversation, &*last.id, &*last.text),
        ("oc_1", &*id, "19")
    );
    let seen = change(&mut trial, Method::GET, &id, &Value::Null);
    assert_eq!(
        seen["data"]["items"][0]["body"]["content"],
        "{\"text\":\"19\"}"
    );
    let id = sent(&mut trial, &hi(""));
    other_app(&mut trial);
    assert_eq!(
        change(&mut trial, Method::PUT, &id, &text("x"))["code"],
        230_071
    );
    assert_eq!(
        change(&mut trial, Method::DELETE, &id, &Value::Null)["code"],
        230_026
    );
    let update = json!({"content": card("x").to_string()});
    assert_eq!(
        change(&mut trial, Method::PATCH, &id, &update)["code"],
        230_027
    );
}

#[test]
fn a_card_is_updated_within_its_own_window() {
    let mut trial = authorized();
    let id = sent(&mut trial, &message("interactive", &card("a"), ""));
    let update = json!({"content": card("b").to_string()});
    for _ in 0..5 {
        let answer = change(&mut trial, Method::PATCH, &id, &update);
        assert_eq!(answer, json!({"code": 0, "msg": "success", "data": {}}));
    }
    assert_eq!(
        change(&mut trial, Method::PATCH, &id, &update)["code"],
        230_020
    );
    assert_eq!(trial.exceeded, [&*id]);
    assert_eq!((trial.changes.len(), &*trial.changes[0].text), (5, "b"));
    // A card is not edited, nor a text updated.
    assert_eq!(
        change(&mut trial, Method::PUT, &id, &text("x"))["code"],
        230_054
    );
    let other = sent(&mut trial, &hi(""));
    assert_eq!(
        change(&mut trial, Method::PATCH, &other, &update)["code"],
        230_054
    );
    let wrong = json!({"content": "{}"});
    trial.advance(Duration::from_secs(1));
    assert_eq!(
        change(&mut trial, Method::PATCH, &id, &wrong)["code"],
        230_001
    );
}

#[test]
fn what_was_recalled_is_gone() {
    let mut trial = authorized();
    let id = sent(&mut trial, &hi("k"));
    let answer = change(&mut trial, Method::DELETE, &id, &Value::Null);
    assert_eq!(answer, json!({"code": 0, "msg": "success", "data": {}}));
    assert_eq!((trial.gone.len(), &*trial.gone[0].id), (1, &*id));
    for (method, body) in [(Method::DELETE, Value::Null), (Method::PUT, text("x"))] {
        assert_eq!(change(&mut trial, method, &id, &body)["code"], 230_011);
    }
    let seen = change(&mut trial, Method::GET, &id, &Value::Null);
    assert_eq!(seen["data"]["items"][0]["deleted"], true);
    assert_eq!(
        change(&mut trial, Method::DELETE, "om_none", &Value::Null)["code"],
        230_001
    );
}

#[test]
fn a_days_old_message_stays_and_a_fortnights_old_card_too() {
    const DAY: Duration = Duration::from_secs(24 * 3_600);
    let mut trial = authorized();
    let id = sent(&mut trial, &message("interactive", &card("a"), ""));
    trial.advance(DAY + Duration::from_secs(1));
    authorize(&mut trial);
    assert_eq!(
        change(&mut trial, Method::DELETE, &id, &Value::Null)["code"],
        230_009
    );
    let update = json!({"content": card("b").to_string()});
    assert_eq!(change(&mut trial, Method::PATCH, &id, &update)["code"], 0);
    trial.advance(DAY * 13);
    authorize(&mut trial);
    assert_eq!(
        change(&mut trial, Method::PATCH, &id, &update)["code"],
        230_031
    );
}
