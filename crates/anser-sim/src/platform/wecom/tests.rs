//! The robot's table of codes, its sizes and its window, from known answers.

use std::time::Duration;

use serde_json::{Value, json};

use super::super::trial::{Trial, part};
use super::super::{Breach, Platform};
use super::*;

fn text(said: &str) -> Value {
    json!({"msgtype": "text", "text": {"content": said, "mentioned_list": ["@all"]}})
}

fn errcode(answer: &Answer) -> i64 {
    assert_eq!(answer.status, 200, "every refusal is inside HTTP 200");
    answer.value()["errcode"].as_i64().unwrap()
}

#[test]
fn success_is_short_and_refusals_end_with_a_hint() {
    let mut trial = Trial::of(Platform::WeCom);
    assert_eq!(
        trial.post(&text("hi")).said(),
        r#"{"errcode":0,"errmsg":"ok"}"#
    );
    let refused = trial.post_to("/cgi-bin/webhook/send?key=x", &text("hi"));
    assert_eq!(
        refused.said(),
        r#"{"errcode":93000,"errmsg":"invalid webhook url, hint: [1700000000000000000000000], from ip: 127.0.0.1, more info at https://open.work.weixin.qq.com/devtool/query?e=93000"}"#
    );
    assert_eq!(trial.breaches, [Breach::Credentials]);
}

#[test]
fn twenty_a_minute() {
    let mut trial = Trial::of(Platform::WeCom);
    for _ in 0..20 {
        assert_eq!(errcode(&trial.post(&text("hi"))), 0);
    }
    assert_eq!(errcode(&trial.post(&text("hi"))), 45_009);
    trial.advance(Duration::from_secs(59));
    assert_eq!(errcode(&trial.post(&text("hi"))), 45_009);
    trial.advance(Duration::from_secs(1));
    assert_eq!(errcode(&trial.post(&text("hi"))), 0);
    assert_eq!(trial.breaches, [Breach::Rate, Breach::Rate]);
}

#[test]
fn texts_are_measured_in_bytes() {
    let markdown = |said: &str| json!({"msgtype": "markdown", "markdown": {"content": said}});
    let second = |said: &str| json!({"msgtype": "markdown_v2", "markdown_v2": {"content": said}});
    for (fits, too_long, member) in [
        (
            text(&"你".repeat(682)),
            text(&"你".repeat(683)),
            "text.content exceed max length 2048.",
        ),
        (
            markdown(&"x".repeat(4096)),
            markdown(&"x".repeat(4097)),
            "markdown.content exceed max length 4096.",
        ),
        (
            second(&"x".repeat(4096)),
            second(&"x".repeat(4097)),
            "markdown_v2.content exceed max length 4096.",
        ),
    ] {
        let mut trial = Trial::of(Platform::WeCom);
        assert_eq!(errcode(&trial.post(&fits)), 0);
        let refused = trial.post(&too_long);
        assert_eq!(errcode(&refused), 40_058);
        let told = refused.value()["errmsg"].as_str().unwrap().to_owned();
        assert!(told.starts_with(member), "{told}");
        assert_eq!(trial.breaches, [Breach::Size]);
    }
}

/// Vector `wecom.robot.image`.
#[test]
fn an_image_is_checked_against_its_md5() {
    let image = |base64: &str, md5: &str| json!({"msgtype": "image", "image": {"base64": base64, "md5": md5}});
    let (known, md5) = ("iVBORw0KGgpmYWtl", "dc7b97b363d63f0eb8d4686afa2bc39b");
    let large = BASE64.encode([b"\x89PNG".as_slice(), &vec![0; IMAGE_MAX]].concat());
    for (body, code) in [
        (image(known, md5), 0),
        (image(known, &md5.to_uppercase()), 0),
        (image(known, "00000000000000000000000000000000"), 301_019),
        (image("R0lGODlh", "x"), 40_058),
        (image("", md5), 40_058),
        (image(&large, md5), 40_009),
    ] {
        let mut trial = Trial::of(Platform::WeCom);
        assert_eq!(errcode(&trial.post(&body)), code);
    }
}

#[test]
fn every_type_is_taken_whole_and_not_in_part() {
    let news = |count| json!({"msgtype": "news", "news": {"articles": vec![json!({"title": "T", "url": "https://e.com"}); count]}});
    let notice = json!({"card_type": "text_notice", "main_title": {"title": "T"}, "card_action": {"type": 1, "url": "https://e.com"}});
    let mut silent = notice.clone();
    silent["main_title"] = json!({});
    let mut inert = notice.clone();
    inert["card_action"] = json!({"type": 1});
    let card = |card: &Value| json!({"msgtype": "template_card", "template_card": card});
    for (body, code) in [
        (news(1), 0),
        (news(8), 0),
        (news(9), 40_058),
        (news(0), 40_058),
        (card(&notice), 0),
        (card(&silent), 40_058),
        (card(&inert), 40_058),
        (
            json!({"msgtype": "file", "file": {"media_id": "m"}}),
            40_007,
        ),
        (json!({"msgtype": "text", "text": {"content": " "}}), 44_004),
        (json!({"msgtype": "blink"}), 40_008),
    ] {
        let mut trial = Trial::of(Platform::WeCom);
        assert_eq!(errcode(&trial.post(&body)), code, "{body}");
    }
    let mut trial = Trial::of(Platform::WeCom);
    let path = trial.platform.path(&trial.robot);
    let broken = trial.send(http::Method::POST, &path, "application/json", "{".into());
    assert_eq!(errcode(&broken), 47_001);
}

#[test]
fn files_and_speech_are_uploaded_and_named_for_three_days() {
    let mut trial = Trial::of(Platform::WeCom);
    let token = trial.robot.token.clone();
    let upload = |trial: &mut Trial, kind: &str, name: &str, bytes: &[u8]| {
        let target = format!("{UPLOAD}?key={token}&type={kind}");
        trial.upload(&target, vec![part(name, Some("r.pdf"), bytes)])
    };
    let file = upload(&mut trial, "file", "media", b"%PDF-1").value();
    let voice = upload(&mut trial, "voice", "media", b"#!AMR\n").value();
    let large = vec![0; (20 << 20) + 1];
    for (kind, name, bytes, code) in [
        ("video", "media", &b"%PDF-1"[..], 40_004),
        ("file", "other", b"%PDF-1", 41_005),
        ("file", "media", b"short", 40_006),
        ("file", "media", &large, 40_006),
        ("voice", "media", b"OggS..", 40_005),
    ] {
        let answer = upload(&mut trial, kind, name, bytes);
        assert_eq!(errcode(&answer), code, "{kind} {name}");
    }
    let message =
        |kind: &str, media: &Value| json!({"msgtype": kind, kind: {"media_id": media["media_id"]}});
    assert_eq!(errcode(&trial.post(&message("file", &file))), 0);
    assert_eq!(errcode(&trial.post(&message("voice", &voice))), 0);
    assert_eq!(errcode(&trial.post(&message("voice", &file))), 40_007);
    assert_eq!(json!(trial.letters[0].uploads), json!([file["media_id"]]));
    trial.advance(UPLOAD_LIFE);
    assert_eq!(errcode(&trial.post(&message("file", &file))), 40_007);
}
