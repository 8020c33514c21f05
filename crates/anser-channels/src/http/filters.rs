//! Filters beside those of the engine: encodings, digests and signatures that APIs ask for. Must not know any API.

use aws_lc_rs::{digest, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minijinja::{Environment, Error, ErrorKind, HtmlEscape, State, UndefinedBehavior, Value};
use percent_encoding::utf8_percent_encode;

use super::place::{self, Place, UNRESERVED};
use crate::kit::plan;

/// Adds all of them.
pub(super) fn add(engine: &mut Environment<'static>) {
    engine.add_filter("tojson", to_json);
    engine.add_filter("urlencode", url_encode);
    engine.add_filter("escape", escape);
    engine.add_filter("e", escape);
    engine.add_filter("base64", base64);
    engine.add_filter("hex", hex);
    engine.add_filter("sha256", sha256);
    engine.add_filter("hmac_sha256", hmac_sha256);
    engine.add_filter("shorten", shorten);
}

/// JSON text; within JSON it is written as it is.
fn to_json(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    check_defined(state, value)?;
    let text = place::json(value)?.to_string();
    Ok(match Place::current(state) {
        Place::Json => Value::from_safe_string(text),
        Place::Plain | Place::Url | Place::Form | Place::Markup => text.into(),
    })
}

/// Percent-encoded; within a URL or a form it is written as it is.
fn url_encode(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    check_defined(state, value)?;
    let text = utf8_percent_encode(&place::text(value)?, UNRESERVED).to_string();
    Ok(match Place::current(state) {
        Place::Url | Place::Form => Value::from_safe_string(text),
        Place::Plain | Place::Json | Place::Markup => text.into(),
    })
}

/// With character references, for XML and HTML; within them it is written as it is. The engine's own would do by place
/// what a place does anyway.
fn escape(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    check_defined(state, value)?;
    let text = HtmlEscape(&place::text(value)?).to_string();
    Ok(match Place::current(state) {
        Place::Markup => Value::from_safe_string(text),
        Place::Plain | Place::Url | Place::Form | Place::Json => text.into(),
    })
}

/// Base64 with padding (RFC 4648 section 4).
fn base64(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    Ok(BASE64.encode(bytes(state, value)?))
}

/// Lower-case hexadecimal digits.
fn hex(state: &State<'_, '_>, value: &Value) -> Result<String, Error> {
    use std::fmt::Write as _;
    let mut text = String::new();
    for byte in bytes(state, value)? {
        write!(text, "{byte:02x}")?;
    }
    Ok(text)
}

/// The SHA-256 digest, as bytes.
fn sha256(state: &State<'_, '_>, value: &Value) -> Result<Value, Error> {
    let digest = digest::digest(&digest::SHA256, &bytes(state, value)?);
    Ok(Value::from_bytes(digest.as_ref().to_vec()))
}

/// The HMAC-SHA256 with a key, as bytes.
fn hmac_sha256(state: &State<'_, '_>, value: &Value, key: &Value) -> Result<Value, Error> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes(state, key)?);
    let tag = hmac::sign(&key, &bytes(state, value)?);
    Ok(Value::from_bytes(tag.as_ref().to_vec()))
}

/// At most so many characters; what is left out shows as an ellipsis.
fn shorten(state: &State<'_, '_>, value: &Value, most: usize) -> Result<String, Error> {
    check_defined(state, value)?;
    Ok(plan::shorten(&place::text(value)?, most))
}

/// The bytes of a text or of bytes.
fn bytes(state: &State<'_, '_>, value: &Value) -> Result<Vec<u8>, Error> {
    check_defined(state, value)?;
    match value.as_bytes() {
        Some(bytes) => Ok(bytes.to_vec()),
        None => Ok(place::text(value)?.into_owned().into_bytes()),
    }
}

/// As the engine's own filters: what is not defined is an error, but not where templates are tried out.
fn check_defined(state: &State<'_, '_>, value: &Value) -> Result<(), Error> {
    let strict = state.env().undefined_behavior() != UndefinedBehavior::Chainable;
    if strict && value.is_undefined() {
        return Err(ErrorKind::UndefinedError.into());
    }
    Ok(())
}
