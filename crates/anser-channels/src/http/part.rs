//! The texts of the settings that are templates: a text as it is, a template, or one expression, whose value keeps its
//! type and may be left out. The tree of `json` is made of them. Must not know what it is part of.

use std::collections::BTreeSet;

use anser_core::Problem;
use serde_json::{Map, Value};

use super::engine::{Expression, Template, is_template, sole_expression};
use super::place::{self, Place};
use super::scope::Scope;
use super::variables::Variables;

/// Texts with templates in one JSON document.
const TEMPLATES_MAX: usize = 256;
/// Lists and objects inside one another in a JSON document.
const DEPTH_MAX: usize = 32;

/// A text of the settings.
pub(super) enum Part {
    /// As it is.
    Literal(String),
    /// With values in it.
    Template(Box<Template>),
    /// One value.
    Value(Box<Expression>),
}

impl Part {
    /// Compiles it.
    ///
    /// # Errors
    /// As [`Template::compile`].
    pub(super) fn compile(field: &str, source: &str, scope: &Scope<'_>) -> Result<Self, Problem> {
        if !is_template(source) {
            return Ok(Self::Literal(source.to_owned()));
        }
        Ok(match sole_expression(source) {
            Some(expression) => {
                Self::Value(Box::new(Expression::compile(field, expression, scope)?))
            }
            None => {
                let template = Template::compile(field, Place::Plain, source, scope)?;
                Self::Template(Box::new(template))
            }
        })
    }

    /// The variables it names.
    pub(super) fn uses(&self) -> impl Iterator<Item = &String> {
        match self {
            Self::Literal(_) => None,
            Self::Template(template) => Some(&template.uses),
            Self::Value(expression) => Some(&expression.uses),
        }
        .into_iter()
        .flatten()
    }

    /// As text; nothing when its value is none.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub(super) fn text(&self, variables: &Variables<'_>) -> Result<Option<String>, Problem> {
        match self {
            Self::Literal(text) => Ok(Some(text.clone())),
            Self::Template(template) => template.render(variables).map(Some),
            Self::Value(expression) => expression.converted(variables, |value| {
                if value.is_none() {
                    return Ok(None);
                }
                place::text(value).map(|text| Some(text.into_owned()))
            }),
        }
    }

    /// As JSON; nothing when its value is none.
    fn json(&self, variables: &Variables<'_>) -> Result<Option<Value>, Problem> {
        match self {
            Self::Value(expression) => expression.converted(variables, |value| {
                if value.is_none() {
                    return Ok(None);
                }
                place::json(value).map(Some)
            }),
            Self::Literal(_) | Self::Template(_) => Ok(self.text(variables)?.map(Value::from)),
        }
    }
}

/// A JSON document of which the texts are templates.
pub(super) enum Node {
    /// A number, a truth value or null.
    Plain(Value),
    /// A text.
    Text(Part),
    /// A list.
    List(Vec<Node>),
    /// An object.
    Object(Vec<(String, Node)>),
}

impl Node {
    /// Compiles a document.
    ///
    /// # Errors
    /// As [`Template::compile`]; `too_many`, `too_deep`.
    pub(super) fn compile(field: &str, json: &Value, scope: &Scope<'_>) -> Result<Self, Problem> {
        let mut left = TEMPLATES_MAX;
        Self::compile_at(field, json, scope, &mut left, 0)
    }

    fn compile_at(
        field: &str,
        json: &Value,
        scope: &Scope<'_>,
        left: &mut usize,
        depth: usize,
    ) -> Result<Self, Problem> {
        if depth > DEPTH_MAX {
            let detail = format!("is nested deeper than {DEPTH_MAX}");
            return Err(Problem::invalid("too_deep", field, detail));
        }
        Ok(match json {
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Plain(json.clone()),
            Value::String(source) => {
                let part = Part::compile(field, source, scope)?;
                if !matches!(part, Part::Literal(_)) {
                    let Some(less) = left.checked_sub(1) else {
                        let detail = format!("may have at most {TEMPLATES_MAX} templates");
                        return Err(Problem::invalid("too_many", "settings.json", detail));
                    };
                    *left = less;
                }
                Self::Text(part)
            }
            Value::Array(items) => {
                let mut nodes = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    let field = format!("{field}[{i}]");
                    nodes.push(Self::compile_at(&field, item, scope, left, depth + 1)?);
                }
                Self::List(nodes)
            }
            Value::Object(members) => {
                let mut nodes = Vec::with_capacity(members.len());
                for (name, member) in members {
                    let field = format!("{field}.{name}");
                    let node = Self::compile_at(&field, member, scope, left, depth + 1)?;
                    nodes.push((name.clone(), node));
                }
                Self::Object(nodes)
            }
        })
    }

    /// Adds the variables it names.
    pub(super) fn add_uses(&self, uses: &mut BTreeSet<String>) {
        match self {
            Self::Plain(_) => {}
            Self::Text(part) => uses.extend(part.uses().cloned()),
            Self::List(nodes) => nodes.iter().for_each(|node| node.add_uses(uses)),
            Self::Object(nodes) => nodes.iter().for_each(|(_, node)| node.add_uses(uses)),
        }
    }

    /// The document for these variables; nothing when its own value is none.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub(super) fn json(&self, variables: &Variables<'_>) -> Result<Option<Value>, Problem> {
        Ok(Some(match self {
            Self::Plain(value) => value.clone(),
            Self::Text(part) => return part.json(variables),
            Self::List(nodes) => {
                let mut items = Vec::with_capacity(nodes.len());
                for node in nodes {
                    items.extend(node.json(variables)?);
                }
                Value::Array(items)
            }
            Self::Object(nodes) => {
                let mut members = Map::with_capacity(nodes.len());
                for (name, node) in nodes {
                    if let Some(value) = node.json(variables)? {
                        members.insert(name.clone(), value);
                    }
                }
                Value::Object(members)
            }
        }))
    }
}
