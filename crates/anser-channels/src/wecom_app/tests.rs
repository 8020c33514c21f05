//! Forms, targets, settings, tokens, uploads and the table of codes.

use std::time::Duration;

use anser_core::attempt::PossibleDuplicate;
use anser_core::channel::{BodyPart, HttpRequest, HttpResponse, Token};
use http::{HeaderMap, StatusCode};
use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, text_runs};
use crate::kit::dialect::tests::{hostile, text_means_itself};
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, context, message, of_url,
};

fn settings() -> Value {
    json!({"corp_id": "ww1", "corp_secret": "hidden", "agent_id": 1_000_002, "to": "user/ann"})
}

fn channel() -> Arc<dyn Channel> {
    WeComApp.open(&settings()).unwrap()
}

fn rendered(body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    crate::kit::testing::rendered(&*channel(), body, rung)
}

fn answer(body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

/// The request of the first step.
fn request(channel: &dyn Channel, message: &Message, context: &Context<'_>) -> HttpRequest {
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
    let hi = message(&json!({"data": "hi"}));
    let body = |target: Option<&'static str>| {
        let context = Context {
            token: Some(&token),
            target,
            ..context(0)
        };
        let request = request(&*channel(), &hi, &context);
        (request.url.to_string(), sent(&request))
    };
    let (url, sent) = body(None);
    assert_eq!(
        url,
        "https://qyapi.weixin.qq.com/cgi-bin/message/send?access_token=t-1"
    );
    assert_eq!(
        sent,
        json!({"touser": "ann", "agentid": 1_000_002, "msgtype": "text", "text": {"content": "hi"}})
    );
    for (target, member, ids) in [
        ("ann", "touser", "ann"),
        ("user/ann|bob", "touser", "ann|bob"),
        ("party/3", "toparty", "3"),
        ("tag/1|2", "totag", "1|2"),
        ("@all", "touser", "@all"),
    ] {
        let (_, sent) = body(Some(target));
        assert_eq!(sent[member], ids, "{target}");
    }
    let (url, sent) = body(Some("chat/wr1"));
    assert_eq!(
        url,
        "https://qyapi.weixin.qq.com/cgi-bin/appchat/send?access_token=t-1"
    );
    assert_eq!(
        sent,
        json!({"chatid": "wr1", "msgtype": "text", "text": {"content": "hi"}})
    );
}

#[test]
fn nobody_else_is_written_to() {
    let native = message(
        &json!({"segments": [{"type": "raw", "platform": "wecom-app",
        "payload": {"touser": "@all", "toparty": "1", "agentid": 7, "msgtype": "text", "text": {"content": "x"}}}]}),
    );
    let sent = sent(&request(&*channel(), &native, &context(0)));
    assert_eq!(
        sent,
        json!({"touser": "ann", "agentid": 1_000_002, "msgtype": "text", "text": {"content": "x"}})
    );
    for target in [
        "",
        "user/",
        "user/a b",
        "user/@all|ann",
        "party/x",
        "tag/",
        "room/1",
        "chat/a|b",
        "@ALL",
    ] {
        let context = Context {
            target: Some(target),
            ..context(0)
        };
        let problem = channel().render(&native, &context).unwrap_err();
        assert_eq!(problem.code, "invalid_target", "{target}");
    }
    let mut nobody = settings();
    nobody.as_object_mut().unwrap().remove("to");
    let problem = WeComApp.open(&nobody).unwrap().render(&native, &context(0));
    assert_eq!(problem.unwrap_err().code, "missing_target");
}

#[test]
fn the_plainest_form_that_shows_all() {
    for (segment, msgtype) in [
        (json!({"type": "text", "text": "hi"}), "text"),
        (json!({"type": "mention", "kind": "all"}), "text"),
        (
            json!({"type": "link", "url": "https://a.example", "title": "t"}),
            "text",
        ),
        (json!({"type": "markdown", "text": "**b**"}), "markdown"),
        (
            json!({"type": "card", "title": "t", "sections": ["*b*"]}),
            "markdown",
        ),
        (
            json!({"type": "card", "title": "t", "sections": ["s"],
                "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example"}]}),
            "template_card",
        ),
        // Too long for a template card.
        (
            json!({"type": "card", "title": "t".repeat(40), "sections": ["s"],
                "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example"}]}),
            "textcard",
        ),
    ] {
        let (bodies, _) = rendered(&json!({"segments": [segment]}), 0);
        assert_eq!(bodies[0]["msgtype"], msgtype, "{segment}");
    }
}

