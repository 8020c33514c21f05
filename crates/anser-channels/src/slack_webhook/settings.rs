//! What a user sets on an incoming webhook, checked. Must not show its address, which is the secret.

use anser_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Where Slack's webhooks are; the second for the government of the United States.
const HOSTS: [&str; 2] = ["hooks.slack.com", "hooks.slack-gov.com"];
/// What the path of every webhook begins with.
const PATH: &str = "/services/";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The webhook's address as the app's page shows it: `https://hooks.slack.com/services/T…/B…/X…`.
    #[schemars(length(min = 1, max = 2048), extend("writeOnly" = true))]
    webhook_url: String,
    /// Another address of the API, for a proxy or a simulator: its scheme, host and port, and a path before the API's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({"webhook_url": address("T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX")});
    kit::schema::<Settings>("Slack incoming webhook settings", example)
}

/// The webhook address of its three parts.
pub(super) fn address(parts: &str) -> String {
    format!("https://{}{PATH}{parts}", HOSTS[0])
}

impl Settings {
    /// Reads and checks every rule; the address to post to.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Url, Problem> {
        let settings: Self = kit::read(settings)?;
        let field = "settings.webhook_url";
        let base_url = settings.base_url.as_deref();
        let url = kit::webhook_url(field, &settings.webhook_url, &HOSTS, PATH, base_url)?;
        let parts = url.path().rsplit(PATH).next().unwrap_or_default();
        let parts: Vec<&str> = parts.split('/').collect();
        if parts.len() != 3 || !parts.iter().all(|part| kit::is_path_token(part)) {
            let detail = "has not the three parts after /services/; copy the whole address";
            return Err(Problem::invalid("invalid_url", field, detail));
        }
        Ok(url)
    }
}
