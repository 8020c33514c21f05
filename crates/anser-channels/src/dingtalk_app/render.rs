//! The forms of a message of an app's robot: action card, Markdown, text or media, each a `msgKey` with its parameters. Must
//! not choose among them. A body holds `msgParam` as an object; it becomes the string that the API wants when the request is
//! made.

use anser_core::Problem;
use anser_core::channel::{Context, Step};
use anser_core::message::segment::MentionKind;
use bytes::Bytes;
use serde_json::{Value, json};

use super::media;
use super::target::Target;
use crate::kit::content::{Block, CardPart, MediaPart};
use crate::kit::dingtalk::dialect::{MARKDOWN, TEXT};
use crate::kit::dingtalk::form::{ActionCard, action_card, title};
use crate::kit::media::fill;
use crate::kit::plan::{Form, Needs, Platform, json as bytes_of};
use crate::kit::reach::{LAST, members};
use crate::kit::split::split;

/// Bytes of a message's parameters
/// (<https://open.dingtalk.com/document/orgapp/the-robot-sends-a-group-message>).
pub(super) const PARAM_BYTES_MAX: usize = 15_000;
/// Bytes of the parameters around the text, a title included.
const FRAME_BYTES: usize = 600;
/// Buttons of a card.
const BUTTONS_MAX: usize = 5;

/// The app's forms.
pub(super) struct App;

/// A body, if its parameters are not too long.
fn within(key: &str, param: &Value) -> Option<Value> {
    let fits = bytes_of(param).len() <= PARAM_BYTES_MAX;
    fits.then(|| json!({"msgKey": key, "msgParam": param}))
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
        if needs.markup || needs.links {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let some = payload.as_object().is_some_and(|object| !object.is_empty());
        let bytes = match &payload["msgParam"] {
            Value::String(text) => text.len(),
            _ => bytes_of(payload).len(),
        };
        (some && bytes <= PARAM_BYTES_MAX).then(|| payload.clone())
    }

    fn media(&self, part: &MediaPart) -> Option<Vec<Step>> {
        media::steps(part)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        let ActionCard { title, text, links } = action_card(part)?;
        let mut param = json!({"title": title, "text": text});
        let key = match links.as_slice() {
            [button] => {
                param["singleTitle"] = button.label.as_str().into();
                param["singleURL"] = button.url.as_str().into();
                "sampleActionCard".to_owned()
            }
            several if several.len() <= BUTTONS_MAX => {
                for (place, button) in several.iter().enumerate() {
                    let number = place + 1;
                    param[format!("actionTitle{number}")] = button.label.as_str().into();
                    param[format!("actionURL{number}")] = button.url.as_str().into();
                }
                format!("sampleActionCard{}", several.len())
            }
            _ => return None,
        };
        within(&key, &param).map(|body| vec![body])
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        const ROOM: usize = PARAM_BYTES_MAX - FRAME_BYTES;
        if form == Form::Text {
            let parts = split(blocks, ROOM, &TEXT)?;
            let body = |part: &Vec<Block>| json!({"msgKey": "sampleText", "msgParam": {"content": TEXT.write(part)}});
            return Ok(parts.iter().map(body).collect());
        }
        let parts = split(blocks, ROOM, &MARKDOWN)?;
        let body = |part: &Vec<Block>| {
            let param = json!({"title": title(part), "text": MARKDOWN.write(part)});
            json!({"msgKey": "sampleMarkdown", "msgParam": param})
        };
        Ok(parts.iter().map(body).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        form != Form::Text
    }

    fn pings(&self, _: Form, _: MentionKind, _: Option<&str>) -> bool {
        false
    }
}

/// The body of a message as it is sent: with the robot, the target, and its parameters as a string.
///
/// # Errors
/// `missing_upload`.
pub(super) fn addressed(
    robot_code: &str,
    target: &Target,
    step: &Step,
    context: &Context<'_>,
) -> Result<Bytes, Problem> {
    let (name, value) = target.member();
    let mut body = json!({"robotCode": robot_code, name: value});
    for (name, mut value) in members(step) {
        if is_ours(&name) {
            continue;
        }
        if step.attachment.is_some() {
            fill(&mut value, context)?;
        }
        if name == "msgParam" && !value.is_string() {
            value = value.to_string().into();
        }
        body[name] = value;
    }
    Ok(bytes_of(&body).into())
}

/// Members that the channel sets, whatever a native payload says.
fn is_ours(name: &str) -> bool {
    [LAST, "robotCode", "userIds", "openConversationId"].contains(&name)
}
