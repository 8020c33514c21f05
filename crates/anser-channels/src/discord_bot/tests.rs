//! Targets, replies, files in one message, edits, settings, the requests and the answers to them.

use std::time::Duration;

use anser_core::channel::{BodyPart, HttpRequest, HttpResponse, UploadRequest};
use anser_core::message::Conversation;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, StatusCode};

use super::*;
use crate::kit::testing::{check_refused, check_refused_urls, context, message, of_url};

const TOKEN: &str = "MTIz.Gab.hidden";

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": TOKEN, "channel_id": "100"});
    DiscordBot.open(&settings).unwrap()
}

fn text() -> Message {
    message(&json!({"segments": [{"type": "text", "text": "hi"}]}))
}

/// A text and `count` files of `size` bytes.
fn with_files(count: usize, size: u64) -> Message {
    let mut segments = vec![json!({"type": "text", "text": "see"})];
    let mut attachments = Vec::new();
    for place in 0..count {
        segments.push(json!({"type": "file", "att": format!("f{place}")}));
        attachments.push(
            json!({"id": format!("f{place}"), "name": format!("{place}.csv"), "size": size,
                                "source": {"blob": "0".repeat(64)}}),
        );
    }
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": segments},
        "attachments": attachments
    });
    Message::from_json(json.to_string().as_bytes()).unwrap()
}

