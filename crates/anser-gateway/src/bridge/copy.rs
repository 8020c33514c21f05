//! How a message reads in another chat: under the name of who wrote it, in words where the platforms have nothing in common.
//! Must not read what only its own platform understands.

use anser_core::message::body::BodyFields;
use anser_core::message::segment::{Known, MentionKind, Segment, Style};
use anser_core::message::{Body, Conversation, Header, Sender};
use anser_core::resource::BridgeNames;
use anser_core::store::AliasKind;
use anser_core::{Message, Problem};
use serde_json::{Value, json};

use super::{Event, Said, type_of};
use crate::config::{Bridge, Chat};

/// What stands before the new text of a message that could not be changed in place.
const EDITED_MARK: &str = "edited: ";

/// In what form it goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// As what it is: a message, or a change of an earlier copy.
    Same,
    /// As a message that says what was edited, where a copy cannot be changed.
    Told,
}

/// How one goes out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Manner {
    /// In what form.
    pub(crate) form: Form,
    /// The platform's id of the message that it answers there.
    pub(crate) reply_to: Option<String>,
    /// What its author is called, where the event itself does not say it.
    pub(crate) author: Option<String>,
}

/// The copy of a message for a chat.
///
/// # Errors
/// `not_bridged` for content that cannot be read.
pub(crate) fn copy(
    bridge: &Bridge,
    event: &Event<'_>,
    message: &Message,
    to: &Chat,
    manner: Manner,
) -> Result<Message, Problem> {
    let platform = bridge.chat(event.conversation).map(|chat| &chat.platform);
    let mut segments = match bridge.names {
        BridgeNames::Prefix => vec![signature(&message.header.from, &manner, platform)],
        BridgeNames::None => Vec::new(),
    };
    let kind = match manner.form {
        Form::Same => event.kind,
        Form::Told => {
            segments.push(text(EDITED_MARK, &[Style::Italic]));
            AliasKind::Original
        }
    };
    segments.extend(content(event.kind, message)?);
    let stays = |segment: &Segment| is_common(segment, message);
    let segments = segments.into_iter().map(in_words).filter(stays);
    let fields = BodyFields {
        segments: Some(segments.map(|segment| json!(segment)).collect()),
        ..BodyFields::default()
    };
    Ok(Message {
        v: message.v,
        header: header(&message.header, kind, to, manner.reply_to),
        body: Body::try_from(fields)?,
        attachments: message.attachments.clone(),
    })
}

fn header(from: &Header, kind: AliasKind, to: &Chat, reply_to: Option<String>) -> Header {
    let mut header = from.clone();
    type_of(kind).clone_into(&mut header.r#type);
    header.to.clear();
    // What only the other platform understands.
    header.ext.clear();
    header.conversation = Some(Conversation {
        id: to.address.clone(),
        r#type: None,
        thread: None,
    });
    header.reply_to = reply_to;
    header
}

/// Who wrote it, and where.
fn signature(from: &Sender, manner: &Manner, platform: Option<&String>) -> Segment {
    let names = [from.name.as_ref(), manner.author.as_ref()];
    let name = names.into_iter().flatten().next().unwrap_or(&from.id);
    let said = match platform {
        Some(platform) => format!("{name} ({platform}): "),
        None => format!("{name}: "),
    };
    text(&said, &[Style::Bold])
}

fn text(text: &str, style: &[Style]) -> Segment {
    Segment::Known(Box::new(Known::Text {
        text: text.to_owned(),
        style: style.to_vec(),
    }))
}

/// What was said.
fn content(kind: AliasKind, message: &Message) -> Result<Vec<Segment>, Problem> {
    let unreadable = || {
        let detail = "it has no content for people, so there is nothing to be carried over";
        Problem::invalid("not_bridged", "body", detail)
    };
    match (&message.body, kind) {
        (_, AliasKind::Recalled) => Ok(Vec::new()),
        (Body::Content(content), _) => Ok(content.segments.clone()),
        (Body::Data(_), AliasKind::Edited) => {
            let fields = BodyFields {
                segments: Some(Said::of(message).segments),
                ..BodyFields::default()
            };
            match Body::try_from(fields)? {
                Body::Content(content) => Ok(content.segments),
                Body::Data(_) | Body::Bytes { .. } => Err(unreadable()),
            }
        }
        (Body::Data(_) | Body::Bytes { .. }, _) => Err(unreadable()),
    }
}

/// Ids of people and native content mean nothing elsewhere: they become text.
fn in_words(segment: Segment) -> Segment {
    let Segment::Known(known) = segment else {
        return segment;
    };
    match *known {
        Known::Mention { kind, id, name } => {
            let whom = match kind {
                MentionKind::All => Some("all".to_owned()),
                MentionKind::Here => Some("here".to_owned()),
                MentionKind::User | MentionKind::Role | MentionKind::Channel => name.or(id),
            };
            let sign = if kind == MentionKind::Channel {
                '#'
            } else {
                '@'
            };
            text(&format!("{sign}{}", whom.unwrap_or_default()), &[])
        }
        known => Segment::Known(Box::new(known)),
    }
}

/// Whether both platforms can have it: its bytes are there, if it shows any. Native content and quotations by id stay
/// behind: what they are has been said in words before.
fn is_common(segment: &Segment, message: &Message) -> bool {
    let Segment::Known(known) = segment else {
        return true;
    };
    let known = match &**known {
        Known::Raw { .. } | Known::Quote { .. } => return false,
        known => known,
    };
    let shown: Value = json!(known);
    shown["att"]
        .as_str()
        .is_none_or(|id| message.attachments.iter().any(|own| own.id == id))
}
