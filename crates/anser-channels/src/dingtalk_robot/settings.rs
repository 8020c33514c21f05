//! What a user sets on a robot, checked, and the signature it makes. Must not show the token or the secret.

use anser_core::{Problem, Timestamp};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Where DingTalk's robots are.
const HOST: &str = "oapi.dingtalk.com";
/// The path of every robot's webhook.
const PATH: &str = "/robot/send";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The robot's webhook address as the group shows it: `https://oapi.dingtalk.com/robot/send?access_token=TOKEN`. It
    /// holds the robot's token.
    #[schemars(length(min = 1, max = 2048), extend("writeOnly" = true))]
    webhook_url: String,
    /// The secret of the robot's signature, `SEC…`. Absent: requests are not signed.
    #[serde(default)]
    #[schemars(extend("writeOnly" = true))]
    secret: Option<String>,
    /// Another address of the API, for a proxy or a simulator: its scheme, host and port, and a path before the API's own.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where to post, without a signature.
    pub(super) url: Url,
    secret: Option<String>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let token = "66cc0000000000000000000000000000000000000000000000000000000000ff";
    let example = json!({"webhook_url": address(token), "secret": "SECabc123"});
    kit::schema::<Settings>("DingTalk group robot settings", example)
}

/// The webhook address of a token.
pub(super) fn address(token: &str) -> String {
    format!("https://{HOST}{PATH}?access_token={token}")
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
        // An address with a signature of its own, copied from somewhere, would be signed twice.
        let token = kit::query_token(field, &url, "access_token")?;
        url.set_query(Some(&format!("access_token={token}")));
        if let Some(secret) = &settings.secret {
            kit::check_credential("settings.secret", secret, "the robot's secret")?;
        }
        Ok(Endpoint {
            url,
            secret: settings.secret,
        })
    }
}

impl Endpoint {
    /// The address with time and signature, where there is a secret.
    pub(super) fn signed(&self, now: Timestamp) -> Url {
        let mut url = self.url.clone();
        if let Some(secret) = &self.secret {
            let timestamp = now.millis();
            let sign = sign(timestamp, secret);
            let sign = utf8_percent_encode(&sign, NON_ALPHANUMERIC);
            let token = url.query().unwrap_or_default().to_owned();
            url.set_query(Some(&format!("{token}&timestamp={timestamp}&sign={sign}")));
        }
        url
    }
}

/// The signature: the HMAC-SHA256 of the time in milliseconds, a line feed and the secret, its key the secret.
fn sign(timestamp: i64, secret: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    BASE64.encode(hmac::sign(
        &key,
        format!("{timestamp}\n{secret}").as_bytes(),
    ))
}
