//! From what a platform said to items that are always accepted: texts, counts, depths and characters within the format's
//! limits, and keys by which a repeat is known. Must not know any platform.

use anser_core::Timestamp;
use anser_core::channel::MEDIA_EXT;
use anser_core::inbound::{InboundRequest, Refusal, RefusalKind};
use anser_core::limits::{
    EXT_BYTES_MAX, KEY_BYTES_MAX, SEGMENT_TEXT_BYTES_MAX, SEGMENTS_MAX, TYPE_BYTES_MAX,
};
use anser_core::message::segment::{Segment, fallback};
use anser_core::message::{Attachment, Item, Sender, SenderKind, Source};
use anser_core::name::check_text;
use anser_core::time::TIMESTAMP_MS_MAX;
use aws_lc_rs::digest::{SHA256, digest};
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};
use url::Url;

use super::inbound::{content, raw};

/// Levels of arrays and objects that are kept as they are; what is deeper is kept as a text. Below what the format takes,
/// for what is put around it.
const DEPTH_MAX: usize = 64;
/// Bytes of what a message's media are fetched by. Below what `ext` holds, for what else is in it.
const MEDIA_BYTES_MAX: usize = EXT_BYTES_MAX / 2;
/// Bytes of a file's name, as an attachment has it.
const NAME_BYTES_MAX: usize = 255;
/// Bytes of a media type that is believed.
const MEDIA_TYPE_BYTES_MAX: usize = 100;
/// Bytes of a link, as an attachment has it.
const LINK_BYTES_MAX: usize = 2_048;

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The bytes that hexadecimal digits, upper or lower case, stand for.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(*high)? * 16 + digit(*low)?).ok(),
            _ => None,
        })
        .collect()
}

/// A dedupe key of words that the platform repeats. What is too long for one, or has characters that none has, counts by
/// its hash.
pub(crate) fn key(words: &[&str]) -> String {
    let joined = words.join(":");
    if check_text("invalid_text", "", &joined, KEY_BYTES_MAX).is_ok() {
        return joined;
    }
    format!(
        "sha256:{}",
        hex(digest(&SHA256, joined.as_bytes()).as_ref())
    )
}

/// The dedupe key of what has no id: its hash.
pub(crate) fn key_of(value: &Value) -> String {
    let text = value.to_string();
    format!("sha256:{}", hex(digest(&SHA256, text.as_bytes()).as_ref()))
}

/// `PLATFORM.TYPE`, in characters that a type has.
pub(crate) fn event_type(platform: &str, own: &str) -> String {
    let own = if own.is_empty() { "unknown" } else { own };
    let good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    format!("{platform}.{own}")
        .chars()
        .map(|c| if good(c) { c } else { '_' })
        .take(TYPE_BYTES_MAX)
        .collect()
}

/// The value of a parameter that must be in the query, once. A `+` is itself: base64 has it, and no platform writes blanks.
///
/// # Errors
/// `unsigned`.
pub(crate) fn query(request: &InboundRequest<'_>, name: &str) -> Result<String, Refusal> {
    let unsigned = |detail: String| Refusal::new(RefusalKind::Unsigned, detail);
    let pairs = request.query.split('&');
    let mut found = pairs.filter_map(|pair| {
        let (given, value) = pair.split_once('=')?;
        (given == name).then_some(value)
    });
    match (found.next(), found.next()) {
        (Some(value), None) => percent_decode_str(value)
            .decode_utf8()
            .map(std::borrow::Cow::into_owned)
            .map_err(|_| unsigned(format!("the query's {name} is no UTF-8"))),
        (None, _) => Err(unsigned(format!("the query's {name} is missing"))),
        (Some(_), Some(_)) => Err(unsigned(format!("the query's {name} is there twice"))),
    }
}

/// A signed time, seconds or milliseconds since 1970 in digits only, as seconds.
pub(crate) fn seconds(text: &str) -> Option<i64> {
    let digits = (1..=15).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.then(|| text.parse().ok()).flatten()?;
    Some(if number > TIMESTAMP_MS_MAX / 1_000 {
        number / 1_000
    } else {
        number
    })
}

/// When something happened: a number, or a text of digits, of seconds, milliseconds or microseconds since 1970.
pub(crate) fn moment(value: &Value) -> Option<Timestamp> {
    let number = match value {
        Value::String(text) => text.split('.').next()?.parse::<i64>().ok()?,
        value => value.as_i64()?,
    };
    let millis = match number {
        ..=0 => return None,
        // Until the year 9999 in each unit.
        seconds if seconds <= TIMESTAMP_MS_MAX / 1_000 => seconds * 1_000,
        millis if millis <= TIMESTAMP_MS_MAX => millis,
        micros => micros / 1_000,
    };
    Some(Timestamp::from_millis(millis))
}

/// A text that can be an id: neither empty nor too long, without control characters.
pub(crate) fn word<'a>(value: &'a Value, name: &str) -> Option<&'a str> {
    value
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| is_word(text))
}

