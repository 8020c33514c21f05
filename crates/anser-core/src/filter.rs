//! Which messages of its topic a subscription takes: event types and binding keys by one matcher, tags, and a CEL
//! expression over `header` and `data`. What is given must all hold; what is absent holds.

mod expression;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use self::expression::Expression;
use crate::limits::FILTER_ITEMS_MAX;
use crate::message::Message;
use crate::name;
use crate::pattern::Pattern;
use crate::problem::Problem;

/// A filter as written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct FilterSpec {
    /// Patterns over `header.type`; one must match. Empty: every type.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub types: Vec<String>,
    /// Tags; the message must have at least one of them. Empty: any, also untagged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub tags: Vec<String>,
    /// Patterns over the routing key (absent: the type); one must match. One text or a list.
    #[serde(skip_serializing_if = "BindingKeys::is_empty")]
    pub binding_key: BindingKeys,
    /// A CEL expression over `header` and `data` that yields a boolean. A message on which it fails, or yields
    /// something else, does not match.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 4096))]
    pub cel: Option<String>,
}

/// One binding key or several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "must be a pattern or a list of patterns")]
pub enum BindingKeys {
    /// A single pattern.
    One(String),
    /// Several patterns, of which one must match.
    Many(#[schemars(length(max = 100))] Vec<String>),
}

impl Default for BindingKeys {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl BindingKeys {
    /// The patterns.
    #[must_use]
    pub fn as_slice(&self) -> &[String] {
        match self {
            Self::One(key) => std::slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }

    fn is_empty(&self) -> bool {
        self.as_slice().is_empty()
    }
}

/// A filter ready to use.
#[derive(Debug)]
pub struct Filter {
    types: Vec<Pattern>,
    tags: Vec<String>,
    binding_keys: Vec<Pattern>,
    cel: Option<Expression>,
}

impl Filter {
    /// Checks and compiles a filter; `field` is its path in what the user wrote.
    ///
    /// # Errors
    /// `invalid_pattern`, `invalid_tag`, `invalid_cel` or `too_many`.
    pub fn compile(field: &str, spec: &FilterSpec) -> Result<Self, Problem> {
        let types = patterns(&format!("{field}.types"), &spec.types)?;
        let binding_keys = patterns(&format!("{field}.binding_key"), spec.binding_key.as_slice())?;
        at_most(&format!("{field}.tags"), spec.tags.len())?;
        for (i, tag) in spec.tags.iter().enumerate() {
            name::check_tag(&format!("{field}.tags[{i}]"), tag)?;
        }
        let cel = spec
            .cel
            .as_deref()
            .map(|source| Expression::compile(&format!("{field}.cel"), source))
            .transpose()?;
        Ok(Self {
            types,
            tags: spec.tags.clone(),
            binding_keys,
            cel,
        })
    }

    /// Whether the subscription takes `message`.
    #[must_use]
    pub fn matches(&self, message: &Message) -> bool {
        let header = &message.header;
        let routing_key = header.routing_key.as_deref().unwrap_or(&header.r#type);
        any_or_empty(&self.types, |pattern| pattern.matches(&header.r#type))
            && any_or_empty(&self.tags, |tag| header.tags.contains(tag))
            && any_or_empty(&self.binding_keys, |pattern| pattern.matches(routing_key))
            && self
                .cel
                .as_ref()
                .is_none_or(|expression| expression.matches(message))
    }
}

fn any_or_empty<T>(items: &[T], matches: impl Fn(&T) -> bool) -> bool {
    items.is_empty() || items.iter().any(matches)
}

fn patterns(field: &str, texts: &[String]) -> Result<Vec<Pattern>, Problem> {
    at_most(field, texts.len())?;
    texts
        .iter()
        .enumerate()
        .map(|(i, text)| Pattern::parse(&format!("{field}[{i}]"), text))
        .collect()
}

fn at_most(field: &str, count: usize) -> Result<(), Problem> {
    if count > FILTER_ITEMS_MAX {
        return Err(Problem::invalid(
            "too_many",
            field,
            format!("at most {FILTER_ITEMS_MAX} items, has {count}"),
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
