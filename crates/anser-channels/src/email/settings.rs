//! What a user sets on a mail server, checked, and whose mailbox a message goes to. Must not show the password.

use anser_core::Problem;
use anser_core::channel::{MailSecurity, MailServer};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use url::{Host, Url};

use crate::kit::settings as kit;

/// Mailboxes of one delivery.
pub(super) const TO_MAX: usize = 50;
/// Bytes of an address (RFC 5321 §4.5.3.1.3, without the angle brackets).
const ADDRESS_BYTES_MAX: usize = 254;
/// Bytes of an address before its `@` (RFC 5321 §4.5.3.1.1).
const LOCAL_BYTES_MAX: usize = 64;
/// What an address looks like.
pub(super) const ADDRESS_RULE: &str =
    "an address such as ops@example.com, or several with commas between them";

/// The settings as written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The mail server's name.
    #[schemars(length(min = 1, max = 253))]
    host: String,
    /// Its port. Default 465 for `tls`, 587 for `starttls`, 25 for `none`.
    #[serde(default)]
    #[schemars(range(min = 1))]
    port: Option<u16>,
    /// `tls`: encrypted from the first byte; `starttls`: encrypted after a greeting, and refused if the server cannot;
    /// `none`: for a server on the same machine or network.
    #[serde(default)]
    security: Security,
    /// User name, if the server asks for one.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512))]
    username: Option<String>,
    /// Password, or the app password that the mail provider makes.
    #[serde(default)]
    #[schemars(length(min = 1, max = 512), extend("writeOnly" = true))]
    password: Option<String>,
    /// Who it comes from: `Alerts <alerts@example.com>` or an address alone.
    #[schemars(length(min = 3, max = 512))]
    from: String,
    /// Where answers go, in the same form; default: to `from`.
    #[serde(default)]
    #[schemars(length(min = 3, max = 512))]
    reply_to: Option<String>,
    /// The mailboxes for messages whose address names none, with commas between them.
    #[serde(default)]
    #[schemars(length(min = 3, max = 4096))]
    to: Option<String>,
    /// Stands before every subject, such as `[prod] `.
    #[serde(default)]
    #[schemars(length(max = 64))]
    subject_prefix: String,
}

/// How the connection is protected.
#[derive(Debug, Clone, Copy, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum Security {
    #[default]
    Tls,
    StartTls,
    None,
}

/// The settings checked and ready to use.
pub(super) struct Endpoint {
    /// For the address guard.
    pub(super) url: Url,
    pub(super) server: MailServer,
    pub(super) from: String,
    /// The domain of `from`, for ids of mails.
    pub(super) domain: String,
    pub(super) reply_to: Option<String>,
    pub(super) subject_prefix: String,
    to: Vec<String>,
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    let example = json!({"host": "smtp.example.com", "username": "alerts@example.com", "password": "app-password",
        "from": "Alerts <alerts@example.com>", "to": "ops@example.com"});
    kit::schema::<Settings>("E-mail settings", example)
}

impl Settings {
    /// Reads and checks every rule.
    ///
    /// # Errors
    /// A problem whose field begins with `settings`.
    pub(super) fn open(settings: &Value) -> Result<Endpoint, Problem> {
        let settings: Self = kit::read(settings)?;
        let (security, port) = match settings.security {
            Security::Tls => (MailSecurity::Tls, 465),
            Security::StartTls => (MailSecurity::StartTls, 587),
            Security::None => (MailSecurity::None, 25),
        };
        let port = settings.port.unwrap_or(port);
        if port == 0 {
            let detail = "must be from 1 to 65535";
            return Err(Problem::invalid("out_of_range", "settings.port", detail));
        }
        let url = server_url(&settings.host, port)?;
        let (from, domain) = sender("settings.from", &settings.from)?;
        let reply_to = settings.reply_to.as_deref();
        let reply_to = reply_to.map(|text| sender("settings.reply_to", text));
        let to = settings.to.as_deref();
        let to = to.map(|to| mailboxes("settings.to", to)).transpose()?;
        if settings.subject_prefix.chars().any(char::is_control) {
            let detail = "must be on one line, without control characters";
            let field = "settings.subject_prefix";
            return Err(Problem::invalid("invalid_field", field, detail));
        }
        Ok(Endpoint {
            url,
            server: MailServer {
                host: settings.host,
                port,
                security,
                login: login(settings.username, settings.password)?,
                hello: domain.clone(),
            },
            from,
            domain,
            reply_to: reply_to.transpose()?.map(|(reply_to, _)| reply_to),
            subject_prefix: settings.subject_prefix,
            to: to.unwrap_or_default(),
        })
    }
}