/// Whether a text can be an id.
pub(crate) fn is_word(text: &str) -> bool {
    check_text("invalid_text", "", text, KEY_BYTES_MAX).is_ok()
}

/// Who did something.
pub(crate) fn sender(kind: SenderKind, id: &str, name: Option<&str>) -> Sender {
    Sender {
        kind,
        id: id.to_owned(),
        name: name.filter(|name| is_word(name)).map(str::to_owned),
        platform: None,
        account: None,
    }
}

/// A value as it is, or as the text of its JSON when it nests too deep to be kept.
pub(crate) fn shallow(value: &Value) -> Value {
    if is_within(value, DEPTH_MAX) {
        value.clone()
    } else {
        value.to_string().into()
    }
}

/// Whether arrays and objects nest at most so many levels deep.
pub(crate) fn is_within(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(items) => levels > 0 && items.iter().all(|item| is_within(item, levels - 1)),
        Value::Object(members) => {
            levels > 0 && members.values().all(|member| is_within(member, levels - 1))
        }
        _ => true,
    }
}

/// An event's data, with the event as it came.
pub(crate) fn data(fields: Value, event: &Value) -> Value {
    let Value::Object(fields) = fields else {
        return shallow(event);
    };
    let mut data: Map<String, Value> = fields
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .map(|(name, value)| (name, shallow(&value)))
        .collect();
    data.insert("raw".to_owned(), shallow(event));
    Value::Object(data)
}

/// The content of a message while it is read.
#[derive(Default)]
pub(crate) struct Content {
    segments: Vec<Value>,
    attachments: Vec<Attachment>,
    media: Vec<Value>,
}

impl Content {
    /// Whether nothing was said yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// A segment.
    pub(crate) fn push(&mut self, segment: Value) {
        self.segments.push(segment);
    }

    /// Text, in as many segments as its size needs.
    pub(crate) fn text(&mut self, text: &str, style: &[&str]) {
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, after) = rest.split_at(rest.floor_char_boundary(SEGMENT_TEXT_BYTES_MAX));
            let mut segment = json!({"type": "text", "text": piece});
            if !style.is_empty() {
                segment["style"] = json!(style);
            }
            self.push(segment);
            rest = after;
        }
    }

    /// A text of a segment of that type, which has a text and perhaps other members.
    pub(crate) fn block(&mut self, of: &str, text: &str, lang: Option<&str>) {
        let text = &text[..text.floor_char_boundary(SEGMENT_TEXT_BYTES_MAX)];
        let mut segment = json!({"type": of, "text": text});
        if let Some(lang) = lang.filter(|_| of == "code") {
            segment["lang"] = lang.into();
        }
        self.push(segment);
    }

    /// A line break, but not at the beginning.
    pub(crate) fn line_break(&mut self) {
        if !self.segments.is_empty() {
            self.push(json!({"type": "break"}));
        }
    }

    /// A mention of somebody.
    pub(crate) fn mention(&mut self, kind: &str, id: Option<&str>, name: Option<&str>) {
        let mut segment = json!({"type": "mention", "kind": kind});
        for (member, value) in [("id", id), ("name", name)] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                segment[member] = value.into();
            }
        }
        self.push(segment);
    }

    /// A file that the platform gives by a key: a text that says what it is, and the key in `ext`.
    pub(crate) fn media(&mut self, kind: &str, name: Option<&str>, mut key: Value) {
        let shown = match name.filter(|name| !name.is_empty()) {
            Some(name) => format!("[{kind}: {name}]"),
            None => format!("[{kind}]"),
        };
        self.text(&shown, &[]);
        key["kind"] = kind.into();
        if let Some(name) = name {
            key["name"] = name.into();
        }
        self.key(key);
    }

    /// The key by which the platform gives a file, where a segment shows it already.
    pub(crate) fn key(&mut self, mut key: Value) {
        if let Value::Object(members) = &mut key {
            members.retain(|_, value| !value.is_null());
        }
        self.media.push(shallow(&key));
    }

    /// A picture that anybody can fetch by its URL; `false` when that is no URL.
    pub(crate) fn picture(&mut self, link: &str) -> bool {
        self.linked("image", link, None, None)
    }

    /// A file of a segment's type that anybody can fetch by its URL; `false` when that is no URL.
    pub(crate) fn linked(
        &mut self,
        kind: &str,
        link: &str,
        name: Option<&str>,
        media_type: Option<&str>,
    ) -> bool {
        let good = link.len() <= LINK_BYTES_MAX
            && Url::parse(link)
                .is_ok_and(|url| ["http", "https"].contains(&url.scheme()) && url.has_host());
        if good {
            let id = format!("a{}", self.attachments.len() + 1);
            self.push(json!({"type": kind, "att": id}));
            let name = name.filter(|name| name.len() <= NAME_BYTES_MAX && is_word(name));
            let media_type = media_type
                .and_then(|of| of.split(';').next())
                .map(str::trim);
            self.attachments.push(Attachment {
                id,
                name: name.map(str::to_owned),
                media_type: media_type.filter(|of| is_media_type(of)).map(str::to_owned),
                size: None,
                sha256: None,
                source: Source::Url(link.to_owned()),
                width: None,
                height: None,
                duration_ms: None,
            });
        }
        good
    }

    /// The item. What has more segments than a message may have ends with `original`, whole.
    pub(crate) fn into_item(mut self, platform: &str, original: &Value) -> Item {
        if self.segments.len() > SEGMENTS_MAX {
            self.segments.truncate(SEGMENTS_MAX - 1);
            self.segments.push(raw(platform, &shallow(original)));
        }
        if self.segments.is_empty() {
            self.push(json!({"type": "text", "text": ""}));
        }
        let fallback = fallback_beside_raw(&self.segments);
        let mut item = content(self.segments, self.attachments);
        item.body.fallback = fallback;
        while !self.media.is_empty()
            && Value::from(&*self.media).to_string().len() > MEDIA_BYTES_MAX
        {
            self.media.pop();
        }
        if !self.media.is_empty() {
            item.header
                .ext
                .insert(MEDIA_EXT.to_owned(), self.media.into());
        }
        item
    }
}

