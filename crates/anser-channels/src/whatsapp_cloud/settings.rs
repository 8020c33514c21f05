//! What a user sets on a number, checked, and to whom a message goes. Must not show the token.

use anser_core::Problem;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Where the Graph API is.
const BASE: &str = "https://graph.facebook.com";
/// The version of the API that the requests are written for.
const VERSION: &str = "v24.0";
/// Digits of a telephone number with its country code (E.164 has at most 15).
const NUMBER_DIGITS: std::ops::RangeInclusive<usize> = 7..=15;
/// What a number looks like.
const NUMBER_RULE: &str = "digits with the country code, such as 15551234567";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The id of the number that sends, as WhatsApp, API Setup shows it below the number; not the number itself.
    #[schemars(length(min = 1, max = 64))]
    phone_number_id: String,
    /// An access token, best of a system user, with the permission `whatsapp_business_messaging`.
    #[schemars(length(min = 1, max = 4096), extend("writeOnly" = true))]
    access_token: String,
    /// The app's secret, as App settings, Basic shows it. With it and `verify_token`, messages and statuses are taken at
    /// `/in/CHANNEL`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    app_secret: Option<String>,
    /// A secret that you make up and enter beside the callback URL as Verify token.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    verify_token: Option<String>,
    /// To whom messages go whose address names nobody: a telephone number, digits with the country code.
    #[serde(default)]
    #[schemars(length(min = 7, max = 16))]
    to: Option<String>,
    /// The template that is sent in the place of a message that WhatsApp refuses because the person has not written within 24
    /// hours. Absent: such a message is not delivered.
    #[serde(default)]
    template: Option<Template>,
    /// The version of the Graph API. Default `v24.0`.
    #[serde(default)]
    #[schemars(length(min = 2, max = 8))]
    api_version: Option<String>,
    /// Another address of the API, for a proxy or a simulator. Default `https://graph.facebook.com`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// A template that WhatsApp has approved.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Template {
    /// Its name.
    #[schemars(length(min = 1, max = 512))]
    pub(super) name: String,
    /// The code of its language, such as `en_US`.
    #[schemars(length(min = 2, max = 16))]
    pub(super) language: String,
    /// Whether its body has one variable, `{{1}}`, which becomes the beginning of the message's text, on one line.
    #[serde(default)]
    pub(super) with_text: bool,
}

/// What proves requests that come in.
#[derive(Clone)]
pub(super) struct Secrets {
    /// The app's secret, which signs.
    pub(super) app: String,
    /// The token that its owner chose for the check of the URL.
    pub(super) verify: String,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// The API with its version and the id of the number.
    pub(super) url: Url,
    /// The header that holds the token.
    pub(super) bearer: HeaderValue,
    /// What is sent when WhatsApp wants a template.
    pub(super) template: Option<Template>,
    /// What proves requests that come in.
    pub(super) secrets: Option<Secrets>,
    /// The id of the number.
    pub(super) phone_number_id: String,
    to: Option<String>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "phone_number_id": "106540352242922",
        "access_token": "EAAJB0abcdefghijklmnopqrstuvwxyz",
        "app_secret": "0123456789abcdef0123456789abcdef",
        "verify_token": "a-secret-that-you-make",
        "to": "15551234567",
        "template": {"name": "new_message", "language": "en_US", "with_text": true}
    });
    kit::schema::<Settings>("WhatsApp Cloud API settings", example)
}

/// Checks the form of a number's id.
///
/// # Errors
/// `invalid_field`.
pub(super) fn check_id(field: &str, id: &str) -> Result<(), Problem> {
    if (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(());
    }
    let detail =
        "is no id of a number; copy Phone number ID from the app's page WhatsApp, API Setup";
    Err(Problem::invalid("invalid_field", field, detail).accepted("digits"))
}