#[test]
fn a_group_takes_no_template_card() {
    let card = message(
        &json!({"segments": [{"type": "card", "title": "t", "sections": ["s"],
        "actions": [{"id": "a", "label": "More", "kind": "url", "value": "https://a.example"}]}]}),
    );
    let context = Context {
        target: Some("chat/wr1"),
        ..context(0)
    };
    let sent = sent(&request(&*channel(), &card, &context));
    assert_eq!(
        sent,
        json!({"chatid": "wr1", "msgtype": "textcard",
            "textcard": {"title": "t", "description": "s", "url": "https://a.example/", "btntxt": "More"}})
    );
}

#[test]
fn text_has_links_and_no_tags_of_users() {
    let (bodies, _) = rendered(
        &json!({"segments": [{"type": "link", "url": "https://a.example", "title": "a"},
            {"type": "text", "text": " <a href=\"https://evil.example\">b</a>"}]}),
        0,
    );
    let content = bodies[0]["text"]["content"].as_str().unwrap();
    assert!(
        content.starts_with("<a href=\"https://a.example/\">a</a> <\u{200b}a href="),
        "{content}"
    );
    assert_eq!(content.matches("</a>").count(), 1, "{content}");
}

#[test]
fn a_message_that_may_be_there_already_asks_not_to_be_shown_twice() {
    let hi = message(&json!({"data": "hi"}));
    let now = hi.header.time.plus(Duration::from_secs(90));
    let again = Context {
        now,
        attempt: 2,
        possible_duplicate: Some(PossibleDuplicate::Unknown),
        ..context(0)
    };
    let asked = sent(&request(&*channel(), &hi, &again));
    assert_eq!(asked["enable_duplicate_check"], 1);
    assert_eq!(asked["duplicate_check_interval"], 90);
    // Without a doubt two messages may say the same.
    assert_eq!(
        sent(&request(&*channel(), &hi, &context(0))).get("enable_duplicate_check"),
        None
    );
    let mut always = settings();
    always["duplicate_check_interval"] = 600.into();
    let always = WeComApp.open(&always).unwrap();
    assert_eq!(
        sent(&request(&*always, &hi, &context(0)))["duplicate_check_interval"],
        600
    );
    let group = Context {
        target: Some("chat/wr1"),
        ..again
    };
    assert_eq!(
        sent(&request(&*channel(), &hi, &group)).get("enable_duplicate_check"),
        None
    );
}

