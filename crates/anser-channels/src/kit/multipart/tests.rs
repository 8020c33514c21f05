//! Forms, read again by a reader of multipart that knows nothing of how they are made.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::kit::testing::{context, message};

/// The parts of a form: their heads as lines, and their contents, where `<ID>` stands for an attachment.
fn read(request: &UploadRequest) -> Vec<(Vec<String>, String)> {
    let mut body = String::new();
    for part in &request.body {
        match part {
            BodyPart::Bytes(bytes) => body.push_str(std::str::from_utf8(bytes).unwrap()),
            BodyPart::Attachment(id) => body.push_str(&format!("<{id}>")),
        }
    }
    let content_type = request.headers[CONTENT_TYPE].to_str().unwrap();
    let (_, boundary) = content_type.split_once("boundary=").unwrap();
    let body = format!("\r\n{body}");
    let end = body
        .strip_suffix(&format!("\r\n--{boundary}--\r\n"))
        .unwrap();
    let delimiter = format!("\r\n--{boundary}\r\n");
    let mut parts = end.split(&delimiter);
    assert_eq!(parts.next(), Some(""));
    parts
        .map(|part| {
            let (head, content) = part.split_once("\r\n\r\n").unwrap();
            (
                head.split("\r\n").map(str::to_owned).collect(),
                content.to_owned(),
            )
        })
        .collect()
}

fn form() -> Multipart {
    Multipart::new(&message(&json!({"data": "hi"})), &context(0))
}

fn url() -> Url {
    Url::parse("https://api.example/upload").unwrap()
}

#[test]
fn fields_then_a_file() {
    let request = form()
        .field("image_type", "message")
        .typed_field("payload_json", "application/json", "{}")
        .file("image", "r.png", "image/png", "a1")
        .post(url());
    let disposition = |rest: &str| format!("Content-Disposition: form-data; {rest}");
    let typed = |media_type: &str| format!("Content-Type: {media_type}");
    assert_eq!(
        read(&request),
        [
            (
                vec![disposition("name=\"image_type\"")],
                "message".to_owned()
            ),
            (
                vec![
                    disposition("name=\"payload_json\""),
                    typed("application/json")
                ],
                "{}".to_owned()
            ),
            (
                vec![
                    disposition("name=\"image\"; filename=\"r.png\""),
                    typed("image/png")
                ],
                "<a1>".to_owned()
            ),
        ]
    );
}

#[test]
fn a_form_is_the_same_for_a_retry_and_has_another_boundary_in_another_step() {
    let made = |context: &Context<'_>| {
        let form = Multipart::new(&message(&json!({"data": "hi"})), context);
        form.field("a", "b").post(url()).headers[CONTENT_TYPE].clone()
    };
    let retry = Context {
        attempt: 2,
        ..context(0)
    };
    let next = Context {
        step: 1,
        ..context(0)
    };
    assert_eq!(made(&context(0)), made(&retry));
    assert_ne!(made(&context(0)), made(&next));
}

#[test]
fn a_hostile_name_stays_within_its_quotes() {
    let name = "a\"; name=\"x\r\n\r\nevil\r\n--b\u{0}\\é報.png";
    let request = form()
        .file("f", name, "image/png\r\nX-Evil: 1", "a1")
        .post(url());
    let wanted = "Content-Disposition: form-data; name=\"f\"; \
                  filename=\"a%22; name=%22x%0D%0A%0D%0Aevil%0D%0A--b\\é報.png\"";
    let head = vec![
        wanted.to_owned(),
        "Content-Type: image/pngX-Evil: 1".to_owned(),
    ];
    assert_eq!(read(&request), [(head, "<a1>".to_owned())]);
}

proptest! {
    #[test]
    fn whatever_is_in_it_a_form_has_its_parts_and_no_more(name in any::<String>(), value in any::<String>(), file in any::<String>()) {
        let request = form().field(&name, &value).file("f", &file, "text/plain", "a1").post(url());
        let parts = read(&request);
        prop_assert_eq!(parts.len(), 2);
        prop_assert_eq!((parts[0].0.len(), &parts[0].1), (1, &value));
        prop_assert_eq!((parts[1].0.len(), parts[1].1.as_str()), (2, "<a1>"));
        let quotes = parts[1].0[0].matches('"').count();
        prop_assert_eq!(quotes, 4);
    }
}
