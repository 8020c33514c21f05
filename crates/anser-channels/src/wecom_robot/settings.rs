//! What a user sets on a robot, checked. Must not show the key.

use anser_core::Problem;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Where WeCom's robots are.
const HOST: &str = "qyapi.weixin.qq.com";
/// The path of every robot's webhook.
const PATH: &str = "/cgi-bin/webhook/send";
/// The last part of the path of uploads, beside the webhook's `send`.
const UPLOAD: &str = "upload_media";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The robot's webhook address as the group shows it: `https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key=KEY`. It
    /// holds the robot's key.
    #[schemars(length(min = 1, max = 2048), extend("writeOnly" = true))]
    webhook_url: String,
    /// Another address of the API, for a proxy or a simulator: its scheme, host and port, and a path before the API's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where to post messages.
    pub(super) url: Url,
    /// Where to upload files, which lacks their type.
    pub(super) upload: Url,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({"webhook_url": address("693a91f6-7xxx-4bc4-97a0-0ec2sifa5aaa")});
    kit::schema::<Settings>("WeCom group robot settings", example)
}

/// The webhook address of a key.
pub(super) fn address(key: &str) -> String {
    format!("https://{HOST}{PATH}?key={key}")
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
        let mut url = kit::webhook_url(field, &settings.webhook_url, &[HOST], PATH, base_url)?;
        let key = kit::query_token(field, &url, "key")?;
        url.set_query(Some(&format!("key={key}")));
        let mut upload = url.clone();
        let parent = url.path().trim_end_matches('/').rsplit_once('/');
        let parent = parent.map_or("", |(parent, _)| parent);
        upload.set_path(&format!("{parent}/{UPLOAD}"));
        Ok(Endpoint { url, upload })
    }
}