fn http(
    channel: &dyn Channel,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> HttpRequest {
    let request = channel.request(step, message, context).unwrap();
    request.into_http().unwrap()
}

fn upload(channel: &dyn Channel, step: &Step, message: &Message) -> UploadRequest {
    match channel.request(step, message, &context(0)).unwrap() {
        Request::Upload(upload) => upload,
        other => panic!("no upload: {other:?}"),
    }
}

fn body(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The path of the first request for a message, and what it replies to.
fn place(channel: &dyn Channel, message: &Message, target: Option<&str>) -> (String, Value) {
    let mut context = context(0);
    context.target = target;
    let plan = channel.render(message, &context).unwrap();
    let request = http(channel, &plan.steps[0], message, &context);
    let replied = body(&request)["message_reference"]["message_id"].clone();
    (request.url.path().to_owned(), replied)
}

fn answered(status: u16, body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

#[test]
fn a_message_goes_by_the_bots_token_and_is_known_again() {
    let (channel, message) = (channel(), text());
    let plan = channel.render(&message, &context(0)).unwrap();
    let request = http(&*channel, &plan.steps[0], &message, &context(0));
    assert_eq!(
        request.url.as_str(),
        "https://discord.com/api/v10/channels/100/messages"
    );
    assert_eq!(request.headers[AUTHORIZATION], format!("Bot {TOKEN}"));
    assert!(request.headers[AUTHORIZATION].is_sensitive());
    let agent = request.headers[USER_AGENT].to_str().unwrap();
    assert!(agent.starts_with("DiscordBot (https://"), "{agent}");
    let sent = body(&request);
    assert_eq!(
        (&sent["content"], &sent["enforce_nonce"]),
        (&json!("hi"), &json!(true))
    );
    assert_eq!(
        sent["allowed_mentions"],
        json!({"parse": [], "users": [], "roles": []})
    );
    let nonce = sent["nonce"].as_str().unwrap();
    assert!((1..=25).contains(&nonce.len()));
    let retry = Context {
        attempt: 2,
        ..context(0)
    };
    assert_eq!(
        body(&http(&*channel, &plan.steps[0], &message, &retry))["nonce"],
        nonce
    );
}

#[test]
fn replies_and_threads() {
    let channel = channel();
    let mut message = text();
    for (reply_to, target, path, replied) in [
        ("100:7", None, "100", json!("7")),
        ("7", None, "100", json!("7")),
        ("7", Some("200"), "200", json!("7")),
        ("100:7", Some("200"), "200", Value::Null),
        (
            "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13",
            None,
            "100",
            Value::Null,
        ),
    ] {
        message.header.reply_to = Some(reply_to.to_owned());
        let wanted = (format!("/api/v10/channels/{path}/messages"), replied);
        assert_eq!(
            place(&*channel, &message, target),
            wanted,
            "{reply_to} {target:?}"
        );
    }
    message.header.reply_to = Some("300:7".to_owned());
    for (id, path, replied) in [("b/100", "300", json!("7")), ("b/200", "100", Value::Null)] {
        message.header.conversation = Some(Conversation {
            id: id.to_owned(),
            r#type: None,
            thread: Some("300".to_owned()),
        });
        let wanted = (format!("/api/v10/channels/{path}/messages"), replied);
        assert_eq!(place(&*channel, &message, None), wanted);
    }
    message.header.conversation = None;
    message.header.to = vec!["a/1".to_owned(), "b/2".to_owned()];
    message.header.reply_to = Some("100:7".to_owned());
    assert_eq!(place(&*channel, &message, None).1, Value::Null);
    let without = DiscordBot.open(&json!({"token": TOKEN})).unwrap();
    assert_eq!(
        without.render(&text(), &context(0)).unwrap_err().code,
        "missing_target"
    );
}

#[test]
fn only_the_first_part_replies() {
    let channel = channel();
    let mut message = message(&json!({"segments": [{"type": "text", "text": "w ".repeat(1_500)}]}));
    message.header.reply_to = Some("7".to_owned());
    let plan = channel.render(&message, &context(0)).unwrap();
    assert_eq!(plan.steps.len(), 2);
    for (step, replies) in [(0, true), (1, false)] {
        let context = Context { step, ..context(0) };
        let sent = body(&http(&*channel, &plan.steps[step], &message, &context));
        assert_eq!(sent.get("message_reference").is_some(), replies, "{step}");
    }
}

#[test]
fn the_channel_of_a_person_is_asked_for() {
    let (channel, message) = (channel(), text());
    let mut context = context(0);
    context.target = Some("user/42");
    let plan = channel.render(&message, &context).unwrap();
    let asked = http(&*channel, &plan.steps[0], &message, &context);
    assert_eq!(asked.url.path(), "/api/v10/users/@me/channels");
    assert_eq!(body(&asked), json!({"recipient_id": "42"}));
    let answer = answered(200, r#"{"id":"500","type":1}"#);
    let platform_id = Some("500".to_owned());
    assert_eq!(
        channel.classify(&plan.steps[0], &answer, &context),
        Outcome::Delivered { platform_id }
    );
    let problem = channel
        .request(&plan.steps[1], &message, &context)
        .unwrap_err();
    assert_eq!(problem.code, "missing_channel");
    let outputs = [Some("500".to_owned())];
    let context = Context {
        step: 1,
        outputs: &outputs,
        ..context
    };
    let sent = http(&*channel, &plan.steps[1], &message, &context);
    assert_eq!(sent.url.path(), "/api/v10/channels/500/messages");
    let refused = answered(400, r#"{"code":50035,"message":"Invalid Form Body"}"#);
    let outcome = channel.classify(&plan.steps[0], &refused, &context);
    assert!(matches!(outcome, Outcome::Rejected { .. }), "{outcome:?}");
}

#[test]
fn files_ride_along_with_the_text() {
    let (channel, message) = (channel(), with_files(2, 4));
    let plan = channel.render(&message, &context(0)).unwrap();
    assert_eq!((plan.steps.len(), plan.degraded), (1, Vec::new()));
    assert_eq!(plan.steps[0].attachment.as_deref(), Some("f0"));
    let upload = upload(&*channel, &plan.steps[0], &message);
    assert_eq!(upload.headers[AUTHORIZATION], format!("Bot {TOKEN}"));
    let kind = upload.headers[CONTENT_TYPE].to_str().unwrap();
    assert!(kind.starts_with("multipart/form-data; boundary="), "{kind}");
    let mut form = String::new();
    for part in &upload.body {
        match part {
            BodyPart::Bytes(bytes) => form.push_str(std::str::from_utf8(bytes).unwrap()),
            BodyPart::Attachment(id) => form.push_str(&format!("<{id}>")),
        }
    }
    let json = form
        .split("\r\n\r\n")
        .nth(1)
        .unwrap()
        .split("\r\n--")
        .next()
        .unwrap();
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!(json["content"], "see");
    assert_eq!(
        json["attachments"],
        json!([{"id": 0, "filename": "0.csv"}, {"id": 1, "filename": "1.csv"}])
    );
    assert!(json.get("files").is_none() && json.get("nonce").is_some());
    for wanted in [
        "name=\"payload_json\"\r\nContent-Type: application/json\r\n",
        "name=\"files[0]\"; filename=\"0.csv\"\r\nContent-Type: text/csv\r\n\r\n<f0>\r\n",
        "name=\"files[1]\"; filename=\"1.csv\"\r\nContent-Type: text/csv\r\n\r\n<f1>\r\n",
    ] {
        assert!(form.contains(wanted), "{form}");
    }
}

#[test]
fn ten_files_and_no_more_than_fit_make_a_message() {
    let channel = channel();
    let sends = |message: &Message| channel.render(message, &context(0)).unwrap().steps.len();
    assert_eq!(sends(&with_files(10, 1_000)), 1);
    assert_eq!(sends(&with_files(11, 1_000)), 2);
    assert_eq!(sends(&with_files(3, 6 * 1024 * 1024)), 3);
    let plan = channel
        .render(&with_files(1, 11 * 1024 * 1024), &context(0))
        .unwrap();
    assert_eq!(
        (plan.steps.len(), plan.degraded),
        (1, vec!["file->text".to_owned()])
    );
    let large = json!({"token": TOKEN, "channel_id": "1", "file_bytes_max": 50 * 1024 * 1024});
    let large = DiscordBot.open(&large).unwrap();
    let plan = large
        .render(&with_files(1, 11 * 1024 * 1024), &context(0))
        .unwrap();
    assert_eq!(plan.degraded, Vec::<String>::new());
}

#[test]
fn a_file_before_a_text_stays_before_it() {
    let mut message = with_files(1, 4);
    let anser_core::message::Body::Content(content) = &mut message.body else {
        panic!("no content");
    };
    content.segments.reverse();
    let plan = channel().render(&message, &context(0)).unwrap();
    let names: Vec<bool> = plan
        .steps
        .iter()
        .map(|step| step.attachment.is_some())
        .collect();
    assert_eq!(names, [true, false]);
}

#[test]
fn a_card_has_buttons_and_takes_its_picture_along() {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": [{"type": "card", "title": "T", "image": "p", "actions": [
            {"id": "a", "label": "Open", "kind": "url", "value": "https://a.example/"},
            {"id": "b", "label": "Number", "kind": "copy", "value": "42"}]}]},
        "attachments": [{"id": "p", "name": "x y.png", "media_type": "image/png", "size": 3, "source": {"inline": "YWJj"}}]
    });
    let message = Message::from_json(json.to_string().as_bytes()).unwrap();
    let plan = channel().render(&message, &context(0)).unwrap();
    let body: Value = serde_json::from_slice(&plan.steps[0].body).unwrap();
    assert_eq!((plan.steps.len(), plan.degraded), (1, Vec::new()));
    assert_eq!(
        body["embeds"][0]["image"]["url"],
        "attachment://picture.png"
    );
    assert_eq!(body["embeds"][0]["description"], "Number: 42");
    let button = json!({"type": 2, "style": 5, "label": "Open", "url": "https://a.example/"});
    assert_eq!(
        body["components"],
        json!([{"type": 1, "components": [button]}])
    );
    assert_eq!(plan.steps[0].attachment.as_deref(), Some("p"));
    let upload = upload(&*channel(), &plan.steps[0], &message);
    assert!(upload.body.contains(&BodyPart::Attachment("p".to_owned())));
}

