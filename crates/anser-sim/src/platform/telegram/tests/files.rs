//! Files by upload, URL and id, and the way back.

use super::super::super::trial::part;
use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nfake";

impl Trial {
    /// Posts a form to the bot, each in its own second.
    fn form(&mut self, method: &str, mut parts: Vec<Part>) -> Answer {
        let target = format!("/bot{}/{method}", self.robot.token);
        self.advance(Duration::from_secs(1));
        parts.push(part("chat_id", None, b"1001"));
        self.upload(&target, parts)
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send(http::Method::GET, path, "", bytes::Bytes::new())
    }
}

#[test]
fn an_upload_is_shown_sent_again_by_its_id_and_got_back() {
    let mut trial = Trial::of(Platform::Telegram);
    let parts = vec![
        part("caption", None, b"c"),
        part("photo", Some("a.png"), PNG),
    ];
    let answer = trial.form("sendPhoto", parts);
    let photo = answer.value()["result"]["photo"][0].clone();
    let id = photo["file_id"].as_str().unwrap();
    assert_eq!(photo["file_size"], PNG.len());
    assert_eq!(answer.value()["result"]["caption"], "c");
    assert_eq!(trial.letters[0].uploads, [id]);
    let again = trial.call("sendPhoto", &json!({"chat_id": PRIVATE, "photo": id}));
    assert_eq!(again.value()["result"]["photo"][0]["file_id"], id);
    assert_eq!(trial.letters[1].uploads, [id]);
    let wrong = trial.call("sendDocument", &json!({"chat_id": PRIVATE, "document": id}));
    assert_eq!(described(&wrong), "Bad Request: type of file mismatch");
    let file = trial.call("getFile", &json!({"file_id": id})).value();
    let path = file["result"]["file_path"].as_str().unwrap().to_owned();
    let token = trial.robot.token.clone();
    assert_eq!(trial.get(&format!("/file/bot{token}/{path}")).body, PNG);
    assert_eq!(
        trial.get(&format!("/file/bot{token}/photos/file_9")).status,
        404
    );
    assert_eq!(trial.get(&format!("/file/bot1:x/{path}")).status, 401);
    let none = trial.call("getFile", &json!({"file_id": "x"}));
    assert_eq!(described(&none), "Bad Request: invalid file_id");
    assert_eq!(trial.shelf.uploads(0).len(), 1);
}

#[test]
fn every_kind_of_file_comes_back_as_itself() {
    for (method, kind) in [
        ("sendDocument", "document"),
        ("sendAudio", "audio"),
        ("sendVoice", "voice"),
        ("sendVideo", "video"),
        ("sendAnimation", "animation"),
        ("sendSticker", "sticker"),
    ] {
        let mut trial = Trial::of(Platform::Telegram);
        let answer = trial.form(method, vec![part(kind, Some("清单"), b"bytes")]);
        let shown = &answer.value()["result"][kind];
        assert_eq!(shown["file_size"], 5, "{method}: {}", answer.said());
        assert_eq!(&*trial.shelf.uploads(0)[0].kind, kind);
        let url = trial.call(
            method,
            &json!({"chat_id": PRIVATE, kind: "https://e.com/a"}),
        );
        assert!(url.value()["result"][kind]["file_id"].is_string());
    }
}

#[test]
fn an_album_names_its_parts_and_keeps_to_kinds() {
    let mut trial = Trial::of(Platform::Telegram);
    let media = json!([{"type": "photo", "media": "attach://one", "caption": "first"},
        {"type": "video", "media": "attach://two"}]);
    let album = |media: &Value| {
        vec![
            part("media", None, media.to_string().as_bytes()),
            part("one", Some("1.png"), PNG),
            part("two", Some("2.mp4"), b"video"),
        ]
    };
    let answer = trial.form("sendMediaGroup", album(&media)).value();
    let [first, second] = &answer["result"].as_array().unwrap()[..] else {
        panic!("{answer}")
    };
    assert_eq!(first["caption"], "first");
    assert_eq!(second["video"]["file_name"], "2.mp4");
    assert_eq!(first["media_group_id"], second["media_group_id"]);
    assert_eq!(
        (
            trial.letters[0].id.as_deref(),
            &*trial.letters[0].more_ids[0]
        ),
        (Some("1"), "2")
    );
    assert_eq!(trial.letters[0].uploads.len(), 2);
    for (kinds, told) in [
        (
            ["photo", "document"],
            "document can't be mixed with other media types",
        ),
        (
            ["audio", "video"],
            "audio can't be mixed with other media types",
        ),
        (
            ["photo", "sticker"],
            "can't parse InputMedia: Type not found",
        ),
    ] {
        let media = json!([{"type": kinds[0], "media": "attach://one"}, {"type": kinds[1], "media": "attach://two"}]);
        let answer = trial.form("sendMediaGroup", album(&media));
        assert_eq!(described(&answer), format!("Bad Request: {told}"));
    }
}

#[test]
fn what_cannot_be_taken_is_described() {
    let mut trial = Trial::of(Platform::Telegram);
    let large = |most: usize| [PNG, &vec![0; most + 1 - PNG.len()]].concat();
    for (method, parts, status, told) in [
        (
            "sendDocument",
            vec![part("document", Some("a"), b"")],
            400,
            "Bad Request: file must be non-empty",
        ),
        (
            "sendDocument",
            vec![],
            400,
            "Bad Request: there is no document in the request",
        ),
        (
            "sendDocument",
            vec![part("document", Some("a"), &large(50 << 20))],
            413,
            "Request Entity Too Large",
        ),
        (
            "sendPhoto",
            vec![part("photo", Some("a"), b"<svg/>")],
            400,
            "Bad Request: IMAGE_PROCESS_FAILED",
        ),
        (
            "sendPhoto",
            vec![part("photo", Some("a"), &large(10 << 20))],
            400,
            "Bad Request: file \"a\" of size 10485761 bytes is too big for a photo",
        ),
        (
            "sendPhoto",
            vec![part("photo", None, b"no such id")],
            400,
            "Bad Request: wrong remote file identifier specified: Wrong string length",
        ),
    ] {
        let answer = trial.form(method, parts);
        assert_eq!((answer.status, &*described(&answer)), (status, told));
    }
    let most = [PNG, &vec![0; (20 << 20) + 1 - PNG.len()]].concat();
    let answer = trial
        .form("sendDocument", vec![part("document", Some("a"), &most)])
        .value();
    let id = &answer["result"]["document"]["file_id"];
    let answer = trial.call("getFile", &json!({"file_id": id}));
    assert_eq!(described(&answer), "Bad Request: file is too big");
    assert_eq!(trial.letters.len(), 1);
}

#[test]
fn a_poll_for_updates_waits_as_long_as_it_says() {
    let mut trial = Trial::of(Platform::Telegram);
    for (asked, waits) in [(json!({"timeout": 10}), 10), (json!({"timeout": "90"}), 50)] {
        trial.call("getUpdates", &asked);
        assert_eq!(trial.held.pop(), Some(Duration::from_secs(waits)));
    }
    let answer = trial.call("getUpdates", &json!({}));
    assert_eq!(answer.said(), r#"{"ok":true,"result":[]}"#);
    trial.is_called = true;
    let answer = trial.call("getUpdates", &json!({}));
    assert!(described(&answer).contains("webhook is active"));
}
