//! What a user sets on a webhook: [`Settings`] as written, [`Endpoint`] checked and ready. The JSON Schema of the kind
//! comes from here.

use std::collections::BTreeMap;

use anser_core::limits::OLD_SECRETS_MAX;
use anser_core::message::item::parse_json;
use anser_core::{Problem, Timestamp};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::{HeaderName, HeaderValue};
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use url::Url;

use super::custom;
use super::format::Format;
use crate::kit::signing::SigningKey;

/// Bytes of the URL.
const URL_BYTES_MAX: usize = 2_048;
/// Bytes of a user name, password or token.
const CREDENTIAL_BYTES_MAX: usize = 4_096;

/// The settings as written.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// Where to post: an absolute http or https URL of at most 2048 bytes, without user name and fragment.
    #[schemars(length(min = 1, max = 2048), extend("format" = "uri"))]
    url: String,
    /// The form of the request; a subscription's own `format` wins over it.
    #[serde(default)]
    format: Format,
    /// Signs every request: `whsec_` and base64 of 24 to 64 bytes (HMAC-SHA256), or `whsk_` and base64 of a 32-byte
    /// Ed25519 seed. Absent: requests are not signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^(whsec_|whsk_)[A-Za-z0-9+/]+=*$"), extend("writeOnly" = true))]
    pub(super) secret: Option<String>,
    /// What becomes of messages that the endpoint answers with, as `application/vnd.anser.message+json`.
    #[serde(default, skip_serializing_if = "Replies::is_default")]
    replies: Replies,
    /// Secrets that sign beside `secret` until their time: kept by rotation, at most 10.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 10), extend("writeOnly" = true))]
    pub(super) previous_secrets: Vec<PreviousSecret>,
    /// More headers, at most 32, in printable ASCII; they win over the gateway's `content-type` and `user-agent`. Their
    /// values can hold API keys and are write-only.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32, "additionalProperties" = json!({"type": "string", "maxLength": 4096, "writeOnly": true})))]
    headers: BTreeMap<String, String>,
    /// Credentials for the `authorization` header: `{"basic":{"username","password"}}` or `{"bearer":{"token"}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("writeOnly" = true))]
    auth: Option<Auth>,
}

/// What becomes of an answer that is a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Replies {
    /// It is sent to the conversation of the message that it answers, and nowhere else.
    #[default]
    Conversation,
    /// It is sent to the addresses that it names, else to that conversation.
    Anywhere,
    /// Nothing.
    None,
}

impl Replies {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// A secret that was replaced.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PreviousSecret {
    /// As in `secret`.
    #[schemars(extend("writeOnly" = true))]
    pub(super) secret: String,
    /// Until when it signs.
    pub(super) until: Timestamp,
}

/// Credentials, of exactly one form.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Auth {
    /// User name and password (RFC 7617).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    basic: Option<Basic>,
    /// A token (RFC 6750).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bearer: Option<Bearer>,
}

/// User name and password.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Basic {
    /// Without a colon.
    username: String,
    /// Kept secret.
    #[schemars(extend("writeOnly" = true))]
    password: String,
}

/// A token.
#[derive(Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Bearer {
    /// Printable ASCII without blanks.
    #[schemars(length(min = 1), extend("writeOnly" = true))]
    token: String,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where to post.
    pub(super) url: Url,
    /// The channel's own format.
    pub(super) format: Format,
    /// What becomes of messages in answers.
    pub(super) replies: Replies,
    /// What signs, the newest first, each until its time.
    keys: Vec<(SigningKey, Timestamp)>,
    /// Custom headers, unique.
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// The `authorization` header.
    pub(super) authorization: Option<HeaderValue>,
}

impl Endpoint {
    /// What signs at `now`.
    pub(super) fn keys(&self, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        self.keys
            .iter()
            .filter(move |(_, until)| *until > now)
            .map(|(key, _)| key)
    }
}

/// The JSON Schema (2020-12) of the settings, without references, and with an example.
pub(super) fn schema() -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Settings>();
    schema.insert("title".to_owned(), "Webhook settings".into());
    schema.insert("description".to_owned(), "Where and how to post.".into());
    schema.insert(
        "examples".to_owned(),
        json!([{
            "url": "https://shop.example/hooks/orders",
            "format": "anser",
            "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "headers": {"x-tenant": "cn-7"},
            "auth": {"bearer": {"token": "s3cret"}}
        }]),
    );
    schema.to_value()
}

impl Settings {
    /// Reads what was written, strictly.
    ///
    /// # Errors
    /// `not_available` for `urls`, `invalid_field` with the path for a missing, unknown or mistyped one.
    pub(super) fn read(settings: &Value) -> Result<Self, Problem> {
        if settings.get("urls").is_some() {
            return Err(Problem::not_available("settings.urls", "a list of URLs"));
        }
        // A `Value` has string keys and finite numbers only.
        let json = serde_json::to_vec(settings).expect("a JSON value always serialises");
        parse_json("settings", &json)
    }

