//! Files of messages: what is one, of the answers of status 200.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::json;

use super::super::WeComApp;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

fn app() -> Arc<dyn Channel> {
    let settings = json!({"corp_id": "ww1", "corp_secret": "s", "agent_id": 1});
    WeComApp.open(&settings).unwrap()
}

#[test]
fn a_media_id_gives_the_file_itself() {
    let found = walk(&*app(), &json!({"key": "a b"}), None, &[picture()]);
    assert_eq!(found.told(), "file");
    assert_eq!(
        found.urls(),
        ["https://qyapi.weixin.qq.com/cgi-bin/media/get?access_token=T&media_id=a+b"]
    );
}

#[test]
fn a_code_is_no_file_though_it_comes_with_200() {
    let code = |code: i64| json_answered(200, &json!({"errcode": code, "errmsg": "m"}));
    let as_text = answered(
        200,
        &[("content-type", "text/plain")],
        r#"{"errcode":40007,"errmsg":"m"}"#,
    );
    for (answer, told) in [
        (code(40007), "gone"),
        (as_text, "gone"),
        (code(42001), "refreshauth"),
        (code(45009), "limited"),
        (code(48002), "rejected 48002"),
        (code(-1), "retry"),
    ] {
        let walk = walk(&*app(), &json!({"key": "m"}), None, &[answer]);
        assert_eq!(walk.told(), told);
    }
}
