//! What a user sets on a bot, checked, and where its API is. Must not show the token.

use anser_core::Problem;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use super::address::Target;
use crate::kit::discord::file;
use crate::kit::settings as kit;

/// Where the API is.
const BASE: &str = "https://discord.com";
/// Its path, with the version that is spoken here.
const PATH: &str = "/api/v10";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The bot's token, as the app's page Bot shows it once.
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    token: String,
    /// Where messages go whose address names nothing: the id of a channel or thread, or `user/ID` for a person.
    #[serde(default)]
    #[schemars(length(min = 1, max = 64))]
    channel_id: Option<String>,
    /// The app's Public Key, 64 hexadecimal digits, as its page General Information shows it. With it, interactions are
    /// taken at `/in/CHANNEL`.
    #[serde(default)]
    #[schemars(regex(pattern = r"^[0-9A-Fa-f]{64}$"))]
    public_key: Option<String>,
    /// What is told over a connection, with `inbound.via` of `connection`. Default: messages and reactions, in servers and
    /// to the bot, with what they say. `message_content`, `guild_members` and `guild_presences` have to be turned on at the
    /// app's page Bot.
    #[serde(default)]
    #[schemars(length(min = 1, max = 21))]
    intents: Option<Vec<Intent>>,
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

/// A group of events (<https://discord.com/developers/docs/events/gateway#gateway-intents>).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Intent {
    Guilds,
    GuildMembers,
    GuildModeration,
    GuildExpressions,
    GuildIntegrations,
    GuildWebhooks,
    GuildInvites,
    GuildVoiceStates,
    GuildPresences,
    GuildMessages,
    GuildMessageReactions,
    GuildMessageTyping,
    DirectMessages,
    DirectMessageReactions,
    DirectMessageTyping,
    MessageContent,
    GuildScheduledEvents,
    AutoModerationConfiguration,
    AutoModerationExecution,
    GuildMessagePolls,
    DirectMessagePolls,
}

/// Messages and reactions, with what they say.
const INTENTS: [Intent; 5] = [
    Intent::GuildMessages,
    Intent::GuildMessageReactions,
    Intent::DirectMessages,
    Intent::DirectMessageReactions,
    Intent::MessageContent,
];

impl Intent {
    /// Its bit.
    const fn bit(self) -> u64 {
        1 << match self {
            Self::Guilds => 0,
            Self::GuildMembers => 1,
            Self::GuildModeration => 2,
            Self::GuildExpressions => 3,
            Self::GuildIntegrations => 4,
            Self::GuildWebhooks => 5,
            Self::GuildInvites => 6,
            Self::GuildVoiceStates => 7,
            Self::GuildPresences => 8,
            Self::GuildMessages => 9,
            Self::GuildMessageReactions => 10,
            Self::GuildMessageTyping => 11,
            Self::DirectMessages => 12,
            Self::DirectMessageReactions => 13,
            Self::DirectMessageTyping => 14,
            Self::MessageContent => 15,
            Self::GuildScheduledEvents => 16,
            Self::AutoModerationConfiguration => 20,
            Self::AutoModerationExecution => 21,
            Self::GuildMessagePolls => 24,
            Self::DirectMessagePolls => 25,
        }
    }
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// Where the API is.
    pub(super) base: Url,
    /// Bytes of a file.
    pub(super) file_bytes_max: u64,
    /// What verifies requests that come in.
    pub(super) public_key: Option<String>,
    /// The bot's token.
    pub(super) token: String,
    /// What is told over a connection, a bit each.
    pub(super) intents: u64,
    authorization: HeaderValue,
    target: Option<Target>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({
        "token": "MTIzNDU2Nzg5MDEyMzQ1Njc4OQ.Gabcde.aBotToken_of-38-characters",
        "channel_id": "1234567890123456789",
        "public_key": "8a88e3dd7409f195fd52db2d3cba5d72ca6709bf1d94121bf3748801b40f6f5c"
    });
    kit::schema::<Settings>("Discord bot settings", example)
}

/// Checks the form of a token.
///
/// # Errors
/// `invalid_secret`, without it.
pub(super) fn check_token(field: &str, token: &str) -> Result<(), Problem> {
    kit::check_credential(field, token, "the bot's token")?;
    if kit::is_path_token(token) {
        return Ok(());
    }
    let detail =
        "is no bot's token: letters, digits, dots, hyphens and underscores, without Bot before it";
    Err(Problem::invalid("invalid_secret", field, detail))
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        check_token("settings.token", &settings.token)?;
        let target = settings.channel_id.as_deref();
        let target = target.map(|target| Target::parse("settings.channel_id", target));
        let mut authorization = HeaderValue::try_from(format!("Bot {}", settings.token))
            .expect("a token is visible ASCII");
        authorization.set_sensitive(true);
        let intents = settings.intents.as_deref().unwrap_or(&INTENTS);
        if intents.is_empty() {
            let detail = "names nothing: leave it out for messages and reactions";
            return Err(Problem::invalid(
                "invalid_field",
                "settings.intents",
                detail,
            ));
        }
        Ok(Endpoint {
            base: kit::base(settings.base_url.as_deref().unwrap_or(BASE))?,
            file_bytes_max: file::limit(settings.file_bytes_max)?,
            public_key: settings.public_key,
            intents: intents.iter().fold(0, |bits, intent| bits | intent.bit()),
            token: settings.token,
            authorization,
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

    /// An address of the API.
    pub(super) fn url(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        let path = format!("{}{PATH}{path}", self.base.path().trim_end_matches('/'));
        url.set_path(&path);
        url
    }

    /// What proves that we may.
    pub(super) fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(AUTHORIZATION, self.authorization.clone())])
    }
}
