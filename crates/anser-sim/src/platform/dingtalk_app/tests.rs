//! Tokens, messages, files, windows and recalls of an app's robot.

use super::super::Platform;
use super::super::trial::{Trial, part};
use super::*;

fn trial() -> (Trial, String) {
    let mut trial = Trial::of(Platform::DingTalk);
    trial.robot = app(1);
    let token = token(&mut trial);
    trial.headers = vec![(TOKEN_HEADER, token.clone())];
    (trial, token)
}

fn token(trial: &mut Trial) -> String {
    let body = json!({"appKey": trial.robot.token, "appSecret": trial.robot.secret});
    let given = trial.post_to(TOKEN, &body).value();
    given["accessToken"].as_str().unwrap().to_owned()
}

fn said(key: &str, param: &Value) -> Value {
    json!({"robotCode": "dingsim0000000000001", "userIds": ["u1"], "msgKey": key, "msgParam": param.to_string()})
}

fn text(said_text: &str) -> Value {
    said("sampleText", &json!({"content": said_text}))
}

/// The code of a refusal; empty for a success.
fn code(answer: &Answer) -> String {
    let value = answer.value();
    assert_eq!(value["code"].is_null(), answer.status == 200, "{value}");
    value["code"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_token_is_the_same_until_it_ends() {
    let (mut trial, first) = trial();
    trial.advance(TOKEN_LIFE / 2);
    assert_eq!(token(&mut trial), first, "and begins anew");
    trial.advance(TOKEN_LIFE / 2);
    assert_eq!(code(&trial.post_to(TO_USERS, &text("hi"))), "");
    trial.advance(TOKEN_LIFE / 2);
    let refused = trial.post_to(TO_USERS, &text("hi"));
    assert_eq!(
        (refused.status, &*code(&refused)),
        (400, "InvalidAuthentication")
    );
    assert_ne!(token(&mut trial), first);
    let wrong = json!({"appKey": trial.robot.token, "appSecret": "x"});
    let refused = trial.post_to(TOKEN, &wrong);
    assert_eq!(code(&refused), "invalidClientIdOrSecret");
}

#[test]
fn texts_and_cards_are_taken_whole_and_not_in_part() {
    let (mut trial, _) = trial();
    let wrong = "invalidParameter.msgParam.invalid";
    for (body, wanted) in [
        (text("hi"), ""),
        (text(" "), wrong),
        (text(&"x".repeat(15_000)), "invalidParameter.param.invalid"),
        (
            said("sampleMarkdown", &json!({"title": "t", "text": "x"})),
            "",
        ),
        (said("sampleMarkdown", &json!({"text": "x"})), wrong),
        (
            said("sampleFax", &json!({})),
            "invalidParameter.msgKey.invalid",
        ),
        (
            said(
                "sampleActionCard",
                &json!({"title": "t", "text": "x", "singleTitle": "s", "singleURL": "https://e.com"}),
            ),
            "",
        ),
        (
            said(
                "sampleActionCard2",
                &json!({"title": "t", "text": "x", "actionTitle1": "a", "actionURL1": "https://e.com/a",
                "actionTitle2": "b", "actionURL2": "https://e.com/b"}),
            ),
            "",
        ),
        (
            said(
                "sampleActionCard2",
                &json!({"title": "t", "text": "x", "actionTitle1": "a", "actionURL1": "https://e.com/a"}),
            ),
            wrong,
        ),
        (
            json!({"userIds": ["u1"]}),
            "invalidParameter.robotCode.empty",
        ),
        (
            json!({"robotCode": "ding1", "userIds": ["u1"]}),
            "invalidParameter.robotCode.auth",
        ),
    ] {
        trial.advance(Duration::from_secs(1));
        assert_eq!(code(&trial.post_to(TO_USERS, &body)), wanted, "{body}");
    }
}

#[test]
fn media_are_taken_whole_and_not_in_part() {
    let (mut trial, token) = trial();
    let path = format!("{UPLOAD}?access_token={token}");
    let mut ids = Vec::new();
    for kind in ["image", "voice", "video", "file"] {
        let parts = vec![
            part("type", None, kind.as_bytes()),
            part("media", Some("f.pdf"), b"x"),
        ];
        let answer = trial.upload(&path, parts).value();
        ids.push(answer["media_id"].as_str().unwrap().to_owned());
    }
    let [image, voice, video, file] = ids.try_into().unwrap();
    let wrong = "invalidParameter.msgParam.invalid";
    for (body, wanted) in [
        (
            said(
                "sampleImageMsg",
                &json!({"photoURL": "https://e.com/a.png"}),
            ),
            "",
        ),
        (said("sampleImageMsg", &json!({"photoURL": image})), ""),
        (said("sampleImageMsg", &json!({"photoURL": file})), wrong),
        (
            said(
                "sampleAudio",
                &json!({"mediaId": voice, "duration": "3000"}),
            ),
            "",
        ),
        (
            said(
                "sampleFile",
                &json!({"mediaId": file, "fileName": "f.pdf", "fileType": "pdf"}),
            ),
            "",
        ),
        (
            said(
                "sampleFile",
                &json!({"mediaId": file, "fileName": "f.exe", "fileType": "exe"}),
            ),
            wrong,
        ),
        (
            said(
                "sampleVideo",
                &json!({"videoMediaId": video, "videoType": "mp4", "duration": "1", "picMediaId": image}),
            ),
            "",
        ),
    ] {
        trial.advance(Duration::from_secs(1));
        assert_eq!(code(&trial.post_to(TO_USERS, &body)), wanted, "{body}");
    }
    let uploads: usize = trial
        .letters
        .iter()
        .map(|letter| letter.uploads.len())
        .sum();
    assert_eq!(uploads, 5);
}

#[test]
fn the_older_part_refuses_inside_http_200() {
    let (mut trial, token) = trial();
    let media = |kind: &str, bytes: &[u8]| {
        vec![
            part("type", None, kind.as_bytes()),
            part("media", Some("f"), bytes),
        ]
    };
    for (path, parts, wanted) in [
        (token.as_str(), media("file", b"x"), 0),
        ("x", media("file", b"x"), 40_014),
        (&token, media("fax", b"x"), 40_004),
        (&token, media("file", b""), 40_006),
        (&token, vec![part("type", None, b"file")], 40_035),
    ] {
        let answer = trial.upload(&format!("{UPLOAD}?access_token={path}"), parts);
        assert_eq!(
            (answer.status, &answer.value()["errcode"]),
            (200, &json!(wanted))
        );
    }
}

#[test]
fn who_is_not_reached_is_named_in_a_success() {
    let (mut trial, _) = trial();
    let mut body = text("hi");
    body["userIds"] = json!(["u1", "nobody7"]);
    let answer = trial.post_to(TO_USERS, &body).value();
    assert_eq!(answer["invalidStaffIdList"], json!(["nobody7"]));
    assert_eq!(trial.letters[0].conversation, "u1");
    body["userIds"] = json!(["nobody7"]);
    let answer = trial.post_to(TO_USERS, &body);
    assert_eq!((answer.status, trial.letters.len()), (200, 1));
    body["userIds"] = json!(vec!["u"; 21]);
    let refused = trial.post_to(TO_USERS, &body);
    assert_eq!(code(&refused), "invalidParameter.userIds.overMax");
    body["userIds"] = json!([]);
    let refused = trial.post_to(TO_USERS, &body);
    assert_eq!(code(&refused), "invalidParameter.userIds.empty");
}

#[test]
fn twenty_a_second_of_each_api() {
    let (mut trial, _) = trial();
    for _ in 0..20 {
        assert_eq!(code(&trial.post_to(TO_USERS, &text("hi"))), "");
    }
    let refused = trial.post_to(TO_USERS, &text("hi"));
    assert_eq!(
        (refused.status, &*code(&refused)),
        (403, "Forbidden.AccessDenied.QpsLimitForApi")
    );
    let mut body = text("hi");
    body["openConversationId"] = "cidA==".into();
    assert_eq!(code(&trial.post_to(TO_GROUP, &body)), "");
    trial.advance(Duration::from_secs(1));
    assert_eq!(code(&trial.post_to(TO_USERS, &text("hi"))), "");
    assert_eq!(trial.breaches, [Breach::Rate]);
}

#[test]
fn messages_are_taken_back_once_by_where_they_went() {
    let (mut trial, _) = trial();
    let mut body = text("hi");
    let private = trial.post_to(TO_USERS, &body).value()["processQueryKey"].clone();
    body["openConversationId"] = "cidA==".into();
    let grouped = trial.post_to(TO_GROUP, &body).value()["processQueryKey"].clone();
    let mut recall = json!({"robotCode": trial.robot.token, "processQueryKeys": [private, "x"]});
    let answer = trial.post_to(USERS_RECALL, &recall).value();
    assert_eq!(answer["successResult"], json!([private]));
    assert!(answer["failedResult"]["x"].is_string(), "{answer}");
    let answer = trial.post_to(USERS_RECALL, &recall).value();
    assert_eq!(answer["successResult"], json!([]), "once");
    recall["processQueryKeys"] = json!([grouped]);
    recall["openConversationId"] = "cidB==".into();
    let answer = trial.post_to(GROUP_RECALL, &recall).value();
    assert_eq!(answer["successResult"], json!([]), "another group");
    recall["openConversationId"] = "cidA==".into();
    trial.advance(RECALL_AGE_MAX + Duration::from_secs(1));
    trial.headers = vec![(TOKEN_HEADER, token(&mut trial))];
    let answer = trial.post_to(GROUP_RECALL, &recall).value();
    assert!(
        answer["failedResult"].to_string().contains("超出"),
        "{answer}"
    );
    assert_eq!(trial.gone.len(), 1);
}
