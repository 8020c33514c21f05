//! The headers that a user adds to every request, and which names are not theirs to set.

use std::collections::BTreeMap;

use anser_core::Problem;
use http::{HeaderName, HeaderValue};

/// Custom headers of one webhook.
const HEADERS_MAX: usize = 32;
/// Bytes of one name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of one value.
const VALUE_BYTES_MAX: usize = 4_096;

/// Set by the sender, or about the connection and not the request (RFC 9110 sections 7.6 and 10.1.1).
const RESERVED: [&str; 9] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
];
/// Set by the formats; `proxy-` is between the gateway and its proxy.
const RESERVED_PREFIXES: [&str; 5] = ["webhook-", "anser-", "x-cmq-", "ce-", "proxy-"];

/// Checks them and makes them ready to send, marked as sensitive: they may hold API keys.
///
/// # Errors
/// `too_many`, `invalid_header` or `reserved_header`, with the header's name in the path.
pub(super) fn headers(
    headers: &BTreeMap<String, String>,
) -> Result<Vec<(HeaderName, HeaderValue)>, Problem> {
    if headers.len() > HEADERS_MAX {
        let detail = format!("may have at most {HEADERS_MAX}, has {}", headers.len());
        return Err(Problem::invalid("too_many", "settings.headers", detail));
    }
    let mut checked: Vec<(HeaderName, HeaderValue)> = Vec::with_capacity(headers.len());
    for (name, value) in headers {
        let field = format!("settings.headers.{name}");
        let name = check_name(&field, name)?;
        if checked.iter().any(|(other, _)| *other == name) {
            let detail = "is given twice; names are compared ignoring case";
            return Err(Problem::invalid("invalid_header", field, detail));
        }
        checked.push((name, check_value(&field, value)?));
    }
    Ok(checked)
}

/// Whether it is the header of `settings.auth`.
pub(super) fn is_authorization(name: &str) -> bool {
    name.eq_ignore_ascii_case("authorization")
}

fn check_name(field: &str, name: &str) -> Result<HeaderName, Problem> {
    let parsed = (name.len() <= NAME_BYTES_MAX)
        .then(|| HeaderName::from_bytes(name.as_bytes()).ok())
        .flatten();
    let Some(parsed) = parsed else {
        let detail = format!(
            "a header's name is 1 to {NAME_BYTES_MAX} letters, digits and !#$%&'*+-.^_`|~ (RFC 9110 section 5.6.2)"
        );
        return Err(Problem::invalid("invalid_header", field, detail));
    };
    let reserved = RESERVED.contains(&parsed.as_str())
        || RESERVED_PREFIXES
            .iter()
            .any(|prefix| parsed.as_str().starts_with(prefix));
    if reserved {
        let detail = "is set by the gateway; leave it out or choose another name";
        return Err(Problem::invalid("reserved_header", field, detail));
    }
    Ok(parsed)
}

fn check_value(field: &str, value: &str) -> Result<HeaderValue, Problem> {
    let valid = value.len() <= VALUE_BYTES_MAX
        && value.trim() == value
        && value
            .bytes()
            .all(|byte| byte == b' ' || byte == b'\t' || byte.is_ascii_graphic());
    if !valid {
        let detail = format!(
            "a value is at most {VALUE_BYTES_MAX} bytes of printable ASCII, without blanks at its ends"
        );
        return Err(Problem::invalid("invalid_header", field, detail));
    }
    let mut value = HeaderValue::from_str(value).expect("printable ASCII is a valid value");
    value.set_sensitive(true);
    Ok(value)
}