#[test]
fn who_was_not_reached_is_told_once_all_parts_are_out() {
    let text = "一二三四五六七八九。".repeat(100);
    let channel = channel();
    let plan = channel
        .render(&message(&json!({"data": text})), &context(0))
        .unwrap();
    let partly = answer(
        r#"{"errcode":0,"errmsg":"ok","invaliduser":"bob","unlicenseduser":"cy","msgid":"m1"}"#,
    );
    let (last, before) = plan.steps.split_last().unwrap();
    assert!(!before.is_empty());
    for step in before {
        let platform_id = Some("m1".to_owned());
        assert_eq!(
            channel.classify(step, &partly, &context(0)),
            Outcome::Delivered { platform_id }
        );
    }
    let Outcome::Rejected { code, text } = channel.classify(last, &partly, &context(0)) else {
        panic!("not told");
    };
    assert_eq!(code, "partly_delivered");
    assert!(
        text.contains("invaliduser bob")
            && text.contains("unlicenseduser cy")
            && text.contains("m1"),
        "{text}"
    );
    let all = answer(r#"{"errcode":0,"errmsg":"ok","invaliduser":"","msgid":"m2"}"#);
    let platform_id = Some("m2".to_owned());
    assert_eq!(
        channel.classify(last, &all, &context(0)),
        Outcome::Delivered { platform_id }
    );
    // The mark of the last part is not sent.
    let request = channel
        .request(last, &message(&json!({"data": ""})), &context(0))
        .unwrap();
    assert_eq!(
        sent(&request.into_http().unwrap())
            .as_object()
            .unwrap()
            .len(),
        4
    );
}

#[test]
fn codes() {
    let text = json!({"data": "hi"});
    let table = [
        (0, "Delivered"),
        (-1, "Retry"),
        (45009, "Limited"),
        (45033, "Limited"),
        (40001, "RefreshAuth"),
        (40014, "RefreshAuth"),
        (41001, "RefreshAuth"),
        (42001, "RefreshAuth"),
        (60020, "Rejected"),
        (81013, "Rejected"),
        (45002, "Rejected"),
    ];
    check_codes(&*channel(), &text, "errcode", &table);
    let markdown = json!({"segments": [{"type": "markdown", "text": "**b**"}]});
    let table = [
        (40008, "Degrade"),
        (44004, "Degrade"),
        (45002, "Degrade"),
        (40058, "Degrade"),
    ];
    check_codes(&*channel(), &markdown, "errcode", &table);
}

#[test]
fn a_token_is_asked_for_with_the_secret() {
    let channel = channel();
    let issuer = channel.token_issuer().unwrap();
    let request = issuer.request();
    assert_eq!(request.method, http::Method::GET);
    assert_eq!(
        request.url.as_str(),
        "https://qyapi.weixin.qq.com/cgi-bin/gettoken?corpid=ww1&corpsecret=hidden"
    );
    let read = |body: &str| issuer.read(&answer(body), &context(0));
    let token =
        read(r#"{"errcode":0,"errmsg":"ok","access_token":"t-1","expires_in":7200}"#).unwrap();
    assert_eq!(
        (token.value(), token.lifetime()),
        ("t-1", Duration::from_secs(7_200))
    );
    for (code, remedy) in [
        (40001, "corp_secret"),
        (40013, "corp_id"),
        (60020, "trusted IPs"),
    ] {
        let Err(Outcome::Rejected { text, .. }) =
            read(&json!({"errcode": code, "errmsg": "no"}).to_string())
        else {
            panic!("{code}");
        };
        assert!(text.contains(remedy), "{text}");
    }
    assert!(matches!(
        read(r#"{"errcode":-1}"#),
        Err(Outcome::Retry { .. })
    ));
    assert!(matches!(
        read(r#"{"errcode":45009}"#),
        Err(Outcome::Limited { .. })
    ));
}

/// A message that is one attachment, of bytes that the gateway has.
fn with(segment: &str, media_type: &str, size: u64) -> Message {
    let blob = json!({"blob": "00".repeat(32)});
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": [{"type": segment, "att": "a1"}]},
        "attachments": [{"id": "a1", "name": "n.x", "media_type": media_type, "size": size, "source": blob}]
    });
    Message::from_json(json.to_string().as_bytes()).unwrap()
}

#[test]
fn media_is_uploaded_and_shown_by_its_key() {
    let token = Token::new("t-1".to_owned(), Duration::from_secs(7_200)).unwrap();
    let channel = channel();
    let mib = 1024 * 1024;
    for (segment, media_type, size, wanted) in [
        ("image", "image/png", 10 * mib, "image"),
        ("image", "image/png", 10 * mib + 1, "file"),
        ("voice", "audio/amr", 2 * mib, "voice"),
        ("voice", "audio/mpeg", 2 * mib, "file"),
        ("video", "video/mp4", 10 * mib, "video"),
        ("video", "video/mp4", 11 * mib, "file"),
        ("file", "application/zip", 20 * mib, "file"),
    ] {
        let message = with(segment, media_type, size);
        let plan = channel.render(&message, &context(0)).unwrap();
        let [upload, shown] = plan.steps.as_slice() else {
            panic!("{plan:?}");
        };
        let first = Context {
            token: Some(&token),
            ..context(0)
        };
        let Request::Upload(request) = channel.request(upload, &message, &first).unwrap() else {
            panic!("no upload");
        };
        assert_eq!(
            request.url.as_str(),
            format!(
                "https://qyapi.weixin.qq.com/cgi-bin/media/upload?access_token=t-1&type={wanted}"
            )
        );
        assert!(
            request
                .body
                .contains(&BodyPart::Attachment("a1".to_owned()))
        );
        let key = channel.classify(upload, &answer(r#"{"errcode":0,"media_id":"M"}"#), &first);
        let platform_id = Some("M".to_owned());
        assert_eq!(
            key,
            Outcome::Delivered {
                platform_id: platform_id.clone()
            }
        );
        let second = Context {
            step: 1,
            outputs: &[platform_id, None],
            ..first
        };
        let request = channel.request(shown, &message, &second).unwrap();
        let sent = sent(&request.into_http().unwrap());
        assert_eq!(
            (&sent["msgtype"], &sent[wanted]["media_id"]),
            (&json!(wanted), &json!("M"))
        );
        let refused = channel.classify(upload, &answer(r#"{"errcode":40006}"#), &context(0));
        assert!(matches!(refused, Outcome::Degrade { .. }));
    }
    let link = channel
        .render(&with("file", "application/zip", 21 * mib), &context(0))
        .unwrap();
    assert_eq!(link.degraded, ["file->text"]);
}

#[test]
fn what_was_sent_is_taken_back_by_its_id() {
    let channel = channel();
    let recall = message(&json!({"data": {}}));
    let sent_ids = ["m1".to_owned(), "m2".to_owned()];
    let plan = channel.recall(&recall, &sent_ids, &context(0)).unwrap();
    let bodies = plan.steps.iter().map(|step| {
        let request = channel
            .request(step, &recall, &context(0))
            .unwrap()
            .into_http()
            .unwrap();
        assert_eq!(request.url.path(), "/cgi-bin/message/recall");
        sent(&request)
    });
    assert_eq!(
        bodies.collect::<Vec<_>>(),
        [json!({"msgid": "m1"}), json!({"msgid": "m2"})]
    );
    let judge = |body: &str| channel.classify(&plan.steps[0], &answer(body), &context(0));
    assert!(matches!(
        judge(r#"{"errcode":0,"errmsg":"ok"}"#),
        Outcome::Delivered { .. }
    ));
    assert!(matches!(
        judge(r#"{"errcode":40058,"errmsg":"too late"}"#),
        Outcome::Rejected { .. }
    ));
    // A group's messages have no ids.
    let problem = channel.recall(&recall, &[], &context(0)).unwrap_err();
    assert_eq!(problem.code, "no_platform_id");
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
        (json!({"corp_id": "ww1", "agent_id": 1}), "invalid_field", "settings.corp_secret"),
        (with("corp_id", "a b".into()), "invalid_field", "settings.corp_id"),
        (with("corp_secret", " hidden".into()), "invalid_secret", "settings.corp_secret"),
        (with("agent_id", "x".into()), "invalid_field", "settings.agent_id"),
        (with("to", "room/1".into()), "invalid_target", "settings.to"),
        (with("duplicate_check_interval", 14_401.into()), "invalid_field", "settings.duplicate_check_interval"),
        (with("duplicate_check_interval", 0.into()), "invalid_field", "settings.duplicate_check_interval"),
        (with("base_url", "nowhere".into()), "invalid_url", "settings.base_url"),
    ];
    check_refused(&WeComApp, &table);
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"corp_id": "ww1", "agent_id": 7, "corp_secret": "S"});
    let target = Some("user/ann".to_owned());
    assert_eq!(
        of_url(&WeComApp, "wecom-app://ww1/7/user/ann?corp_secret=S"),
        (wanted, target)
    );
    check_refused_urls(
        &WeComApp,
        &[
            "wecom-app://ww1/7/user/ann",
            "wecom-app://ww1/x/user/ann?corp_secret=S",
            "wecom-app://ww1/7/room/ann?corp_secret=S",
            "wecom-app://ww1?corp_secret=S",
        ],
    );
}

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&render::MARKDOWN, &text)?;
        let blocks = [Block::paragraph(text_runs(&text, Look::PLAIN)), Block::Code { lang: String::new(), text: text.clone() }];
        let written = render::TEXT.write(&blocks);
        for (place, _) in written.match_indices('<') {
            let rest = &written[place..];
            let ours = rest.starts_with("<\u{200b}") || rest.starts_with("<a href=\"http") || rest.starts_with("</a>");
            prop_assert!(ours, "{written}");
        }
    }
}
