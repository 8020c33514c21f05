//! The forms of a message of an app: card, Markdown or text; and whom its requests go to. Must not choose among the forms.

use anser_core::channel::{Context, Step};
use anser_core::message::segment::MentionKind;
use anser_core::{Message, Problem};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::settings::{DUPLICATE_SECONDS_MAX, Endpoint};
use super::target::Target;
use crate::kit::content::{Block, CardPart, MediaKind, MediaPart};
use crate::kit::dialect::{Dialect, Place, ZERO_WIDTH_SPACE};
use crate::kit::media::{fill, media_type};
use crate::kit::plan::{Form, Needs, Platform, json as bytes_of, object_within};
use crate::kit::reach::{LAST, members};
use crate::kit::split::split;
use crate::kit::wecom::media::{FILE_BYTES_MAX, VOICE_BYTES_MAX, is_picture, is_voice, uploaded};
use crate::kit::wecom::{card, dialect};

/// Bytes of a message's text, Markdown or not; WeCom cuts off what is longer, and says nothing.
pub(super) const TEXT_BYTES_MAX: usize = 2_048;
/// Bytes of a native body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a picture (<https://developer.work.weixin.qq.com/document/path/90253>), and of a video.
const PICTURE_BYTES_MAX: u64 = 10 * 1024 * 1024;

/// A text message, in which nothing but links is markup.
pub(super) const TEXT: Dialect = Dialect {
    escape: untagged,
    bare: |url| Some(url.to_owned()),
    link: |label, url| Some(format!("<a href=\"{url}\">{label}</a>")),
    mention: |_, _, _| None,
    code: |text| text.replace('<', "<\u{200b}"),
    ..dialect::TEXT
};

/// Markdown, which mentions nobody here.
pub(super) const MARKDOWN: Dialect = Dialect {
    mention: |_, _, _| None,
    ..dialect::MARKDOWN
};

/// Tags are not escaped, but broken up by a character that nobody sees.
fn untagged(c: char, _: Place, out: &mut String) {
    out.push(c);
    if c == '<' {
        out.push(ZERO_WIDTH_SPACE);
    }
}

/// The app's forms.
pub(super) struct App {
    /// It writes to a group, whose API has no template cards (path 90248).
    pub(super) is_chat: bool,
}

impl Platform for App {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn overrides(&self) -> &'static [&'static str] {
        &[super::KIND]
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Markdown, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        // Text has links.
        if needs.markup {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let within = |form: &str| {
            let content = payload[form]["content"].as_str();
            content.is_none_or(|content| content.len() <= TEXT_BYTES_MAX)
        };
        let fits = within("text") && within("markdown");
        object_within(payload, BODY_BYTES_MAX).filter(|_| fits)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let notice = || card::template_card(part).filter(|_| !self.is_chat);
        let body = notice()
            .or_else(|| card::news(part))
            .or_else(|| card::textcard(part));
        body.map(|body| vec![body])
    }

    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        let attachment = &media.attachment;
        match media.kind {
            MediaKind::Image if is_picture(attachment) => {
                uploaded("image", attachment, PICTURE_BYTES_MAX)
            }
            MediaKind::Voice if is_voice(attachment) => {
                uploaded("voice", attachment, VOICE_BYTES_MAX)
            }
            MediaKind::Video if media_type(attachment) == "video/mp4" => {
                uploaded("video", attachment, PICTURE_BYTES_MAX)
            }
            MediaKind::File => uploaded("file", attachment, FILE_BYTES_MAX),
            _ => None,
        }
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        let (name, dialect) = match form {
            Form::Text => ("text", TEXT),
            _ => ("markdown", MARKDOWN),
        };
        let parts = split(blocks, TEXT_BYTES_MAX, &dialect)?;
        let body =
            |part: &Vec<Block>| json!({"msgtype": name, name: {"content": dialect.write(part)}});
        Ok(parts.iter().map(body).collect())
    }

    fn shows_pictures(&self, _: Form) -> bool {
        false
    }

    fn pings(&self, _: Form, _: MentionKind, _: Option<&str>) -> bool {
        false
    }
}

/// The body of a message as it is sent: with its target, the app, and a check for duplicates where it is wanted.
///
/// # Errors
/// `missing_upload`.
pub(super) fn addressed(
    endpoint: &Endpoint,
    target: &Target,
    step: &Step,
    message: &Message,
    context: &Context<'_>,
) -> Result<Bytes, Problem> {
    let mut body = Map::new();
    target.address(&mut body);
    if !target.is_chat() {
        body.insert("agentid".to_owned(), endpoint.agent_id.into());
    }
    for (name, value) in members(step) {
        if !is_ours(&name) {
            body.insert(name, value);
        }
    }
    if let Some(seconds) = duplicate_check(endpoint, message, context).filter(|_| !target.is_chat())
    {
        body.insert("enable_duplicate_check".to_owned(), 1.into());
        body.insert("duplicate_check_interval".to_owned(), seconds.into());
    }
    let mut body = Value::Object(body);
    if step.attachment.is_some() {
        fill(&mut body, context)?;
    }
    Ok(bytes_of(&body).into())
}

/// Members that the channel sets, whatever a native payload says.
fn is_ours(name: &str) -> bool {
    [LAST, "touser", "toparty", "totag", "chatid", "agentid"].contains(&name)
}

/// For how many seconds back WeCom is to look for the same content: what the settings say; else only when an earlier
/// attempt may have got through, and no longer than the message is here, since two messages may say the same.
fn duplicate_check(endpoint: &Endpoint, message: &Message, context: &Context<'_>) -> Option<u32> {
    if endpoint.duplicate_check.is_some() {
        return endpoint.duplicate_check;
    }
    context.possible_duplicate?;
    let age = context.now.since(message.header.time).as_secs();
    let seconds = u32::try_from(age).unwrap_or(DUPLICATE_SECONDS_MAX);
    Some(seconds.clamp(1, DUPLICATE_SECONDS_MAX))
}
