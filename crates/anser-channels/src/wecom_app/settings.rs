//! What a user sets on an app, checked, and where the app's token comes from. Must not show the secret.

use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpRequest, Token, TokenIssuer};
use anser_core::outcome::Outcome;
use bytes::Bytes;
use http::Method;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer;
use super::target::Target;
use crate::kit::cbc::Key;
use crate::kit::envelope::{self, Envelope};
use crate::kit::plan::MEDIA_TYPE;
use crate::kit::post::post_as;
use crate::kit::settings as kit;

/// Where the API is.
const BASE: &str = "https://qyapi.weixin.qq.com";
/// Where tokens are given.
const TOKEN_PATH: &str = "/cgi-bin/gettoken";
/// Seconds for which WeCom can remember a message to know it again, 4 hours
/// (<https://developer.work.weixin.qq.com/document/path/90236>).
pub(super) const DUPLICATE_SECONDS_MAX: u32 = 4 * 3600;

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The company's id, `ww…`, from My Company, Company Information.
    #[schemars(length(min = 1, max = 64))]
    corp_id: String,
    /// The app's secret, from its page.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    corp_secret: String,
    /// The app's number, AgentId on its page, such as 1000002.
    #[schemars(range(min = 0))]
    agent_id: u32,
    /// Whom messages go to whose address names nobody: `user/ID`, `party/NUMBER` (a department), `tag/NUMBER`, several as in
    /// `user/ann|bob`, `chat/CHATID` (a group that the app made), or `@all`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512))]
    to: Option<String>,
    /// Seconds, 1 to 14400, for which WeCom shows messages of the same content to the same people once only. Absent: all are
    /// shown, but for one that is sent again because its answer was lost.
    #[serde(default)]
    #[schemars(range(min = 1, max = 14400))]
    duplicate_check_interval: Option<u32>,
    /// The Token of the app's page Receive Messages, API. With it and the key, what WeCom sends is taken.
    #[serde(default)]
    #[schemars(length(min = 1, max = 32), extend("writeOnly" = true))]
    token: Option<String>,
    /// The EncodingAESKey of the same page: 43 letters and digits.
    #[serde(default)]
    #[schemars(length(min = 43, max = 43), extend("writeOnly" = true))]
    encoding_aes_key: Option<String>,
    /// Another address of the API, for a proxy or a simulator. Default `https://qyapi.weixin.qq.com`.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where the API is.
    pub(super) base: Url,
    /// The app's number.
    pub(super) agent_id: u32,
    /// For how many seconds every message is checked to be no duplicate.
    pub(super) duplicate_check: Option<u32>,
    corp_id: String,
    corp_secret: String,
    target: Option<Target>,
    receives: Option<(String, Key)>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "corp_id": "ww1234567890abcdef",
        "corp_secret": "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG",
        "agent_id": 1_000_002,
        "to": "user/ann"
    });
    kit::schema::<Settings>("WeCom app settings", example)
}

/// Checks the form of a company's id.
///
/// # Errors
/// `invalid_field`.
pub(super) fn check_corp_id(field: &str, corp_id: &str) -> Result<(), Problem> {
    if corp_id.len() <= 64 && corp_id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(());
    }
    let detail = "is no company's id; copy it from My Company, Company Information";
    Err(Problem::invalid("invalid_field", field, detail).accepted("ww…"))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_corp_id("settings.corp_id", &settings.corp_id)?;
        kit::check_credential(
            "settings.corp_secret",
            &settings.corp_secret,
            "the app's secret",
        )?;
        let interval = settings.duplicate_check_interval;
        if interval.is_some_and(|seconds| !(1..=DUPLICATE_SECONDS_MAX).contains(&seconds)) {
            let field = "settings.duplicate_check_interval";
            let detail =
                "is out of the range of WeCom's check for duplicates; leave it out for no check";
            let problem = Problem::invalid("invalid_field", field, detail);
            return Err(problem.accepted("1 to 14400 seconds"));
        }
        let receives = envelope::settings(
            ("settings.token", settings.token),
            ("settings.encoding_aes_key", settings.encoding_aes_key),
        )?;
        let target = settings.to.as_deref();
        let target = target.map(|target| Target::parse("settings.to", target));
        Ok(Endpoint {
            base: kit::base(settings.base_url.as_deref().unwrap_or(BASE))?,
            agent_id: settings.agent_id,
            duplicate_check: interval,
            corp_id: settings.corp_id,
            corp_secret: settings.corp_secret,
            target: target.transpose()?,
            receives,
        })
    }
}

impl Endpoint {
    /// What opens what WeCom sends, if it may send: it is meant for the company.
    pub(super) fn envelope(&self) -> Option<Envelope> {
        let (token, key) = self.receives.as_ref()?;
        Some(Envelope::new(token.clone(), *key, self.corp_id.clone()))
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

    /// An address of the API with that query.
    pub(super) fn url(&self, path: &str, query: &[(&str, &str)]) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        url.query_pairs_mut().extend_pairs(query);
        url
    }
}

impl TokenIssuer for Endpoint {
    fn request(&self) -> HttpRequest {
        let query = [
            ("corpid", &*self.corp_id),
            ("corpsecret", &*self.corp_secret),
        ];
        let mut request = post_as(self.url(TOKEN_PATH, &query), MEDIA_TYPE, Bytes::new());
        request.method = Method::GET;
        request.headers.remove(http::header::CONTENT_TYPE);
        request
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<Token, Outcome> {
        let body = answer::token(exchange, context)?;
        let value = body.get("access_token").and_then(Value::as_str);
        let seconds = body.get("expires_in").and_then(Value::as_u64);
        let token = value.zip(seconds).and_then(|(value, seconds)| {
            Token::new(value.to_owned(), Duration::from_secs(seconds))
        });
        token.ok_or_else(|| Outcome::Retry {
            reason: "the answer has no token".to_owned(),
        })
    }
}
