//! Segments, Markdown and bare links taken apart.

use serde_json::json;

use super::*;

fn content(segments: Value, attachments: Value) -> Content {
    content_for(segments, attachments, &Shows::text("this-kind", None))
}

fn content_for(segments: Value, attachments: Value, shows: &Shows<'_>) -> Content {
    let json = json!({
        "v": 1,
        "header": {"id": "019aacf0-7c00-7a31-9a4e-4b1f0c2d9e13", "time": "2026-11-23T01:00:00.000Z", "topic": "t",
                   "type": "message", "from": {"kind": "service", "id": "s"}},
        "body": {"segments": segments},
        "attachments": attachments
    });
    let message = Message::from_json(json.to_string().as_bytes()).unwrap();
    Content::of(&message, shows)
}

fn text(text: &str) -> Run {
    let text = text.to_owned();
    let look = Look::PLAIN;
    Run::Text { text, look }
}

fn link(label: &str, url: &str) -> Run {
    Run::Link {
        label: label.to_owned(),
        url: url.to_owned(),
    }
}

#[test]
fn bare_links_are_found() {
    for (given, wanted) in [
        (
            "see https://a.example/x_y_z.",
            vec![
                text("see "),
                link("https://a.example/x_y_z", "https://a.example/x_y_z"),
                text("."),
            ],
        ),
        (
            "见https://a.example/x。好",
            vec![
                text("见"),
                link("https://a.example/x", "https://a.example/x"),
                text("。好"),
            ],
        ),
        (
            "(http://a.example)",
            vec![
                text("("),
                link("http://a.example", "http://a.example/"),
                text(")"),
            ],
        ),
        (
            "xhttp://a.example https:// http",
            vec![text("xhttp://a.example https:// http")],
        ),
        (
            "a\r\nb\tc\u{7}",
            vec![text("a"), Run::Break, text("b    c")],
        ),
    ] {
        assert_eq!(text_runs(given, Look::PLAIN), wanted, "{given}");
    }
}

#[test]
fn a_link_that_is_more_than_a_link_is_text() {
    for url in [
        "javascript:alert(1)",
        "tg://user?id=1",
        "data:text/html,x",
        "file:///etc/passwd",
        "https://bank.example@evil.example",
    ] {
        let content = content(
            json!([{"type": "link", "url": url, "title": "t"}]),
            json!([]),
        );
        let Part::Blocks(blocks) = &content.parts[0] else {
            panic!("blocks");
        };
        assert!(
            runs(blocks).all(|run| matches!(run, Run::Text { .. })),
            "{url}"
        );
    }
}

#[test]
fn markdown_is_read() {
    let blocks = markdown_blocks(
        "# T\n\na **b** <b>c</b> [l](https://a.example)\n\n- x\n- y\n\n> q\n\n```rust\nlet x;\n```\n\n| a | bb |\n|---|---|\n| ccc | d |\n",
    );
    let roles: Vec<String> = blocks
        .iter()
        .map(|block| match block {
            Block::Line { role, .. } => format!("{role:?}"),
            Block::Code { lang, text } => format!("{lang}:{text}"),
            Block::Divider => "divider".to_owned(),
        })
        .collect();
    assert_eq!(
        roles,
        [
            "Heading(1)",
            "Paragraph",
            "Item(\"- \")",
            "Item(\"- \")",
            "Quote",
            "rust:let x;",
            ":a    bb\nccc  d"
        ]
    );
    let shown: String = runs(&blocks[1..2])
        .map(|run| match run {
            Run::Text { text, .. } => text.clone(),
            Run::Link { label, .. } => format!("<{label}>"),
            _ => "?".to_owned(),
        })
        .collect();
    assert_eq!(shown, "a b <b>c</b> <l>");
}

#[test]
fn every_rung_taken_is_recorded() {
    let content = content(
        json!([
            {"type": "image", "att": "a1", "alt": "x"},
            {"type": "file", "att": "a2"},
            {"type": "voice", "att": "a2", "transcript": "hello"},
            {"type": "sticker"},
            {"type": "location", "lat": 1.5, "lon": 2.5, "name": "n"},
            {"type": "raw", "platform": "this-kind", "payload": {"a": 1}},
            {"type": "raw", "platform": "another", "payload": {"a": 1}},
            {"type": "hologram", "fallback": "a hologram"}
        ]),
        json!([
            {"id": "a1", "source": {"inline": "AAAA"}},
            {"id": "a2", "name": "r.pdf", "size": 2000, "source": {"url": "https://f.example/r.pdf"}}
        ]),
    );
    let degraded: Vec<&str> = content.degraded.iter().map(String::as_str).collect();
    assert_eq!(
        degraded,
        [
            "file->link",
            "image->text",
            "location->link",
            "raw->text",
            "sticker->text",
            "voice->link"
        ]
    );
    assert_eq!(content.parts.len(), 3);
    assert_eq!(content.parts[1], Part::Native(json!({"a": 1})));
    let Part::Blocks(blocks) = &content.parts[2] else {
        panic!("blocks");
    };
    assert_eq!(
        runs(blocks).collect::<Vec<_>>(),
        [&text("[another]"), &text("a hologram")]
    );
}