fn server_url(host: &str, port: u16) -> Result<Url, Problem> {
    // `https`, since only the host of a web URL is told to be an address or a name.
    let url = Host::parse(host)
        .ok()
        .and_then(|host| Url::parse(&format!("https://{host}:{port}")).ok());
    url.ok_or_else(|| {
        let detail = "is no name or address of a server; leave out scheme and port";
        Problem::invalid("invalid_host", "settings.host", detail).accepted("smtp.example.com")
    })
}

fn login(
    username: Option<String>,
    password: Option<String>,
) -> Result<Option<(String, String)>, Problem> {
    let missing = |field: &str, detail: &str| Err(Problem::invalid("invalid_field", field, detail));
    match (username, password) {
        (Some(username), Some(password)) => {
            if username
                .chars()
                .chain(password.chars())
                .any(char::is_control)
            {
                let detail = "has control characters; copy user name and password again";
                return missing("settings.password", detail);
            }
            Ok(Some((username, password)))
        }
        (None, None) => Ok(None),
        (Some(_), None) => missing("settings.password", "belongs to settings.username"),
        (None, Some(_)) => missing("settings.username", "belongs to settings.password"),
    }
}

/// A sender, checked, and the domain of its address.
fn sender(field: &str, text: &str) -> Result<(String, String), Problem> {
    let address = match text.trim().strip_suffix('>') {
        Some(rest) => rest.rsplit_once('<').map(|(_, address)| address),
        None => Some(text.trim()),
    };
    let one_line = !text.chars().any(char::is_control);
    let address = address.filter(|address| one_line && is_address(address));
    let domain = address.and_then(|address| address.rsplit_once('@'));
    match domain {
        Some((_, domain)) => Ok((text.trim().to_owned(), domain.to_owned())),
        None => Err(Problem::invalid("invalid_address", field, "is no sender")
            .accepted("Alerts <alerts@example.com>, or an address alone")),
    }
}

/// The mailboxes that a text lists.
///
/// # Errors
/// `invalid_target`.
pub(super) fn mailboxes(field: &str, text: &str) -> Result<Vec<String>, Problem> {
    let invalid = |detail: &str| {
        Err(Problem::invalid("invalid_target", field, detail).accepted(ADDRESS_RULE))
    };
    let mut mailboxes: Vec<String> = Vec::new();
    for address in text.split(',').map(str::trim) {
        if !is_address(address) {
            return invalid("names no mailbox");
        }
        if !mailboxes.iter().any(|known| known == address) {
            mailboxes.push(address.to_owned());
        }
    }
    if mailboxes.len() > TO_MAX {
        return invalid("names more than 50 mailboxes; make several addresses of it");
    }
    Ok(mailboxes)
}

/// The `addr-spec` of RFC 5322 §3.4.1 as it is in use: no quotes, no comments, a domain with a name.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let is_atom = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+/=?^_`{|}~-".contains(&byte))
    };
    text.len() <= ADDRESS_BYTES_MAX
        && local.len() <= LOCAL_BYTES_MAX
        && local.split('.').all(is_atom)
        && !domain.starts_with('[')
        && domain.is_ascii()
        && matches!(Host::parse(domain), Ok(Host::Domain(_)))
}

impl Endpoint {
    /// The mailboxes: those of the target, else the channel's own.
    ///
    /// # Errors
    /// `missing_target` when there are neither, `invalid_target`.
    pub(super) fn mailboxes(&self, target: Option<&str>) -> Result<Vec<String>, Problem> {
        match target {
            Some(target) => mailboxes("to", target),
            None if !self.to.is_empty() => Ok(self.to.clone()),
            None => Err(Problem::invalid(
                "missing_target",
                "to",
                "names no mailbox: add it to the address (NAME/ops@example.com), or set settings.to",
            )),
        }
    }
}