#[test]
fn an_edit_replaces_all_of_a_message() {
    let channel = channel();
    let sent = ["100:7".to_owned(), "8".to_owned()];
    let plan = channel.edit(&text(), &sent, &context(0)).unwrap();
    let requests: Vec<HttpRequest> = plan
        .steps
        .iter()
        .map(|step| http(&*channel, step, &text(), &context(0)))
        .collect();
    assert_eq!(requests[0].method, Method::PATCH);
    assert_eq!(requests[0].url.path(), "/api/v10/channels/100/messages/7");
    let edited = body(&requests[0]);
    assert_eq!(edited["content"], "hi");
    for list in ["embeds", "attachments", "components"] {
        assert_eq!(edited[list], json!([]), "{list}");
    }
    assert!(edited.get("nonce").is_none());
    assert_eq!(requests[1].method, Method::DELETE);
    assert_eq!(requests[1].url.path(), "/api/v10/channels/100/messages/8");
    assert!(requests[1].body.is_empty());
    let plan = channel
        .edit(&with_files(1, 4), &sent[..1], &context(0))
        .unwrap();
    assert_eq!(plan.steps.len(), 1);
    let upload = upload(&*channel, &plan.steps[0], &with_files(1, 4));
    assert_eq!(upload.method, Method::PATCH);
}