/// A link to everything.
#[derive(Debug)]
struct Linked;

impl Links for Linked {
    fn link(&self, attachment: &Attachment) -> Option<String> {
        Some(format!("https://gw.example/{}?sig=x", attachment.id))
    }
}

/// What a content is, one word a part; text as itself.
fn parts(content: &Content) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Blocks(blocks) => runs(blocks)
            .map(|run| match run {
                Run::Text { text, .. } => text.clone(),
                Run::Link { label, url } => format!("<{label} {url}>"),
                Run::Image { alt, url } => format!("!<{alt} {url}>"),
                _ => "?".to_owned(),
            })
            .collect(),
        Part::Card(card) => format!(
            "card image={} media={}",
            card.image.is_some(),
            card.media.is_some()
        ),
        Part::Native(_) => "native".to_owned(),
        Part::Media(media) => format!("{}:{}", media.kind.name(), media.attachment.id),
        Part::Segment(body) => body.to_string(),
    };
    content.parts.iter().map(part).collect()
}

fn attachments() -> Value {
    json!([
        {"id": "in", "name": "i.png", "media_type": "image/png", "source": {"inline": "AAAA"}},
        {"id": "blob", "name": "b.ogg", "size": 2000, "source": {"blob": "00".repeat(32)}},
        {"id": "url", "name": "u.png", "source": {"url": "https://f.example/u.png"}}
    ])
}

#[test]
fn media_are_parts_in_their_place() {
    let segments = json!([
        {"type": "text", "text": "a"},
        {"type": "image", "att": "in", "alt": "x"},
        {"type": "text", "text": "b"},
        {"type": "voice", "att": "blob", "transcript": "said"},
        {"type": "sticker", "att": "in"},
        {"type": "card", "title": "t", "image": "in"},
        {"type": "location", "lat": 1.0, "lon": 2.0}
    ]);
    let shows = Shows {
        media: &|media| matches!(media.kind, MediaKind::Image | MediaKind::File),
        segment: &|known| matches!(known, Known::Location { .. }).then(|| json!("place")),
        ..Shows::text("this-kind", None)
    };
    let found = content_for(segments, attachments(), &shows);
    assert_eq!(
        parts(&found),
        [
            "a",
            "image:in",
            "b",
            "file:blob",
            "said",
            "image:in",
            "image:in",
            "card image=false media=false",
            "\"place\""
        ]
    );
    let degraded: Vec<&str> = found.degraded.iter().map(String::as_str).collect();
    assert_eq!(degraded, ["sticker->image", "voice->file"]);
}

#[test]
fn a_platform_that_takes_no_media_gets_links() {
    let segments = json!([
        {"type": "image", "att": "in", "alt": "x"},
        {"type": "file", "att": "blob"},
        {"type": "card", "title": "t", "image": "in"}
    ]);
    let found = content_for(
        segments.clone(),
        attachments(),
        &Shows::text("this-kind", Some(&Linked)),
    );
    assert_eq!(
        parts(&found),
        [
            "!<x https://gw.example/in?sig=x><[file: b.ogg, 2 KiB] https://gw.example/blob?sig=x>",
            "card image=true media=false"
        ]
    );
    let found = content_for(segments, attachments(), &Shows::text("this-kind", None));
    assert_eq!(parts(&found)[0], "[image: x][file: b.ogg, 2 KiB]");
    let degraded: Vec<&str> = found.degraded.iter().map(String::as_str).collect();
    assert_eq!(degraded, ["file->text", "image->text"]);
}

#[test]
fn a_picture_with_a_url_is_shown_by_it_rather_than_as_a_file() {
    let shows = Shows {
        media: &|media| media.kind == MediaKind::File,
        ..Shows::text("this-kind", None)
    };
    for (att, wanted) in [
        ("in", "file:in"),
        ("url", "!<u.png https://f.example/u.png>"),
    ] {
        let found = content_for(
            json!([{"type": "image", "att": att}]),
            attachments(),
            &shows,
        );
        assert_eq!(parts(&found), [wanted]);
    }
}

#[test]
fn a_card_takes_its_picture_where_it_can() {
    let card = json!([{"type": "card", "title": "t", "image": "in"}]);
    let shows = Shows {
        media: &|_| true,
        in_card: &|_| true,
        ..Shows::text("this-kind", None)
    };
    let found = content_for(card, attachments(), &shows);
    assert_eq!(parts(&found), ["card image=true media=true"]);
    assert!(found.degraded.is_empty());
}

#[test]
fn blank_is_blank() {
    assert!(
        content(
            json!([{"type": "text", "text": " \n\u{200b}"}, {"type": "divider"}]),
            json!([])
        )
        .is_blank()
    );
    assert!(!content(json!([{"type": "code", "text": "x"}]), json!([])).is_blank());
}
