//! Every limit that the message format and the contracts know, by name. Sizes in bytes, times as `Duration`.
//! A configuration may lower the ones in [`Limits`], never raise them.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A message as stored and sent, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 1024 * 1024;
/// Items in one publish.
pub const BATCH_MESSAGES_MAX: usize = 1_000;
/// Bytes of one publish request.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Attachments of one message.
pub const ATTACHMENTS_MAX: usize = 32;
/// Decoded bytes of one inline attachment.
pub const ATTACHMENT_INLINE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one blob.
pub const BLOB_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// How long a blob is kept that no message refers to, from when it was uploaded or referred to last.
pub const BLOB_GRACE: Duration = Duration::from_secs(24 * 3600);
/// How long a signed link to a blob is good unless set otherwise, and the rest of that day.
pub const BLOB_LINK_LIFETIME_DEFAULT: Duration = Duration::from_secs(7 * 24 * 3600);
/// The longest setting of it.
pub const BLOB_LINK_LIFETIME_MAX: Duration = Duration::from_secs(366 * 24 * 3600);
/// Free bytes that the disk keeps when no reserve is set: the larger of this …
pub const DISK_RESERVE_BYTES_MIN: u64 = 256 * 1024 * 1024;
/// … and this share of the file system, in percent.
pub const DISK_RESERVE_PERCENT: u64 = 2;
/// Bytes of an attachment that a channel wants whole in memory for a request.
pub const ATTACHMENT_LOADED_BYTES_MAX: u64 = 10 * 1024 * 1024;
/// An upload that makes no progress for so long is given up.
pub const UPLOAD_STALL_MAX: Duration = Duration::from_secs(15);
/// One upload in all.
pub const UPLOAD_TIME_MAX: Duration = Duration::from_secs(600);
/// Segments in one body.
pub const SEGMENTS_MAX: usize = 200;
/// Text of one segment.
pub const SEGMENT_TEXT_BYTES_MAX: usize = 64 * 1024;
/// Actions of one card.
pub const CARD_ACTIONS_MAX: usize = 20;
/// Nesting of `forward` segments.
pub const FORWARD_DEPTH_MAX: usize = 3;
/// Items of one `forward` segment.
pub const FORWARD_ITEMS_MAX: usize = 50;
/// `header.ext` as JSON.
pub const EXT_BYTES_MAX: usize = 8 * 1024;
/// Tags of one message.
pub const TAGS_MAX: usize = 16;
/// One tag.
pub const TAG_BYTES_MAX: usize = 64;
/// Direct addresses of one message.
pub const TO_MAX: usize = 1_000;
/// One address.
pub const ADDRESS_BYTES_MAX: usize = 512;
/// `header.routing_key`.
pub const ROUTING_KEY_BYTES_MAX: usize = 128;
/// Dots in a routing or binding key.
pub const ROUTING_KEY_DOTS_MAX: usize = 15;
/// `header.type`.
pub const TYPE_BYTES_MAX: usize = 128;
/// Names of topics, channels, subscriptions and other resources.
pub const NAME_BYTES_MAX: usize = 127;
/// `header.key`, `correlation_id`, `dedupe_key` and similar free texts.
pub const KEY_BYTES_MAX: usize = 256;
/// Nesting of `body.data`: arrays and objects inside one another.
pub const DATA_DEPTH_MAX: usize = 100;
/// Deliveries that one request may make.
pub const DELIVERIES_PER_REQUEST_MAX: usize = 100_000;
/// How far ahead `not_before` may lie.
pub const NOT_BEFORE_MAX: Duration = Duration::from_secs(70 * 24 * 3600);
/// How long an idempotency record is kept at most.
pub const DEDUPE_WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long an idempotency record is kept by default.
pub const DEDUPE_WINDOW_DEFAULT: Duration = Duration::from_secs(24 * 3600);
/// A CEL filter expression.
pub const CEL_BYTES_MAX: usize = 4 * 1024;
/// Comprehensions (`all`, `exists`, `map`, `filter`) in one CEL expression: each may walk the whole data.
pub const CEL_COMPREHENSIONS_MAX: usize = 3;
/// Parts of the syntax tree inside one comprehension: each is evaluated for every member of the data.
pub const CEL_MACRO_NODES_MAX: usize = 64;
/// Opening brackets in one CEL expression: each may nest the parser and the evaluator deeper.
pub const CEL_BRACKETS_MAX: usize = 64;
/// Conditionals (`?:`) in one CEL expression.
pub const CEL_CONDITIONALS_MAX: usize = 16;
/// Operators and member accesses in one CEL expression: a chain of them is as deep as it is long.
pub const CEL_OPERATORS_MAX: usize = 400;
/// Additions in one CEL expression: each copies the texts or lists that it joins.
pub const CEL_ADDITIONS_MAX: usize = 16;
/// Calls of `matches` in one CEL expression.
pub const CEL_REGEXES_MAX: usize = 4;
/// A regular expression inside a CEL expression.
pub const CEL_REGEX_BYTES_MAX: usize = 256;
/// A regular expression once compiled, which happens on every evaluation.
pub const CEL_REGEX_COMPILED_BYTES_MAX: usize = 256 * 1024;
/// Patterns or tags in one filter list.
pub const FILTER_ITEMS_MAX: usize = 100;
/// A JSON Schema of a topic or event type.
pub const SCHEMA_BYTES_MAX: usize = 256 * 1024;
/// Delays in a custom retry list.
pub const RETRY_STEPS_MAX: usize = 1_000;
/// One retry delay.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(24 * 3600);
/// Time a delivery may be retried in all.
pub const RETRY_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long an endpoint's `Retry-After` is honoured at most.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);
/// One attempt, from connect to the last byte of the answer: default.
pub const ATTEMPT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(15);
/// One attempt: longest setting.
pub const ATTEMPT_TIMEOUT_MAX: Duration = Duration::from_secs(60);
/// Response body of a failed attempt that is read and kept.
pub const RESPONSE_BYTES_MAX: usize = 16 * 1024;
/// Response body of a successful attempt that is kept.
pub const RESPONSE_BYTES_KEPT_ON_SUCCESS: usize = 256;
/// Members of one page of a list.
pub const PAGE_MAX: usize = 500;
/// Members of one page by default.
pub const PAGE_DEFAULT: usize = 50;
/// Rows that one filtered page reads before it comes short.
pub const PAGE_ROWS_READ_MAX: usize = 10_000;
/// Old signing secrets that keep signing during a rotation.
pub const OLD_SECRETS_MAX: usize = 10;

