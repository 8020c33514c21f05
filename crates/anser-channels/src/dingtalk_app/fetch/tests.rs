//! Files of messages: the address that a download code gives, and what answers mean.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::{Value, json};

use super::super::DingTalkApp;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

fn app() -> Arc<dyn Channel> {
    let settings = json!({"app_key": "ding1", "app_secret": "s", "robot_code": "robot1"});
    DingTalkApp.open(&settings).unwrap()
}

#[test]
fn a_code_gives_an_address_that_needs_no_token() {
    // Longer than an id may be.
    let code = "c+/=".repeat(120);
    let place = json_answered(
        200,
        &json!({"downloadUrl": "https://down.example.com/x?sig=1"}),
    );
    let found = walk(&*app(), &json!({"key": code}), None, &[place, picture()]);
    assert_eq!(found.told(), "file");
    assert_eq!(
        found.urls(),
        [
            "https://api.dingtalk.com/v1.0/robot/messageFiles/download",
            "https://down.example.com/x?sig=1"
        ]
    );
    assert_eq!(found.header("x-acs-dingtalk-access-token"), ["T", ""]);
    let body: Value = serde_json::from_slice(&found.requests[0].body).unwrap();
    assert_eq!(body, json!({"downloadCode": code, "robotCode": "robot1"}));
}

#[test]
fn answers_say_why_there_is_no_file() {
    let wrong =
        |status: u16, code: &str| json_answered(status, &json!({"code": code, "message": "m"}));
    let place = json_answered(200, &json!({"downloadUrl": "https://down.example.com/x"}));
    for (answers, told) in [
        (vec![wrong(400, "invalidParameter.downloadCode")], "gone"),
        (vec![wrong(401, "InvalidAuthentication")], "refreshauth"),
        (
            vec![wrong(403, "Forbidden.AccessDenied.QpsLimitForApi")],
            "limited",
        ),
        (
            vec![wrong(403, "Forbidden.AccessDenied")],
            "rejected Forbidden.AccessDenied",
        ),
        (vec![wrong(500, "ServiceUnavailable")], "retry"),
        (vec![place, answered(403, &[], "<Error/>")], "gone"),
    ] {
        let walk = walk(&*app(), &json!({"key": "c"}), None, &answers);
        assert_eq!(walk.told(), told);
    }
    assert_eq!(
        walk(&*app(), &json!({}), None, &[]).told(),
        "rejected no_key"
    );
}
