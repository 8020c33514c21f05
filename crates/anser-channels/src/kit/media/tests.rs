//! Media types, names, sizes, outputs.

use super::*;
use crate::kit::testing::context;

fn attachment(name: Option<&str>, media_type: Option<&str>, source: Source) -> Attachment {
    Attachment {
        id: "a1".to_owned(),
        name: name.map(str::to_owned),
        media_type: media_type.map(str::to_owned),
        size: None,
        sha256: None,
        source,
        width: None,
        height: None,
        duration_ms: None,
    }
}

fn blob() -> Source {
    Source::Blob("00".repeat(32))
}

#[test]
fn the_media_type_is_given_or_that_of_the_name() {
    let at = |url: &str| Source::Url(url.to_owned());
    for (name, given, source, wanted) in [
        (None, Some("Image/PNG; q=1"), blob(), "image/png"),
        (Some("a.JPG"), None, blob(), "image/jpeg"),
        (Some("a.jpg"), Some("what ever"), blob(), "image/jpeg"),
        (Some("a.jpg"), Some("x/y\r\nz: 1"), blob(), "image/jpeg"),
        (Some("a"), None, blob(), "application/octet-stream"),
        (Some(".jpg"), None, blob(), "application/octet-stream"),
        (
            None,
            None,
            at("https://f.example/d/r.pdf?x=1.png"),
            "application/pdf",
        ),
        (
            None,
            None,
            at("https://f.example/"),
            "application/octet-stream",
        ),
    ] {
        let found = media_type(&attachment(name, given, source));
        assert_eq!(found, wanted, "{name:?} {given:?}");
    }
}

#[test]
fn a_name_is_no_more_than_a_name() {
    for (name, wanted) in [
        ("r.png", "r.png"),
        ("報告 1.pdf", "報告 1.pdf"),
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\r.png", "r.png"),
        ("a\r\nb\0.txt", "ab.txt"),
        ("a\"b<c>.txt", "a_b_c_.txt"),
        ("invoice\u{202e}fdp.exe", "invoicefdp.exe"),
        ("...", "file"),
        ("", "file"),
        (" .. ", "file"),
    ] {
        assert_eq!(
            file_name(&attachment(Some(name), None, blob())),
            wanted,
            "{name}"
        );
    }
    let long = format!("{}.pdf", "長".repeat(300));
    let short = file_name(&attachment(Some(&long), None, blob()));
    assert_eq!(short.chars().count(), NAME_CHARS_MAX);
    assert!(short.ends_with("長.pdf"));
}

#[test]
fn a_name_is_found_and_its_extension() {
    let url = |url: &str| Source::Url(url.to_owned());
    for (name, media_type, source, wanted) in [
        (None, Some("image/png"), blob(), "a1.png"),
        (
            Some("report"),
            Some("application/pdf"),
            blob(),
            "report.pdf",
        ),
        (Some("v1.2"), Some("application/pdf"), blob(), "v1.2"),
        (
            None,
            None,
            url("https://f.example/d/a%2Fb%20c.pdf?x"),
            "a_b c.pdf",
        ),
        (None, None, url("https://f.example/"), "a1"),
    ] {
        let name = file_name(&attachment(name, media_type, source));
        assert_eq!(name, wanted);
    }
}

#[test]
fn an_empty_file_and_one_that_is_too_large_are_not_within() {
    let sized = |size| Attachment {
        size,
        ..attachment(None, None, blob())
    };
    for (size, wanted) in [
        (None, true),
        (Some(0), false),
        (Some(9), true),
        (Some(10), false),
    ] {
        assert_eq!(within(&sized(size), 9), wanted, "{size:?}");
    }
}

#[test]
fn outputs_come_in_the_place_of_marks() {
    let outputs = [None, Some("k1".to_owned()), Some("k2".to_owned())];
    let at = |step| Context {
        step,
        outputs: &outputs,
        ..context(0)
    };
    let marked = json!({"file": mark(2), "list": [{"cover": mark(1)}], "text": "\0output"});
    let mut body = marked.clone();
    fill(&mut body, &at(3)).unwrap();
    assert_eq!(
        body,
        json!({"file": "k1", "list": [{"cover": "k2"}], "text": "\0output"})
    );
    for step in [0, 1, 2] {
        let problem = fill(&mut marked.clone(), &at(step)).unwrap_err();
        assert_eq!(problem.code, "missing_upload", "{step}");
    }
}

#[test]
fn what_brings_an_attachment_goes_first_and_marks_follow() {
    let attachment = attachment(None, None, blob());
    let text = |text: &str| Step::send(bytes_of(&json!({"text": text})), STEP_MEDIA_TYPE);
    let steps = vec![
        text("one"),
        call(&attachment, &json!("call")),
        upload(&attachment, &json!({"to": mark(1)})),
        send(&attachment, &json!({"call": mark(2), "file": [mark(1)]})),
        text("two"),
        upload(&attachment, &json!("other")),
        send(&attachment, &json!({"file": mark(1)})),
    ];
    let moved = uploads_first(steps);
    let outputs: Vec<_> = (0..moved.len())
        .map(|place| Some(format!("o{place}")))
        .collect();
    let shown: Vec<String> = moved
        .iter()
        .enumerate()
        .map(|(step, moved)| {
            let mut body = serde_json::from_slice(&moved.body).unwrap();
            let context = Context {
                step,
                outputs: &outputs,
                ..context(0)
            };
            fill(&mut body, &context).unwrap();
            format!("{:?} {body}", moved.kind)
        })
        .collect();
    assert_eq!(
        shown,
        [
            "Call \"call\"",
            "Upload {\"to\":\"o0\"}",
            "Upload \"other\"",
            "Send {\"text\":\"one\"}",
            "Send {\"call\":\"o0\",\"file\":[\"o1\"]}",
            "Send {\"text\":\"two\"}",
            "Send {\"file\":\"o2\"}",
        ]
    );
}

#[test]
fn what_is_shown_twice_is_brought_once() {
    let picture = attachment(None, None, blob());
    let shown = || {
        [
            upload(&picture, &json!("image")),
            send(&picture, &json!({"key": mark(1)})),
        ]
    };
    let called = || {
        [
            call(&picture, &json!("call")),
            upload(&picture, &json!("put")),
            send(&picture, &json!({"key": mark(2)})),
        ]
    };
    for (steps, wanted) in [
        (
            [shown(), shown()].concat(),
            vec![("Upload", None), ("Send", Some(1)), ("Send", Some(2))],
        ),
        (
            [called(), called()].concat(),
            vec![
                ("Call", None),
                ("Upload", None),
                ("Call", None),
                ("Upload", None),
                ("Send", Some(4)),
                ("Send", Some(3)),
            ],
        ),
    ] {
        let found = uploads_first(steps);
        let found: Vec<_> = found
            .iter()
            .map(|step| {
                let body: Value = serde_json::from_slice(&step.body).unwrap();
                let back = body["key"].as_object().and_then(marked);
                (format!("{:?}", step.kind), back)
            })
            .collect();
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(kind, back)| (kind.to_owned(), back))
            .collect();
        assert_eq!(found, wanted);
    }
}

#[test]
fn without_uploads_nothing_moves() {
    let steps = vec![Step::send("{\"a\": 1.0}".into(), STEP_MEDIA_TYPE); 2];
    assert_eq!(uploads_first(steps.clone()), steps);
}
