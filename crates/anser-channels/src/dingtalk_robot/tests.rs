//! Forms, mentions, settings and the table of codes.

use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::kit::dialect::tests::{hostile, text_means_itself};
use crate::kit::testing::{
    check_codes, check_refused, check_refused_urls, judge, of_url, rendered,
};

const HOOK: &str = "https://oapi.dingtalk.com/robot/send?access_token=abc1";

fn channel() -> Arc<dyn Channel> {
    DingTalkRobot.open(&json!({"webhook_url": HOOK})).unwrap()
}

#[test]
fn only_mentions_ping() {
    let mention = |id: &str| json!({"type": "mention", "kind": "user", "id": id, "name": "N"});
    let body = json!({"segments": [
        {"type": "text", "text": "@13900000000 @all "}, mention("13800000000"), mention("u_1"), mention("a b"),
        {"type": "mention", "kind": "role", "id": "r"}
    ]});
    let (bodies, degraded) = rendered(&*channel(), &body, 0);
    assert_eq!(
        bodies[0]["at"],
        json!({"atMobiles": ["13800000000"], "atUserIds": ["u_1"], "isAtAll": false})
    );
    assert_eq!(
        bodies[0]["text"]["content"],
        "@13900000000 @all @13800000000@u_1@N@r"
    );
    assert_eq!(degraded, ["mention->text"]);
    let (bodies, _) = rendered(
        &*channel(),
        &json!({"segments": [{"type": "mention", "kind": "all"}]}),
        0,
    );
    assert_eq!(bodies[0]["at"]["isAtAll"], true);
}

#[test]
fn cards_by_their_buttons() {
    let action =
        |id: &str| json!({"id": id, "label": id, "kind": "url", "value": "https://a.example"});
    let card = |actions: &[Value]| json!({"segments": [{"type": "card", "title": "T", "actions": actions}]});
    let (bodies, degraded) = rendered(&*channel(), &card(&[]), 0);
    assert_eq!(
        (bodies[0]["msgtype"].as_str(), degraded),
        (Some("markdown"), vec!["card->markdown".to_owned()])
    );
    let (bodies, _) = rendered(&*channel(), &card(&[action("a")]), 0);
    assert_eq!(bodies[0]["actionCard"]["singleTitle"], "a");
    let (bodies, _) = rendered(&*channel(), &card(&[action("a"), action("b")]), 0);
    assert_eq!(bodies[0]["actionCard"]["btns"][1]["title"], "b");
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.webhook_url"),
        (json!({"webhook_url": "https://a.example/robot/send?access_token=hidden"}), "wrong_host", "settings.webhook_url"),
        (json!({"webhook_url": "https://oapi.dingtalk.com/robot/send"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://oapi.dingtalk.com/robot/send?access_token=hidden%20"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": "https://oapi.dingtalk.com/other?access_token=hidden"}), "invalid_url", "settings.webhook_url"),
        (json!({"webhook_url": HOOK, "secret": "hidden\n"}), "invalid_secret", "settings.secret"),
    ];
    check_refused(&DingTalkRobot, &table);
    let signed = json!({"webhook_url": format!("{HOOK}&timestamp=1&sign=x")});
    let channel = DingTalkRobot.open(&signed).unwrap();
    assert_eq!(channel.endpoint().unwrap().as_str(), HOOK);
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"webhook_url": "https://oapi.dingtalk.com/robot/send?access_token=T1", "secret": "SEC1"});
    assert_eq!(
        of_url(&DingTalkRobot, "dingtalk://T1?secret=SEC1"),
        (wanted, None)
    );
    check_refused_urls(
        &DingTalkRobot,
        &[
            "dingtalk://",
            "dingtalk://a/b",
            "dingtalk://a?x=1",
            "dingtalk://a%26b",
        ],
    );
}

#[test]
fn codes() {
    let table = [
        (0, "Delivered"),
        (-1, "Retry"),
        (130_101, "Limited"),
        (410_100, "Limited"),
        (310_000, "Rejected"),
        (300_001, "Rejected"),
        (400_101, "Rejected"),
        (400_013, "Rejected"),
        (400_105, "Rejected"),
        (430_101, "Rejected"),
    ];
    let text = json!({"data": "hi"});
    check_codes(&*channel(), &text, "errcode", &table);
    let answer =
        r#"{"errcode":130101,"errmsg":"send too fast","status":1111,"punish":"deny","wait":5}"#;
    let wait = Duration::from_secs(600);
    assert_eq!(
        judge(&*channel(), &text, 200, answer),
        Outcome::Limited { wait }
    );
}

proptest! {
    #[test]
    fn text_is_never_markup(text in hostile()) {
        text_means_itself(&render::MARKDOWN, &text)?;
    }
}
