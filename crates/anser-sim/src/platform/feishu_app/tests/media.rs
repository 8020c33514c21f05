//! Images and files: what is taken, and what messages may do with their keys.

use super::super::super::trial::part;
use super::*;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\nfake";

fn image(trial: &mut Trial, bytes: &[u8]) -> Answer {
    let parts = vec![
        part("image_type", None, b"message"),
        part("image", Some("a.png"), bytes),
    ];
    trial.upload(IMAGES, parts)
}

fn file(trial: &mut Trial, kind: &str, bytes: &[u8]) -> Answer {
    let parts = vec![
        part("file_type", None, kind.as_bytes()),
        part("file_name", None, "清单.pdf".as_bytes()),
        part("file", Some("x"), bytes),
    ];
    trial.upload(FILES, parts)
}

fn key(answer: &Answer, name: &str) -> String {
    let value = answer.value();
    assert_eq!(value["code"], 0, "{value}");
    value["data"][name].as_str().unwrap().to_owned()
}

#[test]
fn an_image_is_shown_by_its_key_and_can_be_got_back() {
    let mut trial = authorized();
    let key = key(&image(&mut trial, PNG), "image_key");
    let sent = send(
        &mut trial,
        &message("image", &json!({"image_key": key}), ""),
    );
    assert_eq!(sent["code"], 0);
    assert_eq!(trial.letters[0].uploads, [&*key]);
    let upload = trial.shelf.get(&key).unwrap();
    assert_eq!(
        (&*upload.kind, upload.name.as_deref(), upload.size),
        ("image", Some("a.png"), PNG.len() as u64)
    );
    let id = sent["data"]["message_id"].as_str().unwrap();
    for (path, code) in [
        (format!("{IMAGES}/{key}"), None),
        (format!("{MESSAGES}/{id}/resources/{key}?type=image"), None),
        (
            format!("{MESSAGES}/{id}/resources/{key}?type=file"),
            Some(234_001),
        ),
        (
            format!("{MESSAGES}/{id}/resources/img_0?type=image"),
            Some(234_001),
        ),
    ] {
        let answer = trial.send(Method::GET, &path, "", Bytes::new());
        match code {
            None => assert_eq!((answer.status, &*answer.body), (200, PNG), "{path}"),
            Some(code) => assert_eq!(answer.value()["code"], code, "{path}"),
        }
    }
}

#[test]
fn keys_that_a_message_names_are_the_apps_own_and_of_its_type() {
    let mut trial = authorized();
    let picture = key(&image(&mut trial, PNG), "image_key");
    let pdf = key(&file(&mut trial, "pdf", b"%PDF"), "file_key");
    let sound = key(&file(&mut trial, "opus", b"OggS"), "file_key");
    let video = key(&file(&mut trial, "mp4", b"ftyp"), "file_key");
    let card = |key: &str| json!({"elements": [{"tag": "img", "img_key": key, "alt": {"tag": "plain_text", "content": ""}}]});
    let post = |node: Value| json!({"zh_cn": {"content": [[node]]}});
    for (kind, content, code) in [
        ("file", json!({"file_key": pdf}), 0),
        ("file", json!({"file_key": video}), 230_055),
        ("audio", json!({"file_key": sound}), 0),
        ("audio", json!({"file_key": pdf}), 230_055),
        ("media", json!({"file_key": video, "image_key": picture}), 0),
        (
            "media",
            json!({"file_key": video, "image_key": "img_0"}),
            230_001,
        ),
        ("interactive", card(&picture), 0),
        ("interactive", card("img_0"), 230_099),
        ("post", post(json!({"tag": "img", "image_key": picture})), 0),
        (
            "post",
            post(json!({"tag": "img", "image_key": "img_0"})),
            230_001,
        ),
        ("post", post(json!({"tag": "media", "file_key": video})), 0),
    ] {
        trial.advance(Duration::from_secs(1));
        let answer = send(&mut trial, &message(kind, &content, ""));
        assert_eq!(answer["code"], code, "{kind} {content}");
    }
    // Another app has its own.
    trial.robot = app(2);
    authorize(&mut trial);
    let answer = send(&mut trial, &message("file", &json!({"file_key": pdf}), ""));
    assert_eq!(answer["code"], 230_017);
    let answer = trial.send(Method::GET, &format!("{FILES}/{pdf}"), "", Bytes::new());
    assert_eq!(answer.value()["code"], 234_008);
}

#[test]
fn what_is_empty_too_large_or_of_no_known_type_is_refused() {
    let mut trial = authorized();
    let padded = |start: &[u8], size: usize| [start, &vec![0; size - start.len()]].concat();
    for (answer, code) in [
        (image(&mut trial, &padded(PNG, 10 << 20)), 0),
        (image(&mut trial, &padded(PNG, (10 << 20) + 1)), 234_006),
        (image(&mut trial, b""), 234_010),
        (image(&mut trial, b"<svg/>"), 234_011),
        (file(&mut trial, "stream", &padded(b"x", 30 << 20)), 0),
        (
            file(&mut trial, "stream", &padded(b"x", (30 << 20) + 1)),
            234_006,
        ),
        (file(&mut trial, "stream", b""), 234_010),
        (file(&mut trial, "mp3", b"x"), 234_001),
        (
            trial.upload(
                FILES,
                vec![part("file_type", None, b"pdf"), part("file", None, b"x")],
            ),
            234_001,
        ),
        (
            trial.upload(IMAGES, vec![part("image", Some("a.png"), PNG)]),
            234_001,
        ),
    ] {
        assert_eq!(answer.value()["code"], code);
    }
    let known = trial.shelf.uploads(0);
    assert_eq!(known.len(), 2);
    assert_eq!(known[1].name.as_deref(), Some("清单.pdf"));
    trial.authorization = None;
    assert_eq!(image(&mut trial, PNG).value()["code"], 99_991_661);
}
