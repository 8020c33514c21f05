//! From an item as written to a message as accepted: every rule and limit of the format, each refusal with the path of
//! the field. Pure: the time and the sender are given.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::attachment::{Attachment, Source};
use super::body::{self, Body, Content};
use super::header::{Header, Origin, Sender};
use super::item::{Item, ItemHeader};
use super::segment::{Known, Segment};
use super::{Message, VERSION};
use crate::blob::{BlobHash, BlobSizes};
use crate::id::MessageId;
use crate::limits::{
    CARD_ACTIONS_MAX, DATA_DEPTH_MAX, FORWARD_DEPTH_MAX, FORWARD_ITEMS_MAX, KEY_BYTES_MAX, Limits,
    NOT_BEFORE_MAX, TAGS_MAX, TO_MAX,
};
use crate::name::{self, Address};
use crate::problem::{Problem, ProblemKind};
use crate::time::Timestamp;

/// What the gateway puts on a message.
#[derive(Debug, Clone)]
pub struct Stamp {
    /// The new id.
    pub id: MessageId,
    /// Now.
    pub time: Timestamp,
    /// The topic of the request.
    pub topic: String,
    /// The authenticated sender.
    pub from: Sender,
    /// The message that this one edits or recalls.
    pub target_id: Option<MessageId>,
    /// The platform event that it came from.
    pub origin: Option<Origin>,
    /// How many answers to answers led to it.
    pub hops: u8,
    /// The blobs that attachments may refer to; others are not known here.
    pub blobs: BlobSizes,
}

impl Message {
    /// Checks an item and stamps it.
    ///
    /// # Errors
    /// A [`Problem`] whose field is the path inside the item.
    pub fn accept(item: Item, mut stamp: Stamp, limits: &Limits) -> Result<Self, Problem> {
        if let Some(key) = &item.dedupe_key {
            name::check_text("invalid_text", "dedupe_key", key, KEY_BYTES_MAX)?;
        }
        let blobs = std::mem::take(&mut stamp.blobs);
        let header = header(item.header, stamp, limits)?;
        let body = Body::try_from(item.body)?;
        check_body(&body, limits)?;
        let attachments = attachments(item.attachments, &blobs, limits)?;
        if let Body::Content(content) = &body {
            check_references("body.segments", &content.segments, &attachments)?;
        }
        if let Some(digest) = &header.digest {
            check_digest(digest, &body)?;
        }
        Ok(Self {
            v: VERSION,
            header,
            body,
            attachments,
        })
    }
}

fn header(item: ItemHeader, stamp: Stamp, limits: &Limits) -> Result<Header, Problem> {
    refuse_stamped(&item)?;
    check_topic(&item, &stamp.topic)?;
    check_texts(&item)?;
    check_times(&item, stamp.time)?;
    if let Some(conversation) = &item.conversation {
        Address::parse("header.conversation.id", &conversation.id)?;
        if let Some(thread) = &conversation.thread {
            let field = "header.conversation.thread";
            name::check_text("invalid_text", field, thread, KEY_BYTES_MAX)?;
        }
    }
    let ext_bytes = if item.ext.is_empty() {
        0
    } else {
        serde_json::to_vec(&item.ext).map_or(usize::MAX, |json| json.len())
    };
    if ext_bytes > limits.ext_bytes_max {
        return Err(too_large("header.ext", limits.ext_bytes_max, ext_bytes));
    }
    Ok(Header {
        id: stamp.id,
        time: stamp.time,
        occurred_at: item.occurred_at,
        topic: stamp.topic,
        routing_key: item.routing_key,
        r#type: item.r#type.unwrap_or_else(|| "message".to_owned()),
        kind: item.kind,
        from: stamp.from,
        to: item.to,
        conversation: item.conversation,
        reply_to: item.reply_to,
        target_id: stamp.target_id,
        correlation_id: item.correlation_id,
        key: item.key,
        tags: item.tags,
        not_before: item.not_before,
        expires_at: item.expires_at,
        delete_at: item.delete_at,
        locale: item.locale,
        traceparent: item.traceparent,
        origin: stamp.origin,
        hops: stamp.hops,
        digest: item.digest,
        ext: item.ext,
    })
}

