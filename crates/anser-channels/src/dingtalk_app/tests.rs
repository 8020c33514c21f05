//! Forms, targets, settings, tokens, uploads, and what answers mean.

use std::time::Duration;

use anser_core::channel::{BodyPart, HttpRequest, HttpResponse, Token};
use http::{HeaderMap, StatusCode};

use super::*;
use crate::kit::testing::{check_refused, check_refused_urls, context, judge, message, of_url};

fn settings() -> Value {
    json!({"app_key": "dingx", "app_secret": "hidden", "to": "user/ann"})
}

fn channel() -> Arc<dyn Channel> {
    DingTalkApp.open(&settings()).unwrap()
}

fn rendered(body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    crate::kit::testing::rendered(&*channel(), body, rung)
}

fn answer(status: u16, body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

/// The request of the first step.
fn request(message: &Message, context: &Context<'_>) -> HttpRequest {
    let channel = channel();
    let plan = channel.render(message, context).unwrap();
    let request = channel.request(&plan.steps[0], message, context);
    request.unwrap().into_http().unwrap()
}

fn sent(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

#[test]
fn a_text_goes_to_its_target_with_the_token() {
    let token = Token::new("t-1".to_owned(), Duration::from_secs(7_200)).unwrap();
    let hi = message(&json!({"data": "hi \"you\""}));
    let to = |target: Option<&'static str>| {
        let context = Context {
            token: Some(&token),
            target,
            ..context(0)
        };
        request(&hi, &context)
    };
    let request = to(None);
    assert_eq!(
        request.url.as_str(),
        "https://api.dingtalk.com/v1.0/robot/oToMessages/batchSend"
    );
    assert_eq!(request.headers[TOKEN_HEADER], "t-1");
    assert!(request.headers[TOKEN_HEADER].is_sensitive());
    assert_eq!(
        sent(&request),
        json!({"robotCode": "dingx", "userIds": ["ann"], "msgKey": "sampleText",
            "msgParam": "{\"content\":\"hi \\\"you\\\"\"}"})
    );
    assert_eq!(sent(&to(Some("user/a|b")))["userIds"], json!(["a", "b"]));
    let group = to(Some("chat/cid6K/e+x=="));
    assert_eq!(group.url.path(), "/v1.0/robot/groupMessages/send");
    assert_eq!(sent(&group)["openConversationId"], "cid6K/e+x==");
    assert_eq!(
        sent(&to(Some("cid6K/e+x==")))["openConversationId"],
        "cid6K/e+x=="
    );
    let crowd = format!("user/{}", ["u"; 21].join("|"));
    for target in [
        "",
        "user/",
        "user/a||b",
        "chat/x",
        "chat/cid",
        "room/1",
        &crowd,
    ] {
        let context = Context {
            target: Some(target),
            ..context(0)
        };
        let problem = channel().render(&hi, &context).unwrap_err();
        assert_eq!(problem.code, "invalid_target", "{target}");
    }
}

#[test]
fn a_native_payload_goes_to_nobody_else() {
    let native = message(
        &json!({"segments": [{"type": "raw", "platform": "dingtalk-app",
        "payload": {"userIds": ["all"], "robotCode": "other", "msgKey": "sampleLink", "msgParam": {"title": "t"}}}]}),
    );
    assert_eq!(
        sent(&request(&native, &context(0))),
        json!({"robotCode": "dingx", "userIds": ["ann"], "msgKey": "sampleLink", "msgParam": "{\"title\":\"t\"}"})
    );
}

#[test]
fn the_plainest_form_that_shows_all() {
    let button = |label: &str| json!({"id": label, "label": label, "kind": "url", "value": "https://a.example"});
    let card = |actions: &[Value]| json!({"type": "card", "title": "t", "sections": ["**s**"], "actions": actions});
    for (segment, key) in [
        (json!({"type": "text", "text": "hi"}), "sampleText"),
        (json!({"type": "mention", "kind": "all"}), "sampleText"),
        (
            json!({"type": "markdown", "text": "**b**"}),
            "sampleMarkdown",
        ),
        (card(&[]), "sampleMarkdown"),
        (card(&[button("a")]), "sampleActionCard"),
        (card(&[button("a"), button("b")]), "sampleActionCard2"),
        (
            card(&["a", "b", "c", "d", "e"].map(button)),
            "sampleActionCard5",
        ),
        (
            card(&["a", "b", "c", "d", "e", "f"].map(button)),
            "sampleMarkdown",
        ),
    ] {
        let (bodies, _) = rendered(&json!({"segments": [segment]}), 0);
        assert_eq!(bodies[0]["msgKey"], key, "{segment}");
    }
    let (bodies, _) = rendered(&json!({"segments": [card(&[button("a"), button("b")])]}), 0);
    assert_eq!(bodies[0]["msgParam"]["actionTitle2"], "b");
    assert_eq!(bodies[0]["msgParam"]["actionURL1"], "https://a.example/");
}

#[test]
fn long_text_takes_several_messages() {
    let text = "一二三四五六七八九\"。".repeat(1_500);
    let hi = message(&json!({"data": text}));
    let channel = channel();
    let plan = channel.render(&hi, &context(0)).unwrap();
    assert!(plan.steps.len() > 2);
    for step in &plan.steps {
        let request = channel
            .request(step, &hi, &context(0))
            .unwrap()
            .into_http()
            .unwrap();
        let param = sent(&request)["msgParam"].as_str().unwrap().len();
        assert!(param <= render::PARAM_BYTES_MAX, "{param}");
    }
}

#[test]
fn who_was_missed_is_told() {
    let channel = channel();
    let hi = message(&json!({"data": "hi"}));
    let judged = |target: &'static str, answered: &str| {
        let context = Context {
            target: Some(target),
            ..context(0)
        };
        let plan = channel.render(&hi, &context).unwrap();
        channel.classify(&plan.steps[0], &answer(200, answered), &context)
    };
    let platform_id = Some("k".to_owned());
    let all = r#"{"processQueryKey":"k","invalidStaffIdList":[],"flowControlledStaffIdList":[]}"#;
    assert_eq!(judged("user/a|b", all), Outcome::Delivered { platform_id });
    // Nobody has it yet, so that it can go again.
    let held = r#"{"processQueryKey":"k","flowControlledStaffIdList":["a"]}"#;
    let wait = Duration::from_secs(60);
    assert_eq!(judged("user/a", held), Outcome::TargetLimited { wait });
    let strangers = r#"{"processQueryKey":"k","invalidStaffIdList":["a","b"]}"#;
    let Outcome::Rejected { code, .. } = judged("user/a|b", strangers) else {
        panic!("taken");
    };
    assert_eq!(code, "invalidStaffIdList");
    let Outcome::Rejected { code, text } = judged("user/a|b", held) else {
        panic!("not told");
    };
    assert_eq!(code, "partly_delivered");
    assert!(
        text.contains("not to a") && text.contains("message k"),
        "{text}"
    );
    for body in ["", "{}", r#"{"processQueryKey":""}"#] {
        assert!(
            matches!(judged("user/a", body), Outcome::Unknown { .. }),
            "{body}"
        );
    }
}

