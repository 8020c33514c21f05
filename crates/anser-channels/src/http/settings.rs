//! What a user sets on an `http` channel, as written. The JSON Schema of the kind comes from here. What the texts mean is
//! for their own modules.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where to send: a template. Scheme, host and port are written out or come from a secret; values after the host are
    /// percent-encoded.
    #[schemars(length(min = 1, max = 16384))]
    pub(super) url: String,
    /// The method.
    #[serde(default)]
    pub(super) method: Verb,
    /// Parameters added to the URL's query, at most 64: a template each, percent-encoded. One that is `{{ expression }}`
    /// alone and none is left out.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    pub(super) query: BTreeMap<String, String>,
    /// Headers, at most 32: a template each. Line breaks become blanks, and what is not ASCII is percent-encoded. One
    /// that is `{{ expression }}` alone and none is left out. Their values can hold keys and are write-only.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = json!({"type": "string", "writeOnly": true})))]
    pub(super) headers: BTreeMap<String, String>,
    /// The body as JSON of which every text is a template, so that no text of a message can be anything but a text in
    /// it. A text that is `{{ expression }}` alone becomes the value, of whatever type; none leaves the member out.
    #[serde(default)]
    pub(super) json: Option<Value>,
    /// The body as form fields, at most 64: a template each, percent-encoded.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 64))]
    pub(super) form: Option<BTreeMap<String, String>>,
    /// The body as one template. By `content_type`, values are written as JSON, with character references (XML, HTML),
    /// percent-encoded (form fields), or as they are. At most one of `body`, `json` and `form`.
    #[serde(default)]
    #[schemars(length(max = 16384))]
    pub(super) body: Option<String>,
    /// The body's media type; absent: `application/json`, `application/x-www-form-urlencoded` or
    /// `text/plain; charset=utf-8`, by the body's form.
    #[serde(default)]
    #[schemars(length(max = 255))]
    pub(super) content_type: Option<String>,
    /// Tokens, passwords and keys by name, at most 32, for templates as `secrets.NAME`.
    #[serde(default)]
    #[schemars(extend("maxProperties" = 32, "writeOnly" = true, "additionalProperties" = json!({"type": "string", "maxLength": 4096, "writeOnly": true})))]
    pub(super) secrets: BTreeMap<String, String>,
    /// Whether a delivery must name whom it is for, by its address (`NAME/TARGET`) or its subscription; templates have it as `target`.
    #[serde(default)]
    pub(super) per_target: bool,
    /// Whether an answer is a success: an expression over `status`, `headers`, `body` and `json`. Absent: 2xx is. A 2xx
    /// for which it does not hold is tried again.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) success: Option<String>,
    /// Whether the service asks for a pause: an expression, asked after `success`. The channel then waits as long as
    /// `retry_after` says, else the header `retry-after`, else 10 s.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) limited: Option<String>,
    /// How many seconds to wait: an expression.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) retry_after: Option<String>,
    /// Whether the service will never take the message: an expression, asked after `limited`.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) rejected: Option<String>,
    /// Whether it may take the message later: an expression, asked after `rejected`. What no rule names is judged by the
    /// status, as for webhooks.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) retry: Option<String>,
    /// What the service says went wrong, for people: an expression.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) reason: Option<String>,
    /// The service's own id of the message: an expression.
    #[serde(default)]
    #[schemars(length(max = 2048))]
    pub(super) platform_id: Option<String>,
}

/// Methods that can deliver.
#[derive(Clone, Copy, Default, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum Verb {
    /// GET.
    Get,
    /// POST.
    #[default]
    Post,
    /// PUT.
    Put,
    /// PATCH.
    Patch,
    /// DELETE.
    Delete,
}

impl From<Verb> for http::Method {
    fn from(verb: Verb) -> Self {
        match verb {
            Verb::Get => Self::GET,
            Verb::Post => Self::POST,
            Verb::Put => Self::PUT,
            Verb::Patch => Self::PATCH,
            Verb::Delete => Self::DELETE,
        }
    }
}

/// The JSON Schema (2020-12) of the settings, without references, and with an example.
pub(super) fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Settings>();
    schema.insert("title".to_owned(), "HTTP settings".into());
    schema.insert(
        "description".to_owned(),
        "The request as templates, and what its answer means.".into(),
    );
    schema.insert(
        "examples".to_owned(),
        json!([{
            "url": "https://push.example/v2/{{ target or 'ops' }}",
            "headers": {"authorization": "Bearer {{ secrets.token }}"},
            "json": {
                "title": "{{ title or header.topic }}",
                "message": "{{ text | shorten(1000) }}",
                "id": "{{ idempotency_key }}"
            },
            "secrets": {"token": "s3cret"},
            "success": "status < 300 and json.ok",
            "limited": "status == 429 or json.error == 'slow_down'",
            "retry_after": "json.wait",
            "rejected": "json.error == 'no_such_user'",
            "reason": "json.error",
            "platform_id": "json.id"
        }]),
    );
    schema.to_value()
}
