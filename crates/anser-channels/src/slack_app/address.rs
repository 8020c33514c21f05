//! Where a message goes: a channel or person, and the thread there; and what a message that was sent is known by. Must not
//! look at what the message says.

use anser_core::{Message, Problem};

/// What a target looks like.
const TARGET_RULE: &str =
    "a channel (C…, G…, D…) or a person (U…), and for a thread /1700000000.000100 after it";
/// Characters of an id.
const ID_CHARS: std::ops::RangeInclusive<usize> = 2..=32;
/// Digits of a timestamp before and after its dot.
const TS_DIGITS_MAX: usize = 12;

/// A channel or person, and perhaps a thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The id of the channel or person.
    pub(super) id: String,
    /// The timestamp of the message that the thread is below.
    pub(super) thread: Option<String>,
}

/// What a message that was sent is known by: timestamps are unique within a channel only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    /// The channel's id; `None` in a reference that names the timestamp only.
    pub(super) channel: Option<String>,
    /// The message's timestamp.
    pub(super) ts: String,
}

impl Target {
    /// Reads `ID` or `ID/THREAD`.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let (id, thread) = match text.split_once('/') {
            Some((id, thread)) => (id, Some(thread)),
            None => (text, None),
        };
        if !is_id(id, "CGDUW") || !thread.is_none_or(is_ts) {
            let detail = "is no channel or person of Slack; names do not do, copy the id from the channel's details";
            return Err(Problem::invalid("invalid_target", field, detail).accepted(TARGET_RULE));
        }
        Ok(Self {
            id: id.to_owned(),
            thread: thread.map(str::to_owned),
        })
    }

    /// Whether it is a person, and no conversation.
    pub(super) fn is_person(&self) -> bool {
        self.id.starts_with(['U', 'W'])
    }
}

impl Sent {
    /// Reads `CHANNEL:TS`, or `TS`.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (channel, ts) = match text.split_once(':') {
            Some((channel, ts)) => (Some(channel), ts),
            None => (None, text),
        };
        let good = is_ts(ts) && channel.is_none_or(|channel| is_id(channel, "CGD"));
        good.then(|| Self {
            channel: channel.map(str::to_owned),
            ts: ts.to_owned(),
        })
    }
}

/// Whether it is the id of a file.
pub(super) fn is_file(text: &str) -> bool {
    is_id(text, "F")
}

fn is_id(text: &str, initials: &str) -> bool {
    ID_CHARS.contains(&text.len())
        && text.starts_with(|c: char| initials.contains(c))
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// Seconds and microseconds since the Unix epoch, with a dot between.
fn is_ts(text: &str) -> bool {
    let digits = |text: &str| {
        (1..=TS_DIGITS_MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    text.split_once('.')
        .is_some_and(|(seconds, rest)| digits(seconds) && digits(rest))
}

/// Where every part of a delivery goes, `named` by its address or the settings. The thread is that of the address, else that of the conversation, else the one below
/// the message that is answered: on this platform an answer is a message in a thread.
///
/// A message to several, or whose conversation is another chat than the delivery's, answers nothing: every copy would land
/// below the one message.
///
/// # Errors
/// `missing_target` when nobody is named.
pub(super) fn target(named: Option<Target>, message: &Message) -> Result<Target, Problem> {
    let mut target = named;
    let header = &message.header;
    let conversation = header.conversation.as_ref();
    let is_here = match conversation {
        Some(conversation) => {
            let chat = conversation.id.split_once('/').map(|(_, chat)| chat);
            let chat = chat.and_then(|chat| Target::parse("conversation", chat).ok());
            let here = target.as_ref().map(|target| &target.id);
            here.is_none() || chat.as_ref().map(|chat| &chat.id) == here
        }
        None => header.to.len() <= 1,
    };
    let thread = conversation.and_then(|conversation| conversation.thread.as_deref());
    let mut below = [thread, header.reply_to.as_deref()].into_iter().flatten();
    if let Some(answered) = below.find_map(Sent::parse).filter(|_| is_here) {
        match (&mut target, answered.channel) {
            (Some(target), channel) => {
                // A conversation with a person has an id of its own.
                let same = channel.is_none_or(|channel| {
                    channel == target.id || (target.is_person() && channel.starts_with('D'))
                });
                if same && target.thread.is_none() {
                    target.thread = Some(answered.ts);
                }
            }
            (None, Some(id)) => {
                let thread = Some(answered.ts);
                target = Some(Target { id, thread });
            }
            (None, None) => {}
        }
    }
    target.ok_or_else(|| {
        let detail = "names nobody to send to: add a channel or person to the address (NAME/C…), or set settings.channel";
        Problem::invalid("missing_target", "to", detail).accepted(TARGET_RULE)
    })
}
