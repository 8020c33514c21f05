//! What a user sets on a source, checked. Must not show the secret.

use std::time::Duration;

use anser_core::Problem;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::proof::{Algorithm, Encoding, Hmac, Proof};
use crate::kit::settings as kit;
use crate::kit::verifying::VerifyingKey;

/// How old a signed time may be, unless set otherwise: what the libraries of Stripe and of Standard Webhooks take.
const TOLERANCE_DEFAULT_S: u64 = 300;
/// The longest setting of it.
const TOLERANCE_MAX_S: u64 = 24 * 3_600;
/// Bytes of a header's name, a prefix or a pointer.
const WORD_BYTES_MAX: usize = 128;

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// How the sender proves itself: `github`, `gitlab`, `stripe`, `standard-webhooks` or `hmac`.
    scheme: Scheme,
    /// What it signs with. `gitlab`: the secret token, or the signing token `whsec_…`; `standard-webhooks`: `whsec_…`, or the
    /// sender's public key `whpk_…`.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    secret: String,
    /// `hmac`: the header that the signature is in.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    signature_header: Option<String>,
    /// `hmac`: the hash, `sha1`, `sha256` or `sha512`. Default `sha256`.
    #[serde(default)]
    algorithm: Option<Algorithm>,
    /// `hmac`: how the signature is written, `hex` or `base64`. Default `hex`.
    #[serde(default)]
    encoding: Option<Encoding>,
    /// `hmac`: what stands before the signature in its header, such as `sha256=`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    prefix: Option<String>,
    /// `hmac`: the header of the signed time, seconds or milliseconds since 1970. With it the time, a full stop and the body
    /// are signed; without it the body alone.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    timestamp_header: Option<String>,
    /// Seconds that a signed time may be old, at most 86400. Default 300.
    #[serde(default)]
    #[schemars(range(min = 1, max = 86_400))]
    tolerance_s: Option<u64>,
    /// `hmac`: the header with the event's id, by which a repeat is known. Without it and `dedupe_pointer`, the body is.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    dedupe_header: Option<String>,
    /// `hmac`: where the event's id is in the body, a JSON Pointer (RFC 6901) such as `/event/id`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    dedupe_pointer: Option<String>,
    /// `hmac`: the header with the event's type. Without it and `type_pointer`, the message's type is `source.event`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    type_header: Option<String>,
    /// `hmac`: where the event's type is in the body, a JSON Pointer such as `/type`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 128))]
    type_pointer: Option<String>,
}

/// How a sender proves itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Scheme {
    /// GitHub, and what poses as it: HMAC-SHA256 of the body in `X-Hub-Signature-256`.
    Github,
    /// GitLab: a secret token in `X-Gitlab-Token`, or a signing token by Standard Webhooks.
    Gitlab,
    /// Stripe: HMAC-SHA256 of time and body in `Stripe-Signature`.
    Stripe,
    /// Standard Webhooks, with the headers `webhook-…` or `svix-…`.
    StandardWebhooks,
    /// Any HMAC, as the other settings describe it.
    Hmac,
}

impl Scheme {
    /// Its name, which is the platform of its events.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Github => "github",
            Self::Gitlab => "gitlab",
            Self::Stripe => "stripe",
            Self::StandardWebhooks => "standard-webhooks",
            Self::Hmac => "hmac",
        }
    }
}

/// Where something of an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In a header.
    Header(HeaderName),
    /// In the body, at a JSON Pointer.
    Pointer(String),
}

/// The settings checked and ready to use.
pub(super) struct Source {
    /// How the sender proves itself.
    pub(super) scheme: Scheme,
    /// What it must prove.
    pub(super) proof: Proof,
    /// Where an event's id is.
    pub(super) id: Option<Place>,
    /// Where its type is.
    pub(super) event_type: Option<Place>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({"scheme": "github", "secret": "a-secret-that-you-make"});
    let mut schema = kit::schema::<Settings>("Webhook source settings", example);
    schema["description"] = "Who sends, and what proves that it is them.".into();
    schema["examples"] = json!([
        {"scheme": "github", "secret": "a-secret-that-you-make"},
        {"scheme": "gitlab", "secret": "a-secret-that-you-make"},
        {"scheme": "stripe", "secret": "whsec_0123456789abcdefghijklmnopqrstuv"},
        {"scheme": "standard-webhooks", "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"},
        {"scheme": "hmac", "secret": "a-secret-of-both", "signature_header": "x-signature", "algorithm": "sha512",
         "encoding": "base64", "prefix": "v1=", "timestamp_header": "x-timestamp", "dedupe_pointer": "/id",
         "type_header": "x-event"}
    ]);
    schema
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Source, Problem> {
        let settings: Self = kit::read(settings)?;
        kit::check_credential("settings.secret", &settings.secret, "the secret")?;
        settings.check_fields()?;
        let proof = settings.proof()?;
        Ok(Source {
            scheme: settings.scheme,
            id: place(
                "dedupe",
                settings.dedupe_header.as_deref(),
                settings.dedupe_pointer.as_deref(),
            )?,
            event_type: place(
                "type",
                settings.type_header.as_deref(),
                settings.type_pointer.as_deref(),
            )?,
            proof,
        })
    }

