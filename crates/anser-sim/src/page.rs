//! The page that shows what a stand-in has received. Must not show anything from a message unescaped, nor load anything
//! from elsewhere.

use std::collections::HashMap;
use std::fmt::Write as _;

use serde_json::Value;

use crate::book::{Counters, Edit, Received};
use crate::emit::Callback;
use crate::platform::{Chat, Platform, Robot};
use crate::shelf::Upload;

/// How often the page loads itself again, in seconds.
const REFRESH_SECONDS: u32 = 2;
/// Characters of a native body that are shown.
const NATIVE_MAX: usize = 20_000;
/// Pictures that a browser shows and that hold nothing but a picture, by how they begin.
const PICTURES: &[(&[u8], &str)] = &[
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
];
/// What the page may load: nothing but its own style, and pictures from the stand-in itself.
pub(crate) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

pub(crate) const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1c2024;background:#fcfcfd}\
h1{font-size:1.3rem;margin:0}code,pre{font:13px/1.45 ui-monospace,monospace}\
table{border-collapse:collapse;margin:.7rem 0}td{padding:.1rem .8rem .1rem 0;vertical-align:top}\
article{border:1px solid #d9d9e0;border-radius:8px;margin:.8rem 0;padding:.7rem 1rem;background:#fff}\
.head{color:#60646c;font-size:13px}.text{white-space:pre-wrap;overflow-wrap:anywhere;margin:.4rem 0}\
pre{white-space:pre-wrap;overflow-wrap:anywhere;background:#f0f0f3;border-radius:6px;margin:.4rem 0 0;padding:.6rem;max-height:14rem;overflow:auto}\
.bad{color:#ce2c31}img{display:block;max-width:20rem;max-height:14rem;border-radius:6px;margin:.4rem 0}\
.gone .text{text-decoration:line-through}\
@media(prefers-color-scheme:dark){body{background:#111113;color:#edeef0}article{background:#18191b;border-color:#363a3f}pre{background:#212225}.head{color:#b0b4ba}.bad{color:#ff9592}}";

/// What is shown.
pub(crate) struct View<'a> {
    pub(crate) platform: Platform,
    pub(crate) base: &'a str,
    pub(crate) robots: &'a [Robot],
    pub(crate) chats: &'a [Chat],
    /// Newest first.
    pub(crate) messages: &'a [Received],
    /// The files that they show, by their keys.
    pub(crate) uploads: &'a HashMap<String, Upload>,
    pub(crate) counters: &'a Counters,
    /// Where events go, and whether that is good.
    pub(crate) callback: Option<&'a Callback>,
    pub(crate) checked: Option<&'a Result<(), String>>,
}

/// The page.
pub(crate) fn render(view: &View<'_>) -> String {
    let mut page = String::new();
    let name = view.platform.name();
    let written = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\">\
<meta name=\"viewport\" content=\"width=device-width\"><title>anser sim {name}</title><style>{STYLE}</style></head>\
<body><h1>Stand-in of {name}</h1>"
    );
    written.expect("a String takes everything");
    robots(&mut page, view);
    counters(&mut page, view.counters);
    write_links(&mut page, view);
    if view.messages.is_empty() {
        page.push_str("<p>Nothing received yet. This page refreshes itself.</p>");
    }
    for message in view.messages {
        article(&mut page, message, view);
    }
    page.push_str("</body></html>");
    page
}

fn robots(page: &mut String, view: &View<'_>) {
    page.push_str("<table>");
    for robot in view.robots {
        let url = format!("{}{}", view.base, view.platform.path(robot));
        row(page, "URL", &url);
        for (name, value) in view.platform.credentials(robot) {
            row(page, name, &value);
        }
    }
    for chat in view.chats {
        let id = view.platform.chat_id(chat);
        let id = id.as_str().map_or_else(|| id.to_string(), str::to_owned);
        row(page, "chat", &format!("{id} ({})", chat.title));
    }
    page.push_str("</table>");
}

fn row(page: &mut String, name: &str, value: &str) {
    let value = escape(value);
    write!(
        page,
        "<tr><td>{name}</td><td><code>{value}</code></td></tr>"
    )
    .expect("a String takes everything");
}

fn counters(page: &mut String, counters: &Counters) {
    let refused: u64 = counters.refused.values().sum();
    let class = if refused > 0 { " class=\"bad\"" } else { "" };
    write!(
        page,
        "<p>{} requests, {} messages taken, <span{class}>{refused} refused",
        counters.requests, counters.accepted
    )
    .expect("a String takes everything");
    let mut before = ": ";
    for (code, count) in &counters.refused {
        write!(page, "{before}{count} × {}", escape(code)).expect("a String takes everything");
        before = ", ";
    }
    page.push_str("</span></p>");
}

/// Where to write as a person, in each chat.
fn write_links(page: &mut String, view: &View<'_>) {
    let talks = view.platform.talks(view.chats);
    if talks.is_empty() {
        return;
    }
    page.push_str("<p>Write as a person in");
    for chat in &talks {
        write!(page, " {}", write_link(chat, None, chat)).expect("a String takes everything");
    }
    page.push_str("</p>");
    let told = match (view.callback, view.checked) {
        (None, _) => {
            "Events go to the bots that are connected or ask for them; with --callback URL, there"
                .to_owned()
        }
        (Some(callback), Some(Ok(()))) => format!("Events go to {}", callback.url()),
        (Some(callback), Some(Err(why))) => {
            format!("Events wait for {}: {why}", callback.url())
        }
        (Some(callback), None) => format!("Events wait for {}", callback.url()),
    };
    write!(page, "<p class=\"head\">{}</p>", escape(&told)).expect("a String takes everything");
}

/// A link to the form.
fn write_link(chat: &str, reply_to: Option<&str>, label: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("chat", chat);
    if let Some(id) = reply_to {
        query.append_pair("reply_to", id);
    }
    let (query, label) = (escape(&query.finish()), escape(label));
    format!("<a href=\"/_sim/say?{query}\">{label}</a>")
}

fn article(page: &mut String, message: &Received, view: &View<'_>) {
    let uploads = view.uploads;
    let id = message.id.as_deref().map(|id| format!(" · id {id}"));
    let from = message
        .from
        .as_ref()
        .map(|name| format!("{name} writes · "));
    let can_reply = !view.platform.talks(view.chats).is_empty();
    let reply = message.id.as_deref().filter(|_| can_reply);
    let reply = reply.map(|id| {
        format!(
            " · {}",
            write_link(&message.conversation, Some(id), "reply")
        )
    });
    let gone = message.recalled_at.map(|at| format!(" · recalled {at}"));
    write!(
        page,
        "<article{}><div class=\"head\">#{} · {} · {}{} · {}{}{}{}</div>",
        if gone.is_some() {
            " class=\"gone\""
        } else {
            ""
        },
        message.number,
        message.at,
        escape(&from.unwrap_or_default()),
        escape(&message.kind),
        escape(&message.conversation),
        escape(&id.unwrap_or_default()),
        gone.unwrap_or_default(),
        reply.unwrap_or_default(),
    )
    .expect("a String takes everything");
    said(
        page,
        &message.text,
        &message.body,
        &message.uploads,
        uploads,
    );
    for edit in &message.edits {
        edited(page, edit, uploads);
    }
    page.push_str("</article>");
}

fn edited(page: &mut String, edit: &Edit, uploads: &HashMap<String, Upload>) {
    let (kind, id) = (escape(&edit.kind), escape(&edit.id));
    let at = edit.at;
    write!(
        page,
        "<div class=\"head\">edited · {at} · {kind} · id {id}</div>"
    )
    .expect("a String takes everything");
    said(page, &edit.text, &edit.body, &edit.uploads, uploads);
}

/// What a message or an edit says, its files and its native form.
fn said(
    page: &mut String,
    text: &str,
    body: &Value,
    keys: &[String],
    uploads: &HashMap<String, Upload>,
) {
    write!(page, "<div class=\"text\">{}</div>", escape(text)).expect("a String takes everything");
    for upload in keys.iter().filter_map(|key| uploads.get(key)) {
        file(page, upload);
    }
    let mut native = serde_json::to_string_pretty(body).unwrap_or_default();
    if let Some((end, _)) = native.char_indices().nth(NATIVE_MAX) {
        native.truncate(end);
        native.push('…');
    }
    write!(page, "<pre>{}</pre>", escape(&native)).expect("a String takes everything");
}

/// A file: a picture as itself, anything else by its name and size.
fn file(page: &mut String, upload: &Upload) {
    let name = escape(upload.name.as_deref().unwrap_or(&upload.key));
    let (number, size) = (upload.number, upload.size);
    let content = format!("/_sim/uploads/{number}/content");
    let kept = upload.content();
    if kept.is_some_and(|bytes| picture(bytes).is_some()) {
        write!(page, "<img src=\"{content}\" alt=\"{name}\">").expect("a String takes everything");
    }
    let name = match kept {
        Some(_) => format!("<a href=\"{content}\" download=\"{name}\">{name}</a>"),
        None => name,
    };
    let (kind, sha256) = (escape(&upload.kind), escape(&upload.sha256));
    write!(
        page,
        "<div class=\"head\">{kind} · {name} · {size} bytes · sha256 {sha256}</div>"
    )
    .expect("a String takes everything");
}

/// The media type of a picture that may be shown.
pub(crate) fn picture(bytes: &[u8]) -> Option<&'static str> {
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some("image/webp");
    }
    let known = PICTURES.iter().find(|(start, _)| bytes.starts_with(start));
    known.map(|(_, media_type)| *media_type)
}

/// Text as HTML shows it, in elements and in quoted attributes.
pub(crate) fn escape(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            other => safe.push(other),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::*;
    use anser_core::Timestamp;
    use serde_json::json;

    #[test]
    fn nothing_of_a_message_is_shown_as_markup() {
        let hostile = "</pre><script>alert(1)</script>\"'&";
        let message = Received {
            number: 1,
            at: Timestamp::EPOCH,
            robot: hostile.to_owned(),
            from: Some(hostile.to_owned()),
            conversation: hostile.to_owned(),
            id: Some(hostile.to_owned()),
            kind: hostile.to_owned(),
            text: hostile.to_owned(),
            body: json!({ hostile: hostile }),
            more_ids: Vec::new(),
            uploads: vec![hostile.to_owned()],
            edits: vec![Edit {
                at: Timestamp::EPOCH,
                id: hostile.to_owned(),
                kind: hostile.to_owned(),
                text: hostile.to_owned(),
                body: json!(hostile),
                uploads: Vec::new(),
            }],
            recalled_at: None,
        };
        let upload = Upload {
            number: 1,
            at: Timestamp::EPOCH,
            robot: hostile.to_owned(),
            kind: hostile.to_owned(),
            key: hostile.to_owned(),
            name: Some(hostile.to_owned()),
            media_type: Some(hostile.to_owned()),
            size: 8,
            sha256: hostile.to_owned(),
            head: Some(bytes::Bytes::from_static(b"\x89PNG\r\n\x1a\n")),
        };
        let mut counters = Counters::default();
        counters.refused.insert(hostile.to_owned(), 1);
        let robot = Robot {
            token: hostile.to_owned(),
            secret: Some(hostile.to_owned()),
            keywords: Vec::new(),
        };
        let page = render(&View {
            platform: Platform::Feishu,
            base: "http://127.0.0.1:1",
            robots: &[robot],
            chats: &[],
            messages: &[message],
            uploads: &HashMap::from([(hostile.to_owned(), upload)]),
            counters: &counters,
            callback: None,
            checked: None,
        });
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("</pre>").count(), 2);
        assert_eq!(page.matches("&lt;script&gt;").count(), 19);
        assert!(
            page.contains("<img src=\"/_sim/uploads/1/content\""),
            "{page}"
        );
    }
}
