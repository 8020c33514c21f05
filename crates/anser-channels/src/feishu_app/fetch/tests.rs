//! Files of messages: which address, and what answers mean.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::{Value, json};

use super::super::FeishuApp;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

const MESSAGE: Option<&str> = Some("om_1");

fn app() -> Arc<dyn Channel> {
    let settings = json!({"app_id": "cli_1", "app_secret": "s", "verification_token": "v"});
    FeishuApp.open(&settings).unwrap()
}

#[test]
fn pictures_and_files_are_asked_for_by_message_and_key() {
    for (kind, of_type) in [
        ("image", "image"),
        ("video", "file"),
        ("voice", "file"),
        ("file", "file"),
    ] {
        let key = json!({"kind": kind, "key": "key/../1"});
        let walk = walk(&*app(), &key, MESSAGE, &[picture()]);
        assert_eq!(walk.told(), "file");
        let url = format!(
            "https://open.feishu.cn/open-apis/im/v1/messages/om_1/resources/key%2F..%2F1?type={of_type}"
        );
        assert_eq!(walk.urls(), [url]);
        assert_eq!(walk.header("authorization"), ["Bearer T"]);
    }
    for (key, message) in [
        (json!({"kind": "sticker", "key": "k"}), MESSAGE),
        (json!({"kind": "image"}), MESSAGE),
        (json!({"kind": "image", "key": "k"}), None),
        (json!({"kind": "image", "key": "k"}), Some("../1")),
    ] {
        let walk = walk(&*app(), &key, message, &[]);
        assert!(
            walk.told().starts_with("rejected"),
            "{key}: {}",
            walk.told()
        );
    }
}

#[test]
fn json_is_a_file_only_where_it_is_given_as_one() {
    let key = json!({"kind": "file", "key": "k"});
    let file = [
        ("content-type", "application/json"),
        ("content-disposition", "attachment; filename=\"a.json\""),
    ];
    let given = walk(&*app(), &key, MESSAGE, &[answered(200, &file, "")]);
    assert_eq!(given.told(), "file");
    let code = |code: i64| json_answered(400, &json!({"code": code, "msg": "m"}));
    for (answer, told) in [
        (code(234_003), "gone"),
        (code(230_011), "gone"),
        (code(234_037), "rejected 234037"),
        (code(99_991_663), "refreshauth"),
        (code(99_991_400), "limited"),
        (
            answered(200, &[("content-type", "application/json")], "{}"),
            "rejected 200",
        ),
        (
            answered(502, &[("content-type", "text/html")], "<html>"),
            "retry",
        ),
    ] {
        let shown = String::from_utf8_lossy(&answer.body).into_owned();
        let walk = walk(&*app(), &key, MESSAGE, &[answer]);
        assert_eq!(walk.told(), told, "{shown}");
    }
}

#[test]
fn where_it_is_sent_on_to_gets_no_token() {
    let key: Value = json!({"kind": "image", "key": "k"});
    let onward = answered(302, &[("location", "https://cdn.example.com/x")], "");
    let away = walk(&*app(), &key, MESSAGE, &[onward, picture()]);
    assert_eq!(
        (away.told(), away.urls()[1]),
        ("file".to_owned(), "https://cdn.example.com/x")
    );
    assert_eq!(away.header("authorization"), ["Bearer T", ""]);
    let in_the_clear = answered(302, &[("location", "http://cdn.example.com/x")], "");
    let refused = walk(&*app(), &key, MESSAGE, &[in_the_clear]);
    assert_eq!(refused.urls().len(), 1);
}