fn refuse_stamped(item: &ItemHeader) -> Result<(), Problem> {
    for (given, field) in [
        (&item.id, "id"),
        (&item.time, "time"),
        (&item.from, "from"),
        (&item.origin, "origin"),
        (&item.target_id, "target_id"),
        (&item.hops, "hops"),
    ] {
        if given.is_some() {
            let detail = "is stamped by the gateway; leave it out (your own id goes in dedupe_key or header.correlation_id, your own time in header.occurred_at)";
            return Err(Problem::invalid(
                "stamped_field",
                format!("header.{field}"),
                detail,
            ));
        }
    }
    Ok(())
}

fn check_topic(item: &ItemHeader, topic: &str) -> Result<(), Problem> {
    match &item.topic {
        Some(given) if !given.eq_ignore_ascii_case(topic) => Err(Problem::invalid(
            "topic_mismatch",
            "header.topic",
            format!("the request is to topic {topic}; leave header.topic out"),
        )),
        _ => Ok(()),
    }
}

fn check_texts(item: &ItemHeader) -> Result<(), Problem> {
    if let Some(name) = &item.r#type {
        name::check_type("header.type", name)?;
    }
    if let Some(key) = &item.routing_key {
        name::check_routing_key("header.routing_key", key)?;
    }
    let texts = [
        ("key", &item.key),
        ("reply_to", &item.reply_to),
        ("correlation_id", &item.correlation_id),
    ];
    for (field, text) in texts {
        if let Some(text) = text {
            name::check_text(
                "invalid_text",
                &format!("header.{field}"),
                text,
                KEY_BYTES_MAX,
            )?;
        }
    }
    if item.tags.len() > TAGS_MAX {
        return Err(too_many("header.tags", TAGS_MAX, item.tags.len()));
    }
    for (i, tag) in item.tags.iter().enumerate() {
        name::check_tag(&format!("header.tags[{i}]"), tag)?;
    }
    if item.to.len() > TO_MAX {
        return Err(too_many("header.to", TO_MAX, item.to.len()));
    }
    for (i, address) in item.to.iter().enumerate() {
        Address::parse(&format!("header.to[{i}]"), address)?;
    }
    check_locale(item.locale.as_deref())?;
    check_traceparent(item.traceparent.as_deref())
}

fn check_locale(locale: Option<&str>) -> Result<(), Problem> {
    let valid = |text: &str| {
        text.len() <= 35
            && text.split('-').all(|part| {
                (1..=8).contains(&part.len())
                    && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            })
    };
    if locale.is_none_or(valid) {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_locale",
        "header.locale",
        "must be a BCP 47 language tag",
    )
    .accepted("zh-CN"))
}

fn check_traceparent(traceparent: Option<&str>) -> Result<(), Problem> {
    let valid = |text: &str| {
        let parts: Vec<&str> = text.split('-').collect();
        let hex = |part: &&str| {
            part.bytes()
                .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        };
        let nil = |part: &str| part.bytes().all(|byte| byte == b'0');
        parts.iter().map(|part| part.len()).eq([2, 32, 16, 2])
            && parts.iter().all(hex)
            && parts[0] != "ff"
            && !nil(parts[1])
            && !nil(parts[2])
    };
    if traceparent.is_none_or(valid) {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_traceparent",
        "header.traceparent",
        "must be a W3C Trace Context traceparent, 00-TRACEID-SPANID-FLAGS in lower-case hex, ids not all zero",
    ))
}

