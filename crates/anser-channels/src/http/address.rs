//! The URL of a channel: where it leads is known when the channel is opened, and no message can change it; only what
//! comes after the host is a template. Must not show the URL, which may hold secrets.

use std::borrow::Cow;
use std::collections::BTreeSet;

use anser_core::Problem;
use percent_encoding::percent_decode_str;
use url::Url;

use super::engine::{Expression, Template, first_expression, opener};
use super::place::{Place, text};
use super::scope::Scope;
use super::variables::Variables;

/// Bytes of a URL, query and all.
const URL_BYTES_MAX: usize = 8 * 1024;
const FIELD: &str = "settings.url";

/// A URL of which all but the beginning is a template.
pub(super) struct Address {
    /// Scheme, host and port.
    pub(super) origin: Url,
    /// The URL as far as it is known, at least to the end of the host.
    base: String,
    rest: Template,
}

impl Address {
    /// Checks the template of a URL.
    ///
    /// # Errors
    /// `invalid_url`; `host_of_message` when the host would come from anything but the settings; as
    /// [`Template::compile`].
    pub(super) fn open(source: &str, scope: &Scope<'_>) -> Result<Self, Problem> {
        // The whole, so that an error has its place.
        Template::compile(FIELD, Place::Url, source, scope)?;
        let (base, rest) = split(source, scope)?;
        let origin = origin(&base)?;
        Ok(Self {
            origin,
            base,
            rest: Template::compile(FIELD, Place::Url, rest, scope)?,
        })
    }

    /// The variables it names.
    pub(super) fn uses(&self) -> &BTreeSet<String> {
        &self.rest.uses
    }

    /// The URL for these variables, with more parameters.
    ///
    /// # Errors
    /// As [`Template::render`]; `invalid_url` when a value would lead to another place, or makes it too long.
    pub(super) fn url(&self, variables: &Variables<'_>, query: &str) -> Result<Url, Problem> {
        let mut text = self.base.clone();
        text.push_str(&self.rest.render(variables)?);
        if !query.is_empty() {
            text.push(if text.contains('?') { '&' } else { '?' });
            text.push_str(query);
        }
        if text.len() > URL_BYTES_MAX {
            let detail = format!("would have {} bytes, at most {URL_BYTES_MAX}", text.len());
            return Err(Problem::invalid("too_long", FIELD, detail));
        }
        check_text(&text)?;
        let url = Url::parse(&text)
            .ok()
            .filter(|url| url.origin() == self.origin.origin() && is_plain(url));
        url.ok_or_else(|| {
            invalid("would become another place, or no URL: write values without `safe`")
        })
    }
}

/// The start of a URL, worked out, and the rest of its template.
fn split<'s>(source: &'s str, scope: &Scope<'_>) -> Result<(String, &'s str), Problem> {
    let secrets = Variables {
        root: minijinja::Value::from_pairs([("secrets", scope.secrets.value())]),
        secrets: scope.secrets,
    };
    let mut base = String::new();
    let mut rest = source;
    while !has_host(&base) && !rest.is_empty() {
        let end = opener(rest).unwrap_or(rest.len());
        if end > 0 {
            base.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let Some((expression, after)) = first_expression(rest) else {
            return Err(host_of_message());
        };
        let expression = Expression::compile(FIELD, expression, scope)?;
        if expression.uses.iter().any(|name| name != "secrets") {
            return Err(host_of_message());
        }
        base.push_str(&expression.converted(&secrets, |value| text(value).map(Cow::into_owned))?);
        rest = after;
    }
    Ok((base, rest))
}

/// Whether the host has ended in it.
fn has_host(base: &str) -> bool {
    base.split_once("://")
        .is_some_and(|(_, after)| after.contains(['/', '?', '#', '\\']))
}

fn origin(base: &str) -> Result<Url, Problem> {
    check_text(base)?;
    let mut url = Url::parse(base)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .ok_or_else(|| {
            invalid("must begin with http:// or https:// and a host, written out or from a secret")
        })?;
    if !is_plain(&url) {
        return Err(invalid(
            "must not have a user name, a password (use settings.headers) or a fragment",
        ));
    }
    url.set_path("/");
    url.set_query(None);
    Ok(url)
}

fn is_plain(url: &Url) -> bool {
    url.username().is_empty() && url.password().is_none() && url.fragment().is_none()
}

/// What the URL parser would silently drop or resolve: blanks, and path segments that lead upwards.
fn check_text(text: &str) -> Result<(), Problem> {
    if text
        .chars()
        .any(|c| c.is_control() || c.is_whitespace() || c == '\\')
    {
        return Err(invalid(
            "must not contain blanks, control characters or backslashes; percent-encode them",
        ));
    }
    let after_scheme = text.split_once("://").map_or(text, |(_, after)| after);
    let path = after_scheme.split(['?', '#']).next().unwrap_or_default();
    let mut segments = path.split('/').skip(1);
    if segments.any(|segment| {
        matches!(
            &*percent_decode_str(segment).collect::<Vec<u8>>(),
            b"." | b".."
        )
    }) {
        return Err(invalid(
            "would have a path segment that leads elsewhere (. or ..)",
        ));
    }
    Ok(())
}

fn invalid(detail: &str) -> Problem {
    Problem::invalid("invalid_url", FIELD, detail)
}

fn host_of_message() -> Problem {
    let detail = "scheme, host and port are written out or come from a secret: no message may choose where it is sent";
    Problem::invalid("host_of_message", FIELD, detail)
        .accepted("https://HOST/… with templates after the host, or {{ secrets.NAME }}")
}
