//! From a message to the plan of a chat platform: which form, by the ladder and the rung; which steps, in order. What a
//! form looks like is the platform's. Must not know any platform by name.

use std::collections::BTreeSet;

use anser_core::channel::{Context, Plan, Step};
use anser_core::message::Body;
use anser_core::message::segment::MentionKind;
use anser_core::{Message, Problem};
use serde_json::Value;

use super::content::{
    Block, CardPart, Content, Look, Part, Role, Run, card_blocks, is_bare, is_blank, runs,
};
use super::split::PARTS_MAX;

/// The one format of a chat platform: its own.
pub(crate) const FORMAT: &str = "native";
/// The media type of a step.
pub(crate) const MEDIA_TYPE: &str = "application/json; charset=utf-8";
/// The version of the rendering.
const VERSION: u16 = 1;

/// The forms a message can have, the lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Form {
    /// Text without markup.
    Text,
    /// Text with links and mentions, as data.
    Post,
    /// Text with markup.
    Markdown,
    /// The platform's cards.
    Card,
    /// The publisher's own JSON for this platform.
    Override,
}

impl Form {
    const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Post => "post",
            Self::Markdown => "markdown",
            Self::Card => "card",
            Self::Override => "override",
        }
    }
}

/// What a part holds beside plain text.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Needs {
    /// Styles, code, headings, quotations, lists, rules or pictures.
    pub(crate) markup: bool,
    /// Links that read other than where they lead.
    pub(crate) links: bool,
    /// Mentions.
    pub(crate) mentions: bool,
}

/// A chat platform's forms. Bodies are JSON objects, one a message.
pub(crate) trait Platform {
    /// The kind of channel.
    fn kind(&self) -> &'static str;

    /// The members of `body.override` that are for it, the first wins.
    fn overrides(&self) -> &'static [&'static str];

    /// Its forms, the richest first, without [`Form::Override`].
    fn forms(&self) -> &'static [Form];

    /// The form that shows all of it.
    fn needed(&self, needs: Needs) -> Form;

    /// A native payload as a body; `None` when it is none, or too long.
    fn native(&self, payload: &Value) -> Option<Value>;

    /// A card as one body or more; `None` when the platform's form cannot hold it.
    fn card(&self, card: &CardPart) -> Option<Vec<Value>>;

    /// Blocks in a form, split as the platform's limits want.
    ///
    /// # Errors
    /// `too_long`.
    fn blocks(&self, form: Form, blocks: Vec<Block>) -> Result<Vec<Value>, Problem>;

    /// Whether the platform shows pictures by their URL in that form, or a link.
    fn shows_pictures(&self, form: Form) -> bool;

    /// Whether the platform pings for such a mention in that form.
    fn pings(&self, form: Form, kind: MentionKind, id: Option<&str>) -> bool;
}

/// The plan of a message at the context's rung.
///
/// # Errors
/// `invalid_format`; `empty_message` when there is nothing to show; `no_lower_form` when the rung is below the lowest
/// form; `too_long`.
pub(crate) fn plan(
    platform: &dyn Platform,
    message: &Message,
    context: &Context<'_>,
) -> Result<Plan, Problem> {
    check_format(context.format)?;
    let content = Content::of(message, platform.kind());
    let mut degraded = content.degraded.clone();
    let given = native_override(platform, message);
    let native = given.and_then(|payload| platform.native(payload));
    let mut forms = Vec::new();
    if native.is_some() {
        forms.push(Form::Override);
    }
    if !content.is_blank() {
        let highest = highest(platform, &content);
        forms.extend(platform.forms().iter().filter(|form| **form <= highest));
    }
    let rung = usize::from(context.rung);
    let Some(form) = forms.get(rung).copied() else {
        return Err(no_form(&forms));
    };
    if let (Some(_), None) = (given, &native) {
        degraded.insert(format!("override->{}", form.name()));
    }
    for pair in forms[..=rung].windows(2) {
        degraded.insert(format!("{}->{}", pair[0].name(), pair[1].name()));
    }
    let bodies = match native {
        Some(body) if form == Form::Override => vec![body],
        _ => bodies(platform, content.parts, form, &mut degraded)?,
    };
    if bodies.is_empty() {
        return Err(no_form(&[]));
    }
    if bodies.len() > PARTS_MAX {
        let detail = format!("would take more than {PARTS_MAX} messages on this platform");
        return Err(Problem::invalid("too_long", "body", detail));
    }
    Ok(Plan {
        version: VERSION,
        steps: bodies.iter().map(step).collect(),
        degraded: degraded.into_iter().collect(),
    })
}

fn check_format(format: Option<&str>) -> Result<(), Problem> {
    match format {
        None | Some(FORMAT) => Ok(()),
        Some(_) => Err(Problem::invalid(
            "invalid_format",
            "format",
            "a chat platform has its own form only; leave the format out",
        )
        .accepted(FORMAT)),
    }
}

fn no_form(forms: &[Form]) -> Problem {
    match forms.last() {
        Some(lowest) => {
            let detail = format!(
                "the platform refused the message in its lowest form, {}, too",
                lowest.name()
            );
            Problem::invalid("no_lower_form", "body", detail)
        }
        None => Problem::invalid(
            "empty_message",
            "body",
            "has nothing that this platform could show; a chat message needs text, a link, a picture or a card",
        ),
    }
}