fn check_times(item: &ItemHeader, now: Timestamp) -> Result<(), Problem> {
    if item
        .not_before
        .is_some_and(|time| time > now.plus(NOT_BEFORE_MAX))
    {
        return Err(Problem::invalid(
            "invalid_time",
            "header.not_before",
            "may lie at most 70 days ahead",
        ));
    }
    for (field, time) in [
        ("expires_at", item.expires_at),
        ("delete_at", item.delete_at),
    ] {
        if time.is_some_and(|time| time <= now) {
            return Err(Problem::invalid(
                "invalid_time",
                format!("header.{field}"),
                "must lie in the future",
            ));
        }
    }
    if let (Some(start), Some(end)) = (item.not_before, item.expires_at)
        && end <= start
    {
        return Err(Problem::invalid(
            "invalid_time",
            "header.expires_at",
            "must be later than header.not_before",
        ));
    }
    Ok(())
}

fn check_body(body: &Body, limits: &Limits) -> Result<(), Problem> {
    match body {
        Body::Content(content) => check_content(content, limits),
        Body::Data(raw) => {
            check_depth(raw)?;
            check_text_form(body)
        }
        Body::Bytes { .. } => Ok(()),
    }
}

/// The text of a string is what the plain formats send: escapes that spell no text (a lone surrogate) have no bytes.
fn check_text_form(body: &Body) -> Result<(), Problem> {
    if body.data().is_some_and(|raw| raw.get().starts_with('"')) && body.text().is_none() {
        return Err(Problem::invalid(
            "invalid_body",
            "body.data",
            "has an escape that is no Unicode character (a lone surrogate, RFC 8259 section 8.2)",
        ));
    }
    Ok(())
}

