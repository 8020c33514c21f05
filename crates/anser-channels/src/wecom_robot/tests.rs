//! Forms, mentions, limits, settings and the table of codes.

use std::time::Duration;

use anser_core::channel::{BodyPart, HttpResponse};
use base64::Engine as _;
use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, text_runs};
use crate::kit::dialect::tests::{hostile, text_means_itself};
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, context, judge, of_url, rendered,
};
use crate::kit::wecom::dialect;

const HOOK: &str = "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=abc-1";

fn channel() -> Arc<dyn Channel> {
    WeComRobot.open(&json!({"webhook_url": HOOK})).unwrap()
}

#[test]
fn each_form_mentions_in_its_way() {
    let user = json!({"type": "mention", "kind": "user", "id": "u1", "name": "Tom"});
    let mobile = json!({"type": "mention", "kind": "user", "id": "13800001111"});
    let all = json!({"type": "mention", "kind": "all"});
    let bold = json!({"type": "text", "text": "b", "style": ["bold"]});
    let first = |segments: &[&Value]| {
        let (bodies, degraded) = rendered(&*channel(), &json!({"segments": segments}), 0);
        (bodies[0].clone(), degraded)
    };
    let (body, degraded) = first(&[&user, &mobile, &all]);
    assert_eq!(
        body["text"],
        json!({"content": "@Tom@13800001111@all", "mentioned_list": ["u1", "@all"], "mentioned_mobile_list": ["13800001111"]})
    );
    assert!(degraded.is_empty());
    let (body, _) = first(&[&user, &bold]);
    assert_eq!(body["markdown"]["content"], "<@u1>**b**");
    let (body, degraded) = first(&[&all, &bold]);
    assert_eq!(body["markdown_v2"]["content"], "@all**b**");
    assert_eq!(degraded, ["mention->text"]);
}

/// A message with one attachment, of bytes that the gateway has.
fn with_attachment(segment: &Value, attachment: &Value) -> Message {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": [segment]},
        "attachments": [attachment]
    });
    Message::from_json(json.to_string().as_bytes()).unwrap()
}

/// `V:wecom.robot.image` of the known answers.
#[test]
fn a_picture_goes_inside_of_the_message_with_its_hash() {
    let bytes = b"\x89PNG\r\n\x1a\nfake";
    let inline = base64::engine::general_purpose::STANDARD.encode(bytes);
    let attachment = json!({"id": "a1", "name": "p.png", "source": {"inline": inline}});
    let message = with_attachment(&json!({"type": "image", "att": "a1"}), &attachment);
    let plan = channel().render(&message, &context(0)).unwrap();
    assert!(plan.steps.len() == 1 && plan.steps[0].loaded && plan.degraded.is_empty());
    let media = Bytes::from_static(bytes);
    let loaded = Context {
        media: Some(&media),
        ..context(0)
    };
    let request = channel()
        .request(&plan.steps[0], &message, &loaded)
        .unwrap();
    let body: Value = serde_json::from_slice(&request.into_http().unwrap().body).unwrap();
    assert_eq!(
        body,
        json!({"msgtype": "image", "image": {"base64": "iVBORw0KGgpmYWtl", "md5": "dc7b97b363d63f0eb8d4686afa2bc39b"}})
    );
    let without = channel().request(&plan.steps[0], &message, &context(0));
    assert_eq!(without.unwrap_err().code, "missing_upload");
}

