//! The body of a request: a text, a JSON document or form fields; and parameters, which go into the query by the same
//! rules. Must not know where the values come from.

use std::collections::{BTreeMap, BTreeSet};

use anser_core::Problem;
use anser_core::message::body::check_media_type;
use bytes::Bytes;
use percent_encoding::utf8_percent_encode;
use serde_json::Value;

use super::engine::Template;
use super::part::{Node, Part};
use super::place::{Place, UNRESERVED};
use super::scope::Scope;
use super::variables::Variables;

/// Bytes of a body: a whole message, and as much again for what is escaped in it.
const BODY_BYTES_MAX: usize = 2 * anser_core::limits::MESSAGE_BYTES_MAX;
/// Form fields, or query parameters, of one channel.
const FIELDS_MAX: usize = 64;
/// Bytes of the name of a field.
const NAME_BYTES_MAX: usize = 128;
const FORM: &str = "application/x-www-form-urlencoded";
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; charset=utf-8";

/// The forms of a body, of which the settings have at most one.
pub(super) struct Forms<'s> {
    /// `settings.body`.
    pub(super) body: Option<&'s str>,
    /// `settings.json`.
    pub(super) json: Option<&'s Value>,
    /// `settings.form`.
    pub(super) form: Option<&'s BTreeMap<String, String>>,
    /// `settings.content_type`.
    pub(super) content_type: Option<&'s str>,
}

/// A body to be filled.
pub(super) struct Body {
    form: Form,
    /// Its media type.
    pub(super) media_type: String,
}

enum Form {
    Nothing,
    Text(Box<Template>, Place),
    Json(Node),
    Fields(Fields),
}

impl Body {
    /// Checks it.
    ///
    /// # Errors
    /// `invalid_body` for two forms, `invalid_media_type`; as [`Template::compile`].
    pub(super) fn open(forms: &Forms<'_>, scope: &Scope<'_>) -> Result<Self, Problem> {
        if let Some(given) = forms.content_type {
            check_media_type("settings.content_type", given)?;
        }
        let media_type = |usual: &str| forms.content_type.unwrap_or(usual).to_owned();
        let (form, media_type) = match (forms.body, forms.json, forms.form) {
            (None, None, None) => (Form::Nothing, media_type("")),
            (Some(source), None, None) => {
                let media_type = media_type(TEXT);
                let place = Place::of_body(&media_type);
                let template = Template::compile("settings.body", place, source, scope)?;
                (Form::Text(Box::new(template), place), media_type)
            }
            (None, Some(json), None) => {
                let node = Node::compile("settings.json", json, scope)?;
                (Form::Json(node), media_type(JSON))
            }
            (None, None, Some(fields)) => {
                let fields = Fields::open("settings.form", fields, scope)?;
                (Form::Fields(fields), media_type(FORM))
            }
            _ => {
                let detail =
                    "a request has at most one of settings.body, settings.json and settings.form";
                return Err(Problem::invalid("invalid_body", "settings", detail));
            }
        };
        Ok(Self { form, media_type })
    }

    /// Adds the variables it names.
    pub(super) fn add_uses(&self, uses: &mut BTreeSet<String>) {
        match &self.form {
            Form::Nothing => {}
            Form::Text(template, _) => uses.extend(template.uses.iter().cloned()),
            Form::Json(node) => node.add_uses(uses),
            Form::Fields(fields) => uses.extend(fields.uses().cloned()),
        }
    }

    /// The bytes for these variables.
    ///
    /// # Errors
    /// As [`Template::render`]; `template_failed` for a text that should be JSON and is not; `too_long`.
    pub(super) fn bytes(&self, variables: &Variables<'_>) -> Result<Bytes, Problem> {
        let bytes = match &self.form {
            Form::Nothing => Vec::new(),
            Form::Text(template, place) => {
                let text = template.render(variables)?;
                if *place == Place::Json {
                    check_json(&text)?;
                }
                text.into_bytes()
            }
            Form::Json(node) => {
                let json = node.json(variables)?.unwrap_or_default();
                serde_json::to_vec(&json).expect("a JSON value always serialises")
            }
            Form::Fields(fields) => fields.encoded(variables)?.into_bytes(),
        };
        if bytes.len() > BODY_BYTES_MAX {
            let detail = format!(
                "the request would have {} bytes, at most {BODY_BYTES_MAX}",
                bytes.len()
            );
            return Err(Problem::invalid("too_long", "body", detail));
        }
        Ok(bytes.into())
    }
}

fn check_json(text: &str) -> Result<(), Problem> {
    match serde_json::from_str::<serde::de::IgnoredAny>(text) {
        Ok(_) => Ok(()),
        Err(error) => {
            let detail = format!(
                "makes no JSON ({error}): values bring their own quotes here, write {{{{ text }}}} without any; or use \
                 settings.json"
            );
            Err(Problem::invalid("template_failed", "settings.body", detail))
        }
    }
}

/// Named values, percent-encoded: form fields or query parameters.
pub(super) struct Fields(Vec<(String, Part)>);

impl Fields {
    /// Checks them.
    ///
    /// # Errors
    /// `too_many`, `invalid_name`; as [`Part::compile`].
    pub(super) fn open(
        field: &str,
        fields: &BTreeMap<String, String>,
        scope: &Scope<'_>,
    ) -> Result<Self, Problem> {
        if fields.len() > FIELDS_MAX {
            let detail = format!("may have at most {FIELDS_MAX}, has {}", fields.len());
            return Err(Problem::invalid("too_many", field, detail));
        }
        let mut parts = Vec::with_capacity(fields.len());
        for (name, source) in fields {
            let field = format!("{field}.{name}");
            if name.is_empty() || name.len() > NAME_BYTES_MAX {
                let detail = format!("a name has 1 to {NAME_BYTES_MAX} bytes");
                return Err(Problem::invalid("invalid_name", field, detail));
            }
            let name = utf8_percent_encode(name, UNRESERVED).to_string();
            parts.push((name, Part::compile(&field, source, scope)?));
        }
        Ok(Self(parts))
    }

    /// The variables they name.
    pub(super) fn uses(&self) -> impl Iterator<Item = &String> {
        self.0.iter().flat_map(|(_, part)| part.uses())
    }

    /// All of them joined, without those whose value is none. A blank is `%20`, which everybody reads.
    ///
    /// # Errors
    /// As [`Part::text`].
    pub(super) fn encoded(&self, variables: &Variables<'_>) -> Result<String, Problem> {
        let mut pairs = Vec::with_capacity(self.0.len());
        for (name, part) in &self.0 {
            if let Some(value) = part.text(variables)? {
                let value = utf8_percent_encode(&value, UNRESERVED);
                pairs.push(format!("{name}={value}"));
            }
        }
        Ok(pairs.join("&"))
    }
}