/// Data is stored unparsed; what nests deeper could not be read by filters, schemas and most receivers.
fn check_depth(raw: &RawValue) -> Result<(), Problem> {
    let (mut depth, mut in_text, mut escaped) = (0_usize, false, false);
    for byte in raw.get().bytes() {
        if in_text {
            in_text = escaped || byte != b'"';
            escaped = !escaped && byte == b'\\';
            continue;
        }
        match byte {
            b'"' => in_text = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DATA_DEPTH_MAX {
            return Err(Problem::invalid(
                "too_deep",
                "body.data",
                format!("arrays and objects may nest at most {DATA_DEPTH_MAX} deep"),
            ));
        }
    }
    Ok(())
}

fn check_content(content: &Content, limits: &Limits) -> Result<(), Problem> {
    if content.segments.is_empty() {
        return Err(Problem::invalid(
            "invalid_body",
            "body.segments",
            "must have at least one segment",
        ));
    }
    let mut count = 0;
    check_segments("body.segments", &content.segments, 0, &mut count, limits)?;
    if content.fallback.len()
        > limits
            .segment_text_bytes_max
            .saturating_mul(limits.segments_max)
    {
        return Err(too_large(
            "body.fallback",
            limits
                .segment_text_bytes_max
                .saturating_mul(limits.segments_max),
            content.fallback.len(),
        ));
    }
    Ok(())
}

fn check_segments(
    field: &str,
    segments: &[Segment],
    depth: usize,
    count: &mut usize,
    limits: &Limits,
) -> Result<(), Problem> {
    *count += segments.len();
    if *count > limits.segments_max {
        return Err(too_many(field, limits.segments_max, *count));
    }
    for (i, segment) in segments.iter().enumerate() {
        let Segment::Known(known) = segment else {
            continue;
        };
        let field = format!("{field}[{i}]");
        let Known::Forward { items } = &**known else {
            check_known(&field, known, limits)?;
            continue;
        };
        if depth >= FORWARD_DEPTH_MAX {
            let rule = format!("forwards may nest at most {FORWARD_DEPTH_MAX} deep");
            return Err(Problem::invalid("too_deep", field, rule));
        }
        let field = format!("{field}.items");
        if items.len() > FORWARD_ITEMS_MAX {
            return Err(too_many(&field, FORWARD_ITEMS_MAX, items.len()));
        }
        for (j, item) in items.iter().enumerate() {
            let field = format!("{field}[{j}].segments");
            check_segments(&field, &item.segments, depth + 1, count, limits)?;
        }
    }
    Ok(())
}

/// The rules of one segment that holds no others.
fn check_known(field: &str, known: &Known, limits: &Limits) -> Result<(), Problem> {
    let text_max = limits.segment_text_bytes_max;
    match known {
        Known::Text { text, .. } | Known::Markdown { text } | Known::Code { text, .. }
            if text.len() > text_max =>
        {
            Err(too_large(&format!("{field}.text"), text_max, text.len()))
        }
        Known::Card(card) if card.actions.len() > CARD_ACTIONS_MAX => {
            let field = format!("{field}.actions");
            Err(too_many(&field, CARD_ACTIONS_MAX, card.actions.len()))
        }
        Known::Location { lat, lon, .. }
            if !(-90.0..=90.0).contains(lat) || !(-180.0..=180.0).contains(lon) =>
        {
            Err(Problem::invalid(
                "invalid_segment",
                field,
                "lat is -90 to 90 degrees, lon -180 to 180",
            ))
        }
        _ => Ok(()),
    }
}

/// Every reference to an attachment must be the id of one of the message, also inside forwarded messages.
fn check_references(
    field: &str,
    segments: &[Segment],
    attachments: &[Attachment],
) -> Result<(), Problem> {
    for (i, segment) in segments.iter().enumerate() {
        let Segment::Known(known) = segment else {
            continue;
        };
        let field = format!("{field}[{i}]");
        for (name, id) in references(known) {
            if !attachments.iter().any(|attachment| attachment.id == *id) {
                return Err(Problem::invalid(
                    "unknown_attachment",
                    format!("{field}.{name}"),
                    "names no attachment of this message",
                ));
            }
        }
        if let Known::Forward { items } = &**known {
            for (j, item) in items.iter().enumerate() {
                let field = format!("{field}.items[{j}].segments");
                check_references(&field, &item.segments, attachments)?;
            }
        }
    }
    Ok(())
}

fn references(known: &Known) -> impl Iterator<Item = (&'static str, &String)> {
    let (first, second) = match known {
        Known::Image { att, .. }
        | Known::Audio { att }
        | Known::Voice { att, .. }
        | Known::File { att } => (Some(("att", att)), None),
        Known::Video { att, cover } => (Some(("att", att)), cover.as_ref().map(|id| ("cover", id))),
        Known::Sticker { att } => (att.as_ref().map(|id| ("att", id)), None),
        Known::Card(card) => (card.image.as_ref().map(|id| ("image", id)), None),
        _ => (None, None),
    };
    first.into_iter().chain(second)
}

fn attachments(
    mut attachments: Vec<Attachment>,
    blobs: &BlobSizes,
    limits: &Limits,
) -> Result<Vec<Attachment>, Problem> {
    if attachments.len() > limits.attachments_max {
        return Err(too_many(
            "attachments",
            limits.attachments_max,
            attachments.len(),
        ));
    }
    for i in 0..attachments.len() {
        let field = format!("attachments[{i}]");
        name::check_text(
            "invalid_text",
            &format!("{field}.id"),
            &attachments[i].id,
            64,
        )?;
        if attachments[..i]
            .iter()
            .any(|other| other.id == attachments[i].id)
        {
            return Err(Problem::invalid(
                "duplicate_id",
                format!("{field}.id"),
                "attachment ids must differ",
            ));
        }
        attachment(&field, &mut attachments[i], blobs, limits)?;
    }
    Ok(attachments)
}

fn attachment(
    field: &str,
    attachment: &mut Attachment,
    blobs: &BlobSizes,
    limits: &Limits,
) -> Result<(), Problem> {
    if let Some(name) = &attachment.name {
        name::check_text("invalid_text", &format!("{field}.name"), name, 255)?;
    }
    if let Some(media_type) = &attachment.media_type {
        body::check_media_type(&format!("{field}.media_type"), media_type)?;
    }
    if let Some(hash) = &mut attachment.sha256 {
        *hash = blob_hash(&format!("{field}.sha256"), hash)?.to_string();
    }
    match &mut attachment.source {
        Source::Blob(name) => {
            let source = format!("{field}.source.blob");
            let hash = blob_hash(&source, name)?;
            *name = hash.to_string();
            let size = *blobs
                .get(&hash)
                .ok_or_else(|| unknown_blob(&source, hash))?;
            check_integrity(field, attachment, size, hash)
        }
        Source::Url(link) => check_link(&format!("{field}.source.url"), link),
        Source::Inline(text) => {
            let source = format!("{field}.source.inline");
            let bytes = BASE64.decode(text).map_err(|_| {
                Problem::invalid(
                    "invalid_base64",
                    &source,
                    "must be standard base64 with padding (RFC 4648 section 4)",
                )
            })?;
            if bytes.len() > limits.attachment_inline_bytes_max {
                return Err(too_large(
                    &source,
                    limits.attachment_inline_bytes_max,
                    bytes.len(),
                ));
            }
            let hash = BlobHash(Sha256::digest(&bytes).into());
            check_integrity(field, attachment, bytes.len() as u64, hash)
        }
    }
}

fn check_link(field: &str, link: &str) -> Result<(), Problem> {
    let valid = link.len() <= 2_048
        && url::Url::parse(link)
            .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
    if valid {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_url",
        field,
        "must be an absolute http or https URL of at most 2048 bytes",
    ))
}