#[test]
fn what_is_no_picture_or_too_big_goes_otherwise() {
    let blob = json!({"blob": "00".repeat(32)});
    let image = json!({"type": "image", "att": "a1"});
    let kinds = |attachment: &Value| {
        let plan = channel()
            .render(&with_attachment(&image, attachment), &context(0))
            .unwrap();
        let bodies = plan
            .steps
            .iter()
            .map(|step| serde_json::from_slice::<Value>(&step.body).unwrap());
        bodies
            .map(|body| body["msgtype"].as_str().unwrap_or("upload").to_owned())
            .collect::<Vec<_>>()
    };
    let two_mib = 2 * 1024 * 1024;
    for (size, media_type, wanted) in [
        (two_mib, "image/png", &["image"][..]),
        (two_mib + 1, "image/png", &["upload", "file"]),
        (1_000, "image/gif", &["upload", "file"]),
        (21 * 1024 * 1024, "image/png", &["text"]),
    ] {
        let attachment =
            json!({"id": "a1", "media_type": media_type, "size": size, "source": blob});
        assert_eq!(kinds(&attachment), wanted, "{size} {media_type}");
    }
    // What has a URL is shown by it, in Markdown.
    let remote = json!({"id": "a1", "media_type": "image/png", "source": {"url": "https://a.example/p.png"}});
    assert_eq!(kinds(&remote), ["markdown_v2"]);
}

fn classified(channel: &dyn Channel, step: &Step, body: &str) -> Outcome {
    let response = HttpResponse {
        status: http::StatusCode::OK,
        headers: http::HeaderMap::new(),
        body: body.to_owned().into(),
    };
    channel.classify(step, &Ok(response), &context(0))
}

/// As a proxy answers that knows the webhook's address only.
#[test]
fn where_nothing_can_be_uploaded_a_file_goes_as_a_link() {
    let attachment =
        json!({"id": "a1", "name": "r.pdf", "source": {"url": "https://a.example/r.pdf"}});
    let message = with_attachment(&json!({"type": "file", "att": "a1"}), &attachment);
    let channel = channel();
    let plan = channel.render(&message, &context(0)).unwrap();
    let nothing_there = HttpResponse {
        status: http::StatusCode::NOT_FOUND,
        headers: http::HeaderMap::new(),
        body: Bytes::new(),
    };
    let outcome = channel.classify(&plan.steps[0], &Ok(nothing_there), &context(0));
    assert!(matches!(outcome, Outcome::Degrade { .. }));
    let refused = Context {
        media_refused: true,
        ..context(0)
    };
    let plan = channel.render(&message, &refused).unwrap();
    assert_eq!(
        (plan.steps.len(), plan.degraded),
        (1, vec!["file->link".to_owned()])
    );
}

