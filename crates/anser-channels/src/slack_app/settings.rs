//! What a user sets on an app, checked, and where its API is. Must not show the token.

use anser_core::Problem;
use http::HeaderValue;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::address::Target;
use crate::kit::settings as kit;

/// Where the Web API is; that for the government of the United States is `https://slack-gov.com/api`.
const BASE: &str = "https://slack.com/api";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The bot's token, as the app's page OAuth & Permissions shows it: `xoxb-…`.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    token: String,
    /// The app's Signing Secret, as its page Basic Information shows it. With it, events, commands and interactions are
    /// taken at `/in/CHANNEL`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    signing_secret: Option<String>,
    /// The app-level token with the scope connections:write, as the app's page Basic Information makes it: `xapp-…`. With it,
    /// and with Socket Mode turned on there, the app can be connected, with `inbound.via` of `connection`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    app_token: Option<String>,
    /// Where messages go whose address names nothing: a channel (`C…`, `G…`), a conversation with a person (`D…`) or the
    /// person (`U…`), and perhaps a thread: `C…/1700000000.000100`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    channel: Option<String>,
    /// Where the API is. Default `https://slack.com/api`; for GovSlack `https://slack-gov.com/api`; or a proxy or a
    /// simulator.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where the API is.
    pub(super) base: Url,
    /// What signs requests that come in.
    pub(super) signing_secret: Option<String>,
    /// What a connection is asked for with.
    pub(super) app_bearer: Option<HeaderValue>,
    bearer: HeaderValue,
    target: Option<Target>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "token": "xoxb-000000000000-0000000000000-XXXXXXXXXXXXXXXXXXXXXXXX",
        "signing_secret": "8f742231b10e8888abcd99yyyzzz85a5",
        "app_token": "xapp-1-A0000000000-0000000000000-0123456789abcdef",
        "channel": "C0123456789"
    });
    kit::schema::<Settings>("Slack app settings", example)
}

/// Checks the form of a token.
///
/// # Errors
/// `invalid_secret`, without it.
pub(super) fn check_token(field: &str, token: &str) -> Result<(), Problem> {
    kit::check_credential(field, token, "the bot's token")?;
    // Tokens that are rotated begin with xoxe, those of a user with xoxp.
    if token.starts_with("xox") && kit::is_path_token(token) {
        return Ok(());
    }
    let detail =
        "is no bot's token; copy Bot User OAuth Token from the app's page OAuth & Permissions";
    Err(Problem::invalid("invalid_secret", field, detail).accepted("xoxb-…"))
}

/// Checks the form of an app-level token.
///
/// # Errors
/// `invalid_secret`, without it.
fn check_app_token(token: &str) -> Result<(), Problem> {
    const FIELD: &str = "settings.app_token";
    kit::check_credential(FIELD, token, "the app-level token")?;
    if token.starts_with("xapp-") && kit::is_path_token(token) {
        return Ok(());
    }
    let detail = "is no app-level token; make one with the scope connections:write at the app's page Basic Information";
    Err(Problem::invalid("invalid_secret", FIELD, detail).accepted("xapp-…"))
}

/// What proves that whoever asks has that token, of visible ASCII.
fn bearer(token: &str) -> HeaderValue {
    let mut bearer =
        HeaderValue::try_from(format!("Bearer {token}")).expect("a token is visible ASCII");
    bearer.set_sensitive(true);
    bearer
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_token("settings.token", &settings.token)?;
        if let Some(secret) = &settings.signing_secret {
            kit::check_credential("settings.signing_secret", secret, "the signing secret")?;
        }
        if let Some(token) = &settings.app_token {
            check_app_token(token)?;
        }
        let target = settings.channel.as_deref();
        let target = target.map(|target| Target::parse("settings.channel", target));
        Ok(Endpoint {
            base: kit::base(settings.base_url.as_deref().unwrap_or(BASE))?,
            signing_secret: settings.signing_secret,
            app_bearer: settings.app_token.as_deref().map(bearer),
            bearer: bearer(&settings.token),
            target: target.transpose()?,
        })
    }
}

impl Endpoint {
    /// Where a delivery goes: its target, else the channel's own; `None` when there is neither.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn target(&self, target: Option<&str>) -> Result<Option<Target>, Problem> {
        match target {
            Some(target) => Target::parse("to", target).map(Some),
            None => Ok(self.target.clone()),
        }
    }

    /// The address of a method.
    pub(super) fn url(&self, method: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}/{method}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// What proves that we may.
    pub(super) fn bearer(&self) -> HeaderValue {
        self.bearer.clone()
    }
}