    /// Back to what is stored.
    pub(super) fn write(&self) -> Value {
        serde_json::to_value(self).expect("strings, lists and maps always serialise")
    }

    /// Checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(self) -> Result<Endpoint, Problem> {
        let headers = custom::headers(&self.headers)?;
        let authorization = self.auth.as_ref().map(authorization).transpose()?;
        if authorization.is_some()
            && self
                .headers
                .keys()
                .any(|name| custom::is_authorization(name))
        {
            let detail = "give either settings.auth or an authorization header, not both";
            return Err(Problem::invalid(
                "invalid_header",
                "settings.headers",
                detail,
            ));
        }
        Ok(Endpoint {
            url: url(&self.url)?,
            format: self.format,
            replies: self.replies,
            keys: keys(self.secret.as_deref(), &self.previous_secrets)?,
            headers,
            authorization,
        })
    }
}

fn url(text: &str) -> Result<Url, Problem> {
    let invalid = |detail: String| Err(Problem::invalid("invalid_url", "settings.url", detail));
    if text.len() > URL_BYTES_MAX {
        return invalid(format!(
            "may have at most {URL_BYTES_MAX} bytes, has {}",
            text.len()
        ));
    }
    // The URL parser would drop them silently.
    if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return invalid(
            "must not contain blanks or control characters; percent-encode them".to_owned(),
        );
    }
    let url = match Url::parse(text) {
        Ok(url) if ["http", "https"].contains(&url.scheme()) && url.has_host() => url,
        Ok(_) => return invalid("must begin with http:// or https:// and a host".to_owned()),
        Err(error) => return invalid(format!("is no absolute http or https URL: {error}")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return invalid(
            "must not hold a user name or password; use settings.auth.basic".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return invalid("must not have a fragment (#…): it is never sent".to_owned());
    }
    Ok(url)
}

fn keys(
    secret: Option<&str>,
    previous: &[PreviousSecret],
) -> Result<Vec<(SigningKey, Timestamp)>, Problem> {
    if previous.len() > OLD_SECRETS_MAX {
        let detail = format!("may have at most {OLD_SECRETS_MAX}, has {}", previous.len());
        return Err(Problem::invalid(
            "too_many",
            "settings.previous_secrets",
            detail,
        ));
    }
    let mut keys = Vec::with_capacity(1 + previous.len());
    if let Some(secret) = secret {
        let key = SigningKey::parse("settings.secret", secret)?;
        // Later than every instant that the gateway can meet.
        keys.push((key, Timestamp::FAR_FUTURE));
    }
    for (i, old) in previous.iter().enumerate() {
        let field = format!("settings.previous_secrets[{i}].secret");
        keys.push((SigningKey::parse(&field, &old.secret)?, old.until));
    }
    Ok(keys)
}

fn authorization(auth: &Auth) -> Result<HeaderValue, Problem> {
    let text = match (&auth.basic, &auth.bearer) {
        (Some(given), None) => basic(given)?,
        (None, Some(given)) => bearer(given)?,
        _ => {
            let detail = "has exactly one of basic and bearer";
            return Err(Problem::invalid("invalid_auth", "settings.auth", detail));
        }
    };
    let mut value = HeaderValue::try_from(text).expect("base64 and tokens are printable ASCII");
    // Keeps it out of logs and of HTTP/2's compression table.
    value.set_sensitive(true);
    Ok(value)
}

fn basic(Basic { username, password }: &Basic) -> Result<String, Problem> {
    credential(
        "settings.auth.basic.username",
        username,
        |c| c != ':' && !c.is_control(),
        "a user name has no colon and no control characters (RFC 7617)",
    )?;
    credential(
        "settings.auth.basic.password",
        password,
        |c| !c.is_control(),
        "a password has no control characters (RFC 7617)",
    )?;
    Ok(format!(
        "Basic {}",
        BASE64.encode(format!("{username}:{password}"))
    ))
}

fn bearer(Bearer { token }: &Bearer) -> Result<String, Problem> {
    let field = "settings.auth.bearer.token";
    if token.is_empty() {
        return Err(Problem::invalid("invalid_auth", field, "must not be empty"));
    }
    credential(
        field,
        token,
        |c| c.is_ascii_graphic(),
        "a token is printable ASCII without blanks (RFC 6750)",
    )?;
    Ok(format!("Bearer {token}"))
}

fn credential(
    field: &str,
    text: &str,
    allowed: impl Fn(char) -> bool,
    rule: &str,
) -> Result<(), Problem> {
    let detail = if text.len() > CREDENTIAL_BYTES_MAX {
        format!("may have at most {CREDENTIAL_BYTES_MAX} bytes")
    } else if text.chars().all(allowed) {
        return Ok(());
    } else {
        rule.to_owned()
    };
    Err(Problem::invalid("invalid_auth", field, detail))
}
