//! From a message to the plan of a chat platform: which form, by the ladder and the rung; which steps, in order. What a
//! form looks like is the platform's. Must not know any platform by name.

mod preview;

use std::collections::BTreeSet;

use anser_core::channel::{Context, Instead, Plan, Step, StepKind};
use anser_core::message::Body;
use anser_core::message::segment::{Known, MentionKind};
use anser_core::{Message, Problem};
use serde_json::Value;

use super::content::{
    Block, CardPart, Content, Look, MediaPart, Part, Role, Run, Shows, card_blocks, is_bare,
    is_blank, runs,
};
use super::media::uploads_first;
use super::split::PARTS_MAX;

pub(crate) use preview::{preview, shorten};

/// The one format of a chat platform: its own.
pub(crate) const FORMAT: &str = "native";
/// The media type of a step.
pub(crate) const MEDIA_TYPE: &str = "application/json; charset=utf-8";
/// The version of the rendering.
pub(super) const VERSION: u16 = 1;

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

    /// A card as one body or more; `None` when the platform's form cannot hold it. When the card has `media`, the steps
    /// of [`Platform::card_uploads`] are put directly before the first body.
    fn card(&self, card: &CardPart) -> Option<Vec<Value>>;

    /// The steps that show an attachment natively: what brings it to the platform, then one [`StepKind::Send`], made by the
    /// functions of [`super::media`]. The plan has all uploads first, so that only a [`super::media::mark`] may refer to
    /// another step. `None` when the platform does not take it, for its kind, media type or size: then it goes
    /// as a picture by its URL, as a link, or as text. A picture that the platform shows by its URL is better not taken.
    fn media(&self, media: &MediaPart) -> Option<Vec<Step>> {
        let _ = media;
        None
    }

    /// The steps that show an attachment with text beside it as one message, where nothing else is in the message. `None`
    /// when the platform cannot, as for a text that is too long: then each is a message of its own.
    fn captioned(&self, media: &MediaPart, blocks: &[Block], form: Form) -> Option<Vec<Step>> {
        let _ = (media, blocks, form);
        None
    }

    /// The steps that bring a picture to the platform for use in a card, the last of which gives what the card names it
    /// by. `None` when it takes none there, or not this one: then the card has a link or a note.
    fn card_uploads(&self, media: &MediaPart) -> Option<Vec<Step>> {
        let _ = media;
        None
    }

    /// The body that shows another segment natively as a message of its own, such as a place or a contact.
    fn segment(&self, segment: &Known) -> Option<Value> {
        let _ = segment;
        None
    }

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
    let content = content(platform, message, context);
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
    let steps = match native {
        Some(body) if form == Form::Override => vec![step(&body)],
        _ => uploads_first(steps(platform, content.parts, form, &mut degraded)?),
    };
    if steps.is_empty() {
        return Err(no_form(&[]));
    }
    let sends = steps.iter().filter(|step| step.kind == StepKind::Send);
    if sends.count() > PARTS_MAX {
        let detail = format!("would take more than {PARTS_MAX} messages on this platform");
        return Err(Problem::invalid("too_long", "body", detail));
    }
    Ok(Plan {
        version: VERSION,
        steps,
        degraded: degraded.into_iter().collect(),
    })
}

/// The message taken apart for the platform; without media after one was refused.
fn content(platform: &dyn Platform, message: &Message, context: &Context<'_>) -> Content {
    let takes = !context.media_refused;
    let shows = Shows {
        kind: platform.kind(),
        media: &|media| takes && platform.media(media).is_some(),
        in_card: &|media| takes && platform.card_uploads(media).is_some(),
        segment: &|segment| platform.segment(segment),
        links: context.links,
    };
    Content::of(message, &shows)
}

