//! The forms of a message of an app: its card, a post, or text. Must not choose among them. A body holds `content` as an
//! object; it becomes the string that the API wants when the request is made.

use anser_core::Problem;
use anser_core::channel::Step;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::media;
use super::post_form::{Nodes, lines};
use crate::kit::content::{Block, CardPart, MediaPart};
use crate::kit::dialect::{Dialect, Unit};
use crate::kit::feishu::card;
use crate::kit::feishu::dialect::{TEXT, mention_id};
use crate::kit::plan::{Form, Needs, Platform, json as bytes_of};
use crate::kit::split::split;

/// Bytes of a request with a card, a post or anything else but text.
const RICH_BYTES_MAX: usize = 30_000;
/// Bytes of a request with text.
const TEXT_BYTES_MAX: usize = 150_000;
/// Bytes of a request around its content: receiver, type, key.
const FRAME_BYTES: usize = 512;

/// Text as the API counts it: content is JSON inside of JSON.
const NESTED_TEXT: Dialect = Dialect {
    unit: Unit::NestedJsonBytes,
    ..TEXT
};

/// The app's forms.
pub(super) struct App;

/// A body, if its request is not too long.
fn within(body: Value) -> Option<Value> {
    let most = if body["msg_type"] == "text" {
        TEXT_BYTES_MAX
    } else {
        RICH_BYTES_MAX
    };
    let content = match &body["content"] {
        Value::String(text) => text.clone(),
        content => content.to_string(),
    };
    let bytes = Unit::JsonBytes.of(&content) + FRAME_BYTES;
    // Members beside the content count as well, in a native payload.
    (bytes.max(bytes_of(&body).len()) <= most).then_some(body)
}

impl Platform for App {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn overrides(&self) -> &'static [&'static str] {
        &[super::KIND]
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Post, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        if needs.markup || needs.links {
            Form::Post
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let some = payload.as_object().is_some_and(|object| !object.is_empty());
        some.then(|| within(payload.clone())).flatten()
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let body = json!({"msg_type": "interactive", "content": card::card(part)});
        within(body).map(|body| vec![body])
    }

    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        media::steps(media)
    }

    fn card_uploads(&self, media: &MediaPart) -> Option<Vec<Step>> {
        Some(vec![media::image(&media.attachment)?])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        if form == Form::Post {
            let parts = split(blocks, RICH_BYTES_MAX - FRAME_BYTES, &Nodes)?;
            let body = |part: &Vec<Block>| {
                let content = json!({"zh_cn": {"content": lines(part)}});
                json!({"msg_type": "post", "content": content})
            };
            return Ok(parts.iter().map(body).collect());
        }
        let parts = split(blocks, TEXT_BYTES_MAX - FRAME_BYTES, &NESTED_TEXT)?;
        let body = |part: &Vec<Block>| json!({"msg_type": "text", "content": {"text": NESTED_TEXT.write(part)}});
        Ok(parts.iter().map(body).collect())
    }

    fn shows_pictures(&self, _: Form) -> bool {
        false
    }

    fn pings(&self, _: Form, kind: MentionKind, id: Option<&str>) -> bool {
        mention_id(kind, id).is_some()
    }
}
