//! The forms of a message to a robot: action card, Markdown or text. Must not choose among them.

use anser_core::Problem;
use anser_core::message::segment::MentionKind;
use serde_json::{Value, json};

use super::mention;
use crate::kit::content::{Block, CardPart, Look, Role, Run};
use crate::kit::dialect::Dialect;
use crate::kit::dingtalk::dialect;
use crate::kit::dingtalk::form::{ActionCard, action_card, title};
use crate::kit::plan::{self, Form, Needs, Platform, object_within};
use crate::kit::split::{Measure, split};

/// Bytes of a body.
pub(super) const BODY_BYTES_MAX: usize = 20_000;
/// Bytes of a body around its text, a title included.
const FRAME_BYTES: usize = 600;

/// A text message.
pub(super) const TEXT: Dialect = Dialect {
    mention: at_id,
    ..dialect::TEXT
};

/// A Markdown message.
pub(super) const MARKDOWN: Dialect = Dialect {
    mention: at_id,
    ..dialect::MARKDOWN
};

fn at_id(kind: MentionKind, id: Option<&str>, _: &str) -> Option<String> {
    mention::user(kind, id).map(|id| format!("@{id}"))
}

/// A dialect whose mentions also take room in the list beside the text.
struct Listed(Dialect);

impl Measure for Listed {
    fn frame(&self, block: &Block) -> usize {
        self.0.frame(block)
    }

    fn run(&self, role: &Role, run: &Run) -> usize {
        let listed = match run {
            Run::Mention { kind, id, .. } => {
                mention::user(*kind, id.as_deref()).map_or(0, str::len) + 3
            }
            _ => 0,
        };
        self.0.run(role, run) + listed
    }

    fn look(&self, look: Look) -> usize {
        self.0.look(look)
    }

    fn text(&self, text: &str, look: Look) -> usize {
        self.0.text(text, look)
    }

    fn code(&self, text: &str) -> usize {
        self.0.code(text)
    }
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
        object_within(payload, BODY_BYTES_MAX)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let ActionCard { title, text, links } = action_card(part)?;
        let mut card = json!({"title": title, "text": text});
        match links.as_slice() {
            [button] => {
                card["singleTitle"] = button.label.clone().into();
                card["singleURL"] = button.url.clone().into();
            }
            several => {
                card["btnOrientation"] = if several.len() == 2 { "1" } else { "0" }.into();
                card["btns"] = several
                    .iter()
                    .map(|button| json!({"title": button.label, "actionURL": button.url}))
                    .collect();
            }
        }
        let body = json!({"msgtype": "actionCard", "actionCard": card});
        (plan::json(&body).len() <= BODY_BYTES_MAX).then(|| vec![body])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        const ROOM: usize = BODY_BYTES_MAX - FRAME_BYTES;
        let body: fn(&[Block]) -> Value = match form {
            Form::Text => {
                |blocks| json!({"msgtype": "text", "text": {"content": TEXT.write(blocks)}, "at": mention::at(blocks)})
            }
            _ => |blocks| {
                let text = MARKDOWN.write(blocks);
                json!({
                    "msgtype": "markdown",
                    "markdown": {"title": title(blocks), "text": text},
                    "at": mention::at(blocks)
                })
            },
        };
        let parts = match form {
            Form::Text => split(blocks, ROOM, &Listed(TEXT))?,
            _ => split(blocks, ROOM, &Listed(MARKDOWN))?,
        };
        Ok(parts.iter().map(|part| body(part)).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        form != Form::Text
    }

    fn pings(&self, _: Form, kind: MentionKind, id: Option<&str>) -> bool {
        kind == MentionKind::All || mention::user(kind, id).is_some()
    }
}
