//! The headers of a request: their names checked when the channel is opened, their values cleaned when they are sent, so
//! that no text of a message can add a header.

use std::collections::BTreeMap;

use anser_core::Problem;
use http::{HeaderMap, HeaderName};

use super::part::Part;
use super::scope::Scope;
use super::variables::Variables;
use crate::kit::header;

/// Headers of one channel.
const HEADERS_MAX: usize = 32;
/// Bytes of a name.
const NAME_BYTES_MAX: usize = 128;
/// Bytes of a value as it is sent.
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

/// Headers with templates as their values.
pub(super) struct Head(Vec<(HeaderName, String, Part)>);

impl Head {
    /// Checks them.
    ///
    /// # Errors
    /// `too_many`, `invalid_header`, `reserved_header`; as [`Part::compile`].
    pub(super) fn open(
        headers: &BTreeMap<String, String>,
        scope: &Scope<'_>,
    ) -> Result<Self, Problem> {
        if headers.len() > HEADERS_MAX {
            let detail = format!("may have at most {HEADERS_MAX}, has {}", headers.len());
            return Err(Problem::invalid("too_many", "settings.headers", detail));
        }
        let mut head: Vec<(HeaderName, String, Part)> = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let field = format!("settings.headers.{name}");
            let name = check_name(&field, name)?;
            if head.iter().any(|(other, ..)| *other == name) {
                let detail = "is given twice; names are compared ignoring case";
                return Err(Problem::invalid("invalid_header", field, detail));
            }
            let part = Part::compile(&field, value, scope)?;
            head.push((name, field, part));
        }
        Ok(Self(head))
    }

    /// The variables they name.
    pub(super) fn uses(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|(.., part)| part.uses())
    }

    /// Adds the headers for these variables, without those whose value is none. All are marked as sensitive: as in the
    /// settings, where their values can be written and not read.
    ///
    /// # Errors
    /// As [`Part::text`]; `too_long`.
    pub(super) fn add(
        &self,
        headers: &mut HeaderMap,
        variables: &Variables<'_>,
    ) -> Result<(), Problem> {
        for (name, field, part) in &self.0 {
            let Some(text) = part.text(variables)? else {
                continue;
            };
            // A line break in a title is no reason to lose the message, and must not end the header.
            let line: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            let mut value = header::readable(line.trim());
            if value.len() > VALUE_BYTES_MAX {
                let detail = format!(
                    "would have {} bytes, at most {VALUE_BYTES_MAX}; shorten it, as in {{{{ title | shorten(100) }}}}",
                    value.len()
                );
                return Err(Problem::invalid("too_long", field, detail));
            }
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        Ok(())
    }
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
    let text = parsed.as_str();
    if RESERVED.contains(&text) || text.starts_with("proxy-") {
        let detail = "is set by the gateway; leave it out";
        return Err(Problem::invalid("reserved_header", field, detail));
    }
    if parsed == http::header::CONTENT_TYPE {
        let detail = "is what settings.content_type is for";
        return Err(Problem::invalid("reserved_header", field, detail));
    }
    Ok(parsed)
}
