//! The OpenAPI 3.1 document, made from the route table and the schemas of the Rust types, so that it cannot promise
//! anything else than what the code does. `docs/openapi.json` is its committed copy.

use anser_core::message::Message;
use anser_core::resource::Scope;
use http::Method;
use schemars::generate::SchemaSettings;
use schemars::{Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::answer::{PROBLEM_JSON, ProblemBody};
use crate::operation::{Operation, RequestBody, Success};

/// Version of the specification that the document follows.
const OPENAPI_VERSION: &str = "3.1.0";

/// Where live sessions are.
const LIVE_PATHS: [&str; 4] = ["/ws", "/sse", "/poll", "/socket.io/"];

/// The document that describes `operations`.
pub(crate) fn document<'a>(operations: impl Iterator<Item = &'a Operation>) -> Value {
    let mut generator = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    // Part of the contract even where a call only refers to it.
    generator.subschema_for::<Message>();
    let problem = generator.subschema_for::<ProblemBody<'static>>();
    let mut paths: Map<String, Value> = Map::new();
    let mut problems: Map<String, Value> = Map::new();
    for operation in operations {
        for status in operation.problem_statuses() {
            problems
                .entry(status.to_string())
                .or_insert_with(|| problem_response(status, &problem));
        }
        let entry = describe(operation, &mut generator);
        if let Value::Object(methods) = paths.entry(operation.path).or_insert_with(|| json!({})) {
            methods.insert(operation.method.as_str().to_ascii_lowercase(), entry);
        }
    }
    json!({
        "openapi": OPENAPI_VERSION,
        "info": {
            "title": "Anser",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The bot message gateway: publish a message, it is durable, and everything that should have it receives it. Every error is RFC 9457 problem+json with a stable code.",
            "license": {"name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "responses": problems,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "An API key. `anser serve --dev` asks for none."},
                "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "A short-lived token that an application signed for one of its users: live sessions only."}},
        },
    })
}

fn describe(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut entry = Map::new();
    entry.insert("operationId".into(), operation.id.into());
    entry.insert("tags".into(), json!([tag(operation.path)]));
    entry.insert("summary".into(), operation.summary.into());
    if !operation.description.is_empty() {
        entry.insert("description".into(), operation.description.into());
    }
    let scopes = operation
        .scopes
        .iter()
        .map(|scope| json!({"key": [word(*scope)]}));
    let security: Vec<Value> = if operation.live {
        vec![json!({"key": []}), json!({"token": []})]
    } else {
        scopes.collect()
    };
    entry.insert("security".into(), security.into());
    let parameters = parameters(operation, generator);
    if !parameters.is_empty() {
        entry.insert("parameters".into(), parameters.into());
    }
    if let Some(body) = &operation.body {
        entry.insert("requestBody".into(), request_body(body, generator));
    }
    entry.insert("responses".into(), responses(operation, generator));
    entry.into()
}

fn tag(path: &str) -> &str {
    let mut words = path
        .split('/')
        .filter(|word| !word.is_empty() && *word != "v1");
    match words.next() {
        Some(word) if path.starts_with("/v1/") => {
            // `/v1/topics/{topic}/subscriptions` belongs with the subscriptions.
            words.find(|word| *word == "subscriptions").unwrap_or(word)
        }
        _ if LIVE_PATHS.contains(&path) => "live",
        _ => "operation",
    }
}

fn word(scope: Scope) -> Value {
    serde_json::to_value(scope).unwrap_or_default()
}

fn parameters(operation: &Operation, generator: &mut SchemaGenerator) -> Vec<Value> {
    let mut parameters = Vec::new();
    // The system's own topics can be looked at, adjusted and subscribed to; clients do not publish to them.
    let system_topics = [Method::GET, Method::PATCH].contains(&operation.method)
        || operation.path.contains("/subscriptions");
    for name in operation
        .path
        .split('/')
        .filter_map(|segment| segment.strip_prefix('{')?.strip_suffix('}'))
    {
        parameters.push(
            json!({"name": name, "in": "path", "required": true, "schema": path_schema(name, system_topics)}),
        );
    }
    if let Some(query) = operation.query {
        parameters.extend(query_parameters(&query(generator), generator));
    }
    for header in &operation.headers {
        parameters.push(json!({
            "name": header.name,
            "in": "header",
            "required": false,
            "description": header.meaning,
            "schema": {"type": "string", "pattern": header.pattern},
        }));
    }
    parameters
}

/// A parameter of a path by its name: the grammar of what it names.
fn path_schema(name: &str, system_topics: bool) -> Value {
    match name {
        "message" => json!({"type": "string", "format": "uuid"}),
        "delivery" => json!({"type": "string", "pattern": "^dlv_[0-9]{1,19}$"}),
        "media" => json!({"type": "integer", "minimum": 0}),
        "type" => json!({"type": "string", "pattern": "^[A-Za-z0-9_.-]{1,128}$"}),
        // Of any script: in bytes it is counted by the rule, which a schema cannot say.
        "user" => {
            json!({"type": "string", "minLength": 1, "maxLength": 128, "pattern": r"^[^\s/\x00-\x1f\x7f]+$"})
        }
        "session" => json!({"type": "string", "pattern": "^ses_[0-9]{1,19}_[0-9]{1,19}$"}),
        "topic" if system_topics => {
            json!({"type": "string", "pattern": r"^\$?[A-Za-z][A-Za-z0-9._-]{0,126}$"})
        }
        _ => json!({"type": "string", "pattern": "^[A-Za-z][A-Za-z0-9._-]{0,126}$"}),
    }
}

/// The properties of a query's struct are its parameters.
fn query_parameters(schema: &Schema, generator: &SchemaGenerator) -> Vec<Value> {
    let name = schema
        .get("$ref")
        .and_then(Value::as_str)
        .and_then(|path| path.rsplit('/').next());
    let resolved = name.and_then(|name| generator.definitions().get(name));
    let resolved = resolved.unwrap_or(schema.as_value());
    let properties = resolved.get("properties").and_then(Value::as_object);
    let required = resolved.get("required").and_then(Value::as_array);
    let is_required =
        |name: &str| required.is_some_and(|required| required.iter().any(|word| word == name));
    let mut parameters = Vec::new();
    for (name, schema) in properties.into_iter().flatten() {
        let mut schema = schema.clone();
        let description = schema
            .as_object_mut()
            .and_then(|schema| schema.remove("description"));
        parameters.push(json!({"name": name, "in": "query", "required": is_required(name), "description": description, "schema": without_null(schema)}));
    }
    parameters
}

/// An absent parameter is `None` to the code; `null` cannot be written in a query.
fn without_null(mut schema: Value) -> Value {
    if let Some(types) = schema.get_mut("type")
        && let Some(list) = types.as_array_mut()
    {
        list.retain(|word| word != "null");
        if let [only] = list.as_slice() {
            *types = only.clone();
        }
    }
    let single = schema
        .get_mut("anyOf")
        .and_then(Value::as_array_mut)
        .and_then(|forms| {
            forms.retain(|form| form.get("type").is_none_or(|word| word != "null"));
            (forms.len() == 1).then(|| forms.remove(0))
        });
    single.unwrap_or(schema)
}

fn request_body(body: &RequestBody, generator: &mut SchemaGenerator) -> Value {
    let schema = body
        .schema
        .map_or_else(|| json!({}), |schema| schema(generator).to_value());
    let content: Map<String, Value> = body
        .media_types
        .iter()
        .map(|media_type| ((*media_type).to_owned(), json!({"schema": schema})))
        .collect();
    json!({"required": body.required, "content": content})
}

fn responses(operation: &Operation, generator: &mut SchemaGenerator) -> Value {
    let mut responses = Map::new();
    for answer in &operation.answers {
        responses.insert(answer.status.to_string(), success(answer, generator));
    }
    for status in operation.problem_statuses() {
        let reference = json!({"$ref": format!("#/components/responses/{status}")});
        responses.entry(status.to_string()).or_insert(reference);
    }
    responses.into()
}

/// A problem's response, shared by all operations.
fn problem_response(status: u16, schema: &Schema) -> Value {
    let mut response =
        json!({"description": reason(status), "content": {PROBLEM_JSON: {"schema": schema}}});
    let header = match status {
        401 => Some("WWW-Authenticate"),
        429 | 503 => Some("Retry-After"),
        _ => None,
    };
    if let Some(header) = header {
        response["headers"] = json!({header: {"schema": {"type": "string"}}});
    }
    response
}

fn success(answer: &Success, generator: &mut SchemaGenerator) -> Value {
    let mut response = json!({"description": answer.description});
    if let Some((media_type, schema)) = answer.content {
        let schema = schema.map_or_else(
            || json!({"type": "string"}),
            |schema| schema(generator).to_value(),
        );
        response["content"] = json!({media_type: {"schema": schema}});
    }
    if answer.revision {
        response["headers"] = json!({"ETag": {"description": "The revision, for If-Match.", "schema": {"type": "string"}}});
    }
    response
}

fn reason(status: u16) -> &'static str {
    http::StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason())
        .unwrap_or("Problem")
}