fn blob_hash(field: &str, text: &str) -> Result<BlobHash, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("invalid_hash", field, "must be 64 hexadecimal digits"))
}

/// The refusal of a message whose attachment at `field` names a blob that is not, or not any more, kept here.
#[must_use]
pub fn unknown_blob(field: &str, hash: BlobHash) -> Problem {
    Problem::invalid(
        "unknown_blob",
        field,
        format!(
            "there is no blob {hash} here: upload its bytes with POST /v1/blobs first, then publish"
        ),
    )
}

fn check_integrity(
    field: &str,
    attachment: &mut Attachment,
    size: u64,
    hash: BlobHash,
) -> Result<(), Problem> {
    if attachment.size.is_some_and(|given| given != size) {
        return Err(Problem::invalid(
            "integrity",
            format!("{field}.size"),
            format!("does not match the bytes, which are {size}"),
        ));
    }
    let hash = hash.to_string();
    if attachment
        .sha256
        .as_ref()
        .is_some_and(|given| *given != hash)
    {
        return Err(Problem::invalid(
            "integrity",
            format!("{field}.sha256"),
            format!("does not match the bytes, whose SHA-256 is {hash}"),
        ));
    }
    attachment.size = Some(size);
    attachment.sha256 = Some(hash);
    Ok(())
}

/// RFC 9530 §2: a dictionary member `sha-256` whose value is a byte sequence, `:BASE64:`; the colons may be left out.
fn check_digest(digest: &str, body: &Body) -> Result<(), Problem> {
    let invalid = |detail: String| {
        Problem::invalid("integrity", "header.digest", detail).accepted("sha-256=:BASE64:")
    };
    let value = digest
        .strip_prefix("sha-256=")
        .ok_or_else(|| invalid("must begin with sha-256=".to_owned()))?;
    let value = value
        .strip_prefix(':')
        .and_then(|value| value.strip_suffix(':'))
        .unwrap_or(value);
    let given = BASE64
        .decode(value)
        .map_err(|_| invalid("must be standard base64 with padding".to_owned()))?;
    let actual = Sha256::digest(&body.payload().bytes);
    if given != actual[..] {
        return Err(invalid(format!(
            "does not match the body's bytes, whose digest is sha-256=:{}:",
            BASE64.encode(actual)
        )));
    }
    Ok(())
}

fn too_large(field: &str, most: usize, actual: usize) -> Problem {
    Problem::new(
        ProblemKind::TooLarge,
        "too_large",
        format!("may have at most {most} bytes, has {actual}"),
    )
    .field(field)
}

fn too_many(field: &str, most: usize, actual: usize) -> Problem {
    Problem::invalid(
        "too_many",
        field,
        format!("may have at most {most}, has {actual}"),
    )
}
