//! What a mail server is asked to carry for a message, and what its replies mean.

use anser_core::channel::{
    Channel, ChannelKind as _, Context, HttpResponse, MailRequest, MailSecurity, Request,
};
use anser_core::outcome::Outcome;
use anser_core::{Message, Problem};
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};
use std::sync::Arc;

use super::Email;
use crate::kit::testing::{context, message};

fn settings() -> Value {
    json!({"host": "smtp.example.com", "username": "u", "password": "p", "from": "Alerts <alerts@example.com>",
        "to": "ops@example.com, dev@example.com", "subject_prefix": "[prod] "})
}

fn open(settings: &Value) -> Result<Arc<dyn Channel>, Problem> {
    Email.open(settings)
}

fn mail_of(message: &Message, context: &Context<'_>) -> MailRequest {
    let channel = open(&settings()).unwrap();
    let plan = channel.render(message, context).unwrap();
    assert_eq!(plan.steps.len(), 1, "a message is one mail");
    match channel.request(&plan.steps[0], message, context).unwrap() {
        Request::Mail(request) => request,
        other => panic!("{other:?}"),
    }
}

fn content(segments: &Value) -> Message {
    message(&json!({"segments": segments}))
}

#[test]
fn a_message_is_a_mail_with_text_and_html() {
    let message = content(&json!([
        {"type": "card", "title": "Disk\nfull", "level": "error", "fields": [{"name": "host", "value": "<db1>"}],
         "actions": [{"id": "a", "label": "Open", "kind": "url", "value": "https://example.com/a?b&c"}]},
        {"type": "text", "text": "see \"below\" <script>"}
    ]));
    let request = mail_of(&message, &context(0));
    assert_eq!(request.server.port, 465);
    assert_eq!(request.server.security, MailSecurity::Tls);
    let mail = request.mail.unwrap();
    assert_eq!(mail.subject, "[prod] Disk full");
    assert_eq!(mail.to, ["ops@example.com", "dev@example.com"]);
    assert!(mail.text.contains("host: <db1>"), "{}", mail.text);
    let html = mail.html.unwrap();
    assert!(
        html.contains("&lt;db1&gt;") && html.contains("&lt;script&gt;"),
        "{html}"
    );
    assert!(
        html.contains("href=\"https://example.com/a?b&amp;c\""),
        "{html}"
    );
    assert!(!html.contains("<script>"));
    let again = Context {
        attempt: 2,
        ..context(0)
    };
    assert_eq!(mail_of(&message, &again).mail.unwrap().id, mail.id);
}

#[test]
fn kept_attachments_ride_along_and_others_are_links() {
    let mut message = content(&json!([
        {"type": "text", "text": "report"},
        {"type": "image", "att": "i", "alt": "a \"chart\""},
        {"type": "file", "att": "f"},
        {"type": "file", "att": "u"}
    ]));
    message.attachments = serde_json::from_value(json!([
        {"id": "i", "name": "c.png", "media_type": "image/png", "size": 3, "source": {"inline": "AAAA"}},
        {"id": "f", "name": "r.pdf", "media_type": "application/pdf", "size": 3, "source": {"inline": "AAAA"}},
        {"id": "u", "name": "big.zip", "source": {"url": "https://example.com/big.zip"}}
    ]))
    .unwrap();
    let mail = mail_of(&message, &context(0)).mail.unwrap();
    let ids: Vec<_> = mail
        .attachments
        .iter()
        .map(|file| &*file.attachment)
        .collect();
    assert_eq!(ids, ["i", "f"]);
    let shown = mail.attachments[0].content_id.as_deref().unwrap();
    let html = mail.html.unwrap();
    assert!(html.contains(&format!("src=\"cid:{shown}\"")), "{html}");
    assert!(html.contains("alt=\"a &quot;chart&quot;\""), "{html}");
    assert!(mail.attachments[1].content_id.is_none());
    assert!(
        html.contains("href=\"https://example.com/big.zip\""),
        "{html}"
    );

    let refused = Context {
        media_refused: true,
        ..context(0)
    };
    assert!(
        mail_of(&message, &refused)
            .mail
            .unwrap()
            .attachments
            .is_empty()
    );
    message.attachments[1].size = Some(19 * 1024 * 1024);
    assert!(
        mail_of(&message, &context(0))
            .mail
            .unwrap()
            .attachments
            .is_empty()
    );
}

#[test]
fn the_publisher_may_write_the_mail() {
    let message = message(&json!({"segments": [{"type": "text", "text": "hi"}],
        "override": {"email": {"subject": "S\r\nBcc: x@example.com", "html": "<h1>Hi</h1>"}}}));
    let mail = mail_of(&message, &context(0)).mail.unwrap();
    assert_eq!(
        mail.subject, "[prod] S Bcc: x@example.com",
        "no line break gets into a header"
    );
    assert_eq!(mail.html.as_deref(), Some("<h1>Hi</h1>"));
    assert_eq!(mail.text, "hi");
}

