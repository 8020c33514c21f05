//! Where a message goes: a channel, a thread or a person, and what it replies to; and what a message that was sent is known
//! by. Must not look at what the message says.

use anser_core::{Message, Problem};

use crate::kit::discord::is_number;
use crate::kit::settings::is_path_token;

/// What a target looks like.
const TARGET_RULE: &str = "the id of a channel or thread, a number, or user/ID for a person";

/// Bytes of an interaction's token: longer than any id, so that it is none.
const TOKEN_BYTES_MIN: usize = 24;
/// More than Discord's have, about 216, and so few that a token and its app's id fit into `reply_to`.
const TOKEN_BYTES_MAX: usize = 235;

/// A channel, which a thread is as well, or a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// The id of a channel or thread.
    Channel(String),
    /// The id of a person, whose channel has to be asked for.
    Person(String),
}

/// What a message that was sent is known by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// The channel's id; `None` in a reference that names the message only.
    pub(super) channel: Option<String>,
    /// The message's id.
    pub(super) message: String,
}

/// An interaction that is to be answered. What is posted to its webhook continues the answer that was put off, and later
/// posts follow it (<https://discord.com/developers/docs/interactions/receiving-and-responding#followup-messages>).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Interaction {
    app: String,
    token: String,
}

impl Interaction {
    /// Of an app's id and the interaction's token; `None` when they are none.
    pub(super) fn new(app: &str, token: &str) -> Option<Self> {
        let good = is_number(app)
            && (TOKEN_BYTES_MIN..=TOKEN_BYTES_MAX).contains(&token.len())
            && is_path_token(&token.replace('=', ""));
        good.then(|| Self {
            app: app.to_owned(),
            token: token.to_owned(),
        })
    }

    /// Reads `APP_ID:TOKEN`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (app, token) = text.split_once(':')?;
        Self::new(app, token)
    }

    /// The path of its webhook.
    pub(super) fn path(&self) -> String {
        format!("/webhooks/{}/{}", self.app, self.token)
    }
}

impl std::fmt::Display for Interaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.app, self.token)
    }
}

/// How a message goes out.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Where to.
    pub(super) target: Target,
    /// The message there that it replies to.
    pub(super) reply_to: Option<String>,
    /// The interaction that it answers.
    pub(super) interaction: Option<Interaction>,
}

impl Target {
    /// Reads `ID` or `user/ID`.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let (person, id) = match text.strip_prefix("user/") {
            Some(id) => (true, id),
            None => (false, text),
        };
        if !is_number(id) {
            let detail =
                "is no channel or person of Discord; turn on Developer Mode and use Copy ID";
            return Err(Problem::invalid("invalid_target", field, detail).accepted(TARGET_RULE));
        }
        let id = id.to_owned();
        Ok(if person {
            Self::Person(id)
        } else {
            Self::Channel(id)
        })
    }
}

impl Sent {
    /// Reads `CHANNEL:MESSAGE`, or `MESSAGE`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (channel, message) = match text.split_once(':') {
            Some((channel, message)) => (Some(channel), message),
            None => (None, text),
        };
        let good = is_number(message) && channel.is_none_or(is_number);
        good.then(|| Self {
            channel: channel.map(str::to_owned),
            message: message.to_owned(),
        })
    }
}

/// How a message goes out to whom its address or the settings have `named`. A thread that its conversation names is where it goes. A message to several, or whose conversation
/// is another channel than the delivery's, replies to nothing: every copy would land in the one channel.
///
/// # Errors
/// `missing_target` when nobody is named.
pub(super) fn way(named: Option<Target>, message: &Message) -> Result<Way, Problem> {
    let mut target = named;
    let header = &message.header;
    let conversation = header.conversation.as_ref();
    let is_here = match conversation {
        Some(conversation) => {
            let chat = conversation.id.split_once('/').map(|(_, chat)| chat);
            let chat = chat.and_then(|chat| Target::parse("conversation", chat).ok());
            target.is_none() || chat == target
        }
        None => header.to.len() <= 1,
    };
    let thread = conversation.and_then(|conversation| conversation.thread.as_deref());
    if let Some(thread) = thread.filter(|thread| is_here && is_number(thread)) {
        target = Some(Target::Channel(thread.to_owned()));
    }
    let answered = header.reply_to.as_deref().filter(|_| is_here);
    let interaction = answered.and_then(Interaction::parse);
    let answered = answered.and_then(Sent::parse);
    let mut reply_to = None;
    if let Some(Sent { channel, message }) = answered {
        if let (None, Some(channel)) = (&target, &channel) {
            target = Some(Target::Channel(channel.clone()));
        }
        let same = match (&target, channel) {
            (Some(Target::Channel(id)), Some(channel)) => *id == channel,
            // The channel of a person has an id of its own, and the platform lets no other be replied to.
            (Some(_), _) => true,
            (None, _) => false,
        };
        reply_to = Some(message).filter(|_| same);
    }
    let Some(target) = target else {
        let detail = "names nobody to send to: add a channel to the address (NAME/CHANNEL_ID), or set settings.channel_id";
        return Err(Problem::invalid("missing_target", "to", detail).accepted(TARGET_RULE));
    };
    Ok(Way {
        target,
        reply_to,
        interaction,
    })
}
