//! What any body becomes as the body of a message: JSON its bytes, everything else opaque bytes with a media type.

use anser_core::Problem;
use anser_core::message::body::{BodyFields, MEDIA_TYPE_BYTES};
use anser_core::message::item::parse_json;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::value::RawValue;

use crate::call::is_json;

/// The body of a request with the given `content-type`.
///
/// # Errors
/// 400 `malformed_json`.
pub(super) fn payload(
    content_type: Option<String>,
    media_type: &str,
    body: &[u8],
) -> Result<BodyFields, Problem> {
    if is_json(media_type) {
        return Ok(data(parse_json("", body)?));
    }
    Ok(opaque(body, content_type))
}

/// A JSON value.
pub(super) fn data(raw: Box<RawValue>) -> BodyFields {
    BodyFields {
        data: Some(raw),
        ..BodyFields::default()
    }
}

/// Opaque bytes.
pub(super) fn opaque(bytes: &[u8], media_type: Option<String>) -> BodyFields {
    BodyFields {
        bytes: Some(BASE64.encode(bytes)),
        media_type: Some(media_type.unwrap_or_else(|| MEDIA_TYPE_BYTES.to_owned())),
        ..BodyFields::default()
    }
}
