//! The forms of a message from a number: interactive for a card, text with marks, or text; and the template when no other is
//! taken. Must not know to whom it goes.

use anser_core::channel::{Context, Plan, Step, StepKind};
use anser_core::message::segment::{Known, MentionKind};
use anser_core::{Message, Problem};
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::dialect::{MARKUP, TEXT};
use super::settings::Template;
use super::{card, media};
use crate::kit::content::{Block, CardPart, MediaKind, MediaPart};
use crate::kit::media::fill;
use crate::kit::plan::{
    Form, MEDIA_TYPE, Needs, Platform, json as bytes_of, object_within, plan, shorten,
};
use crate::kit::split::split;

/// Characters of a text (<https://developers.facebook.com/docs/whatsapp/cloud-api/messages/text-messages>).
pub(super) const TEXT_CHARS_MAX: usize = 4_096;
/// Characters of a caption.
const CAPTION_CHARS_MAX: usize = 1_024;
/// Characters of a template's variable; a whole template has 1,024.
const VARIABLE_CHARS_MAX: usize = 900;
/// Bytes of a native body.
const BODY_BYTES_MAX: usize = 64 * 1024;
/// The rung at which a template stands for the message, recorded.
const TO_TEMPLATE: &str = "text->template";

/// The number's forms.
struct Number;

impl Platform for Number {
    fn kind(&self) -> &'static str {
        super::KIND
    }

    fn overrides(&self) -> &'static [&'static str] {
        &[super::KIND, "whatsapp"]
    }

    fn forms(&self) -> &'static [Form] {
        &[Form::Card, Form::Markdown, Form::Text]
    }

    fn needed(&self, needs: Needs) -> Form {
        if needs.markup {
            Form::Markdown
        } else {
            Form::Text
        }
    }

    fn native(&self, payload: &Value) -> Option<Value> {
        let text = payload["text"]["body"].as_str();
        let fits = text.is_none_or(|text| text.chars().count() <= TEXT_CHARS_MAX);
        object_within(payload, BODY_BYTES_MAX).filter(|_| fits)
    }

    fn card(&self, part: &CardPart) -> Option<Vec<Value>> {
        card::body(part).map(|body| vec![body])
    }

    fn media(&self, part: &MediaPart) -> Option<Vec<Step>> {
        media::steps(part, None)
    }

    fn captioned(&self, part: &MediaPart, blocks: &[Block], form: Form) -> Option<Vec<Step>> {
        let dialect = if form == Form::Text { TEXT } else { MARKUP };
        let caption = dialect.write(blocks);
        let fits = caption.chars().count() <= CAPTION_CHARS_MAX;
        media::steps(part, Some(&caption)).filter(|_| fits)
    }

    fn card_uploads(&self, part: &MediaPart) -> Option<Vec<Step>> {
        let is_image = part.kind == MediaKind::Image;
        media::bring(part)
            .filter(|_| is_image)
            .map(|step| vec![step])
    }

    fn segment(&self, segment: &Known) -> Option<Value> {
        match segment {
            Known::Location {
                lat,
                lon,
                name,
                address,
            } => {
                let mut location = json!({"longitude": lon, "latitude": lat});
                for (member, value) in [("name", name), ("address", address)] {
                    if let Some(value) = value {
                        location[member] = value.as_str().into();
                    }
                }
                Some(json!({"type": "location", "location": location}))
            }
            Known::Contact { name, phones } if !phones.is_empty() && !name.trim().is_empty() => {
                let phones: Vec<Value> =
                    phones.iter().map(|phone| json!({"phone": phone})).collect();
                // A second part of the name is wanted beside the formatted one.
                let name = json!({"formatted_name": name, "first_name": name});
                let contact = json!({"name": name, "phones": phones});
                Some(json!({"type": "contacts", "contacts": [contact]}))
            }
            _ => None,
        }
    }

    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem> {
        let dialect = if form == Form::Text { TEXT } else { MARKUP };
        let parts = split(blocks, TEXT_CHARS_MAX, &dialect)?;
        let body = |part: &Vec<Block>| {
            let text = dialect.write(part);
            json!({"type": "text", "text": {"body": text, "preview_url": false}})
        };
        Ok(parts.iter().map(body).collect())
    }

    fn shows_pictures(&self, form: Form) -> bool {
        // At the head of a card.
        form == Form::Card
    }

    fn pings(&self, _: Form, _: MentionKind, _: Option<&str>) -> bool {
        false
    }
}

/// The plan at the context's rung: below the lowest form there is the template, if one is set.
///
/// # Errors
/// As [`plan`].
pub(super) fn render(
    template: Option<&Template>,
    message: &Message,
    context: &Context<'_>,
) -> Result<Plan, Problem> {
    let problem = match plan(&Number, message, context) {
        Ok(plan) => return Ok(plan),
        Err(problem) => problem,
    };
    let (Some(template), "no_lower_form", Some(rung)) =
        (template, problem.code, context.rung.checked_sub(1))
    else {
        return Err(problem);
    };
    let above = Context {
        rung,
        ..context.clone()
    };
    let Ok(mut plan) = plan(&Number, message, &above) else {
        return Err(problem);
    };
    let body = bytes_of(&template_body(template, message));
    plan.steps = vec![Step::send(body.into(), MEDIA_TYPE)];
    plan.degraded.push(TO_TEMPLATE.to_owned());
    plan.degraded.sort_unstable();
    Ok(plan)
}

fn template_body(template: &Template, message: &Message) -> Value {
    let mut body = json!({"name": template.name, "language": {"code": template.language}});
    if template.with_text {
        let text = message.body.text().unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().collect();
        let text = shorten(&words.join(" "), VARIABLE_CHARS_MAX);
        // WhatsApp takes no empty variable.
        let text = if text.is_empty() { "…" } else { &text };
        let parameter = json!({"type": "text", "text": text});
        body["components"] = json!([{"type": "body", "parameters": [parameter]}]);
    }
    json!({"type": "template", "template": body})
}

/// Makes the first part of a plan a reply to a message of WhatsApp.
pub(super) fn answer(plan: &mut Plan, message_id: &str) {
    let first = plan
        .steps
        .iter_mut()
        .find(|step| step.kind == StepKind::Send);
    if let Some(step) = first {
        let mut body = members(step);
        let answered = || json!({"message_id": message_id});
        body.entry("context").or_insert_with(answered);
        step.body = bytes_of(&Value::Object(body)).into();
    }
}

/// A plan's steps are objects.
fn members(step: &Step) -> Map<String, Value> {
    serde_json::from_slice(&step.body).unwrap_or_default()
}

/// The body of a message as it is sent: to whom, and with the delivery's id, which comes back with the news of what became of
/// it.
///
/// # Errors
/// `missing_upload`.
pub(super) fn addressed(to: &str, step: &Step, context: &Context<'_>) -> Result<Bytes, Problem> {
    let mut body = json!({
        "messaging_product": "whatsapp",
        "recipient_type": "individual",
        "to": to,
        "biz_opaque_callback_data": context.delivery.to_string()
    });
    for (name, value) in members(step) {
        if body.get(&name).is_none() {
            body[name] = value;
        }
    }
    fill(&mut body, context)?;
    Ok(bytes_of(&body).into())
}