#[test]
fn a_file_is_uploaded_and_shown_by_its_key() {
    let attachment =
        json!({"id": "a1", "name": "r.pdf", "size": 1000, "source": {"blob": "00".repeat(32)}});
    let message = with_attachment(&json!({"type": "file", "att": "a1"}), &attachment);
    let channel = channel();
    let plan = channel.render(&message, &context(0)).unwrap();
    let [upload, shown] = plan.steps.as_slice() else {
        panic!("{plan:?}");
    };
    let Request::Upload(request) = channel.request(upload, &message, &context(0)).unwrap() else {
        panic!("no upload");
    };
    assert_eq!(
        request.url.as_str(),
        "https://qyapi.weixin.qq.com/cgi-bin/webhook/upload_media?key=abc-1&type=file"
    );
    assert!(
        request
            .body
            .contains(&BodyPart::Attachment("a1".to_owned()))
    );
    let BodyPart::Bytes(head) = &request.body[0] else {
        panic!("no head");
    };
    let head = std::str::from_utf8(head).unwrap();
    assert!(
        head.contains("name=\"media\"; filename=\"r.pdf\""),
        "{head}"
    );
    let answer = |step: &Step, body: &str| classified(&*channel, step, body);
    let key = answer(
        upload,
        r#"{"errcode":0,"errmsg":"ok","type":"file","media_id":"3a8a","created_at":"1"}"#,
    );
    let platform_id = Some("3a8a".to_owned());
    assert_eq!(
        key,
        Outcome::Delivered {
            platform_id: platform_id.clone()
        }
    );
    assert!(matches!(
        answer(upload, r#"{"errcode":0}"#),
        Outcome::Retry { .. }
    ));
    assert!(matches!(
        answer(upload, r#"{"errcode":40006}"#),
        Outcome::Degrade { .. }
    ));
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
        body,
        json!({"msgtype": "file", "file": {"media_id": "3a8a"}})
    );
    // A key that has expired: the file goes as a link.
    assert!(matches!(
        answer(shown, r#"{"errcode":40007}"#),
        Outcome::Degrade { .. }
    ));
}

#[test]
fn a_card_with_a_picture_and_one_link_is_an_article() {
    let card = json!({"segments": [{"type": "card", "title": "T", "image": "a1", "sections": ["plain"],
        "fields": [{"name": "n", "value": "v"}],
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example"}]}]});
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": card,
        "attachments": [{"id": "a1", "source": {"url": "https://a.example/p.png"}}]
    });
    let message = Message::from_json(json.to_string().as_bytes()).unwrap();
    let plan = channel().render(&message, &context(0)).unwrap();
    let body: Value = serde_json::from_slice(&plan.steps[0].body).unwrap();
    assert_eq!(
        body,
        json!({"msgtype": "news", "news": {"articles": [{"title": "T", "description": "plain\nn: v",
            "url": "https://a.example/", "picurl": "https://a.example/p.png"}]}})
    );
}

#[test]
fn a_card_that_fits_is_native() {
    let card = json!({"segments": [{"type": "card", "title": "T", "sections": ["plain"],
        "fields": [{"name": "n", "value": "v"}],
        "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://a.example"}]}]});
    let (bodies, _) = rendered(&*channel(), &card, 0);
    assert_eq!(
        bodies[0]["template_card"]["card_action"]["url"],
        "https://a.example/"
    );
    let mut marked = card;
    marked["segments"][0]["sections"] = json!(["**bold**"]);
    let (bodies, degraded) = rendered(&*channel(), &marked, 0);
    assert_eq!(bodies[0]["msgtype"], "markdown_v2");
    assert_eq!(degraded, ["card->markdown"]);
}

#[test]
fn long_text_takes_several_messages() {
    let text = "一二三四五六七八九。".repeat(200);
    let (bodies, _) = rendered(&*channel(), &json!({"data": text}), 0);
    assert!(bodies.len() > 2);
    for body in &bodies {
        assert!(body["text"]["content"].as_str().unwrap().len() <= render::TEXT_BYTES_MAX);
    }
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.webhook_url"),
        (json!({"webhook_url": "https://a.example/cgi-bin/webhook/send?key=hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": HOOK, "secret": "x"}), "invalid_field", "settings.secret"),
    ];
    check_refused(&WeComRobot, &table);
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"webhook_url": "https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=K-1"});
    assert_eq!(of_url(&WeComRobot, "wecom://K-1"), (wanted, None));
    check_refused_urls(
        &WeComRobot,
        &["wecom://", "wecom://a/b", "wecom://a?secret=1"],
    );
}

#[test]
fn codes() {
    let table = [
        (0, "Delivered"),
        (-1, "Retry"),
        (45009, "Limited"),
        (45033, "Limited"),
        (93000, "Rejected"),
        (45002, "Rejected"),
        (40058, "Rejected"),
        (48001, "Rejected"),
    ];
    let text = json!({"data": "hi"});
    check_codes(&*channel(), &text, "errcode", &table);
    let markdown = json!({"segments": [{"type": "markdown", "text": "**b**"}]});
    let table = [
        (40008, "Degrade"),
        (44004, "Degrade"),
        (45002, "Degrade"),
        (40058, "Degrade"),
    ];
    check_codes(&*channel(), &markdown, "errcode", &table);
    let wait = Duration::from_secs(60);
    let limited = judge(
        &*channel(),
        &text,
        200,
        r#"{"errcode":45009,"errmsg":"api freq out of limit"}"#,
    );
    assert_eq!(limited, Outcome::Limited { wait });
}

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&dialect::MARKDOWN, &text)?;
        text_means_itself(&dialect::MARKDOWN_V2, &text)?;
        let blocks = [Block::paragraph(text_runs(&text, Look::PLAIN)), Block::Code { lang: String::new(), text: text.clone() }];
        for dialect in [dialect::MARKDOWN, dialect::MARKDOWN_V2] {
            let written = dialect.write(&blocks);
            prop_assert!(!written.contains("<@"), "{written}");
        }
    }
}
