//! Forms, settings and the table of codes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kit::content::{Block, Look, text_runs};
use crate::kit::dialect::tests::{hostile, text_means_itself};
use crate::kit::feishu::dialect;
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, context, judge, message, of_url,
};

const HOOK: &str = "https://open.feishu.cn/open-apis/bot/v2/hook/abc-1";

fn channel() -> Arc<dyn Channel> {
    FeishuRobot.open(&json!({"webhook_url": HOOK})).unwrap()
}

fn rendered(body: &Value, rung: u8) -> (Vec<Value>, Vec<String>) {
    crate::kit::testing::rendered(&*channel(), body, rung)
}

#[test]
fn the_plainest_form_that_shows_all() {
    for (segment, msg_type) in [
        (json!({"type": "text", "text": "hi"}), "text"),
        (json!({"type": "mention", "kind": "all"}), "text"),
        (
            json!({"type": "link", "url": "https://a.example", "title": "t"}),
            "post",
        ),
        (json!({"type": "markdown", "text": "**b**"}), "interactive"),
        (json!({"type": "code", "text": "x"}), "interactive"),
        (json!({"type": "card", "title": "t"}), "interactive"),
    ] {
        let (bodies, _) = rendered(&json!({"segments": [segment]}), 0);
        assert_eq!(bodies[0]["msg_type"], msg_type, "{segment}");
    }
}

#[test]
fn down_the_ladder() {
    let body = json!({"segments": [{"type": "card", "title": "T", "sections": ["a **b**"]}], "override": {"feishu-robot": {"msg_type": "share_chat", "content": {}}}});
    let forms = [
        (0, "share_chat", vec![]),
        (1, "interactive", vec!["override->card"]),
        (2, "interactive", vec!["card->markdown", "override->card"]),
        (
            3,
            "post",
            vec!["card->markdown", "markdown->post", "override->card"],
        ),
        (
            4,
            "text",
            vec![
                "card->markdown",
                "markdown->post",
                "override->card",
                "post->text",
            ],
        ),
    ];
    for (rung, msg_type, degraded) in forms {
        let (bodies, found) = rendered(&body, rung);
        assert_eq!(
            (bodies[0]["msg_type"].as_str(), found),
            (
                Some(msg_type),
                degraded.iter().map(|text| (*text).to_owned()).collect()
            )
        );
    }
    let problem = channel().render(&message(&body), &context(5)).unwrap_err();
    assert_eq!(problem.code, "no_lower_form");
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.webhook_url"),
        (json!({"webhook_url": "https://a.example/open-apis/bot/v2/hook/hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "http://open.feishu.cn/open-apis/bot/v2/hook/hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "https://open.feishu.cn/hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://open.feishu.cn/open-apis/bot/v2/hook/"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": HOOK, "secret": ""}), "invalid_secret", "settings.secret"),
        (json!({"webhook_url": HOOK, "secret": " hidden"}), "invalid_secret", "settings.secret"),
        (json!({"webhook_url": HOOK, "base_url": "x"}), "invalid_url", "settings.base_url"),
    ];
    check_refused(&FeishuRobot, &table);
    let moved = json!({"webhook_url": HOOK, "base_url": "http://127.0.0.1:9/sim"});
    let channel = FeishuRobot.open(&moved).unwrap();
    assert_eq!(
        channel.endpoint().unwrap().as_str(),
        "http://127.0.0.1:9/sim/open-apis/bot/v2/hook/abc-1"
    );
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"webhook_url": "https://open.feishu.cn/open-apis/bot/v2/hook/AbC-1", "secret": "s/1"});
    assert_eq!(
        of_url(&FeishuRobot, "feishu://AbC-1?secret=s%2F1"),
        (wanted, None)
    );
    let lark = of_url(&FeishuRobot, "lark://x").0;
    assert_eq!(
        lark["webhook_url"],
        "https://open.larksuite.com/open-apis/bot/v2/hook/x"
    );
    check_refused_urls(
        &FeishuRobot,
        &[
            "feishu://",
            "feishu://a/b",
            "feishu://a?key=1",
            "feishu://a%2Fb",
        ],
    );
}

#[test]
fn codes() {
    let table = [
        (0, "Delivered"),
        (9499, "Rejected"),
        (19001, "Rejected"),
        (19021, "Rejected"),
        (19022, "Rejected"),
        (19024, "Rejected"),
        (19036, "Degrade"),
        (11232, "Limited"),
        (2200, "Retry"),
        (4711, "Rejected"),
    ];
    let text = json!({"data": "hi"});
    check_codes(&*channel(), &text, "code", &table);
    let card = json!({"segments": [{"type": "card", "title": "t"}]});
    check_codes(
        &*channel(),
        &card,
        "code",
        &[(9499, "Degrade"), (19024, "Rejected")],
    );
    let refused = judge(&*channel(), &text, 400, "{\"code\":19024}");
    assert!(matches!(refused, Outcome::Rejected { code, .. } if code == "19024"));
    let wait = Duration::from_secs(10);
    assert_eq!(
        judge(&*channel(), &text, 429, ""),
        Outcome::Limited { wait }
    );
}

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&dialect::MARKDOWN, &text)?;
        let blocks = [Block::paragraph(text_runs(&text, Look::PLAIN)), Block::Code { lang: String::new(), text: text.clone() }];
        let written = dialect::TEXT.write(&blocks);
        prop_assert!(!written.contains("]("), "{written}");
        for written in [written, dialect::MARKDOWN.write(&blocks)] {
            prop_assert!(!written.contains("<at") && !written.contains("</at"), "{written}");
        }
        for line in post_form::lines(&blocks) {
            for node in line {
                prop_assert!(node["tag"] != "at");
            }
        }
    }
}
