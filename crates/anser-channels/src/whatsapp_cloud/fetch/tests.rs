//! Files of messages: the address that an id gives, and what answers mean.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::json;

use super::super::WhatsAppCloud;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

fn number() -> Arc<dyn Channel> {
    let settings = json!({"phone_number_id": "106", "access_token": "EAA1"});
    WhatsAppCloud.open(&settings).unwrap()
}

#[test]
fn an_id_gives_an_address_that_the_token_opens() {
    let place = "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1";
    let about = json_answered(
        200,
        &json!({"url": place, "mime_type": "image/png", "id": "1"}),
    );
    let found = walk(&*number(), &json!({"key": "1"}), None, &[about, picture()]);
    assert_eq!(found.told(), "file");
    let asked = found.urls()[0];
    assert!(asked.ends_with("/1?phone_number_id=106"), "{asked}");
    assert_eq!(found.urls()[1], place);
    assert_eq!(found.header("authorization"), ["Bearer EAA1"; 2]);
}

#[test]
fn answers_say_why_there_is_no_file() {
    let wrong = |status: u16, code: i64| {
        json_answered(status, &json!({"error": {"code": code, "message": "m"}}))
    };
    let about = json_answered(200, &json!({"url": "https://lookaside.fbsbx.com/x"}));
    for (answers, told) in [
        (vec![wrong(400, 100)], "gone"),
        (vec![wrong(401, 190)], "rejected 190"),
        (vec![wrong(400, 80_007)], "limited"),
        (vec![json_answered(200, &json!({}))], "retry"),
        (
            vec![json_answered(200, &json!({"url": "javascript:1"}))],
            "rejected no_address",
        ),
        (vec![about.clone(), answered(404, &[], "")], "gone"),
        (vec![about, wrong(401, 190)], "rejected 190"),
    ] {
        let walk = walk(&*number(), &json!({"key": "1"}), None, &answers);
        assert_eq!(walk.told(), told);
    }
}
