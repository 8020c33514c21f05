//! Which messages of its topic a subscription takes: event types and binding keys by one matcher, tags, and a CEL
//! expression over `header` and `data`. What is given must all hold; what is absent holds.

use std::sync::Arc;

use cel::{Context, Program, Value};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{CEL_BYTES_MAX, CEL_COMPREHENSIONS_MAX, FILTER_ITEMS_MAX};
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
#[serde(untagged)]
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
    cel: Option<Program>,
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
            .map(|source| compile_cel(&format!("{field}.cel"), source))
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
                .is_none_or(|program| evaluate(program, message))
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

/// Macros of CEL that walk a list or map; each multiplies the cost of one evaluation.
const COMPREHENSIONS: [&str; 5] = [".all(", ".exists(", ".exists_one(", ".map(", ".filter("];

/// Nesting of brackets in an expression, so that the recursive parser and evaluator stay within the stack.
const CEL_DEPTH_MAX: usize = 32;

fn compile_cel(field: &str, source: &str) -> Result<Program, Problem> {
    let refuse = |detail: String| {
        Problem::invalid("invalid_cel", field, detail)
            .accepted("header.type == 'order.paid' && data.amount > 100")
    };
    if source.is_empty() || source.len() > CEL_BYTES_MAX {
        return Err(refuse(format!(
            "a CEL expression has 1 to {CEL_BYTES_MAX} bytes, this one has {}",
            source.len()
        )));
    }
    let squeezed: String = source
        .chars()
        .filter(|character| !character.is_whitespace())
        .collect();
    let comprehensions: usize = COMPREHENSIONS
        .iter()
        .map(|name| squeezed.matches(name).count())
        .sum();
    if comprehensions > CEL_COMPREHENSIONS_MAX {
        return Err(refuse(format!(
            "at most {CEL_COMPREHENSIONS_MAX} of all, exists, exists_one, map and filter in one expression"
        )));
    }
    if depth(&squeezed) > CEL_DEPTH_MAX {
        return Err(refuse(format!(
            "brackets and operators may nest at most {CEL_DEPTH_MAX} deep"
        )));
    }
    Program::compile(source).map_err(|error| {
        refuse(format!(
            "is no CEL expression: {}",
            first_line(&error.to_string())
        ))
    })
}

/// How deep the parser may have to nest: open brackets, or a run of prefix operators or ternaries.
fn depth(source: &str) -> usize {
    let (mut open, mut deepest, mut run) = (0_usize, 0_usize, 0_usize);
    for byte in source.bytes() {
        match byte {
            b'(' | b'[' | b'{' | b'?' => open += 1,
            b')' | b']' | b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        run = if byte == b'!' || byte == b'-' {
            run + 1
        } else {
            0
        };
        deepest = deepest.max(open + run);
    }
    deepest
}

fn first_line(text: &str) -> &str {
    text.lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("syntax error")
}

fn evaluate(program: &Program, message: &Message) -> bool {
    let mut context = Context::default();
    let Ok(header) = cel::to_value(&message.header) else {
        return false;
    };
    context.add_variable_from_value("header", header);
    context.add_variable_from_value("data", data(message));
    matches!(program.execute(&context), Ok(Value::Bool(true)))
}

fn data(message: &Message) -> Value {
    let Some(raw) = message.body.data() else {
        return Value::Null;
    };
    let parsed: Result<serde_json::Value, _> = serde_json::from_str(raw.get());
    parsed.ok().map_or(Value::Null, from_json)
}

/// JSON numbers without a fraction are CEL integers, so that `data.amount > 100` compares as written.
fn from_json(value: serde_json::Value) -> Value {
    match value {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(value), _) => Value::Int(value),
            (None, Some(value)) => Value::UInt(value),
            (None, None) => Value::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        serde_json::Value::String(value) => Value::String(Arc::new(value)),
        serde_json::Value::Array(items) => {
            Value::List(Arc::new(items.into_iter().map(from_json).collect()))
        }
        serde_json::Value::Object(members) => {
            let map: std::collections::HashMap<String, Value> = members
                .into_iter()
                .map(|(name, value)| (name, from_json(value)))
                .collect();
            Value::Map(map.into())
        }
    }
}

#[cfg(test)]
mod tests;
