//! What a user sets on an app, checked; whom a message goes to; and where the app's token comes from. Must not show the
//! secret.

use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpRequest, Token, TokenIssuer};
use anser_core::outcome::Outcome;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::answer;
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;
use crate::kit::settings as kit;

/// Feishu, and Lark outside of China.
pub(super) const BASES: [&str; 2] = ["https://open.feishu.cn", "https://open.larksuite.com"];
/// Where tokens are given.
const TOKEN_PATH: &str = "/open-apis/auth/v3/tenant_access_token/internal";
/// Bytes of an id on the platform; an e-mail address has at most 254.
const ID_BYTES_MAX: usize = 254;
/// What a receiver looks like.
const RECEIVER_RULE: &str = "a chat (oc_…), a person (ou_…, on_…, an e-mail address or a user_id)";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The app's id, as its page Credentials shows it: `cli_…`.
    #[schemars(length(min = 1, max = 64))]
    app_id: String,
    /// The app's secret, from the same page.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    app_secret: String,
    /// Whom messages go to whose address names nobody: a chat (`oc_…`), or a person by open_id (`ou_…`), union_id (`on_…`),
    /// e-mail address or user_id.
    #[serde(default)]
    #[schemars(length(min = 1, max = 254))]
    receive_id: Option<String>,
    /// The app's Encrypt Key, from its page Events & Callbacks, Encryption Strategy. What Feishu sends must be signed with it.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    encrypt_key: Option<String>,
    /// The app's Verification Token, from the same page. Without an Encrypt Key it is what proves that Feishu sent something.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    verification_token: Option<String>,
    /// Where the API is. Default `https://open.feishu.cn`; for Lark `https://open.larksuite.com`; or a proxy or a simulator.
    #[serde(default)]
    #[schemars(length(min = 1, max = 2048))]
    base_url: Option<String>,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where the API is.
    pub(super) base: Url,
    /// The app's id.
    pub(super) app_id: String,
    /// What signs and hides what Feishu sends.
    pub(super) encrypt_key: Option<String>,
    /// What Feishu writes into what it sends.
    pub(super) verification_token: Option<String>,
    /// The app's secret.
    pub(super) app_secret: String,
    receiver: Option<Receiver>,
}

/// Whom a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Receiver {
    /// The id.
    pub(super) id: String,
    /// What kind of id, as the API names it.
    pub(super) id_type: &'static str,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "app_id": "cli_a1b2c3d4e5f6g7h8",
        "app_secret": "abcdefghijklmnopqrstuvwxyz012345",
        "receive_id": "oc_a0553eda9014c201e6969b478895c230"
    });
    kit::schema::<Settings>("Feishu app settings", example)
}

/// Checks the form of an app's id.
///
/// # Errors
/// `invalid_field`.
pub(super) fn check_app_id(field: &str, app_id: &str) -> Result<(), Problem> {
    let good = app_id
        .strip_prefix("cli_")
        .is_some_and(|rest| kit::is_path_token(rest) && app_id.len() <= 64);
    if good {
        return Ok(());
    }
    let detail = "is no app's id; copy App ID from the app's page Credentials";
    Err(Problem::invalid("invalid_field", field, detail).accepted("cli_…"))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_app_id("settings.app_id", &settings.app_id)?;
        kit::check_credential(
            "settings.app_secret",
            &settings.app_secret,
            "the app's secret",
        )?;
        for (field, secret, what) in [
            ("encrypt_key", &settings.encrypt_key, "the Encrypt Key"),
            (
                "verification_token",
                &settings.verification_token,
                "the Verification Token",
            ),
        ] {
            if let Some(secret) = secret {
                kit::check_credential(&format!("settings.{field}"), secret, what)?;
            }
        }
        let receiver = settings.receive_id.as_deref();
        let receiver = receiver.map(|id| Receiver::parse("settings.receive_id", id));
        Ok(Endpoint {
            base: kit::base(settings.base_url.as_deref().unwrap_or(BASES[0]))?,
            app_id: settings.app_id,
            app_secret: settings.app_secret,
            encrypt_key: settings.encrypt_key,
            verification_token: settings.verification_token,
            receiver: receiver.transpose()?,
        })
    }
}

impl Receiver {
    /// Reads an id, or `chat/ID` or `user/ID`. Its beginning tells what kind of id it is.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn parse(field: &str, text: &str) -> Result<Self, Problem> {
        let id = text
            .strip_prefix("chat/")
            .or_else(|| text.strip_prefix("user/"))
            .unwrap_or(text);
        let good = (1..=ID_BYTES_MAX).contains(&id.len())
            && id
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.@+".contains(&byte));
        if !good {
            let detail = "is no chat or person of Feishu";
            let problem = Problem::invalid("invalid_target", field, detail);
            return Err(problem.accepted(RECEIVER_RULE));
        }
        let id_type = match id {
            id if id.starts_with("oc_") => "chat_id",
            id if id.starts_with("ou_") => "open_id",
            id if id.starts_with("on_") => "union_id",
            id if id.contains('@') => "email",
            _ => "user_id",
        };
        Ok(Self {
            id: id.to_owned(),
            id_type,
        })
    }
}

impl Endpoint {
    /// Whom a delivery goes to: its target, else the channel's own; `None` when there is neither.
    ///
    /// # Errors
    /// `invalid_target`.
    pub(super) fn receiver(&self, target: Option<&str>) -> Result<Option<Receiver>, Problem> {
        match target {
            Some(target) => Receiver::parse("to", target).map(Some),
            None => Ok(self.receiver.clone()),
        }
    }

    /// An address of the API.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }
}

impl TokenIssuer for Endpoint {
    fn request(&self) -> HttpRequest {
        let body = json!({"app_id": self.app_id, "app_secret": self.app_secret});
        post_as(self.url(TOKEN_PATH), MEDIA_TYPE, bytes_of(&body).into())
    }

    fn read(&self, exchange: &Exchange, context: &Context<'_>) -> Result<Token, Outcome> {
        let body = answer::token(exchange, context)?;
        let value = body.get("tenant_access_token").and_then(Value::as_str);
        let seconds = body.get("expire").and_then(Value::as_u64);
        let token = value.zip(seconds).and_then(|(value, seconds)| {
            Token::new(value.to_owned(), Duration::from_secs(seconds))
        });
        token.ok_or_else(|| Outcome::Retry {
            reason: "the answer has no token".to_owned(),
        })
    }
}
