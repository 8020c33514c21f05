//! The forms of a message: an embed, text with markup, or text. Must not allow a ping that no mention asked for, nor know
//! the channel.

use anser_core::Problem;
use anser_core::channel::Step;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::dialect::{MARKDOWN, TEXT, mention};
use super::{Author, embed, file, is_number};
use crate::kit::content::{Block, CardPart, Look, MediaPart, Run, is_blank, runs, text_runs};
use crate::kit::plan::{Form, Needs, Platform, object_within, shorten};
use crate::kit::split::split;

/// Characters of a message.
pub(super) const CONTENT_CHARS_MAX: usize = 2_000;
/// Embeds of a message.
const EMBEDS_MAX: usize = 10;
/// Characters of a picture's description.
const ALT_CHARS_MAX: usize = 200;
/// Bytes of a native payload.
const BODY_BYTES_MAX: usize = 200_000;

/// The forms of a kind of channel.
pub(crate) struct Forms {
    /// The kind's name.
    pub(crate) kind: &'static str,
    /// The members of `body.override` that are for it, the first wins.
    pub(crate) overrides: &'static [&'static str],
    /// Who writes.
    pub(crate) author: Author,
    /// Bytes of a file.
    pub(crate) file_bytes_max: u64,
}

impl Platform for Forms {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn overrides(&self) -> &'static [&'static str] {
        self.overrides
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Markdown, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        if needs.markup || needs.links {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    /// A payload that says nothing of mentions allows none, as everywhere here.
    fn native(&self, payload: &Value) -> Option<Value> {
        let content = payload["content"].as_str().unwrap_or_default();
        let embeds = payload["embeds"].as_array().map_or(0, Vec::len);
        let mut body = file::without(object_within(payload, BODY_BYTES_MAX)?);
        if content.chars().count() > CONTENT_CHARS_MAX || embeds > EMBEDS_MAX {
            return None;
        }
        if body.get("allowed_mentions").is_none() {
            body["allowed_mentions"] = json!({"parse": []});
        }
        Some(body)
    }

    fn card(&self, card: &CardPart) -> Option<Vec<Value>> {
        let rows = match self.author {
            Author::Bot => embed::buttons(&card.card),
            Author::Webhook => Vec::new(),
        };
        let picture = card.media.as_ref();
        let picture = picture.and_then(|media| file::picture(media, self.file_bytes_max));
        let (mut body, url) = picture.map_or((json!({}), None), |(body, url)| (body, Some(url)));
        let embed = embed::of(card, url, !rows.is_empty())?;
        body["embeds"] = json!([embed]);
        body["allowed_mentions"] = allowed(&[]);
        if !rows.is_empty() {
            body["components"] = rows.into();
        }
        Some(vec![body])
    }

    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        file::steps(media, self.file_bytes_max)
    }

    /// The picture rides along with the card.
    fn card_uploads(&self, media: &MediaPart) -> Option<Vec<Step>> {
        file::picture(media, self.file_bytes_max).map(|_| Vec::new())
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        if form == Form::Text {
            let parts = split(blocks, CONTENT_CHARS_MAX, &TEXT)?;
            let body = |part: &Vec<Block>| json!({"content": TEXT.write(part), "allowed_mentions": allowed(part)});
            return Ok(parts.iter().map(body).collect());
        }
        let parts = split(blocks, CONTENT_CHARS_MAX, &MARKDOWN)?;
        Ok(parts.into_iter().map(markdown).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        form != Form::Text
    }

    fn pings(&self, _: Form, kind: MentionKind, id: Option<&str>) -> bool {
        mention(kind, id, "").is_some()
    }
}

/// Text with its first pictures as embeds below it.
fn markdown(mut blocks: Vec<Block>) -> Value {
    let mut embeds = Vec::new();
    for block in &mut blocks {
        if let Block::Line { runs, .. } = block {
            runs.retain(|run| match run {
                Run::Image { alt, url } if embeds.len() < EMBEDS_MAX => {
                    embeds.push(picture(alt, url));
                    false
                }
                _ => true,
            });
            while runs.last() == Some(&Run::Break) {
                runs.pop();
            }
        }
    }
    blocks.retain(|block| !matches!(block, Block::Line { runs, .. } if runs.is_empty()));
    let mut body = json!({"allowed_mentions": allowed(&blocks)});
    if !is_blank(&blocks) {
        body["content"] = MARKDOWN.write(&blocks).into();
    }
    if !embeds.is_empty() {
        body["embeds"] = embeds.into();
    }
    body
}

fn picture(alt: &str, url: &str) -> Value {
    let alt = shorten(alt, ALT_CHARS_MAX);
    let alt = MARKDOWN.write(&[Block::paragraph(text_runs(&alt, Look::PLAIN))]);
    json!({"description": alt, "image": {"url": url}})
}

/// Only whom the blocks mention.
fn allowed(blocks: &[Block]) -> Value {
    let (mut parse, mut users, mut roles) = (Vec::new(), Vec::new(), Vec::new());
    for run in runs(blocks) {
        let Run::Mention { kind, id, .. } = run else {
            continue;
        };
        let id = id.as_deref().filter(|id| is_number(id));
        match (kind, id) {
            (MentionKind::User, Some(id)) if !users.contains(&id) => users.push(id),
            (MentionKind::Role, Some(id)) if !roles.contains(&id) => roles.push(id),
            (MentionKind::All | MentionKind::Here, _) => parse = vec!["everyone"],
            _ => {}
        }
    }
    json!({"parse": parse, "users": users, "roles": roles})
}