/// The limits that a configuration may lower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// A message as stored, in bytes; at most [`MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
    /// Items in one publish; at most [`BATCH_MESSAGES_MAX`].
    pub batch_messages_max: usize,
    /// Bytes of one publish; at most [`BATCH_BYTES_MAX`].
    pub batch_bytes_max: usize,
    /// Attachments of one message; at most [`ATTACHMENTS_MAX`].
    pub attachments_max: usize,
    /// Decoded bytes of one inline attachment; at most [`ATTACHMENT_INLINE_BYTES_MAX`].
    pub attachment_inline_bytes_max: usize,
    /// Bytes of one blob; at most [`BLOB_BYTES_MAX`].
    pub blob_bytes_max: u64,
    /// Segments in one body; at most [`SEGMENTS_MAX`].
    pub segments_max: usize,
    /// Text of one segment; at most [`SEGMENT_TEXT_BYTES_MAX`].
    pub segment_text_bytes_max: usize,
    /// `header.ext` as JSON; at most [`EXT_BYTES_MAX`].
    pub ext_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: MESSAGE_BYTES_MAX,
            batch_messages_max: BATCH_MESSAGES_MAX,
            batch_bytes_max: BATCH_BYTES_MAX,
            attachments_max: ATTACHMENTS_MAX,
            attachment_inline_bytes_max: ATTACHMENT_INLINE_BYTES_MAX,
            blob_bytes_max: BLOB_BYTES_MAX,
            segments_max: SEGMENTS_MAX,
            segment_text_bytes_max: SEGMENT_TEXT_BYTES_MAX,
            ext_bytes_max: EXT_BYTES_MAX,
        }
    }
}

impl Limits {
    /// These limits with each one no higher than the format's own.
    #[must_use]
    pub fn clamped(self) -> Self {
        let most = Self::default();
        Self {
            message_bytes_max: self.message_bytes_max.min(most.message_bytes_max),
            batch_messages_max: self.batch_messages_max.min(most.batch_messages_max),
            batch_bytes_max: self.batch_bytes_max.min(most.batch_bytes_max),
            attachments_max: self.attachments_max.min(most.attachments_max),
            attachment_inline_bytes_max: self
                .attachment_inline_bytes_max
                .min(most.attachment_inline_bytes_max),
            blob_bytes_max: self.blob_bytes_max.min(most.blob_bytes_max),
            segments_max: self.segments_max.min(most.segments_max),
            segment_text_bytes_max: self.segment_text_bytes_max.min(most.segment_text_bytes_max),
            ext_bytes_max: self.ext_bytes_max.min(most.ext_bytes_max),
        }
    }
}
