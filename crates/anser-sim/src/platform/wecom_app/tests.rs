//! Tokens, messages, files, repeats and recalls of an app.

use super::super::Platform;
use super::super::trial::{Trial, part};
use super::*;

fn trial() -> (Trial, String) {
    let mut trial = Trial::of(Platform::WeCom);
    trial.robot = app(1);
    let token = token(&mut trial);
    (trial, token)
}

fn ask(trial: &mut Trial, secret: &str) -> Value {
    let path = format!("{TOKEN}?corpid=wwsim0000000000001&corpsecret={secret}");
    trial
        .send(Method::GET, &path, "", bytes::Bytes::new())
        .value()
}

fn token(trial: &mut Trial) -> String {
    let secret = trial.robot.secret.clone().unwrap();
    ask(trial, &secret)["access_token"]
        .as_str()
        .unwrap()
        .to_owned()
}

fn text(said: &str) -> Value {
    json!({"touser": "u1", "agentid": 1_000_001, "msgtype": "text", "text": {"content": said}})
}

fn send(trial: &mut Trial, token: &str, body: &Value) -> Value {
    trial
        .post_to(&format!("{SEND}?access_token={token}"), body)
        .value()
}

#[test]
fn a_token_is_the_same_until_it_ends() {
    let (mut trial, first) = trial();
    assert_eq!(token(&mut trial), first);
    assert_eq!(ask(&mut trial, "wrong")["errcode"], 40_001);
    assert_eq!(send(&mut trial, "", &text("hi"))["errcode"], 41_001);
    assert_eq!(send(&mut trial, "x", &text("hi"))["errcode"], 40_014);
    assert_eq!(send(&mut trial, &first, &text("hi"))["errcode"], 0);
    trial.advance(TOKEN_LIFE);
    assert_eq!(send(&mut trial, &first, &text("hi"))["errcode"], 42_001);
    assert_ne!(token(&mut trial), first);
}

#[test]
fn messages_are_checked_and_recalled_once() {
    let (mut trial, token) = trial();
    let file = vec![part("media", Some("r.pdf"), b"%PDF-1")];
    let path = format!("{UPLOAD}?access_token={token}&type=file");
    let file = trial.upload(&path, file).value();
    let with = |change: Value| {
        let mut body = text("hi");
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        body
    };
    for (body, code) in [
        (text("hi"), 0),
        (text(" "), 44_004),
        (text(&"x".repeat(2_049)), 45_002),
        (with(json!({"agentid": 7})), 40_056),
        (with(json!({"touser": ""})), 81_013),
        (with(json!({"msgtype": "blink"})), 40_008),
        (
            with(json!({"msgtype": "file", "file": {"media_id": file["media_id"]}})),
            0,
        ),
        (
            with(json!({"msgtype": "image", "image": {"media_id": file["media_id"]}})),
            40_007,
        ),
    ] {
        assert_eq!(send(&mut trial, &token, &body)["errcode"], code, "{body}");
    }
    let sent = send(&mut trial, &token, &text("gone"));
    let recall = format!("{RECALL}?access_token={token}");
    for code in [0, 40_058] {
        let answer = trial.post_to(&recall, &json!({"msgid": sent["msgid"]}));
        assert_eq!(answer.value()["errcode"], code);
    }
    assert_eq!((trial.gone.len(), trial.letters.len()), (1, 3));
}

#[test]
fn the_same_message_is_not_sent_twice_where_it_asks_for_that() {
    let (mut trial, token) = trial();
    let mut body = text("once");
    body["enable_duplicate_check"] = 1.into();
    for _ in 0..2 {
        assert_eq!(send(&mut trial, &token, &body)["errcode"], 0);
    }
    assert_eq!(trial.letters.len(), 1);
    trial.advance(Duration::from_secs(REPEAT_LIFE));
    assert_eq!(send(&mut trial, &token, &body)["errcode"], 0);
    assert_eq!(trial.letters.len(), 2);
}

#[test]
fn a_member_is_shown_thirty_a_minute_and_nobody_is_told_of_the_rest() {
    let (mut trial, token) = trial();
    for _ in 0..31 {
        assert_eq!(send(&mut trial, &token, &text("hi"))["errcode"], 0);
    }
    assert_eq!(
        (trial.letters.len(), &*trial.breaches),
        (30, &[Breach::Rate][..])
    );
    let mut both = text("hi");
    both["touser"] = "u1|u2".into();
    assert_eq!(send(&mut trial, &token, &both)["errcode"], 0);
    assert_eq!(trial.letters.len(), 31, "the other is shown it");
    trial.advance(Duration::from_secs(60));
    send(&mut trial, &token, &text("hi"));
    assert_eq!(trial.letters.len(), 32);
}

#[test]
fn who_is_not_reached_is_named_in_a_success() {
    let (mut trial, token) = trial();
    let mut body = text("hi");
    body["touser"] = "u1|nobody7".into();
    let answer = send(&mut trial, &token, &body);
    assert_eq!(
        (&answer["errcode"], &answer["invaliduser"]),
        (&json!(0), &json!("nobody7"))
    );
    assert_eq!(trial.letters[0].conversation, "u1");
    body["touser"] = "nobody7".into();
    assert_eq!(send(&mut trial, &token, &body)["errcode"], 81_013);
}

#[test]
fn groups_are_made_first_and_take_no_template_card() {
    let (mut trial, token) = trial();
    let mut post = |path: &str, body: &Value| {
        let path = format!("{path}?access_token={token}");
        trial.post_to(&path, body).value()["errcode"]
            .as_i64()
            .unwrap()
    };
    let said = |chat: &str| json!({"chatid": chat, "msgtype": "text", "text": {"content": "hi"}});
    let chat = json!({"name": "Ops", "owner": "u1", "userlist": ["u1", "u2"], "chatid": "ops1"});
    assert_eq!(post(CHAT_SEND, &said("ops1")), 86_003);
    assert_eq!(post(CHAT_CREATE, &json!({"userlist": ["u1"]})), 86_006);
    assert_eq!(post(CHAT_CREATE, &chat), 0);
    assert_eq!(post(CHAT_CREATE, &chat), 86_215);
    assert_eq!(post(CHAT_SEND, &said("ops1")), 0);
    assert_eq!(post(CHAT_SEND, &said(chats::FIRST)), 0);
    assert_eq!(
        post(
            CHAT_SEND,
            &json!({"msgtype": "text", "text": {"content": "hi"}})
        ),
        86_001
    );
    let card = json!({"chatid": "ops1", "msgtype": "template_card", "template_card": {}});
    assert_eq!(post(CHAT_SEND, &card), 40_008);
    assert_eq!(trial.letters[0].conversation, "ops1");
}
