//! What the settings of chat platforms have in common: reading, their schema, and URLs that must be of a platform. Must
//! not repeat a secret in an error.

use anser_core::Problem;
use anser_core::message::item::parse_json;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::Url;

/// Bytes of a URL.
const URL_BYTES_MAX: usize = 2_048;
/// Bytes of a token, key or secret.
const CREDENTIAL_BYTES_MAX: usize = 512;

/// Reads settings, strictly.
///
/// # Errors
/// `invalid_field` with the path of what is missing, unknown or mistyped.
pub(crate) fn read<T: DeserializeOwned>(settings: &Value) -> Result<T, Problem> {
    let json = serde_json::to_vec(settings).expect("a JSON value always serialises");
    parse_json("settings", &json)
}

/// The JSON Schema (2020-12) of settings, without references.
pub(crate) fn schema<T: JsonSchema>(title: &str, example: Value) -> Value {
    let mut schema = SchemaSettings::draft2020_12()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), title.into());
    schema.insert(
        "description".to_owned(),
        "Where to send, and what proves that we may.".into(),
    );
    schema.insert("examples".to_owned(), vec![example].into());
    schema.to_value()
}

/// The address of a webhook as its platform shows it: `https` at one of the platform's hosts, and below the path that
/// its webhooks have. With `base_url` given, its scheme, host and port are taken instead.
///
/// # Errors
/// `invalid_url`; `wrong_host` for a URL of somebody else; both without the URL, which holds a secret.
pub(crate) fn webhook_url(
    field: &str,
    text: &str,
    hosts: &[&str],
    path: &str,
    base_url: Option<&str>,
) -> Result<Url, Problem> {
    let url = absolute(field, text)?;
    let base = base_url.map(base).transpose()?;
    let host = url.host_str().unwrap_or_default();
    let ours = url.scheme() == "https" && hosts.contains(&host) && url.port().is_none();
    let of_base = base
        .as_ref()
        .is_some_and(|base| base.origin() == url.origin());
    if !ours && !of_base {
        let hosts: Vec<String> = hosts
            .iter()
            .map(|host| format!("https://{host}{path}…"))
            .collect();
        return Err(Problem::invalid(
            "wrong_host",
            field,
            "is no webhook URL of this platform; copy it from the robot's page, and for another server (a proxy, a \
             simulator) also set settings.base_url",
        )
        .accepted(hosts.join(" or ")));
    }
    if !url.path().starts_with(path) {
        return Err(Problem::invalid(
            "invalid_url",
            field,
            "is no webhook URL: its path is another; copy the whole URL",
        )
        .accepted(format!("a path that begins with {path}")));
    }
    Ok(match base {
        Some(base) => moved(&url, &base),
        None => url,
    })
}

fn moved(url: &Url, base: &Url) -> Url {
    let mut moved = base.clone();
    let path = format!("{}{}", base.path().trim_end_matches('/'), url.path());
    moved.set_path(&path);
    moved.set_query(url.query());
    moved
}

/// An address of a platform's API: scheme, host, port and perhaps a path before the platform's own.
///
/// # Errors
/// `invalid_url` at `settings.base_url`.
pub(crate) fn base(text: &str) -> Result<Url, Problem> {
    let url = absolute("settings.base_url", text)?;
    if url.query().is_some() {
        let detail = "must end before the platform's own path, without a query";
        return Err(Problem::invalid("invalid_url", "settings.base_url", detail));
    }
    Ok(url)
}

fn absolute(field: &str, text: &str) -> Result<Url, Problem> {
    let invalid = |detail: &str| Problem::invalid("invalid_url", field, detail);
    if text.len() > URL_BYTES_MAX || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(invalid(
            "must be a URL of at most 2048 bytes without blanks and control characters",
        ));
    }
    let url = Url::parse(text)
        .ok()
        .filter(|url| ["http", "https"].contains(&url.scheme()) && url.has_host())
        .ok_or_else(|| invalid("must be an absolute URL that begins with https:// and a host"))?;
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return Err(invalid("must have no user name, password or fragment"));
    }
    Ok(url)
}

/// Checks a token, key or secret: present, of visible ASCII, without blanks around it.
///
/// # Errors
/// `invalid_secret`, without it.
pub(crate) fn check_credential(field: &str, text: &str, what: &str) -> Result<(), Problem> {
    let good = (1..=CREDENTIAL_BYTES_MAX).contains(&text.len())
        && text.trim() == text
        && text
            .bytes()
            .all(|byte| byte.is_ascii_graphic() || byte == b' ');
    if good {
        return Ok(());
    }
    Err(Problem::invalid(
        "invalid_secret",
        field,
        format!(
            "{what} is missing, or has blanks around it or characters that none has; copy it again"
        ),
    ))
}

/// Whether it can stand in a path as it is: letters, digits and `-_.:~`.
pub(crate) fn is_path_token(text: &str) -> bool {
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.:~".contains(&byte))
}

/// The host and the segments of the path of a URL such as `kind://A/B/C`, percent-decoded.
///
/// # Errors
/// `invalid_url` when there are not as many as `names`, which it then lists.
pub(crate) fn url_words<const N: usize>(
    url: &Url,
    names: [&str; N],
) -> Result<[String; N], Problem> {
    let decode = |text: &str| {
        percent_encoding::percent_decode_str(text)
            .decode_utf8_lossy()
            .into_owned()
    };
    let host = url.host_str().unwrap_or_default();
    let path = url.path_segments().into_iter().flatten();
    let words: Vec<String> = std::iter::once(host)
        .chain(path)
        .filter(|word| !word.is_empty())
        .map(decode)
        .collect();
    words.try_into().map_err(|words: Vec<String>| {
        let wanted = format!("{}://{}", url.scheme(), names.join("/"));
        let detail = format!("has {} of the {N} parts that it needs", words.len().min(N));
        Problem::invalid("invalid_url", "to", detail).accepted(wanted)
    })
}

/// The query of a URL as settings of the same names, of which only `known` are taken.
///
/// # Errors
/// `invalid_url` for another parameter.
pub(crate) fn url_settings(url: &Url, settings: &mut Value, known: &[&str]) -> Result<(), Problem> {
    for (name, value) in url.query_pairs() {
        if !known.contains(&name.as_ref()) {
            let detail = format!("knows no parameter {name:?}");
            return Err(Problem::invalid("invalid_url", "to", detail).accepted(known.join(", ")));
        }
        settings[name.as_ref()] = value.into_owned().into();
    }
    Ok(())
}

/// The token in a webhook address's query.
///
/// # Errors
/// `invalid_url` when it is missing, or has other characters than a token's.
pub(crate) fn query_token(field: &str, url: &Url, name: &str) -> Result<String, Problem> {
    let mut pairs = url.query_pairs();
    pairs
        .find(|(given, _)| given == name)
        .map(|(_, token)| token.into_owned())
        .filter(|token| is_path_token(token))
        .ok_or_else(|| {
            let detail = format!("ends without ?{name}=…; copy the whole address");
            Problem::invalid("invalid_url", field, detail)
        })
}
