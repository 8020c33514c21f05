//! Targets, threads, files, edits, settings, the calls and the answers to them.

use std::time::Duration;

use anser_core::attempt::PossibleDuplicate;
use anser_core::channel::{BodyPart, HttpResponse};
use anser_core::message::Conversation;
use http::header::{AUTHORIZATION, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

use super::*;
use crate::kit::testing::{check_refused, check_refused_urls, context, message, of_url};

const TOKEN: &str = "xoxb-1-2-hidden";

fn channel() -> Arc<dyn Channel> {
    let settings = json!({"token": TOKEN, "channel": "C12345"});
    SlackApp.open(&settings).unwrap()
}

fn text() -> Message {
    message(&json!({"segments": [{"type": "text", "text": "hi"}]}))
}

/// A text with a picture and a file that are at hand.
fn with_files() -> Message {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": [{"type": "text", "text": "see"}, {"type": "image", "att": "p", "alt": "A bar"},
                              {"type": "file", "att": "f"}]},
        "attachments": [
            {"id": "p", "name": "p.png", "media_type": "image/png", "size": 3, "source": {"inline": "YWJj"}},
            {"id": "f", "name": "été.csv", "size": 4, "source": {"inline": "YWJjZA=="}}
        ]
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

fn body(request: &HttpRequest) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The channel and the thread of the first call for a message.
fn place(channel: &dyn Channel, message: &Message, target: Option<&str>) -> (Value, Value) {
    let mut context = context(0);
    context.target = target;
    let plan = channel.render(message, &context).unwrap();
    let body = body(&http(channel, &plan.steps[0], message, &context));
    (body["channel"].clone(), body["thread_ts"].clone())
}

fn answered(status: u16, body: &str) -> Exchange {
    Ok(HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: HeaderMap::new(),
        body: body.to_owned().into(),
    })
}

#[test]
fn a_message_goes_by_the_bots_token() {
    let (channel, message) = (channel(), text());
    let context = context(0);
    let plan = channel.render(&message, &context).unwrap();
    let request = http(&*channel, &plan.steps[0], &message, &context);
    assert_eq!(
        request.url.as_str(),
        "https://slack.com/api/chat.postMessage"
    );
    assert_eq!(request.headers[AUTHORIZATION], format!("Bearer {TOKEN}"));
    assert!(request.headers[AUTHORIZATION].is_sensitive());
    let wanted = json!({"channel": "C12345", "text": "hi", "mrkdwn": false});
    assert_eq!(body(&request), wanted);
}

#[test]
fn threads_are_those_of_the_address_the_conversation_or_the_message_answered() {
    let channel = channel();
    let ts = "1700000000.000100";
    let mut message = text();
    assert_eq!(
        place(&*channel, &message, None),
        (json!("C12345"), Value::Null)
    );
    assert_eq!(
        place(&*channel, &message, Some("U1/7.1")),
        (json!("U1"), json!("7.1"))
    );
    for (reply_to, target, thread) in [
        (format!("C12345:{ts}"), None, Some(ts)),
        (ts.to_owned(), None, Some(ts)),
        (format!("C12345:{ts}"), Some("C99999"), None),
        (format!("D12345:{ts}"), Some("U99999"), Some(ts)),
        (format!("D12345:{ts}"), None, None),
        (format!("C12345:{ts}"), Some("C12345/7.1"), Some("7.1")),
        (
            "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13".to_owned(),
            None,
            None,
        ),
        ("C12345:F1".to_owned(), None, None),
    ] {
        message.header.reply_to = Some(reply_to);
        assert_eq!(
            place(&*channel, &message, target).1,
            json!(thread),
            "{message:?}"
        );
    }
    message.header.reply_to = Some(ts.to_owned());
    message.header.to = vec!["a/C12345".to_owned(), "b/C67890".to_owned()];
    assert_eq!(place(&*channel, &message, None).1, Value::Null);
    for (id, thread) in [("a/C12345", json!("5.1")), ("a/C67890", Value::Null)] {
        message.header.conversation = Some(Conversation {
            id: id.to_owned(),
            r#type: None,
            thread: Some("5.1".to_owned()),
        });
        assert_eq!(place(&*channel, &message, None).1, thread);
    }
}

