//! Forms, mentions, limits, settings and the table of codes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, text_runs};
use crate::kit::dialect::tests::{hostile, text_means_itself};
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, judge, of_url, rendered,
};

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
