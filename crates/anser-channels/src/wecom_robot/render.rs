//! The forms of a message to a robot: template card, one of two Markdowns, or text. Must not choose among the ladder's.

use anser_core::Problem;
use anser_core::channel::Step;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::media;
use crate::kit::content::{Block, CardPart, MediaPart, Run, runs};
use crate::kit::plan::{Form, Needs, Platform, object_within};
use crate::kit::split::split;
use crate::kit::wecom::card;
use crate::kit::wecom::dialect::{MARKDOWN, MARKDOWN_V2, TEXT, is_mobile, listed};

/// Bytes of a text message's text.
pub(super) const TEXT_BYTES_MAX: usize = 2_048;
/// Bytes of a Markdown message's text.
pub(super) const MARKDOWN_BYTES_MAX: usize = 4_096;
/// Bytes of a native body: pictures of 2 MB are sent inside it.
const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The robot's forms.
pub(super) struct Robot;

impl Platform for Robot {
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
        if needs.markup || needs.links {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let within = |form: &str, most: usize| {
            let content = payload[form]["content"].as_str();
            content.is_none_or(|content| content.len() <= most)
        };
        let fits = within("text", TEXT_BYTES_MAX)
            && within("markdown", MARKDOWN_BYTES_MAX)
            && within("markdown_v2", MARKDOWN_BYTES_MAX);
        object_within(payload, BODY_BYTES_MAX).filter(|_| fits)
    }

    fn media(&self, part: &MediaPart) -> Option<Vec<Step>> {
        media::steps(part)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let body = card::template_card(part).or_else(|| card::news(part));
        body.map(|body| vec![body])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        let (body, parts): (fn(&[Block]) -> Value, _) = match form {
            Form::Text => (text, split(blocks, TEXT_BYTES_MAX, &TEXT)?),
            // Only the older Markdown mentions.
            _ if mentions(&blocks) => (
                |blocks| json!({"msgtype": "markdown", "markdown": {"content": MARKDOWN.write(blocks)}}),
                split(blocks, MARKDOWN_BYTES_MAX, &MARKDOWN)?,
            ),
            _ => (
                |blocks| json!({"msgtype": "markdown_v2", "markdown_v2": {"content": MARKDOWN_V2.write(blocks)}}),
                split(blocks, MARKDOWN_BYTES_MAX, &MARKDOWN_V2)?,
            ),
        };
        Ok(parts.iter().map(|part| body(part)).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        form == Form::Markdown
    }

    fn pings(&self, form: Form, kind: MentionKind, id: Option<&str>) -> bool {
        match form {
            Form::Text => listed(kind, id).is_some(),
            _ => (MARKDOWN.mention)(kind, id, "").is_some(),
        }
    }
}

fn mentions(blocks: &[Block]) -> bool {
    runs(blocks).any(|run| {
        matches!(run, Run::Mention { kind, id, .. } if (MARKDOWN.mention)(*kind, id.as_deref(), "").is_some())
    })
}

fn text(blocks: &[Block]) -> Value {
    let (mut users, mut mobiles) = (Vec::new(), Vec::new());
    for run in runs(blocks) {
        if let Run::Mention { kind, id, .. } = run {
            match listed(*kind, id.as_deref()) {
                Some(id) if is_mobile(id) => mobiles.push(id),
                Some(id) => users.push(id),
                None => {}
            }
        }
    }
    let content = TEXT.write(blocks);
    json!({
        "msgtype": "text",
        "text": {"content": content, "mentioned_list": users, "mentioned_mobile_list": mobiles}
    })
}