fn native_override<'m>(platform: &dyn Platform, message: &'m Message) -> Option<&'m Value> {
    let Body::Content(content) = &message.body else {
        return None;
    };
    let mut names = platform.overrides().iter();
    names.find_map(|name| content.overrides.get(*name))
}

/// The richest form that any part wants.
fn highest(platform: &dyn Platform, content: &Content) -> Form {
    let wanted = content.parts.iter().map(|part| match part {
        Part::Native(_) => Form::Card,
        Part::Card(card) if platform.card(card).is_some() => Form::Card,
        Part::Card(card) => platform.needed(needs(&card_blocks(card))),
        Part::Blocks(blocks) => platform.needed(needs(blocks)),
    });
    wanted.max().unwrap_or(Form::Text)
}

fn needs(blocks: &[Block]) -> Needs {
    let mut needs = Needs::default();
    for block in blocks {
        let paragraph = matches!(
            block,
            Block::Line {
                role: Role::Paragraph,
                ..
            }
        );
        needs.markup |= !paragraph;
    }
    for run in runs(blocks) {
        match run {
            Run::Text { look, .. } => needs.markup |= *look != Look::PLAIN,
            Run::Image { .. } => needs.markup = true,
            Run::Link { label, url } => needs.links |= !is_bare(label, url),
            Run::Mention { .. } => needs.mentions = true,
            Run::Break => {}
        }
    }
    needs
}

fn bodies(
    platform: &dyn Platform,
    parts: Vec<Part>,
    form: Form,
    degraded: &mut BTreeSet<String>,
) -> Result<Vec<Value>, Problem> {
    let below_card = |form: Form| {
        let mut forms = platform.forms().iter().copied();
        forms
            .find(|lower| *lower < Form::Card && *lower <= form)
            .unwrap_or(Form::Text)
    };
    let mut bodies = Vec::new();
    for part in parts {
        let blocks = match part {
            Part::Native(payload) => {
                bodies.extend(platform.native(&payload));
                continue;
            }
            Part::Card(card) => {
                let native = (form == Form::Card).then(|| platform.card(&card)).flatten();
                if let Some(native) = native {
                    if matches!(card.image, Some(Run::Image { .. }))
                        && !platform.shows_pictures(form)
                    {
                        degraded.insert("image->link".to_owned());
                    }
                    bodies.extend(native);
                    continue;
                }
                degraded.insert(format!("card->{}", below_card(Form::Card).name()));
                card_blocks(&card)
            }
            Part::Blocks(blocks) => blocks,
        };
        if is_blank(&blocks) {
            continue;
        }
        let form = below_card(form.min(platform.needed(needs(&blocks))));
        note_losses(platform, form, &blocks, degraded);
        bodies.extend(platform.blocks(form, blocks)?);
    }
    Ok(bodies)
}

fn note_losses(
    platform: &dyn Platform,
    form: Form,
    blocks: &[Block],
    degraded: &mut BTreeSet<String>,
) {
    for run in runs(blocks) {
        let lost = match run {
            Run::Mention { kind, id, .. } if !platform.pings(form, *kind, id.as_deref()) => {
                "mention->text"
            }
            Run::Image { .. } if !platform.shows_pictures(form) => "image->link",
            _ => continue,
        };
        degraded.insert(lost.to_owned());
    }
}

fn step(body: &Value) -> Step {
    Step::send(json(body).into(), MEDIA_TYPE)
}

/// A JSON value as bytes.
pub(crate) fn json(value: &Value) -> Vec<u8> {
    serde_json::to_vec(value).expect("a JSON value always serialises")
}

/// A native payload that is an object with something in it, of at most `most` bytes.
pub(crate) fn object_within(payload: &Value, most: usize) -> Option<Value> {
    let some = payload.as_object().is_some_and(|object| !object.is_empty());
    (some && json(payload).len() <= most).then(|| payload.clone())
}

/// The first words of blocks, for a title or a preview: on one line, of at most `most` characters.
pub(crate) fn preview(blocks: &[Block], most: usize) -> String {
    let mut text = String::new();
    for block in blocks {
        match block {
            Block::Line { runs, .. } => {
                for run in runs {
                    preview_run(run, &mut text);
                }
            }
            Block::Code { text: code, .. } => text.push_str(code),
            Block::Divider => {}
        }
        text.push(' ');
        if text.len() > most.saturating_mul(4) {
            break;
        }
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    shorten(&words.join(" "), most)
}

fn preview_run(run: &Run, text: &mut String) {
    match run {
        Run::Text { text: plain, .. } => text.push_str(plain),
        Run::Break => text.push(' '),
        Run::Link { label, .. } => text.push_str(label),
        Run::Image { alt, .. } => text.push_str(&format!("[image: {alt}]")),
        Run::Mention { kind, id, name } => {
            let name = super::content::mention_name(*kind, id.as_deref(), name.as_deref());
            text.push_str(&format!("@{name}"));
        }
    }
}

/// A text of at most `most` characters; what is left out shows as an ellipsis. Never inside a grapheme.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation as _;
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for grapheme in text.graphemes(true) {
        used += grapheme.chars().count();
        if used > most {
            break;
        }
        short.push_str(grapheme);
    }
    short.push('…');
    short
}
