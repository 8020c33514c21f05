//! Files of messages: where the token goes, and where it does not.

use std::sync::Arc;

use anser_core::channel::{Channel, ChannelKind as _};
use serde_json::json;

use super::super::SlackApp;
use crate::kit::testing::fetching::{answered, json_answered, picture, walk};

fn app(base: &str) -> Arc<dyn Channel> {
    let settings = json!({"token": "xoxb-1", "signing_secret": "s", "base_url": base});
    SlackApp.open(&settings).unwrap()
}

fn slack() -> Arc<dyn Channel> {
    app("https://slack.com/api")
}

#[test]
fn the_token_goes_to_slack_and_to_nobody_else() {
    for url in [
        "https://files.slack.com/files-pri/T1-F1/a.png",
        "https://slack-files.com/T1-F1",
        "https://acme.enterprise.slack.com/files/x",
    ] {
        let walk = walk(
            &*slack(),
            &json!({"key": "F1", "url": url}),
            None,
            &[picture()],
        );
        assert_eq!((walk.told(), walk.urls()), ("file".to_owned(), vec![url]));
        assert_eq!(walk.header("authorization"), ["Bearer xoxb-1"]);
    }
    for url in [
        "https://drive.example.com/a.png",
        "https://files.slack.com.evil.example/a",
        "https://evilslack.com/a",
        "http://files.slack.com/a",
        "https://files.slack.com@evil.example/a",
        "file:///etc/passwd",
        "not a url",
    ] {
        let walk = walk(&*slack(), &json!({"key": "F1", "url": url}), None, &[]);
        assert!(
            walk.told().starts_with("rejected"),
            "{url}: {}",
            walk.told()
        );
    }
    let own = json!({"key": "F1", "url": "http://127.0.0.1:9/files-pri/x"});
    let proxied = walk(&*app("http://127.0.0.1:9/api"), &own, None, &[picture()]);
    assert_eq!(proxied.told(), "file");
}

#[test]
fn who_is_to_sign_in_has_no_right_to_the_file() {
    let key = json!({"key": "F1", "url": "https://files.slack.com/f"});
    let page = [("content-type", "text/html; charset=utf-8")];
    let file = [page[0], ("content-disposition", "attachment")];
    let to = |place: &str| answered(302, &[("location", place)], "");
    for (answers, told) in [
        (vec![answered(200, &page, "<html>")], "rejected 200"),
        (
            vec![to("https://acme.slack.com/?redir=%2Ff")],
            "rejected not_authed",
        ),
        (vec![answered(200, &file, "")], "file"),
        (vec![to("https://cdn.example.com/f"), picture()], "file"),
        (vec![answered(404, &[], "")], "gone"),
        (vec![answered(403, &[], "")], "rejected 403"),
        (vec![answered(429, &[("retry-after", "3")], "")], "limited"),
        (vec![answered(500, &[], "")], "retry"),
    ] {
        let walk = walk(&*slack(), &key, None, &answers);
        assert_eq!(walk.told(), told);
        assert!(
            walk.header("authorization")
                .iter()
                .skip(1)
                .all(|value| value.is_empty())
        );
    }
}

#[test]
fn a_file_that_comes_without_an_address_is_asked_about() {
    let info = json!({"ok": true, "file": {"id": "F1", "url_private": "https://files.slack.com/a",
        "url_private_download": "https://files.slack.com/download/a"}});
    let answers = [json_answered(200, &info), picture()];
    let found = walk(&*slack(), &json!({"key": "F1"}), None, &answers);
    assert_eq!(found.told(), "file");
    assert_eq!(
        found.urls(),
        [
            "https://slack.com/api/files.info?file=F1",
            "https://files.slack.com/download/a"
        ]
    );
    assert_eq!(found.header("authorization"), ["Bearer xoxb-1"; 2]);
    for (body, told) in [
        (json!({"ok": false, "error": "file_not_found"}), "gone"),
        (
            json!({"ok": false, "error": "missing_scope"}),
            "rejected missing_scope",
        ),
        (json!({"ok": true, "file": {}}), "rejected no_url"),
    ] {
        let walk = walk(
            &*slack(),
            &json!({"key": "F1"}),
            None,
            &[json_answered(200, &body)],
        );
        assert_eq!(walk.told(), told);
    }
}
