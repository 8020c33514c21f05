//! What a user sets on a robot, checked, and the signature it makes. Must not show the token or the secret.

use anser_core::{Problem, Timestamp};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::kit::settings as kit;

/// Feishu, and Lark outside of China.
pub(super) const HOSTS: [&str; 2] = ["open.feishu.cn", "open.larksuite.com"];
/// What the path of every robot's webhook begins with.
pub(super) const HOOK_PATH: &str = "/open-apis/bot/v2/hook/";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The robot's webhook address as the group shows it: `https://open.feishu.cn/open-apis/bot/v2/hook/TOKEN`, or at
    /// `open.larksuite.com`. It holds the robot's token.
    #[schemars(length(min = 1, max = 2048), extend("writeOnly" = true))]
    webhook_url: String,
    /// The secret of the robot's signature check. Absent: requests are not signed.
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
    /// Where to post.
    pub(super) url: Url,
    secret: Option<String>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "webhook_url": "https://open.feishu.cn/open-apis/bot/v2/hook/c9b1f0c2-0000-4b1f-9e4e-7a319a4e4b1f",
        "secret": "SECabc123"
    });
    kit::schema::<Settings>("Feishu group robot settings", example)
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
        let url = kit::webhook_url(field, &settings.webhook_url, &HOSTS, HOOK_PATH, base_url)?;
        let token = url.path().rsplit('/').next().unwrap_or_default();
        if !kit::is_path_token(token) {
            let detail = "ends without the robot's token; copy the whole address";
            return Err(Problem::invalid("invalid_url", field, detail));
        }
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
    /// The body with time and signature put before its own members, where there is a secret.
    pub(super) fn signed(&self, body: &Bytes, now: Timestamp) -> Bytes {
        let Some(secret) = &self.secret else {
            return body.clone();
        };
        let timestamp = now.seconds().to_string();
        let sign = sign(&timestamp, secret);
        let members = body.strip_prefix(b"{").unwrap_or(body);
        let head = format!(r#"{{"timestamp":"{timestamp}","sign":"{sign}","#);
        [head.as_bytes(), members].concat().into()
    }
}

/// The signature: the HMAC-SHA256 of nothing, its key the time in seconds, a line feed and the secret.
pub(super) fn sign(timestamp: &str, secret: &str) -> String {
    let key = format!("{timestamp}\n{secret}");
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    BASE64.encode(hmac::sign(&key, b""))
}