    /// What describes an HMAC belongs to that scheme alone.
    fn check_fields(&self) -> Result<(), Problem> {
        let of_hmac = [
            ("signature_header", self.signature_header.is_some()),
            ("algorithm", self.algorithm.is_some()),
            ("encoding", self.encoding.is_some()),
            ("prefix", self.prefix.is_some()),
            ("timestamp_header", self.timestamp_header.is_some()),
            ("dedupe_header", self.dedupe_header.is_some()),
            ("dedupe_pointer", self.dedupe_pointer.is_some()),
            ("type_header", self.type_header.is_some()),
            ("type_pointer", self.type_pointer.is_some()),
        ];
        let mut given = of_hmac.iter().filter(|(_, given)| *given);
        match (self.scheme, given.next()) {
            (Scheme::Hmac, _) | (_, None) => {}
            (scheme, Some((field, _))) => {
                let detail = format!(
                    "goes with the scheme hmac only; leave it out, {} is known",
                    scheme.name()
                );
                let field = format!("settings.{field}");
                return Err(Problem::invalid("invalid_field", field, detail));
            }
        }
        let has_time = match self.scheme {
            Scheme::Github => false,
            Scheme::Gitlab => self.is_signing_token(),
            Scheme::Stripe | Scheme::StandardWebhooks => true,
            Scheme::Hmac => self.timestamp_header.is_some(),
        };
        let tolerance = self.tolerance_s.unwrap_or(TOLERANCE_DEFAULT_S);
        if self.tolerance_s.is_some() && !has_time {
            let detail = "is of no use: nothing says when a request was signed; leave it out";
            let field = "settings.tolerance_s";
            return Err(Problem::invalid("invalid_field", field, detail));
        }
        if !(1..=TOLERANCE_MAX_S).contains(&tolerance) {
            let detail = format!("must be from 1 to {TOLERANCE_MAX_S} seconds");
            let field = "settings.tolerance_s";
            return Err(Problem::invalid("invalid_field", field, detail));
        }
        Ok(())
    }

    /// GitLab's signing tokens are secrets of Standard Webhooks.
    fn is_signing_token(&self) -> bool {
        self.secret.starts_with("whsec_")
    }

    fn proof(&self) -> Result<Proof, Problem> {
        let tolerance = Duration::from_secs(self.tolerance_s.unwrap_or(TOLERANCE_DEFAULT_S));
        let secret = || self.secret.as_bytes().to_vec();
        let standard = || {
            let key = VerifyingKey::parse("settings.secret", &self.secret)?;
            Ok(Proof::Standard { key, tolerance })
        };
        match self.scheme {
            Scheme::Github => Ok(Proof::Hub { secret: secret() }),
            Scheme::Gitlab if self.is_signing_token() => standard(),
            Scheme::Gitlab => Ok(Proof::Token { secret: secret() }),
            Scheme::StandardWebhooks => standard(),
            Scheme::Stripe => Ok(Proof::Stripe {
                secret: secret(),
                tolerance,
            }),
            Scheme::Hmac => Ok(Proof::Hmac(self.hmac(tolerance)?)),
        }
    }

    fn hmac(&self, tolerance: Duration) -> Result<Hmac, Problem> {
        let Some(signature) = &self.signature_header else {
            let detail = "is missing: the scheme hmac needs to know where the signature is";
            let field = "settings.signature_header";
            return Err(Problem::invalid("missing_field", field, detail));
        };
        let prefix = self.prefix.clone().unwrap_or_default();
        if prefix.len() > WORD_BYTES_MAX || !prefix.bytes().all(|byte| byte.is_ascii_graphic()) {
            let detail = "must be visible ASCII without blanks, at most 128 bytes";
            return Err(Problem::invalid("invalid_field", "settings.prefix", detail));
        }
        let timestamp = self.timestamp_header.as_deref();
        let timestamp = timestamp.map(|name| header("settings.timestamp_header", name));
        Ok(Hmac {
            secret: self.secret.as_bytes().to_vec(),
            signature: header("settings.signature_header", signature)?,
            algorithm: self.algorithm.unwrap_or(Algorithm::Sha256),
            encoding: self.encoding.unwrap_or(Encoding::Hex),
            prefix,
            timestamp: timestamp.transpose()?,
            tolerance,
        })
    }
}

fn header(field: &str, name: &str) -> Result<HeaderName, Problem> {
    let read = HeaderName::try_from(name).ok();
    read.filter(|_| name.len() <= WORD_BYTES_MAX)
        .ok_or_else(|| Problem::invalid("invalid_field", field, "is no name of a header"))
}

fn place(
    name: &str,
    in_header: Option<&str>,
    pointer: Option<&str>,
) -> Result<Option<Place>, Problem> {
    let field = |of: &str| format!("settings.{name}_{of}");
    match (in_header, pointer) {
        (Some(name), None) => header(&field("header"), name).map(Place::Header).map(Some),
        (None, Some(pointer)) if pointer.starts_with('/') && pointer.len() <= WORD_BYTES_MAX => {
            Ok(Some(Place::Pointer(pointer.to_owned())))
        }
        (None, Some(_)) => {
            let detail = "is no JSON Pointer: it begins with a slash";
            Err(Problem::invalid("invalid_field", field("pointer"), detail))
        }
        (Some(_), Some(_)) => {
            let detail = format!("give either this or settings.{name}_header, not both");
            Err(Problem::invalid("invalid_field", field("pointer"), detail))
        }
        (None, None) => Ok(None),
    }
}
