//! The forms of a message to a robot: its card, Markdown inside a card, a post, or text. Must not choose among them.

use anser_core::Problem;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::post_form::{Nodes, lines};
use crate::kit::content::{Block, CardPart};
use crate::kit::feishu::card;
use crate::kit::feishu::dialect::{MARKDOWN, TEXT, mention_id};
use crate::kit::plan::{self, Form, Needs, Platform, object_within};
use crate::kit::split::split;

/// Bytes of a body: Feishu's 20 KB, without the signature.
pub(super) const BODY_BYTES_MAX: usize = 20_000 - SIGNATURE_BYTES;
/// Bytes that time and signature add.
const SIGNATURE_BYTES: usize = 120;
/// Bytes of a body around its text.
const FRAME_BYTES: usize = 160;

/// A body with a card.
fn interactive(card: &Value) -> Value {
    json!({"msg_type": "interactive", "card": card})
}

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
        &[Form::Card, Form::Markdown, Form::Post, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        match needs {
            Needs { markup: true, .. } => Form::Markdown,
            Needs { links: true, .. } => Form::Post,
            _ => Form::Text,
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        object_within(payload, BODY_BYTES_MAX)
    }

    fn card(&self, card: &CardPart) -> Option<Vec<Value>> {
        let body = interactive(&card::card(card));
        (plan::json(&body).len() <= BODY_BYTES_MAX).then(|| vec![body])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        const ROOM: usize = BODY_BYTES_MAX - FRAME_BYTES;
        let body: fn(&[Block]) -> Value = match form {
            Form::Markdown => |blocks| interactive(&card::of_elements(&[card::markdown(blocks)])),
            Form::Post => |blocks| {
                let content = lines(blocks);
                json!({"msg_type": "post", "content": {"post": {"zh_cn": {"content": content}}}})
            },
            _ => |blocks| json!({"msg_type": "text", "content": {"text": TEXT.write(blocks)}}),
        };
        let parts = match form {
            Form::Markdown => split(blocks, ROOM, &MARKDOWN)?,
            Form::Post => split(blocks, ROOM, &Nodes)?,
            _ => split(blocks, ROOM, &TEXT)?,
        };
        Ok(parts.iter().map(|part| body(part)).collect())
    }

    fn shows_pictures(&self, _: Form) -> bool {
        false
    }

    fn pings(&self, _: Form, kind: MentionKind, id: Option<&str>) -> bool {
        mention_id(kind, id).is_some()
    }
}