/// Reads a telephone number.
///
/// # Errors
/// `invalid_target`.
pub(super) fn number(field: &str, text: &str) -> Result<String, Problem> {
    let digits = text.strip_prefix('+').unwrap_or(text);
    let good = NUMBER_DIGITS.contains(&digits.len())
        && digits.bytes().all(|byte| byte.is_ascii_digit())
        && !digits.starts_with('0');
    if good {
        return Ok(digits.to_owned());
    }
    let detail = "is no telephone number with its country code";
    Err(Problem::invalid("invalid_target", field, detail).accepted(NUMBER_RULE))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_id("settings.phone_number_id", &settings.phone_number_id)?;
        let bearer = bearer(&settings.access_token)?;
        if let Some(template) = &settings.template {
            template.check()?;
        }
        let version = settings.api_version.as_deref().unwrap_or(VERSION);
        let good = version.strip_prefix('v').is_some_and(|number| {
            number
                .split('.')
                .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        });
        if !good || version.len() > 8 {
            let detail = "is no version of the Graph API";
            let problem = Problem::invalid("invalid_field", "settings.api_version", detail);
            return Err(problem.accepted(VERSION));
        }
        let mut url = kit::base(settings.base_url.as_deref().unwrap_or(BASE))?;
        let path = url.path().trim_end_matches('/').to_owned();
        url.set_path(&format!("{path}/{version}/{}", settings.phone_number_id));
        let secrets = secrets(settings.app_secret, settings.verify_token)?;
        let to = settings.to.as_deref();
        let to = to.map(|to| number("settings.to", to)).transpose()?;
        Ok(Endpoint {
            url,
            bearer,
            template: settings.template,
            secrets,
            phone_number_id: settings.phone_number_id,
            to,
        })
    }
}

/// To receive takes both secrets.
fn secrets(app: Option<String>, verify: Option<String>) -> Result<Option<Secrets>, Problem> {
    let one_of = |field: &str, other: &str| {
        let detail = format!("is missing: to receive, {other} needs it");
        Problem::invalid("missing_field", format!("settings.{field}"), detail)
    };
    match (app, verify) {
        (Some(app), Some(verify)) => {
            kit::check_credential("settings.app_secret", &app, "the app's secret")?;
            kit::check_credential("settings.verify_token", &verify, "the verify token")?;
            Ok(Some(Secrets { app, verify }))
        }
        (None, None) => Ok(None),
        (Some(_), None) => Err(one_of("verify_token", "app_secret")),
        (None, Some(_)) => Err(one_of("app_secret", "verify_token")),
    }
}

/// The header of a token.
fn bearer(token: &str) -> Result<HeaderValue, Problem> {
    /// Bytes of an access token.
    const TOKEN_BYTES_MAX: usize = 4_096;
    let good = (1..=TOKEN_BYTES_MAX).contains(&token.len())
        && token.bytes().all(|byte| byte.is_ascii_graphic());
    let bearer = HeaderValue::try_from(format!("Bearer {token}"));
    match bearer {
        Ok(mut bearer) if good => {
            bearer.set_sensitive(true);
            Ok(bearer)
        }
        _ => {
            let detail = "the access token is missing, or has blanks or characters that none has; copy it again";
            Err(Problem::invalid(
                "invalid_secret",
                "settings.access_token",
                detail,
            ))
        }
    }
}

impl Template {
    fn check(&self) -> Result<(), Problem> {
        let is_word = |text: &str, most: usize| {
            (1..=most).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        for (field, text, most) in [("name", &self.name, 512), ("language", &self.language, 16)] {
            if !is_word(text, most) {
                let detail = "is not as WhatsApp Manager shows it for the template";
                let field = format!("settings.template.{field}");
                let problem = Problem::invalid("invalid_field", field, detail);
                return Err(problem.accepted("letters, digits and underscores"));
            }
        }
        Ok(())
    }
}

impl Endpoint {
    /// Whom a delivery goes to: its target, else the channel's own.
    ///
    /// # Errors
    /// `invalid_target`; `missing_target` when there is neither.
    pub(super) fn number(&self, target: Option<&str>) -> Result<String, Problem> {
        match (target, &self.to) {
            (Some(target), _) => number("to", target),
            (None, Some(to)) => Ok(to.clone()),
            (None, None) => Err(Problem::invalid(
                "missing_target",
                "to",
                "names nobody to send to: add a telephone number to the address (NAME/15551234567), or set settings.to",
            )),
        }
    }

    /// The address of something of the number's.
    pub(super) fn part(&self, name: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{name}", self.url.path()));
        url
    }
}
