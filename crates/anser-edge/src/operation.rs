//! What a route is, in words and schemas: each route is described once, where it is declared, and both its behaviour
//! (scope, query, path) and its entry in the OpenAPI document come from that description.

use anser_core::resource::Scope;
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator};

/// Makes the schema of a type.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// A route's description.
pub(crate) struct Operation {
    pub(crate) method: Method,
    /// As axum writes it: parameters in braces.
    pub(crate) path: &'static str,
    /// Its `operationId`.
    pub(crate) id: &'static str,
    pub(crate) summary: &'static str,
    pub(crate) description: &'static str,
    /// What the key needs, one of these; none: no key is asked for.
    pub(crate) scopes: &'static [Scope],
    /// It is of a live wire: a key, or a token that an application signed.
    pub(crate) live: bool,
    pub(crate) query: Option<SchemaOf>,
    pub(crate) body: Option<RequestBody>,
    /// Request headers beside the usual ones.
    pub(crate) headers: Vec<RequestHeader>,
    pub(crate) answers: Vec<Success>,
    /// Problem statuses beside those that follow from the rest.
    pub(crate) problems: Vec<u16>,
}

/// A request header.
pub(crate) struct RequestHeader {
    pub(crate) name: &'static str,
    pub(crate) meaning: &'static str,
    /// What it must look like.
    pub(crate) pattern: &'static str,
}

/// What a request carries.
pub(crate) struct RequestBody {
    pub(crate) media_types: &'static [&'static str],
    /// `None`: any bytes.
    pub(crate) schema: Option<SchemaOf>,
    /// Whether the request must have one.
    pub(crate) required: bool,
}

/// A way to succeed.
pub(crate) struct Success {
    pub(crate) status: u16,
    pub(crate) description: &'static str,
    pub(crate) content: Option<(&'static str, Option<SchemaOf>)>,
    /// The answer carries the revision as `ETag`.
    pub(crate) revision: bool,
}

impl Operation {
    pub(crate) fn new(
        method: Method,
        path: &'static str,
        id: &'static str,
        summary: &'static str,
    ) -> Self {
        Self {
            method,
            path,
            id,
            summary,
            description: "",
            scopes: &[],
            live: false,
            query: None,
            body: None,
            headers: Vec::new(),
            answers: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// It takes a key or a signed token, and says itself what it refuses.
    pub(crate) fn live(mut self) -> Self {
        self.live = true;
        self
    }

    /// The connection changes its protocol.
    pub(crate) fn switches(self, description: &'static str) -> Self {
        self.success(101, description, None)
    }

    pub(crate) fn describe(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    pub(crate) fn query<T: JsonSchema>(mut self) -> Self {
        self.query = Some(schema_of::<T>);
        self
    }

    pub(crate) fn body<T: JsonSchema>(mut self, media_types: &'static [&'static str]) -> Self {
        self.body = Some(RequestBody {
            media_types,
            schema: Some(schema_of::<T>),
            required: true,
        });
        self
    }

    /// As [`Operation::body`], but it may be left out.
    pub(crate) fn optional_body<T: JsonSchema>(self, media_types: &'static [&'static str]) -> Self {
        let mut operation = self.body::<T>(media_types);
        if let Some(body) = &mut operation.body {
            body.required = false;
        }
        operation
    }

    pub(crate) fn body_of_any_kind(mut self, media_types: &'static [&'static str]) -> Self {
        self.body = Some(RequestBody {
            media_types,
            schema: None,
            required: true,
        });
        self
    }

    pub(crate) fn header(
        mut self,
        name: &'static str,
        pattern: &'static str,
        meaning: &'static str,
    ) -> Self {
        self.headers.push(RequestHeader {
            name,
            meaning,
            pattern,
        });
        self
    }

    /// Changes a resource: takes `If-Match`.
    pub(crate) fn conditional(self) -> Self {
        self.header(
            "If-Match",
            r#"^(\*|"[0-9]{1,19}")$"#,
            "The ETag of the resource: refuse with 412 if it has changed since.",
        )
        .problems(&[409, 412])
    }

    pub(crate) fn answer<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.success(
            status,
            description,
            Some((crate::answer::JSON, Some(schema_of::<T>))),
        )
    }

    pub(crate) fn answer_text(self, media_type: &'static str, description: &'static str) -> Self {
        self.success(200, description, Some((media_type, None)))
    }

    pub(crate) fn answer_empty(self, description: &'static str) -> Self {
        self.success(204, description, None)
    }

    /// The answer given last carries an `ETag`.
    pub(crate) fn with_revision(mut self) -> Self {
        if let Some(answer) = self.answers.last_mut() {
            answer.revision = true;
        }
        self
    }

    pub(crate) fn problems(mut self, statuses: &[u16]) -> Self {
        self.problems.extend(statuses);
        self
    }

    fn success(
        mut self,
        status: u16,
        description: &'static str,
        content: Option<(&'static str, Option<SchemaOf>)>,
    ) -> Self {
        self.answers.push(Success {
            status,
            description,
            content,
            revision: false,
        });
        self
    }

    /// Every problem status this route can answer with, in order.
    pub(crate) fn problem_statuses(&self) -> Vec<u16> {
        // 422: an unknown parameter is refused everywhere.
        let mut statuses = vec![422, 500, 503];
        if !self.scopes.is_empty() {
            statuses.extend([401, 403]);
        }
        if self.path.contains('{') || !self.headers.is_empty() {
            statuses.push(400);
        }
        if self.path.contains('{') {
            statuses.push(404);
        }
        if self.body.is_some() {
            statuses.extend([400, 408, 413, 415]);
        }
        if self.method != Method::GET {
            statuses.extend([429, 507]);
        }
        statuses.extend(&self.problems);
        statuses.sort_unstable();
        statuses.dedup();
        statuses
    }
}
