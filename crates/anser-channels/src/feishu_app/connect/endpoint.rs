//! Where an app is connected to: the question, its answer, and what a refusal means. The codes are those that the platform's own
//! clients know (`ws/const.go` of larksuite/oapi-sdk-go). Must not show the address, which opens the connection to anybody.

use std::time::Duration;

use anser_core::Timestamp;
use anser_core::channel::{Exchange, HttpRequest, HttpResponse};
use anser_core::connection::{Again, Loss};
use http::HeaderValue;
use serde_json::{Value, json};
use url::Url;

use crate::feishu_app::settings::Endpoint;
use crate::kit::arrival::is_word;
use crate::kit::connecting::{End, object, words};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;
use crate::kit::socket::socket;

/// Where the address is asked for.
const PATH: &str = "/callback/ws/endpoint";
/// The platform is busy, or something in it is broken.
const BUSY: [i64; 2] = [1, 1_000_040_343];
/// An app may have 50 connections.
const TOO_MANY: i64 = 1_000_040_350;
/// The API's own limit on requests.
const TOO_OFTEN: i64 = 99_991_400;
/// Of a handshake: the credentials in the address do not hold, or there are too many connections.
const HANDSHAKE_AUTH: i64 = 514;
/// Of a handshake: the app may not be connected.
const HANDSHAKE_FORBIDDEN: i64 = 403;
/// The longest time between two pings, and the default.
pub(super) const PING_MAX: Duration = Duration::from_secs(120);
/// The longest wait that the platform can ask for.
const WAIT_MAX: Duration = Duration::from_secs(600);
/// What helps when the platform refuses.
const REMEDY: &str = "check app_id and app_secret, and that the app, with its feature Bot on, receives events over a long connection \
(Events & Callbacks, Subscription mode)";

/// What the platform asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Config {
    /// Between two pings.
    pub(super) ping: Duration,
    /// Between two attempts to be connected.
    pub(super) interval: Duration,
    /// Before the first attempt after a loss, at most.
    nonce: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            ping: PING_MAX,
            interval: Duration::from_secs(120),
            nonce: Duration::from_secs(30),
        }
    }
}

impl Config {
    /// The same with what a `ClientConfig` says otherwise, as far as that can be.
    pub(super) fn with(&self, told: &Value) -> Self {
        let seconds = |name: &str, before: Duration, least: u64, most: Duration| {
            let told = told[name].as_u64().map(Duration::from_secs);
            told.map_or(before, |told| told.clamp(Duration::from_secs(least), most))
        };
        Self {
            ping: seconds("PingInterval", self.ping, 1, PING_MAX),
            interval: seconds("ReconnectInterval", self.interval, 1, WAIT_MAX),
            nonce: seconds("ReconnectNonce", self.nonce, 0, WAIT_MAX),
        }
    }

    /// A moment in the time that the first attempt after a loss may wait.
    pub(super) fn jitter(&self, random: [u8; 16]) -> Duration {
        let part = f64::from(u16::from_be_bytes([random[0], random[1]])) / f64::from(u16::MAX);
        self.nonce.mul_f64(part)
    }
}

/// Where to.
#[derive(Debug)]
pub(super) struct Place {
    /// The WebSocket. It is a secret.
    pub(super) url: Url,
    /// What pings name.
    pub(super) service: i32,
    /// The platform's name for the connection.
    pub(super) device: Option<String>,
}

/// The question.
pub(super) fn request(app: &Endpoint) -> HttpRequest {
    let body = json!({"AppID": app.app_id, "AppSecret": app.app_secret});
    let mut request = post_as(app.url(PATH), MEDIA_TYPE, bytes_of(&body).into());
    let locale = HeaderValue::from_static("zh");
    request.headers.insert("locale", locale);
    request
}

/// The answer to what was asked at `asked`.
///
/// # Errors
/// What it means that there is no address.
pub(super) fn read(
    exchange: &Exchange,
    asked: &Url,
    now: Timestamp,
) -> Result<(Place, Config), End> {
    let (response, body) = object(exchange, now)?;
    let body = Value::Object(body);
    let msg = words(body["msg"].as_str().unwrap_or_default());
    let config = Config::default();
    match body["code"].as_i64() {
        Some(0) => {}
        Some(code) if BUSY.contains(&code) => {
            let detail = format!("Feishu answers {code}: {msg}");
            return Err(End::new(
                Loss::Network,
                Again::After(config.interval),
                detail,
            ));
        }
        Some(TOO_MANY) => return Err(too_many(&config, msg)),
        Some(TOO_OFTEN) => {
            return Err(End::limited(config.interval, format!("{TOO_OFTEN}: {msg}")));
        }
        Some(code) => {
            return Err(End::refused(format!(
                "Feishu answers {code}: {msg}; {REMEDY}"
            )));
        }
        None => {
            let status = response.status.as_u16();
            let detail = format!("HTTP {status} with a body that has no code");
            return Err(End::protocol(detail));
        }
    }
    let data = &body["data"];
    let place = place(data["URL"].as_str().unwrap_or_default(), asked)?;
    Ok((place, config.with(&data["ClientConfig"])))
}

fn place(text: &str, asked: &Url) -> Result<Place, End> {
    let url = socket(text, asked)?;
    let parameter = |name: &str| {
        let mut pairs = url.query_pairs();
        pairs.find_map(|(key, value)| (key == name).then(|| value.into_owned()))
    };
    let service = parameter("service_id").and_then(|id| id.parse().ok());
    let service = service.ok_or_else(|| End::protocol("the address names no service"))?;
    let device = parameter("device_id").filter(|id| is_word(id));
    Ok(Place {
        url,
        service,
        device,
    })
}

/// What it means that the address was good, but no WebSocket was opened.
pub(super) fn not_opened(response: &HttpResponse, config: &Config) -> End {
    let header = |name: &str| response.headers.get(name)?.to_str().ok();
    let number = |name: &str| header(name)?.trim().parse::<i64>().ok();
    let status = i64::from(response.status.as_u16());
    let code = number("handshake-status").unwrap_or(status);
    let msg = words(header("handshake-msg").unwrap_or_default());
    let detail = format!("no WebSocket, but {code}: {msg}");
    let again = Again::After(config.interval);
    match code {
        HANDSHAKE_AUTH if number("handshake-autherrcode") == Some(TOO_MANY) => {
            too_many(config, msg)
        }
        HANDSHAKE_AUTH => End::new(Loss::Refused, again, detail),
        HANDSHAKE_FORBIDDEN => End::refused(format!("{detail}; {REMEDY}")),
        _ => End::new(Loss::Network, again, detail),
    }
}

fn too_many(config: &Config, msg: &str) -> End {
    let detail = format!(
        "Feishu answers {TOO_MANY}: {msg}; the app has as many connections as it may have, 50: close others"
    );
    End::new(Loss::Replaced, Again::After(config.interval), detail)
}