/// Whether it is a media type without parameters, of the letters that those in use have.
fn is_media_type(text: &str) -> bool {
    let is_part = |part: &str| {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-+._".contains(&byte);
        !part.is_empty() && part.bytes().all(is_good)
    };
    let parts = text.split_once('/');
    text.len() <= MEDIA_TYPE_BYTES_MAX
        && parts.is_some_and(|(of, subtype)| is_part(of) && is_part(subtype))
}

/// What stands beside raw content says in words what it is, so that the raw needs no words of its own; `None` without raw
/// content, or without anything beside it.
fn fallback_beside_raw(segments: &[Value]) -> Option<String> {
    let is_raw = |segment: &&Value| segment["type"] == "raw";
    if !segments.iter().any(|segment| is_raw(&segment)) {
        return None;
    }
    let beside = segments.iter().filter(|segment| !is_raw(segment));
    let beside: Vec<Segment> = beside
        .filter_map(|segment| Segment::parse("", segment.clone()).ok())
        .collect();
    Some(fallback(&beside)).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_always_one_and_differs_where_the_words_do() {
        assert_eq!(key(&["om_1"]), "om_1");
        assert_eq!(key(&["u1", "7", "click"]), "u1:7:click");
        let long = "x".repeat(300);
        for words in [&[""][..], &["a\n"], &[&long], &[&long, "y"]] {
            assert!(is_word(&key(words)), "{words:?}");
        }
        assert_ne!(key(&[&long]), key(&[&long, "y"]));
    }

    #[test]
    fn a_moment_is_read_in_every_unit() {
        for (value, millis) in [
            (json!("1700000000"), Some(1_700_000_000_000)),
            (json!("1550038110.956950"), Some(1_550_038_110_000)),
            (json!(1_700_000_000_123_i64), Some(1_700_000_000_123)),
            (json!("1700000000123000"), Some(1_700_000_000_123)),
            (json!("0"), None),
            (json!("-1"), None),
            (json!("soon"), None),
            (json!(null), None),
        ] {
            assert_eq!(moment(&value).map(Timestamp::millis), millis, "{value}");
        }
    }

    #[test]
    fn a_signed_time_has_digits_only() {
        assert_eq!(seconds("1700000000"), Some(1_700_000_000));
        assert_eq!(seconds("1700000000123"), Some(1_700_000_000));
        for bad in [
            "",
            "+1700000000",
            " 1700000000",
            "1700000000.0",
            "1e9",
            "1".repeat(16).as_str(),
        ] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }

    #[test]
    fn content_stays_within_the_limits_of_the_format() {
        let mut content = Content::default();
        for _ in 0..300 {
            content.text(&"長".repeat(30_000), &[]);
            content.media("image", None, json!({"key": "k".repeat(200)}));
        }
        let item = content.into_item("p", &json!({"whole": true}));
        let segments = item.body.segments.unwrap();
        assert_eq!(segments.len(), SEGMENTS_MAX);
        assert_eq!(segments.last().unwrap()["payload"]["whole"], true);
        assert!(segments[0]["text"].as_str().unwrap().len() <= SEGMENT_TEXT_BYTES_MAX);
        let ext = Value::Object(item.header.ext).to_string();
        assert!(ext.len() <= EXT_BYTES_MAX, "{}", ext.len());
    }

    #[test]
    fn what_nests_deep_is_kept_as_text() {
        let deep = (0..DEPTH_MAX + 1).fold(json!(1), |inner, _| json!([inner]));
        assert!(shallow(&deep).is_string());
        assert!(shallow(&deep[0]).is_array());
        assert_eq!(event_type("p", "a b/ü"), "p.a_b__");
        assert_eq!(event_type("p", &"x".repeat(200)).len(), TYPE_BYTES_MAX);
    }
}
