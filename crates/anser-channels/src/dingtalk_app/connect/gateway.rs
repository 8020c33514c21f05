//! Where an app's stream is: the question, with what is subscribed to, its answer, and what a refusal means
//! (<https://opensource.dingtalk.com/developerpedia/docs/learn/stream/protocol>). Must not show the ticket, which opens the
//! stream to anybody.

use anser_core::Timestamp;
use anser_core::channel::{Exchange, HttpRequest, HttpResponse};
use serde_json::{Value, json};
use url::Url;

use crate::dingtalk_app::settings::Endpoint;
use crate::kit::classify::PAUSE_DEFAULT;
use crate::kit::connecting::{End, object, words};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;
use crate::kit::socket::socket;

/// Where it is asked for.
const PATH: &str = "/v1.0/gateway/connections/open";
/// The topic of what is said to the robot.
pub(super) const ROBOT: &str = "/v1.0/im/bot/messages/get";
/// The topic of clicks on cards.
pub(super) const CARD: &str = "/v1.0/card/instances/callback";
/// What codes for too many requests have in them.
const LIMITED: [&str; 3] = ["QpsLimit", "Throttling", "FlowControl"];
/// What helps when the platform refuses.
const REMEDY: &str = "check app_key and app_secret, and that the app's robot and event subscription are set to Stream mode and a \
version is published";

/// The question.
pub(super) fn request(app: &Endpoint) -> HttpRequest {
    let callback = |topic: &str| json!({"type": "CALLBACK", "topic": topic});
    let body = json!({
        "clientId": app.app_key,
        "clientSecret": app.app_secret,
        "subscriptions": [{"type": "EVENT", "topic": "*"}, callback(ROBOT), callback(CARD)],
        "ua": concat!("anser/", env!("CARGO_PKG_VERSION")),
    });
    post_as(app.url(PATH), MEDIA_TYPE, bytes_of(&body).into())
}

/// The WebSocket with its ticket, as answered to what was asked at `asked`.
///
/// # Errors
/// What it means that there is none.
pub(super) fn read(exchange: &Exchange, asked: &Url, now: Timestamp) -> Result<Url, End> {
    let (response, body) = object(exchange, now)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    if let (true, Some(endpoint), Some(ticket)) = (
        response.status.is_success(),
        text("endpoint"),
        text("ticket"),
    ) {
        let mut url = socket(endpoint, asked)?;
        url.query_pairs_mut().append_pair("ticket", ticket);
        return Ok(url);
    }
    let status = response.status.as_u16();
    let Some(code) = text("code") else {
        let detail = format!("HTTP {status} with a body that has neither an endpoint nor a code");
        return Err(End::protocol(detail));
    };
    let message = words(text("message").unwrap_or_default());
    let told = format!("DingTalk answers {status} {}: {message}", words(code));
    if LIMITED.iter().any(|part| code.contains(part)) {
        return Err(End::limited(PAUSE_DEFAULT, told));
    }
    Err(End::refused(format!("{told}; {REMEDY}")))
}

/// What it means that the gateway was told, but opened no WebSocket. Each attempt has a ticket of its own.
pub(super) fn not_opened(response: &HttpResponse) -> End {
    End::network(format!("no WebSocket, but {}", response.status))
}
