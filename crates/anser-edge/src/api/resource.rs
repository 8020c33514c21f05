//! What every kind of resource has in common: the six descriptions (list, create, show, replace, change, delete), the
//! bodies of creation and change, and the answers with their revision.

use std::borrow::Cow;
use std::marker::PhantomData;

use anser_core::Problem;
use anser_core::resource::{
    ChannelSpec, EventTypeSpec, IssuerSpec, QueueSpec, RobotSpec, RoomSpec, SubscriptionSpec,
    TopicSpec,
};
use anser_gateway::admin::{ListQuery, Put};
use anser_gateway::look::Page;
use http::{Method, StatusCode};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::paging::{self, PageQuery};
use crate::answer::{self, Answer, JSON};
use crate::call::Call;
use crate::operation::Operation;

/// Media types of a change: a JSON merge patch (RFC 7396), under its own name or as plain JSON.
const MERGE_PATCH: &[&str] = &["application/merge-patch+json", JSON];

pub(super) fn list<V: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Method::GET, path, id, summary)
        .query::<PageQuery>()
        .answer::<Page<V>>(200, "A page, by name.")
}

pub(super) fn create<S: Grammar, V: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Method::POST, path, id, summary)
        .describe("Idempotent by name: the same again answers 200 with what is there, other settings 409.")
        .body::<Named<S>>(&[JSON])
        .answer::<V>(200, "It was there already.")
        .with_revision()
        .answer::<V>(201, "Created.")
        .with_revision()
        .problems(&[409])
}

pub(super) fn show<V: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Method::GET, path, id, summary)
        .answer::<V>(200, "As configured.")
        .with_revision()
}

pub(super) fn replace<S: JsonSchema, V: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Method::PUT, path, id, summary)
        .conditional()
        .body::<S>(&[JSON])
        .answer::<V>(200, "Replaced.")
        .with_revision()
        .answer::<V>(201, "Created.")
        .with_revision()
}

pub(super) fn change<S: Grammar, V: JsonSchema>(
    path: &'static str,
    id: &'static str,
    summary: &'static str,
) -> Operation {
    Operation::new(Method::PATCH, path, id, summary)
        .describe(
            "A JSON merge patch (RFC 7396): fields that are left out stay, null removes a field.",
        )
        .conditional()
        .body::<Patch<S>>(MERGE_PATCH)
        .answer::<V>(200, "Changed.")
        .with_revision()
}

pub(super) fn delete(path: &'static str, id: &'static str, summary: &'static str) -> Operation {
    Operation::new(Method::DELETE, path, id, summary)
        .conditional()
        .answer_empty("Deleted.")
}

/// Whether what depends on it goes too.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(super) struct CascadeQuery {
    /// Delete the subscriptions that use it too, and cancel their unfinished deliveries.
    pub(super) cascade: bool,
}

/// The list that a request asks for.
pub(super) fn list_query(call: &Call) -> Result<ListQuery, Problem> {
    let query: PageQuery = call.query()?;
    Ok(ListQuery {
        limit: paging::limit(query.limit)?,
        cursor: paging::cursor(query.cursor)?,
    })
}

/// What carries a revision.
pub(super) trait Revised: Serialize {
    /// The revision.
    fn revision(&self) -> u64;
}

/// The answer with a resource.
pub(super) fn shown<V: Revised>(view: &V) -> Answer {
    answer::with_revision(answer::json(StatusCode::OK, view), view.revision())
}

/// The answer to a creation or replacement; `path` is where the resource is.
pub(super) fn put<V: Revised>(put: &Put<V>, path: &str) -> Answer {
    if !put.created {
        return shown(&put.view);
    }
    let created = answer::json(StatusCode::CREATED, &put.view);
    answer::at(answer::with_revision(created, put.view.revision()), path)
}

/// What the names of a kind of resource look like.
pub(super) trait Grammar: JsonSchema {
    /// The pattern of a name.
    const NAME: &'static str = "^[A-Za-z][A-Za-z0-9._-]{0,126}$";
}

impl Grammar for TopicSpec {}
impl Grammar for ChannelSpec {}
impl Grammar for QueueSpec {}
impl Grammar for RobotSpec {}
impl Grammar for IssuerSpec {}
impl Grammar for RoomSpec {
    const NAME: &'static str = "^[A-Za-z][A-Za-z0-9._-]{0,99}$";
}
impl Grammar for SubscriptionSpec {}
impl Grammar for EventTypeSpec {
    const NAME: &'static str = "^[A-Za-z0-9_.-]{1,128}$";
}

/// The schema of a creation: the fields of a resource beside its name. [`Call::named`] reads it.
struct Named<S>(PhantomData<S>);

impl<S: Grammar> JsonSchema for Named<S> {
    fn schema_name() -> Cow<'static, str> {
        format!("New{}", S::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = S::json_schema(generator);
        let name =
            json!({"type": "string", "pattern": S::NAME, "description": "Unique ignoring case."});
        if let Some(Value::Object(properties)) = schema.get_mut("properties") {
            properties.insert("name".to_owned(), name);
        }
        let required = schema
            .ensure_object()
            .entry("required")
            .or_insert_with(|| json!([]));
        if let Value::Array(required) = required {
            required.push("name".into());
        }
        schema
    }
}

/// The schema of a merge patch of a resource.
struct Patch<S>(PhantomData<S>);

impl<S: Grammar> JsonSchema for Patch<S> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Patch", S::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = S::json_schema(generator);
        patch(schema.ensure_object(), generator);
        schema
    }
}

/// Makes an object's schema that of a patch of it: nothing is required, and null stands for what need not be there.
fn patch(schema: &mut Map<String, Value>, generator: &SchemaGenerator) {
    let required = schema.remove("required").unwrap_or_default();
    let required: Vec<&str> = required
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    let Some(Value::Object(properties)) = schema.get_mut("properties") else {
        return;
    };
    for (name, property) in properties.iter_mut() {
        patch_property(property, generator);
        if !required.contains(&name.as_str()) {
            *property = json!({"anyOf": [property.take(), {"type": "null"}]});
        }
    }
}

/// An object inside an object is patched too (RFC 7396 §2).
fn patch_property(property: &mut Value, generator: &SchemaGenerator) {
    let Value::Object(fields) = property else {
        return;
    };
    fields.remove("default");
    if let Some(Value::Array(forms)) = fields.get_mut("anyOf") {
        for form in forms {
            patch_property(form, generator);
        }
    }
    let name = fields
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    let definition = name.and_then(|name| generator.definitions().get(name));
    if let Some(Value::Object(object)) = definition
        && object.contains_key("properties")
    {
        let mut object = object.clone();
        patch(&mut object, generator);
        let described = fields.remove("description");
        object.extend(described.map(|text| ("description".to_owned(), text)));
        *fields = object;
    }
}
