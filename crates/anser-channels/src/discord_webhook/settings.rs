//! What a user sets on a webhook, checked, and its address for a thread. Must not show the token.

use anser_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use url::Url;

use crate::kit::discord::{file, is_number};
use crate::kit::settings as kit;

/// Where Discord's webhooks are, by the client that they were copied from.
const HOSTS: [&str; 4] = [
    "discord.com",
    "discordapp.com",
    "canary.discord.com",
    "ptb.discord.com",
];
/// What the path of every webhook begins with; a version may follow.
const PATH: &str = "/api/";
/// The version of the API that is spoken here.
const VERSION: &str = "v10";
/// Characters of a name.
const NAME_CHARS_MAX: usize = 80;

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The webhook's URL as the channel's settings show it: `https://discord.com/api/webhooks/ID/TOKEN`.
    #[schemars(length(min = 1, max = 2048), extend("writeOnly" = true))]
    webhook_url: String,
    /// The name that messages are shown under, of at most 80 characters; absent: the webhook's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 80))]
    username: Option<String>,
    /// The picture that messages are shown with: an `https` URL; absent: the webhook's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    avatar_url: Option<String>,
    /// Bytes of a file that is uploaded, at most 104857600; a larger one goes as a link. Default 10485760 (10 MiB); a server
    /// of a higher tier takes more.
    #[serde(default)]
    #[schemars(range(min = 1, max = 104_857_600))]
    file_bytes_max: Option<u64>,
    /// Another address of the API, for a proxy or a simulator: its scheme, host and port, and a path before the API's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// The webhook.
    pub(super) url: Url,
    /// Bytes of a file.
    pub(super) file_bytes_max: u64,
    /// Members that every body has.
    named: Map<String, Value>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "webhook_url": address("1234567890123456789/aWebhookToken_of-68-characters"),
        "username": "Orders"
    });
    kit::schema::<Settings>("Discord webhook settings", example)
}

/// The webhook address of number and token.
pub(super) fn address(parts: &str) -> String {
    format!("https://{}{PATH}webhooks/{parts}", HOSTS[0])
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        let field = "settings.webhook_url";
        let base_url = settings.base_url.as_deref();
        let given = kit::webhook_url(field, &settings.webhook_url, &HOSTS, PATH, base_url)?;
        let url = versioned(field, given)?;
        let mut named = Map::new();
        if let Some(name) = settings.username {
            let count = name.chars().count();
            let lower = name.to_lowercase();
            // Discord refuses these names, on every message.
            if !(1..=NAME_CHARS_MAX).contains(&count)
                || lower.contains("discord")
                || lower.contains("clyde")
            {
                let detail = "has 1 to 80 characters, and neither discord nor clyde in it";
                return Err(Problem::invalid(
                    "invalid_field",
                    "settings.username",
                    detail,
                ));
            }
            named.insert("username".to_owned(), name.into());
        }
        if let Some(avatar) = settings.avatar_url {
            if !Url::parse(&avatar).is_ok_and(|url| url.scheme() == "https") {
                let detail = "must be an https URL of a picture";
                return Err(Problem::invalid(
                    "invalid_url",
                    "settings.avatar_url",
                    detail,
                ));
            }
            named.insert("avatar_url".to_owned(), avatar.into());
        }
        Ok(Endpoint {
            url,
            file_bytes_max: file::limit(settings.file_bytes_max)?,
            named,
        })
    }
}

/// The address at the version of the API that is spoken here.
fn versioned(field: &str, mut url: Url) -> Result<Url, Problem> {
    let path = url.path().to_owned();
    let (before, after) = path.split_once(PATH).unwrap_or_default();
    let words: Vec<&str> = after.split('/').collect();
    let (id, token) = match words.as_slice() {
        ["webhooks", id, token] | [_, "webhooks", id, token] => (*id, *token),
        _ => ("", ""),
    };
    if !is_number(id) || !kit::is_path_token(token) {
        let detail = "has not the form …/webhooks/ID/TOKEN; copy the whole URL";
        return Err(Problem::invalid("invalid_url", field, detail));
    }
    url.set_path(&format!("{before}{PATH}{VERSION}/webhooks/{id}/{token}"));
    url.set_query(None);
    Ok(url)
}

impl Endpoint {
    /// The address to post to, for a thread if there is a target. It asks for the message that was made.
    ///
    /// # Errors
    /// `invalid_target` for what is no number.
    pub(super) fn address(&self, target: Option<&str>) -> Result<Url, Problem> {
        let mut url = self.url.clone();
        url.set_query(Some("wait=true"));
        in_thread(url, target)
    }

    /// The address of a message that was posted.
    ///
    /// # Errors
    /// `invalid_target`; `invalid_platform_id`.
    pub(super) fn message(&self, id: Option<&str>, target: Option<&str>) -> Result<Url, Problem> {
        let Some(id) = id.filter(|id| is_number(id)) else {
            let detail = "is no message of Discord, a number";
            return Err(Problem::invalid("invalid_platform_id", "id", detail));
        };
        let mut url = self.url.clone();
        let path = format!("{}/messages/{id}", url.path());
        url.set_path(&path);
        in_thread(url, target)
    }

    /// The body with the channel's own name and picture, where it has none of its own.
    pub(super) fn named(&self, body: &mut Map<String, Value>) {
        for (name, value) in &self.named {
            body.entry(name).or_insert_with(|| value.clone());
        }
    }
}

fn in_thread(mut url: Url, target: Option<&str>) -> Result<Url, Problem> {
    if let Some(thread) = target {
        if !is_number(thread) {
            let detail = "a target of this channel is the id of a thread, a number";
            return Err(Problem::invalid("invalid_target", "to", detail));
        }
        url.query_pairs_mut().append_pair("thread_id", thread);
    }
    Ok(url)
}
