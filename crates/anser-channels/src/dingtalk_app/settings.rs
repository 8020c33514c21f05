//! What a user sets on an app, checked, and where the app's token comes from. Must not show the secret.

use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpRequest, Token, TokenIssuer};
use anser_core::outcome::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer;
use super::target::Target;
use crate::kit::cbc::Key;
use crate::kit::envelope::{self, Envelope};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;
use crate::kit::settings as kit;

/// Where the API is.
const BASE: &str = "https://api.dingtalk.com";
/// Where the older part of the API is, which takes uploads.
const OLD_BASE: &str = "https://oapi.dingtalk.com";
/// Where tokens are given.
const TOKEN_PATH: &str = "/v1.0/oauth2/accessToken";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The app's key, Client ID on its page Credentials.
    #[schemars(length(min = 1, max = 64))]
    app_key: String,
    /// The app's secret, Client Secret on the same page.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    app_secret: String,
    /// The code of the app's robot. Default the app's key, which it is but for old apps.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    robot_code: Option<String>,
    /// Whom messages go to whose address names nobody: `user/USERID`, up to 20 as in `user/ann|bob`, or `chat/cid…`, a group
    /// by its openConversationId.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512))]
    to: Option<String>,
    /// The aes_key of the app's event subscription: 43 letters and digits. With it and the token, pushed events are taken.
    #[serde(default)]
    #[schemars(length(min = 43, max = 43), extend("writeOnly" = true))]
    aes_key: Option<String>,
    /// The token of the app's event subscription.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    token: Option<String>,
    /// Whom pushed events are meant for, as their envelope says. Default the app's key; for old apps the company's corpId.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    owner_key: Option<String>,
    /// Another address of the API and its older part, for a proxy or a simulator. Default `https://api.dingtalk.com` and
    /// `https://oapi.dingtalk.com`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where the API is.
    pub(super) base: Url,
    /// The code of the app's robot.
    pub(super) robot_code: String,
    old_base: Url,
    /// The app's key.
    pub(super) app_key: String,
    /// The app's secret, with which callbacks are signed.
    pub(super) app_secret: String,
    target: Option<Target>,
    pushes: Option<(String, Key)>,
    owner_key: String,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "app_key": "dingabcdefghijklmnop",
        "app_secret": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "to": "user/manager1234"
    });
    kit::schema::<Settings>("DingTalk app settings", example)
}

/// Checks the form of an app's key or a robot's code.
///
/// # Errors
/// `invalid_field`.
pub(super) fn check_key(field: &str, key: &str) -> Result<(), Problem> {
    if kit::is_path_token(key) && key.len() <= 64 {
        return Ok(());
    }
    let detail = "is no key of an app; copy Client ID from the app's page Credentials";
    Err(Problem::invalid("invalid_field", field, detail).accepted("ding…"))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_key("settings.app_key", &settings.app_key)?;
        kit::check_credential(
            "settings.app_secret",
            &settings.app_secret,
            "the app's secret",
        )?;
        let robot_code = settings
            .robot_code
            .unwrap_or_else(|| settings.app_key.clone());
        check_key("settings.robot_code", &robot_code)?;
        let owner_key = settings
            .owner_key
            .unwrap_or_else(|| settings.app_key.clone());
        check_key("settings.owner_key", &owner_key)?;
        let pushes = envelope::settings(
            ("settings.token", settings.token),
            ("settings.aes_key", settings.aes_key),
        )?;
        let target = settings.to.as_deref();
        let target = target.map(|target| Target::parse("settings.to", target));
        let base_url = settings.base_url.as_deref();
        Ok(Endpoint {
            base: kit::base(base_url.unwrap_or(BASE))?,
            old_base: kit::base(base_url.unwrap_or(OLD_BASE))?,
            robot_code,
            app_key: settings.app_key,
            app_secret: settings.app_secret,
            target: target.transpose()?,
            pushes,
            owner_key,
        })
    }
}

impl Endpoint {
    /// What opens pushed events, if they are taken.
    pub(super) fn envelope(&self) -> Option<Envelope> {
        let (token, key) = self.pushes.as_ref()?;
        Some(Envelope::new(token.clone(), *key, self.owner_key.clone()))
    }

    /// Whom a delivery goes to: its target, else the channel's own.
    ///
    /// # Errors
    /// `invalid_target`; `missing_target` when there is neither.
    pub(super) fn target(&self, target: Option<&str>) -> Result<Target, Problem> {
        match (target, &self.target) {
            (Some(target), _) => Target::parse("to", target),
            (None, Some(target)) => Ok(target.clone()),
            (None, None) => Err(Problem::invalid(
                "missing_target",
                "to",
                "names nobody to send to: add somebody to the address (NAME/user/ID), or set settings.to",
            )),
        }
    }

    /// An address of the API.
    pub(super) fn url(&self, path: &str) -> Url {
        at(&self.base, path)
    }

    /// An address of the older part of the API.
    pub(super) fn old_url(&self, path: &str) -> Url {
        at(&self.old_base, path)
    }
}

fn at(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}{path}", base.path().trim_end_matches('/')));
    url
}

impl TokenIssuer for Endpoint {
    fn request(&self) -> HttpRequest {
        let body = json!({"appKey": self.app_key, "appSecret": self.app_secret});
        post_as(self.url(TOKEN_PATH), MEDIA_TYPE, bytes_of(&body).into())
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<Token, Outcome> {
        let body = answer::token(exchange, context)?;
        let value = body.get("accessToken").and_then(Value::as_str);
        let seconds = body.get("expireIn").and_then(Value::as_u64);
        let token = value.zip(seconds).and_then(|(value, seconds)| {
            Token::new(value.to_owned(), Duration::from_secs(seconds))
        });
        token.ok_or_else(|| Outcome::Retry {
            reason: "the answer has no token".to_owned(),
        })
    }
}