#[test]
fn errors() {
    let error = |code: &str| json!({"code": code, "message": "m", "requestid": "r"}).to_string();
    let text = json!({"data": "hi"});
    let markdown = json!({"segments": [{"type": "markdown", "text": "**b**"}]});
    #[rustfmt::skip]
    let table = [
        (&text, 400, "invalidParameter.robotCode.empty", "Rejected"),
        (&text, 400, "invalidParameter.msgParam.invalid", "Rejected"),
        (&markdown, 400, "invalidParameter.msgParam.invalid", "Degrade"),
        (&text, 403, "Forbidden.AccessDenied.AccessTokenPermissionDenied", "Rejected"),
        (&text, 403, "Forbidden.AccessDenied.QpsLimitForApi", "Limited"),
        (&text, 429, "Throttling", "Limited"),
        (&text, 401, "InvalidAuthentication", "RefreshAuth"),
        (&text, 400, "InvalidAuthentication", "RefreshAuth"),
        (&text, 500, "ServiceUnavailable", "Retry"),
    ];
    for (body, status, code, wanted) in table {
        let outcome = judge(&*channel(), body, status, &error(code));
        assert_eq!(format!("{:?}", outcome.class()), wanted, "{code}");
    }
}

#[test]
fn a_token_is_asked_for_with_the_secret() {
    let channel = channel();
    let issuer = channel.token_issuer().unwrap();
    let request = issuer.request();
    assert_eq!(
        request.url.as_str(),
        "https://api.dingtalk.com/v1.0/oauth2/accessToken"
    );
    assert_eq!(
        sent(&request),
        json!({"appKey": "dingx", "appSecret": "hidden"})
    );
    let read = |status, body: &str| issuer.read(&answer(status, body), &context(0));
    let token = read(200, r#"{"accessToken":"t-1","expireIn":7200}"#).unwrap();
    assert_eq!(
        (token.value(), token.lifetime()),
        ("t-1", Duration::from_secs(7_200))
    );
    let refused = read(400, r#"{"code":"invalidClientIdOrSecret","message":"no"}"#);
    let Err(Outcome::Rejected { text, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert!(text.contains("settings.app_secret"), "{text}");
    assert!(matches!(read(503, ""), Err(Outcome::Retry { .. })));
}

#[test]
fn a_file_is_uploaded_to_the_older_api_and_shown_by_its_key() {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": [{"type": "file", "att": "a1"}]},
        "attachments": [{"id": "a1", "name": "r.pdf", "size": 1000, "source": {"blob": "00".repeat(32)}}]
    });
    let file = Message::from_json(json.to_string().as_bytes()).unwrap();
    let token = Token::new("t-1".to_owned(), Duration::from_secs(7_200)).unwrap();
    let channel = channel();
    let plan = channel.render(&file, &context(0)).unwrap();
    let first = Context {
        token: Some(&token),
        ..context(0)
    };
    let Request::Upload(request) = channel.request(&plan.steps[0], &file, &first).unwrap() else {
        panic!("no upload");
    };
    assert_eq!(
        request.url.as_str(),
        "https://oapi.dingtalk.com/media/upload?access_token=t-1&type=file"
    );
    assert!(
        request
            .body
            .contains(&BodyPart::Attachment("a1".to_owned()))
    );
    let judged = |body: &str| channel.classify(&plan.steps[0], &answer(200, body), &first);
    let platform_id = Some("@M".to_owned());
    let good = r#"{"errcode":0,"errmsg":"ok","media_id":"@M","type":"file"}"#;
    assert_eq!(judged(good), Outcome::Delivered { platform_id });
    for (body, wanted) in [
        (r#"{"errcode":40014}"#, "RefreshAuth"),
        (r#"{"errcode":40006}"#, "Degrade"),
        (r#"{"errcode":-1}"#, "Retry"),
        (r#"{"errcode":90018}"#, "Limited"),
        (r#"{"errcode":0}"#, "Retry"),
        ("{}", "Retry"),
        ("", "Retry"),
    ] {
        assert_eq!(format!("{:?}", judged(body).class()), wanted, "{body}");
    }
    let second = Context {
        step: 1,
        outputs: &[Some("@M".to_owned()), None],
        ..first
    };
    let request = channel
        .request(&plan.steps[1], &file, &second)
        .unwrap()
        .into_http()
        .unwrap();
    assert_eq!(
        sent(&request)["msgParam"],
        "{\"mediaId\":\"@M\",\"fileName\":\"r.pdf\",\"fileType\":\"pdf\"}"
    );
}

#[test]
fn what_was_sent_is_taken_back_where_it_went() {
    let channel = channel();
    let recall = message(&json!({"data": {}}));
    let plan = channel
        .recall(&recall, &["k1".to_owned()], &context(0))
        .unwrap();
    let step = &plan.steps[0];
    let group = Context {
        target: Some("cidx=="),
        ..context(0)
    };
    let made = |context: &Context<'_>| {
        let request = channel
            .request(step, &recall, context)
            .unwrap()
            .into_http()
            .unwrap();
        (request.url.path().to_owned(), sent(&request))
    };
    assert_eq!(
        made(&context(0)),
        (
            "/v1.0/robot/otoMessages/batchRecall".to_owned(),
            json!({"robotCode": "dingx", "processQueryKeys": ["k1"]})
        )
    );
    assert_eq!(
        made(&group),
        (
            "/v1.0/robot/groupMessages/recall".to_owned(),
            json!({"robotCode": "dingx", "processQueryKeys": ["k1"], "openConversationId": "cidx=="})
        )
    );
    let judged = |body: &str| {
        format!(
            "{:?}",
            channel
                .classify(step, &answer(200, body), &context(0))
                .class()
        )
    };
    assert_eq!(
        judged(r#"{"successResult":["k1"],"failedResult":{}}"#),
        "Delivered"
    );
    assert_eq!(
        judged(r#"{"successResult":[],"failedResult":{"k1":"too late"}}"#),
        "Rejected"
    );
    assert_eq!(judged("{}"), "Unknown");
}

#[test]
fn settings_are_checked() {
    let with = |name: &str, value: Value| {
        let mut settings = settings();
        settings[name] = value;
        settings
    };
    #[rustfmt::skip]
    let table = [
        (json!({"app_key": "dingx"}), "invalid_field", "settings.app_secret"),
        (with("app_key", "a b".into()), "invalid_field", "settings.app_key"),
        (with("robot_code", "".into()), "invalid_field", "settings.robot_code"),
        (with("app_secret", "hidden ".into()), "invalid_secret", "settings.app_secret"),
        (with("to", "chat/x".into()), "invalid_target", "settings.to"),
        (with("base_url", "nowhere".into()), "invalid_url", "settings.base_url"),
    ];
    check_refused(&DingTalkApp, &table);
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"app_key": "dingx", "app_secret": "S"});
    let target = Some("cid6K/e==".to_owned());
    let url = "dingtalk-app://dingx/cid6K%2Fe==?app_secret=S";
    assert_eq!(of_url(&DingTalkApp, url), (wanted, target));
    check_refused_urls(
        &DingTalkApp,
        &[
            "dingtalk-app://dingx/ann",
            "dingtalk-app://dingx?app_secret=S",
            "dingtalk-app://dingx/a%20b?app_secret=S",
        ],
    );
}
