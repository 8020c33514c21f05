//! Which fields of some settings are secret, by their JSON Schema; and what follows from it: masking them, and keeping
//! them where a change leaves them out. Pure.

use std::fmt;

use anser_core::Problem;
use serde_json::{Map, Value};

/// What a secret is shown as; given back in a change it means "keep".
pub const MASK: &str = "********";

/// How deep a schema is followed; deeper fields would not be taken for secrets, so kinds must stay below it.
const SCHEMA_DEPTH_MAX: usize = 32;

/// Where a value stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Member(String),
    Index(usize),
}

/// The way from the settings to a field.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path(Vec<Step>);

impl Path {
    fn member(&self, name: &str) -> Self {
        self.with(Step::Member(name.to_owned()))
    }

    fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    fn get<'v>(&self, value: &'v Value) -> Option<&'v Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Member(name) => value.get(name),
            Step::Index(index) => value.get(index),
        })
    }

    pub(super) fn get_mut<'v>(&self, value: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(value, |value, step| match step {
            Step::Member(name) => value.get_mut(name),
            Step::Index(index) => value.get_mut(index),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, step) in self.0.iter().enumerate() {
            match step {
                Step::Member(name) if i == 0 => f.write_str(name)?,
                Step::Member(name) => write!(f, ".{name}")?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Every secret field that `settings` have, also those inside another one, each once.
fn all_secret_paths(schema: &Value, settings: &Value) -> Vec<Path> {
    let mut found = Vec::new();
    let walk = Walk { root: schema };
    walk.secrets(schema, settings, &Path::default(), 0, &mut found);
    found.sort_unstable();
    found.dedup();
    found
}

/// The secret fields that `settings` have, each once and none inside another.
pub(super) fn secret_paths(schema: &Value, settings: &Value) -> Vec<Path> {
    let mut outermost: Vec<Path> = Vec::new();
    for path in all_secret_paths(schema, settings) {
        // Sorted, a path comes right after the ones that it begins with.
        if !outermost
            .last()
            .is_some_and(|outer| path.0.starts_with(&outer.0))
        {
            outermost.push(path);
        }
    }
    outermost
}

/// The settings as they may be shown: every secret as [`MASK`]. Empty and absent ones show that they are.
pub(crate) fn mask(schema: &Value, settings: &Value) -> Value {
    let mut masked = settings.clone();
    for path in secret_paths(schema, settings) {
        if let Some(value) = path.get_mut(&mut masked)
            && !is_empty(value)
        {
            *value = MASK.into();
        }
    }
    masked
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

/// What the absence of a secret in a change means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Absent {
    /// It is kept (`PUT`, `POST`).
    Keep,
    /// It is removed (`PATCH` with `null`).
    Remove,
}

/// The new settings with the old secrets put in where they are masked or left out. Members of a map, unlike declared
/// fields, are data: one that is left out is removed.
///
/// # Errors
/// `missing_secret` for a masked field that the old settings do not have.
pub(crate) fn keep(
    schema: &Value,
    old: &Value,
    new: &Value,
    absent: Absent,
) -> Result<Value, Problem> {
    let mut kept = new.clone();
    if absent == Absent::Keep {
        let walk = Walk { root: schema };
        walk.fill(schema, old, &mut kept, 0);
    }
    for path in all_secret_paths(schema, &kept.clone()) {
        let Some(value) = path.get_mut(&mut kept) else {
            continue;
        };
        if value.as_str() != Some(MASK) {
            continue;
        }
        *value = path.get(old).cloned().ok_or_else(|| {
            Problem::invalid(
                "missing_secret",
                format!("settings.{path}"),
                format!("{MASK} stands for the secret that is stored, and none is: give the secret itself"),
            )
        })?;
    }
    Ok(kept)
}

struct Walk<'s> {
    root: &'s Value,
}

impl<'s> Walk<'s> {
    fn secrets(
        &self,
        schema: &'s Value,
        value: &Value,
        path: &Path,
        depth: usize,
        found: &mut Vec<Path>,
    ) {
        if depth > SCHEMA_DEPTH_MAX {
            return;
        }
        if is_secret(schema) {
            found.push(path.clone());
        }
        for branch in self.branches(schema) {
            self.secrets(branch, value, path, depth + 1, found);
        }
        match value {
            Value::Object(members) => {
                for (name, member) in members {
                    if let Some(schema) = member_schema(schema, name) {
                        self.secrets(schema, member, &path.member(name), depth + 1, found);
                    }
                }
            }
            Value::Array(items) => {
                if let Some(schema) = schema.get("items") {
                    for (i, item) in items.iter().enumerate() {
                        self.secrets(schema, item, &path.index(i), depth + 1, found);
                    }
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    /// Copies declared secret fields that `new` leaves out from `old`.
    fn fill(&self, schema: &'s Value, old: &Value, new: &mut Value, depth: usize) {
        if depth > SCHEMA_DEPTH_MAX {
            return;
        }
        for branch in self.branches(schema) {
            if self.applies(branch, new) {
                self.fill(branch, old, new, depth + 1);
            }
        }
        let (Some(old), Some(new)) = (old.as_object(), new.as_object_mut()) else {
            return;
        };
        for (name, schema) in properties(schema) {
            match (old.get(name), new.get_mut(name)) {
                (Some(old), Some(new)) => self.fill(schema, old, new, depth + 1),
                (Some(old), None) if self.leads_to_secret(schema, depth + 1) => {
                    new.insert(name.clone(), old.clone());
                }
                (Some(_) | None, None) | (None, Some(_)) => {}
            }
        }
    }

    /// Whether the field itself is secret, perhaps behind a reference or among alternatives.
    fn leads_to_secret(&self, schema: &'s Value, depth: usize) -> bool {
        is_secret(schema)
            || depth <= SCHEMA_DEPTH_MAX
                && self
                    .branches(schema)
                    .any(|branch| self.leads_to_secret(branch, depth + 1))
    }

    /// The schemas that hold, or may hold, for the same value: a reference's target and the members of combinations.
    fn branches(&self, schema: &'s Value) -> impl Iterator<Item = &'s Value> + use<'s> {
        let target = schema
            .get("$ref")
            .and_then(Value::as_str)
            .and_then(|reference| self.root.pointer(reference.strip_prefix('#')?));
        let combined = ["allOf", "anyOf", "oneOf"]
            .into_iter()
            .filter_map(|keyword| schema.get(keyword)?.as_array())
            .flatten();
        target.into_iter().chain(combined)
    }

    /// Whether an alternative can be meant by `value`: its constants agree and it knows every member. A secret of
    /// another alternative must not be copied into this one.
    fn applies(&self, branch: &'s Value, value: &Value) -> bool {
        let Some(members) = value.as_object() else {
            return false;
        };
        let closed = branch.get("additionalProperties") == Some(&Value::Bool(false));
        let known = |name: &String| {
            branch
                .pointer("/properties")
                .is_some_and(|p| p.get(name).is_some())
        };
        if closed && !members.keys().all(known) {
            return false;
        }
        properties(branch).all(|(name, schema)| match members.get(name) {
            Some(member) => {
                schema
                    .get("const")
                    .is_none_or(|constant| constant == member)
                    && schema
                        .get("enum")
                        .and_then(Value::as_array)
                        .is_none_or(|words| words.contains(member))
            }
            None => true,
        })
    }
}

fn is_secret(schema: &Value) -> bool {
    schema.get("writeOnly") == Some(&Value::Bool(true))
}

fn properties(schema: &Value) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flat_map(Map::iter)
}

fn member_schema<'s>(schema: &'s Value, name: &str) -> Option<&'s Value> {
    schema
        .get("properties")
        .and_then(|properties| properties.get(name))
        .or_else(|| {
            schema
                .get("additionalProperties")
                .filter(|schema| schema.is_object())
        })
}
