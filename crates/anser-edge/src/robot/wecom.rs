//! The dialect of WeCom's group robots: text, both Markdowns, image, news, file, voice, template cards. Formats and codes:
//! platforms.md §3.1. Files and speech are named by ids of uploads to WeCom, which nobody else can look up: they are kept as
//! they are, and uploads are answered 404, upon which senders of ours send a link instead.

use anser_core::message::segment::MentionKind;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};

use super::draft::{CardDraft, Draft};
use super::member::{bracketed, escaped, first, list, text};
use super::reply::{Reply, json as reply};
use super::told::{Fault, Posted, Told};

/// The kind of channel that what is native here goes to as it is.
const KIND: &str = "wecom-robot";
/// The last part of the path of uploads.
const UPLOAD: &str = "upload_media";
/// Bytes of a picture, before it is Base64.
const IMAGE_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What the request says.
pub(super) fn read(posted: &Posted<'_>) -> Result<Told, Fault> {
    if posted.rest.ends_with(UPLOAD) {
        return Err(Fault::NoSuchCall);
    }
    let body = posted.json()?;
    if !body.is_object() {
        return Err(Fault::Malformed("the body is no JSON object".to_owned()));
    }
    let kind = text(&body, "/msgtype").ok_or(Fault::Missing("msgtype"))?;
    let mut draft = Draft::default();
    match kind {
        "text" => plain(&mut draft, &body)?,
        "markdown" => {
            let said =
                text(&body, "/markdown/content").ok_or(Fault::Missing("markdown.content"))?;
            markdown(&mut draft, said);
        }
        "markdown_v2" => {
            let said = text(&body, "/markdown_v2/content");
            draft.markdown(said.ok_or(Fault::Missing("markdown_v2.content"))?);
        }
        "image" => {
            // Not kept: the bytes are the message.
            let (bytes, media_type) = image(&body)?;
            draft.image(bytes, media_type);
            return draft.finish(kind);
        }
        "news" => news(&mut draft, &body)?,
        "template_card" => template_card(&mut draft, &body)?,
        "file" | "voice" => {
            let pointer = format!("/{kind}/media_id");
            text(&body, &pointer).ok_or(Fault::Missing("media_id"))?;
            let kind = kind.to_owned();
            draft.raw(KIND, body);
            return draft.finish(&kind);
        }
        _ => return Err(Fault::UnknownType(kind.to_owned())),
    }
    let kind = kind.to_owned();
    draft.keep(KIND, body);
    draft.finish(&kind)
}

fn plain(draft: &mut Draft, body: &Value) -> Result<(), Fault> {
    draft.text(text(body, "/text/content").ok_or(Fault::Missing("text.content"))?);
    let lists = ["/text/mentioned_list", "/text/mentioned_mobile_list"];
    let ids = lists.iter().flat_map(|place| list(body, place));
    for id in ids.filter_map(Value::as_str).filter(|id| !id.is_empty()) {
        draft.text(" ");
        match id {
            "@all" => draft.mention(MentionKind::All, None, None),
            id => draft.mention(MentionKind::User, Some(id), None),
        }
    }
    Ok(())
}

/// WeCom's own Markdown: mentions are `<@id>`, and colours are `<font color="…">`, which no other has.
fn markdown(draft: &mut Draft, said: &str) {
    let mut markdown = String::with_capacity(said.len());
    let mut rest = said;
    while let Some(start) = rest.find('<') {
        let (before, tag) = rest.split_at(start);
        markdown.push_str(before);
        let Some((inner, after)) = bracketed(&tag[1..]) else {
            markdown.push('<');
            rest = &tag[1..];
            continue;
        };
        if let Some(id) = inner.strip_prefix('@').filter(|id| !id.is_empty()) {
            draft.markdown(&std::mem::take(&mut markdown));
            match id {
                "all" => draft.mention(MentionKind::All, None, None),
                id => draft.mention(MentionKind::User, Some(id), None),
            }
            rest = after;
        } else if inner.starts_with("font ") || inner == "/font" {
            rest = after;
        } else {
            markdown.push('<');
            rest = &tag[1..];
        }
    }
    markdown.push_str(rest);
    draft.markdown(&markdown);
}

