//! Files of messages: the address that `getFile` gives, and what answers mean.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::json;

use super::super::TelegramBot;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

fn bot(base: &str) -> Arc<dyn Channel> {
    let settings = json!({"token": "7:AAsecret", "base_url": base});
    TelegramBot.open(&settings).unwrap()
}

#[test]
fn a_file_is_where_the_api_says() {
    for (base, place) in [
        (
            "https://api.telegram.org",
            "https://api.telegram.org/file/bot7:AAsecret/photos/a%20b.jpg",
        ),
        (
            "http://127.0.0.1:9/proxy",
            "http://127.0.0.1:9/proxy/file/bot7:AAsecret/photos/a%20b.jpg",
        ),
    ] {
        let path = json!({"ok": true, "result": {"file_id": "f", "file_path": "photos/a b.jpg"}});
        let answers = [json_answered(200, &path), picture()];
        let found = walk(&*bot(base), &json!({"key": "f"}), None, &answers);
        assert_eq!(found.told(), "file");
        assert_eq!(
            found.urls(),
            [&format!("{base}/bot7:AAsecret/getFile"), place]
        );
        let body: serde_json::Value = serde_json::from_slice(&found.requests[0].body).unwrap();
        assert_eq!(body, json!({"file_id": "f"}));
    }
}

#[test]
fn no_path_leads_out_of_the_place_of_files() {
    for path in ["/var/lib/a", "../getMe", "a/../../b", "a//b", "."] {
        let body = json!({"ok": true, "result": {"file_path": path}});
        let walk = walk(
            &*bot("https://api.telegram.org"),
            &json!({"key": "f"}),
            None,
            &[json_answered(200, &body)],
        );
        assert_eq!(walk.told(), "rejected file_path", "{path}");
    }
}

#[test]
fn answers_say_why_there_is_no_file() {
    let wrong = |code: u16, text: &str| {
        json_answered(
            code,
            &json!({"ok": false, "error_code": code, "description": text}),
        )
    };
    let there = json_answered(200, &json!({"ok": true, "result": {"file_path": "a"}}));
    let onward = answered(302, &[("location", "https://evil.example/")], "");
    for (answers, told) in [
        (vec![wrong(400, "Bad Request: invalid file_id")], "gone"),
        (
            vec![wrong(400, "Bad Request: file is too big")],
            "rejected 400",
        ),
        (vec![wrong(401, "Unauthorized")], "rejected 401"),
        (vec![wrong(500, "Internal Server Error")], "retry"),
        (vec![there.clone(), answered(404, &[], "")], "gone"),
        (vec![there, onward], "retry"),
    ] {
        let walk = walk(
            &*bot("https://api.telegram.org"),
            &json!({"key": "f"}),
            None,
            &answers,
        );
        assert_eq!(walk.told(), told);
    }
}