#[test]
fn without_a_channel_an_answer_goes_where_its_question_is() {
    let channel = SlackApp.open(&json!({"token": TOKEN})).unwrap();
    let mut message = text();
    let problem = channel.render(&message, &context(0)).unwrap_err();
    assert_eq!(
        (problem.code, problem.field.as_deref()),
        ("missing_target", Some("to"))
    );
    message.header.reply_to = Some("C777:5.1".to_owned());
    assert_eq!(
        place(&*channel, &message, None),
        (json!("C777"), json!("5.1"))
    );
    message.header.reply_to = Some("5.1".to_owned());
    assert_eq!(
        channel.render(&message, &context(0)).unwrap_err().code,
        "missing_target"
    );
}

#[test]
fn files_are_brought_before_anything_is_seen() {
    let (channel, message) = (channel(), with_files());
    let mut context = context(0);
    context.target = Some("U12345/5.1");
    let plan = channel.render(&message, &context).unwrap();
    let kinds: Vec<StepKind> = plan.steps.iter().map(|step| step.kind).collect();
    use StepKind::{Call, Send, Upload};
    assert_eq!(kinds, [Call, Upload, Call, Upload, Send, Send, Send]);
    assert_eq!(plan.degraded, Vec::<String>::new());

    let asked = http(&*channel, &plan.steps[0], &message, &context);
    assert_eq!(asked.method, Method::GET);
    assert_eq!(
        asked.url.as_str(),
        "https://slack.com/api/files.getUploadURLExternal?filename=p.png&length=3&alt_txt=A+bar"
    );
    let answer = answered(
        200,
        r#"{"ok":true,"upload_url":"https://files.slack.com/upload/v1/A","file_id":"F1"}"#,
    );
    let Outcome::Delivered { platform_id: named } =
        channel.classify(&plan.steps[0], &answer, &context)
    else {
        panic!("no success");
    };

    let outputs = [
        named,
        None,
        Some("F2 https://files.slack.com/upload/v1/B".to_owned()),
        None,
        None,
    ];
    let at = |step: usize| Context {
        step,
        outputs: &outputs[..step.min(outputs.len())],
        ..context.clone()
    };
    let Request::Upload(upload) = channel.request(&plan.steps[1], &message, &at(1)).unwrap() else {
        panic!("no upload");
    };
    assert_eq!(upload.url.as_str(), "https://files.slack.com/upload/v1/A");
    assert!(!upload.headers.contains_key(AUTHORIZATION));
    assert_eq!(upload.body, [BodyPart::Attachment("p".to_owned())]);

    for (step, file, title) in [(5, "F1", "p.png"), (6, "F2", "été.csv")] {
        let shown = http(&*channel, &plan.steps[step], &message, &at(step));
        assert!(shown.url.path().ends_with("/files.completeUploadExternal"));
        let wanted = json!({"files": [{"id": file, "title": title}], "channels": "U12345", "thread_ts": "5.1"});
        assert_eq!(body(&shown), wanted);
        let done = answered(
            200,
            &json!({"ok": true, "files": [{"id": file, "title": title}]}).to_string(),
        );
        let platform_id = Some(file.to_owned());
        assert_eq!(
            channel.classify(&plan.steps[step], &done, &context),
            Outcome::Delivered { platform_id }
        );
    }
}