pub(crate) fn check_format(format: Option<&str>) -> Result<(), Problem> {
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
        Part::Media(_) | Part::Segment(_) => platform.needed(Needs::default()),
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

/// The form of a text, in a message of that form: what it needs and no more, and never a card.
fn text_form(platform: &dyn Platform, form: Form, blocks: &[Block]) -> Form {
    let form = form.min(platform.needed(needs(blocks)));
    let mut forms = platform.forms().iter().copied();
    forms
        .find(|lower| *lower < Form::Card && *lower <= form)
        .unwrap_or(Form::Text)
}

fn steps(
    platform: &dyn Platform,
    parts: Vec<Part>,
    form: Form,
    degraded: &mut BTreeSet<String>,
) -> Result<Vec<Step>, Problem> {
    if let [Part::Media(media), Part::Blocks(blocks)] | [Part::Blocks(blocks), Part::Media(media)] =
        parts.as_slice()
        && !is_blank(blocks)
    {
        let form = text_form(platform, form, blocks);
        if let Some(steps) = platform.captioned(media, blocks, form) {
            note_losses(platform, form, blocks, degraded);
            return Ok(steps);
        }
    }
    let several = parts.len() > 1;
    let mut steps = Vec::new();
    for part in parts {
        let blocks = match part {
            Part::Native(payload) => {
                steps.extend(platform.native(&payload).iter().map(step));
                continue;
            }
            Part::Segment(body) => {
                steps.push(step(&body));
                continue;
            }
            Part::Media(media) => {
                let mut shown = platform.media(&media).unwrap_or_default();
                if let (true, Some(send)) = (several, shown.last_mut()) {
                    let blocks = vec![Block::paragraph(vec![media.fallback.clone()])];
                    send.instead = instead(platform, form, blocks, media.kind.name());
                }
                steps.extend(shown);
                continue;
            }
            Part::Card(card) => match native_card(platform, &card, form, several, degraded) {
                Some(native) => {
                    steps.extend(native);
                    continue;
                }
                None => card_blocks(&card),
            },
            Part::Blocks(blocks) => blocks,
        };
        if is_blank(&blocks) {
            continue;
        }
        let form = text_form(platform, form, &blocks);
        note_losses(platform, form, &blocks, degraded);
        steps.extend(platform.blocks(form, blocks)?.iter().map(step));
    }
    Ok(steps)
}

/// The steps of a card, with its picture brought before it; `None` when it is to go as text.
fn native_card(
    platform: &dyn Platform,
    card: &CardPart,
    form: Form,
    several: bool,
    degraded: &mut BTreeSet<String>,
) -> Option<Vec<Step>> {
    let native = (form == Form::Card).then(|| platform.card(card)).flatten();
    let shown_by_url = matches!(card.image, Some(Run::Image { .. }));
    let Some(bodies) = native else {
        let mut lower = platform.forms().iter().filter(|form| **form < Form::Card);
        let lower = lower.next().copied().unwrap_or(Form::Text);
        degraded.insert(format!("card->{}", lower.name()));
        if card.media.is_some() && !shown_by_url {
            degraded.insert("image->text".to_owned());
        }
        return None;
    };
    let uploads = card
        .media
        .as_ref()
        .map(|media| platform.card_uploads(media));
    if uploads.is_none() && shown_by_url && !platform.shows_pictures(form) {
        degraded.insert("image->link".to_owned());
    }
    let mut steps = uploads.flatten().unwrap_or_default();
    let before = steps.len();
    steps.extend(bodies.iter().map(step));
    if let (true, [.., only]) = (several && steps.len() == before + 1, steps.as_mut_slice()) {
        only.instead = instead(platform, form, card_blocks(card), Form::Card.name());
    }
    Some(steps)
}

/// A part in a lower form, as one message; `None` when it takes more than one.
fn instead(
    platform: &dyn Platform,
    form: Form,
    blocks: Vec<Block>,
    from: &str,
) -> Option<Box<Instead>> {
    let form = text_form(platform, form, &blocks);
    let to = match blocks.as_slice() {
        [Block::Line { runs, .. }] => match runs.as_slice() {
            [Run::Link { .. }] => "link",
            [Run::Image { .. }] if platform.shows_pictures(form) => "url",
            [Run::Image { .. }] => "link",
            _ => form.name(),
        },
        _ => form.name(),
    };
    let bodies = platform.blocks(form, blocks).ok()?;
    let [body] = bodies.as_slice() else {
        return None;
    };
    Some(Box::new(Instead {
        steps: vec![step(body)],
        degraded: vec![format!("{from}->{to}")],
    }))
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
