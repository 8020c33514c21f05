//! One request on its way to its handler: the pieces that handlers ask for, each read through its limit and refused with
//! the name of what is wrong.

use std::borrow::Cow;
use std::sync::Arc;

use anser_core::message::item::parse_json;
use anser_core::{Problem, ProblemKind};
use axum::body::Body;
use bytes::Bytes;
use http::HeaderName;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, IF_MATCH};
use http::request::Parts;
use percent_encoding::percent_decode_str;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::state::Edge;
use crate::{body, guard, query};

/// The body of a request that creates or changes a resource: room for the largest JSON Schema and the largest settings.
const RESOURCE_BYTES_MAX: usize = 1024 * 1024;

/// One request.
pub(crate) struct Call {
    /// What it is served with.
    pub(crate) edge: Arc<Edge>,
    parts: Parts,
    body: Body,
    template: &'static str,
}

impl Call {
    pub(crate) fn new(edge: Arc<Edge>, parts: Parts, body: Body, template: &'static str) -> Self {
        Self {
            edge,
            parts,
            body,
            template,
        }
    }

    /// The segment of the path that stands where the route says `{name}`, decoded.
    pub(crate) fn param(&self, name: &str) -> Result<Cow<'_, str>, Problem> {
        let segment = self
            .template
            .split('/')
            .zip(self.parts.uri.path().split('/'))
            .find(|(template, _)| {
                template
                    .strip_prefix('{')
                    .and_then(|rest| rest.strip_suffix('}'))
                    == Some(name)
            })
            .map_or("", |(_, segment)| segment);
        percent_decode_str(segment).decode_utf8().map_err(|_| {
            Problem::new(
                ProblemKind::Malformed,
                "malformed_path",
                "the path is not UTF-8 once its % signs are decoded",
            )
            .field(name)
        })
    }

    /// Where the caller reaches the gateway: its public URL, or the host that the request is for.
    pub(crate) fn base(&self) -> String {
        if let Some(url) = self.edge.gateway.public_url() {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = match self.edge.options.tls {
            Some(_) => "https",
            None => "http",
        };
        let host = guard::host(&self.parts).unwrap_or("localhost");
        format!("{scheme}://{host}")
    }

    /// The segment of the path as an id.
    ///
    /// # Errors
    /// 404 with `code`: an id of another form names nothing.
    pub(crate) fn id<T: std::str::FromStr>(
        &self,
        name: &str,
        code: &'static str,
    ) -> Result<T, Problem> {
        let text = self.param(name)?;
        text.parse().map_err(|_| {
            Problem::new(
                ProblemKind::NotFound,
                code,
                format!("{text:?} is not an id of this kind"),
            )
        })
    }

    /// The query parameters.
    pub(crate) fn query<T: DeserializeOwned>(&self) -> Result<T, Problem> {
        query::read(self.parts.uri.query())
    }

    /// A header that may be given once, as text.
    ///
    /// # Errors
    /// 400 `invalid_header`.
    pub(crate) fn header(&self, name: &HeaderName) -> Result<Option<&str>, Problem> {
        let mut values = self.headers(name);
        let first = values.next().transpose()?;
        match values.next() {
            None => Ok(first),
            Some(_) => Err(invalid_header(name, "is given more than once")),
        }
    }

    /// A header that may be given several times, as texts.
    pub(crate) fn headers(&self, name: &HeaderName) -> impl Iterator<Item = Result<&str, Problem>> {
        let name = name.clone();
        self.parts
            .headers
            .get_all(&name)
            .into_iter()
            .map(move |value| {
                std::str::from_utf8(value.as_bytes())
                    .map_err(|_| invalid_header(&name, "is not UTF-8"))
            })
    }

    /// The names of all headers, each once, in lower case.
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &HeaderName> {
        self.parts.headers.keys()
    }

    /// The media type of the body without parameters, in lower case; empty when there is none.
    pub(crate) fn media_type(&self) -> Result<Cow<'_, str>, Problem> {
        let essence = self
            .header(&CONTENT_TYPE)?
            .and_then(|text| text.split(';').next())
            .unwrap_or("")
            .trim();
        if essence.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Ok(essence.to_ascii_lowercase().into());
        }
        Ok(essence.into())
    }

    /// What it is made of, for those who hand it on as it came.
    pub(crate) fn into_parts(self) -> (Arc<Edge>, Parts, Body) {
        (self.edge, self.parts, self.body)
    }

    /// The body as it comes, for those who read it piece by piece.
    ///
    /// # Errors
    /// 415 for a compressed one.
    pub(crate) fn into_body(self) -> Result<Body, Problem> {
        match self.header(&CONTENT_ENCODING)? {
            Some(coding) if !coding.eq_ignore_ascii_case("identity") => Err(compressed()),
            _ => Ok(self.body),
        }
    }

    /// The body as it came.
    ///
    /// # Errors
    /// 408, 413, and 415 for a compressed one.
    pub(crate) async fn bytes(self, most: usize) -> Result<Bytes, Problem> {
        if let Some(coding) = self.header(&CONTENT_ENCODING)?
            && !coding.eq_ignore_ascii_case("identity")
        {
            body::discard(self.body).await;
            return Err(compressed());
        }
        body::read(self.body, most, self.edge.options.body_timeout).await
    }

    /// The body as the bytes of a JSON document.
    ///
    /// # Errors
    /// As [`Call::bytes`], and 415 for another content type.
    pub(crate) async fn json_bytes(self, most: usize) -> Result<Bytes, Problem> {
        let media_type = self.media_type()?;
        if !media_type.is_empty() && !is_json(&media_type) {
            let problem = unsupported(
                "unsupported_media_type",
                &format!(
                    "this call takes JSON, not {media_type}; say so in the content-type header"
                ),
            )
            .accepted("application/json");
            body::discard(self.body).await;
            return Err(problem);
        }
        self.bytes(most).await
    }

    /// The body as a document of a resource.
    pub(crate) async fn json<T: DeserializeOwned>(self) -> Result<T, Problem> {
        parse_json("", &self.json_bytes(RESOURCE_BYTES_MAX).await?)
    }

    /// The body as a resource to create: its fields beside its `name`.
    pub(crate) async fn named<T: DeserializeOwned>(self) -> Result<(String, T), Problem> {
        let mut fields: Map<String, Value> = self.json().await?;
        let name = match fields.remove("name") {
            Some(Value::String(name)) => name,
            Some(_) => {
                return Err(Problem::invalid(
                    "invalid_field",
                    "name",
                    "must be a string",
                ));
            }
            None => return Err(Problem::invalid("invalid_field", "name", "is required")),
        };
        // Through text once more: only then is what is wrong named the same way everywhere.
        let spec = parse_json("", Value::Object(fields).to_string().as_bytes())?;
        Ok((name, spec))
    }

    /// The revision that `If-Match` asks for; `None` when any will do.
    ///
    /// # Errors
    /// 400 `invalid_header` for a tag of a form that this gateway never gives out.
    pub(crate) fn if_match(&self) -> Result<Option<u64>, Problem> {
        let Some(text) = self.header(&IF_MATCH)?.map(str::trim) else {
            return Ok(None);
        };
        if text == "*" {
            return Ok(None);
        }
        let digits = text
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'))
            .filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        match digits.and_then(|digits| digits.parse().ok()) {
            Some(revision) => Ok(Some(revision)),
            None => Err(invalid_header(&IF_MATCH, "is no revision")
                .accepted("the ETag of an earlier answer, such as \"7\", or *")),
        }
    }
}

/// Whether a media type is JSON (RFC 8259 §11, RFC 6839 §3.1).
pub(crate) fn is_json(media_type: &str) -> bool {
    media_type == "application/json" || media_type.ends_with("+json")
}

fn unsupported(code: &'static str, detail: &str) -> Problem {
    Problem::new(ProblemKind::MediaType, code, detail)
}

fn compressed() -> Problem {
    unsupported("unsupported_encoding", "bodies are taken uncompressed only").accepted("identity")
}

fn invalid_header(name: &HeaderName, what: &str) -> Problem {
    Problem::new(
        ProblemKind::Malformed,
        "invalid_header",
        format!("the header {name} {what}"),
    )
    .field(name.as_str())
}