#[test]
fn what_was_not_brought_is_not_shown() {
    let (channel, message) = (channel(), with_files());
    let plan = channel.render(&message, &context(0)).unwrap();
    let outputs = vec![None; plan.steps.len()];
    for step in [1, 5] {
        let context = Context {
            step,
            outputs: &outputs,
            ..context(0)
        };
        let problem = channel
            .request(&plan.steps[step], &message, &context)
            .unwrap_err();
        assert_eq!(problem.code, "missing_upload");
    }
    let answer = answered(200, r#"{"ok":true,"file_id":"F1"}"#);
    let outcome = channel.classify(&plan.steps[0], &answer, &context(0));
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
}

#[test]
fn a_refused_file_goes_as_a_link() {
    let (channel, message) = (channel(), with_files());
    let plan = channel.render(&message, &context(0)).unwrap();
    let outcome = |step: usize, status: u16, answer: &str| {
        let outcome = channel.classify(&plan.steps[step], &answered(status, answer), &context(0));
        format!("{:?}", outcome.class())
    };
    #[rustfmt::skip]
    let table = [
        (0, 200, r#"{"ok":false,"error":"file_upload_size_restricted"}"#, "Degrade"),
        (0, 200, r#"{"ok":false,"error":"file_uploads_disabled"}"#, "Degrade"),
        (0, 200, r#"{"ok":false,"error":"missing_scope","needed":"files:write"}"#, "Degrade"),
        (0, 200, r#"{"ok":false,"error":"invalid_auth"}"#, "Rejected"),
        (0, 200, "", "Retry"),
        (1, 200, "OK - 3", "Delivered"), (1, 200, "", "Delivered"), (1, 400, "no", "Degrade"), (1, 413, "", "Degrade"),
        (1, 404, "expired", "Degrade"), (1, 500, "", "Retry"), (1, 429, "", "Limited"),
        (5, 200, r#"{"ok":false,"error":"channel_not_found"}"#, "Rejected"),
        (5, 200, r#"{"ok":false,"error":"file_not_found"}"#, "Degrade"),
        (5, 200, r#"{"ok":false,"error":"file_update_failed"}"#, "Retry"),
        (5, 200, "", "Unknown"),
    ];
    for (step, status, answer, wanted) in table {
        assert_eq!(
            outcome(step, status, answer),
            wanted,
            "{step} {status} {answer}"
        );
    }
    let refused = Context {
        media_refused: true,
        ..context(0)
    };
    let plan = channel.render(&message, &refused).unwrap();
    assert_eq!(plan.steps.len(), 1);
    assert_eq!(plan.degraded, ["file->text", "image->text"]);
}

#[test]
fn a_file_that_was_shown_before_its_answer_was_lost_is_shown_once() {
    let (channel, message) = (channel(), with_files());
    let plan = channel.render(&message, &context(0)).unwrap();
    let shows = |step: &Step| step.kind == StepKind::Send && step.attachment.is_some();
    let place = plan.steps.iter().position(shows).unwrap();
    let step = &plan.steps[place];
    let outputs = vec![Some("F1 https://files.example/1".to_owned()); place];
    let gone = answered(200, r#"{"ok":false,"error":"file_not_found"}"#);
    let mut again = context(0);
    (again.step, again.outputs) = (place, &outputs);
    let refused = channel.classify(step, &gone, &again);
    assert!(matches!(refused, Outcome::Degrade { .. }), "{refused:?}");
    again.possible_duplicate = Some(PossibleDuplicate::Unknown);
    let platform_id = Some("F1".to_owned());
    assert_eq!(
        channel.classify(step, &gone, &again),
        Outcome::Delivered { platform_id }
    );
    let busy = answered(200, r#"{"ok":false,"error":"file_update_failed"}"#);
    let outcome = channel.classify(step, &busy, &context(0));
    assert!(matches!(outcome, Outcome::Retry { .. }), "{outcome:?}");
}

#[test]
fn a_picture_at_a_url_is_shown_by_it_and_a_file_of_unknown_size_linked() {
    let mut message = with_files();
    for attachment in &mut message.attachments {
        attachment.size = None;
        attachment.source =
            anser_core::message::Source::Url(format!("https://a.example/{}", attachment.id));
    }
    let plan = channel().render(&message, &context(0)).unwrap();
    let body: Value = serde_json::from_slice(&plan.steps[0].body).unwrap();
    assert_eq!(
        (plan.steps.len(), plan.degraded),
        (1, vec!["file->link".to_owned()])
    );
    assert_eq!(body["blocks"][1]["image_url"], "https://a.example/p");
}

#[test]
fn an_edit_replaces_text_in_place_and_files_by_others() {
    let channel = channel();
    let sent = [
        "C12345:5.1".to_owned(),
        "F1".to_owned(),
        "C12345:5.3".to_owned(),
    ];
    let plan = channel.edit(&text(), &sent, &context(0)).unwrap();
    let calls: Vec<(String, Value)> = plan
        .steps
        .iter()
        .map(|step| {
            let request = http(&*channel, step, &text(), &context(0));
            let method = request.url.path().rsplit('/').next().unwrap().to_owned();
            (method, body(&request))
        })
        .collect();
    let rich = json!([{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [{"type": "text", "text": "hi"}]}]}]);
    assert_eq!(
        calls,
        [
            (
                "chat.update".to_owned(),
                json!({"channel": "C12345", "ts": "5.1", "text": "hi", "blocks": rich, "attachments": []})
            ),
            (
                "chat.delete".to_owned(),
                json!({"channel": "C12345", "ts": "5.3"})
            ),
            ("files.delete".to_owned(), json!({"file": "F1"})),
        ]
    );
    let only_file = ["F1".to_owned()];
    let plan = channel.edit(&text(), &only_file, &context(0)).unwrap();
    let kinds: Vec<StepKind> = plan.steps.iter().map(|step| step.kind).collect();
    assert_eq!(kinds, [StepKind::Send, StepKind::Recall]);
    assert_eq!(
        channel.edit(&text(), &[], &context(0)).unwrap_err().code,
        "no_platform_id"
    );
}

#[test]
fn what_is_gone_is_taken_back() {
    let channel = channel();
    let sent = ["C12345:5.1".to_owned(), "F1".to_owned()];
    let plan = channel.recall(&text(), &sent, &context(0)).unwrap();
    assert_eq!(plan.steps.len(), 2);
    let class = |word: &str| {
        let answer = answered(200, &json!({"ok": false, "error": word}).to_string());
        format!(
            "{:?}",
            channel
                .classify(&plan.steps[0], &answer, &context(0))
                .class()
        )
    };
    for (word, wanted) in [
        ("message_not_found", "Delivered"),
        ("file_deleted", "Delivered"),
        ("cant_delete_message", "Rejected"),
        ("internal_error", "Retry"),
    ] {
        assert_eq!(class(word), wanted, "{word}");
    }
    let lost = channel.classify(&plan.steps[0], &answered(200, ""), &context(0));
    assert!(
        matches!(lost, Outcome::Retry { .. }),
        "to recall twice harms nothing: {lost:?}"
    );
}

#[test]
fn answers() {
    let channel = channel();
    let rich = message(&json!({"segments": [{"type": "markdown", "text": "**b**"}]}));
    let class = |message: &Message, status: u16, answer: &str| {
        let plan = channel.render(message, &context(0)).unwrap();
        let outcome = channel.classify(&plan.steps[0], &answered(status, answer), &context(0));
        format!("{:?}", outcome.class())
    };
    let word = |word: &str| json!({"ok": false, "error": word}).to_string();
    #[rustfmt::skip]
    let table = [
        (200, word("ratelimited"), "Limited", "Limited"), (429, word("ratelimited"), "Limited", "Limited"),
        (200, word("internal_error"), "Retry", "Retry"), (500, String::new(), "Retry", "Retry"),
        (200, word("invalid_auth"), "Rejected", "Rejected"), (200, word("token_revoked"), "Rejected", "Rejected"),
        (200, word("channel_not_found"), "Rejected", "Rejected"), (200, word("not_in_channel"), "Rejected", "Rejected"),
        (200, word("is_archived"), "Rejected", "Rejected"), (200, word("something_new"), "Rejected", "Rejected"),
        (200, word("invalid_blocks"), "Rejected", "Degrade"), (200, word("msg_too_long"), "Rejected", "Degrade"),
        (200, word("message_not_found"), "Rejected", "Rejected"),
        (200, String::new(), "Unknown", "Unknown"), (200, "ok".to_owned(), "Unknown", "Unknown"),
        (200, "{}".to_owned(), "Unknown", "Unknown"), (200, "{\"ok\":1}".to_owned(), "Unknown", "Unknown"),
        (200, "{\"ok\":true".to_owned(), "Unknown", "Unknown"),
    ];
    for (status, answer, plain, formatted) in table {
        assert_eq!(class(&text(), status, &answer), plain, "{status} {answer}");
        assert_eq!(
            class(&rich, status, &answer),
            formatted,
            "{status} {answer}"
        );
    }
}

#[test]
fn the_id_names_the_channel_also_when_the_answer_was_cut() {
    let channel = channel();
    let plan = channel.render(&text(), &context(0)).unwrap();
    let platform_id = Some("D7:1700000000.000100".to_owned());
    let whole = r#"{"ok":true,"channel":"D7","ts":"1700000000.000100","message":{"text":"hi"}}"#;
    for answer in [whole, &whole[..whole.len() - 6]] {
        let outcome = channel.classify(&plan.steps[0], &answered(200, answer), &context(0));
        assert_eq!(
            outcome,
            Outcome::Delivered {
                platform_id: platform_id.clone()
            },
            "{answer}"
        );
    }
}

#[test]
fn the_pause_is_the_one_that_the_answer_names() {
    let channel = channel();
    let plan = channel.render(&text(), &context(0)).unwrap();
    for status in [200, 429] {
        let mut exchange = answered(status, r#"{"ok":false,"error":"ratelimited"}"#);
        let headers = &mut exchange.as_mut().unwrap().headers;
        headers.insert(RETRY_AFTER, "7".parse().unwrap());
        let wait = Duration::from_secs(7);
        assert_eq!(
            channel.classify(&plan.steps[0], &exchange, &context(0)),
            Outcome::Limited { wait }
        );
    }
}

#[test]
fn credentials_are_checked_without_sending_anything() {
    let channel = channel();
    let check = channel.credential_check().unwrap();
    let request = check.request(&context(0)).unwrap().into_http().unwrap();
    assert_eq!(request.url.as_str(), "https://slack.com/api/auth.test");
    assert!(request.headers.contains_key(AUTHORIZATION));
    let good = answered(
        200,
        r#"{"ok":true,"url":"https://x.slack.com/","team":"Shop","user":"bot","bot_id":"B1"}"#,
    );
    assert_eq!(check.read(&good, &context(0)).unwrap(), "bot in Shop");
    let bad = answered(200, r#"{"ok":false,"error":"invalid_auth"}"#);
    let Outcome::Rejected { code, text } = check.read(&bad, &context(0)).unwrap_err() else {
        panic!("not refused");
    };
    assert!(
        code == "invalid_auth" && text.contains("OAuth & Permissions"),
        "{text}"
    );
}

#[test]
fn settings_are_checked() {
    #[rustfmt::skip]
    let table = [
        (json!({}), "invalid_field", "settings.token"),
        (json!({"token": " xoxb-hidden"}), "invalid_secret", "settings.token"),
        (json!({"token": "xapp-hidden"}), "invalid_secret", "settings.token"),
        (json!({"token": "xoxb-hidden/x"}), "invalid_secret", "settings.token"),
        (json!({"token": TOKEN, "channel": "#general"}), "invalid_target", "settings.channel"),
        (json!({"token": TOKEN, "channel": "C1/x"}), "invalid_target", "settings.channel"),
        (json!({"token": TOKEN, "base_url": "ftp://a.example"}), "invalid_url", "settings.base_url"),
    ];
    check_refused(&SlackApp, &table);
    let gov = json!({"token": TOKEN, "channel": "C1", "base_url": "https://slack-gov.com/api/"});
    let channel = SlackApp.open(&gov).unwrap();
    let plan = channel.render(&text(), &context(0)).unwrap();
    let request = http(&*channel, &plan.steps[0], &text(), &context(0));
    assert_eq!(
        request.url.as_str(),
        "https://slack-gov.com/api/chat.postMessage"
    );
}

#[test]
fn urls_stand_for_settings() {
    let wanted = json!({"token": TOKEN});
    let target = Some("C1/5.1".to_owned());
    assert_eq!(
        of_url(&SlackApp, "slack-app://xoxb-1-2-hidden/C1/5.1"),
        (wanted, target)
    );
    let wanted = json!({"token": TOKEN, "base_url": "http://127.0.0.1:1/api"});
    let url = "slack-app://xoxb-1-2-hidden/C1?base_url=http://127.0.0.1:1/api";
    assert_eq!(of_url(&SlackApp, url), (wanted, Some("C1".to_owned())));
    check_refused_urls(
        &SlackApp,
        &[
            "slack-app://xoxb-1",
            "slack-app://x/C1",
            "slack-app://xoxb-1/general",
            "slack-app://xoxb-1/C1?x=1",
        ],
    );
}