fn image(body: &Value) -> Result<(Vec<u8>, &'static str), Fault> {
    let encoded = text(body, "/image/base64").ok_or(Fault::Missing("image.base64"))?;
    let bytes = BASE64.decode(encoded.trim());
    let bytes = bytes.map_err(|_| Fault::Malformed("image.base64 is no Base64".to_owned()))?;
    if bytes.len() > IMAGE_BYTES_MAX {
        return Err(Fault::TooLarge("a picture has at most 2 MiB".to_owned()));
    }
    let media_type = match bytes.as_slice() {
        [0x89, b'P', b'N', b'G', ..] => "image/png",
        [0xff, 0xd8, 0xff, ..] => "image/jpeg",
        _ => {
            return Err(Fault::Malformed(
                "image.base64 is neither PNG nor JPEG".to_owned(),
            ));
        }
    };
    Ok((bytes, media_type))
}

fn news(draft: &mut Draft, body: &Value) -> Result<(), Fault> {
    let articles = list(body, "/news/articles");
    if articles.is_empty() {
        return Err(Fault::Missing("news.articles"));
    }
    for article in articles {
        let title = text(article, "/title").ok_or(Fault::Missing("news.articles.title"))?;
        let url = text(article, "/url").ok_or(Fault::Missing("news.articles.url"))?;
        draft.line();
        let picture = text(article, "/picurl");
        draft.preview(url, title, text(article, "/description"), picture);
    }
    Ok(())
}

fn template_card(draft: &mut Draft, body: &Value) -> Result<(), Fault> {
    let card = &body["template_card"];
    let title = first(card, &["/main_title/title", "/sub_title_text"]);
    let mut drawn = CardDraft::new(
        title.ok_or(Fault::Missing("template_card.main_title"))?,
        None,
    );
    drawn.subtitle(text(card, "/main_title/desc"));
    if let Some(said) = text(card, "/sub_title_text").filter(|said| Some(*said) != title) {
        drawn.section(&escaped(said));
    }
    if let Some(emphasis) = text(card, "/emphasis_content/title") {
        let name = text(card, "/emphasis_content/desc").unwrap_or("·");
        drawn.field(name, emphasis, true);
    }
    for item in list(card, "/horizontal_content_list") {
        let name = text(item, "/keyname").unwrap_or("·");
        drawn.field(name, text(item, "/value").unwrap_or_default(), true);
    }
    for item in list(card, "/vertical_content_list") {
        let name = text(item, "/title").unwrap_or("·");
        drawn.field(name, text(item, "/desc").unwrap_or_default(), false);
    }
    if let Some(quote) = text(card, "/quote_area/quote_text") {
        drawn.section(&format!("> {}", escaped(quote)));
    }
    drawn.image(text(card, "/card_image/url").and_then(|url| draft.attachment_at(url)));
    for jump in list(card, "/jump_list") {
        drawn.button(text(jump, "/title").unwrap_or("Open"), text(jump, "/url"));
    }
    drawn.button("Open", text(card, "/card_action/url"));
    drawn.footer(text(card, "/source/desc"));
    draft.card(drawn);
    Ok(())
}

/// What is answered to a message that was taken.
pub(super) fn done() -> Reply {
    reply(200, &json!({"errcode": 0, "errmsg": "ok"}))
}

/// What is answered to a request that was not.
pub(super) fn refused(fault: &Fault) -> Reply {
    let (status, code, message) = match fault {
        Fault::Unknown => (404, 93_000, "invalid webhook url".to_owned()),
        Fault::NoSuchCall => (404, 40_004, "this robot takes no uploads".to_owned()),
        Fault::Unsigned | Fault::Forged | Fault::Stale => {
            (200, 48_001, format!("api unauthorized: {}", fault.detail()))
        }
        Fault::Malformed(detail) => (200, 47_001, format!("data format error: {detail}")),
        Fault::UnknownType(_) => (
            200,
            40_008,
            format!("invalid message type: {}", fault.detail()),
        ),
        Fault::Missing("text.content" | "markdown.content" | "markdown_v2.content")
        | Fault::Empty => (200, 44_004, "text content is empty".to_owned()),
        Fault::Missing(member) => (200, 40_058, format!("{member} invalid Request Parameter")),
        Fault::TooLarge(detail) => (413, 45_002, format!("content size out of limit: {detail}")),
        Fault::Refused(detail) => (200, 40_058, format!("invalid Request Parameter: {detail}")),
        Fault::Busy(detail) => (503, -1, format!("system error: {detail}")),
        Fault::Method | Fault::Slow | Fault::Internal => (
            fault.status(),
            -1,
            format!("system error: {}", fault.detail()),
        ),
    };
    reply(status, &json!({"errcode": code, "errmsg": message}))
}
