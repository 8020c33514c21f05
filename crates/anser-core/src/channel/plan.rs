//! What a message becomes on a channel: steps, and how far a delivery got with them. Must not know any platform.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// What a message becomes on a channel: ordered steps, of which a retry resumes at the one that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Version of the channel's rendering; a stored plan of another version is still sent as it is.
    pub version: u16,
    /// In order.
    pub steps: Vec<Step>,
    /// Rungs of the degradation ladder that were taken, such as `card->markdown`.
    pub degraded: Vec<String>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// What it does.
    pub kind: StepKind,
    /// The rendered body.
    #[serde(with = "base64_bytes")]
    pub body: Bytes,
    /// Its media type.
    pub media_type: String,
    /// The id of the attachment that it carries or is about. When the platform does not take this step
    /// ([`crate::outcome::Outcome::Degrade`]), the message is rendered anew with links in place of attachments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<String>,
    /// The attachment's bytes are wanted whole in [`super::Context::media`]; at most
    /// [`crate::limits::ATTACHMENT_LOADED_BYTES_MAX`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub loaded: bool,
    /// The platform's id of the part that it changes or takes back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What is done in its place when the platform does not take it, or its attachment is not to be had, after another part
    /// was seen: the message can then not be rendered anew. `None`: the delivery ends there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Box<Instead>>,
}

/// A lower form of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instead {
    /// In the place of the step. One step, where those after it count the steps to what they refer to.
    pub steps: Vec<Step>,
    /// Rungs of the degradation ladder that this takes.
    pub degraded: Vec<String>,
}

impl Plan {
    /// Puts the lower form of a step in its place; false when it has none.
    pub fn lower(&mut self, place: usize) -> bool {
        let step = self.steps.get_mut(place);
        let Some(instead) = step.and_then(|step| step.instead.take()) else {
            return false;
        };
        self.steps.splice(place..=place, instead.steps);
        self.degraded.extend(instead.degraded);
        self.degraded.sort_unstable();
        self.degraded.dedup();
        true
    }
}

impl Step {
    /// A step that delivers (a part of) the message.
    #[must_use]
    pub fn send(body: Bytes, media_type: impl Into<String>) -> Self {
        Self {
            kind: StepKind::Send,
            body,
            media_type: media_type.into(),
            attachment: None,
            loaded: false,
            of: None,
            instead: None,
        }
    }
}

/// What a step does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// Delivers (a part of) the message; its output is the platform's id of the part.
    Send,
    /// Brings an attachment to the platform, seen by nobody yet; its output is what later steps name it by. Has the time
    /// limits of an upload.
    Upload,
    /// Asks the platform for something that later steps need; its output is the answer, as the channel keeps it.
    Call,
    /// Puts new content into a part that was delivered before.
    Edit,
    /// Takes a part back that was delivered before.
    Recall,
}

impl StepKind {
    /// Whether somebody on the platform can see what it did. What was seen is never rendered again.
    #[must_use]
    pub const fn is_seen(self) -> bool {
        matches!(self, Self::Send | Self::Edit | Self::Recall)
    }
}

/// Bytes as base64 text (RFC 4648 §4), a third of what a list of numbers takes.
mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &Bytes,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Bytes, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD
            .decode(text)
            .map(Bytes::from)
            .map_err(serde::de::Error::custom)
    }
}

/// How far a delivery got, kept with it from the first step that succeeded or whose outcome is unknown, and from the
/// first form that was refused: what was sent is never rendered again, since step numbers are part of idempotency keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The rung to render at.
    pub rung: u8,
    /// Attachments are to go as links.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub media_refused: bool,
    /// It was taken back while it was under way: it does not go on.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
    /// The plan as it was rendered; `None` before any of its steps went out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plan: Option<Plan>,
    /// What the steps that are done gave, one a step; steps are done in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delivered: Vec<Option<String>>,
}

impl Checkpoint {
    /// From the bytes stored with the delivery. `None` when they are of a form that this program does not read: the
    /// message is rendered anew.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// As bytes to store.
    #[must_use]
    pub fn write(&self) -> Bytes {
        serde_json::to_vec(self)
            .expect("texts, numbers and lists always serialise")
            .into()
    }
}