#[test]
fn an_answer_names_the_mail_that_it_answers() {
    let mut message = content(&json!([{"type": "text", "text": "hi"}]));
    for (reply_to, expected) in [
        ("<a.1@example.com>", Some("a.1@example.com")),
        ("a.1@example.com", Some("a.1@example.com")),
        ("om_123", None),
        ("a@b\r\nBcc: x@example.com", None),
    ] {
        message.header.reply_to = Some(reply_to.to_owned());
        let mail = mail_of(&message, &context(0)).mail.unwrap();
        assert_eq!(mail.in_reply_to.as_deref(), expected, "{reply_to}");
    }
}

#[test]
fn the_target_is_one_mailbox_or_several() {
    let message = content(&json!([{"type": "text", "text": "hi"}]));
    let target = Context {
        target: Some("a@example.com,b@example.com,a@example.com"),
        ..context(0)
    };
    let mail = mail_of(&message, &target).mail.unwrap();
    assert_eq!(mail.to, ["a@example.com", "b@example.com"]);
    let channel = open(&settings()).unwrap();
    for bad in [
        "",
        "a",
        "a@",
        "@b",
        "a@b c",
        "a b@c",
        "a@[127.0.0.1]",
        "a@b>\r\nDATA",
        "a@example.com,",
    ] {
        let context = Context {
            target: Some(bad),
            ..context(0)
        };
        let problem = channel.render(&message, &context).unwrap_err();
        assert_eq!(problem.code, "invalid_target", "{bad:?}");
    }
}

#[test]
fn wrong_settings_are_refused_with_what_to_fix() {
    for (change, field) in [
        (json!({"host": "https://smtp.example.com"}), "settings.host"),
        (json!({"host": ""}), "settings.host"),
        (json!({"port": 0}), "settings.port"),
        (json!({"security": "ssl"}), "settings.security"),
        (json!({"password": null}), "settings.password"),
        (json!({"username": null}), "settings.username"),
        (json!({"from": "Alerts"}), "settings.from"),
        (
            json!({"from": "A <a@example.com>\r\nBcc: x@example.com"}),
            "settings.from",
        ),
        (json!({"to": "nobody"}), "settings.to"),
        (json!({"subject_prefix": "a\nb"}), "settings.subject_prefix"),
        (json!({"extra": 1}), "settings.extra"),
    ] {
        let mut settings = settings();
        for (name, value) in change.as_object().unwrap() {
            settings[name] = value.clone();
        }
        let Err(problem) = open(&settings) else {
            panic!("{change} is taken");
        };
        assert_eq!(problem.field.as_deref(), Some(field), "{change}");
        assert!(!problem.to_string().contains("\"p\""));
    }
}

#[test]
fn a_url_stands_for_a_server() {
    let url =
        "smtps://alerts%40example.com:p%2Fw@smtp.example.com:2465/ops@example.com?subject_prefix=x";
    let (settings, target) = Email.of_url(&url.parse().unwrap()).unwrap();
    assert_eq!(
        settings,
        json!({"host": "smtp.example.com", "port": 2465, "security": "tls", "username": "alerts@example.com",
            "password": "p/w", "from": "alerts@example.com", "subject_prefix": "x"})
    );
    assert_eq!(target.as_deref(), Some("ops@example.com"));
    open(&settings).map(drop).unwrap();
    for bad in [
        "smtps://h/a@example.com",
        "smtps://h?from=a@example.com",
        "smtps://h/nobody?from=a@example.com",
    ] {
        let problem = Email.of_url(&bad.parse().unwrap()).unwrap_err();
        assert_eq!(problem.field.as_deref(), Some("to"), "{bad}");
    }
}

#[test]
fn replies_mean_what_the_standard_says() {
    let channel = open(&settings()).unwrap();
    let plan = channel
        .render(
            &content(&json!([{"type": "text", "text": "hi"}])),
            &context(0),
        )
        .unwrap();
    let judge = |code: u16, text: &str| {
        let reply = HttpResponse {
            status: StatusCode::from_u16(code).unwrap(),
            headers: HeaderMap::new(),
            body: text.as_bytes().to_vec().into(),
        };
        channel.classify(&plan.steps[0], &Ok(reply), &context(0))
    };
    let Outcome::Delivered {
        platform_id: Some(id),
    } = judge(250, "OK")
    else {
        panic!("taken");
    };
    assert!(id.ends_with("@example.com"), "{id}");
    for code in [354, 421, 450, 451, 452, 454] {
        assert!(
            matches!(judge(code, "later"), Outcome::Retry { .. }),
            "{code}"
        );
    }
    for code in [501, 530, 535, 550, 552, 553, 554] {
        assert!(
            matches!(judge(code, "no"), Outcome::Rejected { .. }),
            "{code}"
        );
    }
    let Outcome::Rejected { text, .. } = judge(535, "5.7.8 bad credentials") else {
        panic!("refused");
    };
    assert!(text.contains("app password"), "{text}");
}