#[test]
fn answers() {
    let channel = channel();
    let plan = channel.render(&text(), &context(0)).unwrap();
    let recall = channel
        .recall(&text(), &["100:7".to_owned()], &context(0))
        .unwrap();
    let class = |step: &Step, status: u16, answer: &str| {
        let outcome = channel.classify(step, &answered(status, answer), &context(0));
        format!("{:?}", outcome.class())
    };
    #[rustfmt::skip]
    let table = [
        (401, r#"{"message":"401: Unauthorized","code":0}"#, "Rejected", "Rejected"),
        (404, r#"{"code":10003}"#, "Rejected", "Delivered"), (404, r#"{"code":10008}"#, "Rejected", "Delivered"),
        (403, r#"{"code":50001}"#, "Rejected", "Rejected"), (403, r#"{"code":50013}"#, "Rejected", "Rejected"),
        (403, r#"{"code":50007}"#, "Rejected", "Rejected"), (400, r#"{"code":50006}"#, "Rejected", "Rejected"),
        (400, r#"{"code":50035}"#, "Degrade", "Degrade"), (413, r#"{"code":40005}"#, "Degrade", "Degrade"),
        (400, r#"{"code":130000}"#, "Retry", "Retry"), (502, "", "Retry", "Retry"),
    ];
    for (status, answer, sent, recalled) in table {
        assert_eq!(
            class(&plan.steps[0], status, answer),
            sent,
            "{status} {answer}"
        );
        assert_eq!(
            class(&recall.steps[0], status, answer),
            recalled,
            "{status} {answer}"
        );
    }
    assert_eq!(class(&recall.steps[0], 204, ""), "Delivered");
    let platform_id = Some("100:7".to_owned());
    let answer = answered(200, r#"{"id":"7","channel_id":"100","content":"hi"}"#);
    assert_eq!(
        channel.classify(&plan.steps[0], &answer, &context(0)),
        Outcome::Delivered { platform_id }
    );
}

#[test]
fn a_limit_is_of_one_channel_unless_it_is_for_all() {
    let channel = channel();
    let plan = channel.render(&text(), &context(0)).unwrap();
    let judge = |scope: Option<&str>, answer: &str| {
        let mut exchange = answered(429, answer);
        if let Some(scope) = scope {
            let headers = &mut exchange.as_mut().unwrap().headers;
            headers.insert("x-ratelimit-scope", scope.parse().unwrap());
        }
        channel.classify(&plan.steps[0], &exchange, &context(0))
    };
    let wait = Duration::from_millis(640);
    let (one, all) = (Outcome::TargetLimited { wait }, Outcome::Limited { wait });
    let body = |global: bool| json!({"retry_after": 0.64, "global": global}).to_string();
    assert_eq!(judge(Some("user"), &body(false)), one);
    assert_eq!(judge(Some("shared"), &body(false)), one);
    assert_eq!(judge(None, &body(true)), all);
    assert_eq!(judge(Some("global"), &body(false)), all);
    let wait = Duration::from_secs(3_600);
    assert_eq!(judge(None, "error code: 1015"), Outcome::Limited { wait });
}

#[test]
fn a_missing_right_to_attach_files_makes_links() {
    let (channel, message) = (channel(), with_files(1, 4));
    let plan = channel.render(&message, &context(0)).unwrap();
    let refused = answered(403, r#"{"code":50013,"message":"Missing Permissions"}"#);
    let outcome = channel.classify(&plan.steps[0], &refused, &context(0));
    assert!(matches!(outcome, Outcome::Degrade { .. }), "{outcome:?}");
}

#[test]
fn credentials_are_checked_without_sending_anything() {
    let channel = channel();
    let check = channel.credential_check().unwrap();
    let request = check.request(&context(0)).unwrap().into_http().unwrap();
    assert_eq!(
        (request.method, request.url.path()),
        (Method::GET, "/api/v10/users/@me")
    );
    assert!(request.headers.contains_key(AUTHORIZATION));
    let good = answered(200, r#"{"id":"9","username":"shop","bot":true}"#);
    assert_eq!(check.read(&good, &context(0)).unwrap(), "shop (9)");
    let bad = answered(401, r#"{"message":"401: Unauthorized","code":0}"#);
    let Outcome::Rejected { text, .. } = check.read(&bad, &context(0)).unwrap_err() else {
        panic!("not refused");
    };
    assert!(text.contains("page Bot"), "{text}");
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.token"),
        (json!({"token": "Bot hidden"}), "invalid_secret", "settings.token"),
        (json!({"token": "hidden\n"}), "invalid_secret", "settings.token"),
        (json!({"token": TOKEN, "channel_id": "general"}), "invalid_target", "settings.channel_id"),
        (json!({"token": TOKEN, "channel_id": "user/"}), "invalid_target", "settings.channel_id"),
        (json!({"token": TOKEN, "file_bytes_max": 0}), "invalid_field", "settings.file_bytes_max"),
        (json!({"token": TOKEN, "file_bytes_max": 104_857_601}), "invalid_field", "settings.file_bytes_max"),
        (json!({"token": TOKEN, "base_url": "discord.com"}), "invalid_url", "settings.base_url"),
    ];
    check_refused(&DiscordBot, &table);
}

#[test]
fn urls_stand_for_settings() {
    let settings = json!({"token": TOKEN});
    let wanted = |target: &str| (settings.clone(), Some(target.to_owned()));
    assert_eq!(
        of_url(&DiscordBot, "discord-bot://MTIz.Gab.hidden/100"),
        wanted("100")
    );
    assert_eq!(
        of_url(&DiscordBot, "discord-bot://MTIz.Gab.hidden/user/42"),
        wanted("user/42")
    );
    check_refused_urls(
        &DiscordBot,
        &[
            "discord-bot://t",
            "discord-bot://t/general",
            "discord-bot://t/role/1",
            "discord-bot://t/1?x=1",
        ],
    );
}
