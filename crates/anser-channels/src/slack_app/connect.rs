//! Socket Mode (<https://docs.slack.dev/apis/events-api/using-socket-mode>): an app-level token is exchanged for the address of a
//! WebSocket, on which events, commands and interactions come in envelopes that are to be acknowledged. What is not
//! acknowledged comes again. Must not acknowledge what is not stored.

use std::collections::BTreeMap;
use std::time::Duration;

use anser_core::channel::{Exchange, HttpRequest};
use anser_core::connection::{Action, Again, Connection, Connector, Frame, Input, Loss, Recovery};
use anser_core::inbound::InboundContext;
use bytes::Bytes;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use serde_json::{Value, json};
use url::Url;

use super::inbound::{REMEMBER, of_envelope};
use super::settings::Endpoint;
use crate::kit::classify::PAUSE_DEFAULT;
use crate::kit::connecting::{End, closed, object, words};
use crate::kit::post::post_as;
use crate::kit::socket::socket;

/// How long the answer to the question for an address may take.
const ASK_MAX: Duration = Duration::from_secs(15);
/// How long the greeting may take once the WebSocket is open.
const HELLO_MAX: Duration = Duration::from_secs(15);
/// How often it is asked whether anybody is there.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Slack's own clients take a connection for lost after 30 seconds without a ping of the server; ours asks, too.
const SILENCE_MAX: Duration = Duration::from_secs(60);
/// How long a connection that Slack wants replaced still waits for what is being stored, so that it is acknowledged.
const DRAIN_MAX: Duration = Duration::from_secs(2);
/// The timer of the greeting.
const HELLO: u8 = 0;
/// The timer of pings.
const PING: u8 = 1;
/// The timer of the end.
const DRAIN: u8 = 2;

/// How an app is connected.
#[derive(Debug, Clone)]
pub(super) struct SocketMode {
    url: Url,
    bearer: HeaderValue,
}

impl SocketMode {
    /// With the app-level token, where there is one.
    pub(super) fn new(endpoint: &Endpoint) -> Option<Self> {
        Some(Self {
            url: endpoint.url("apps.connections.open"),
            bearer: endpoint.app_bearer.clone()?,
        })
    }

    fn request(&self) -> HttpRequest {
        // It takes no arguments; the token is in the header only.
        let mut request = post_as(
            self.url.clone(),
            "application/x-www-form-urlencoded",
            Bytes::new(),
        );
        request.headers.insert(AUTHORIZATION, self.bearer.clone());
        request
    }
}

impl Connector for SocketMode {
    /// Nothing is kept: what was not acknowledged comes again by itself.
    fn begin(&self, _: Option<&[u8]>) -> Box<dyn Connection> {
        Box::new(Socket {
            mode: self.clone(),
            is_live: false,
            batch: 0,
            unstored: BTreeMap::new(),
            end: None,
        })
    }

    fn silence_max(&self) -> Duration {
        SILENCE_MAX
    }

    fn remember(&self) -> Duration {
        REMEMBER
    }
}

/// An app that is connected.
struct Socket {
    mode: SocketMode,
    is_live: bool,
    /// The number of the last batch.
    batch: u64,
    /// The acknowledgements of what is being stored, by the numbers of their batches.
    unstored: BTreeMap<u64, Value>,
    /// How it ends once nothing is being stored any more.
    end: Option<End>,
}

impl Connection for Socket {
    fn handle(&mut self, input: Input, context: &InboundContext<'_>) -> Vec<Action> {
        match input {
            Input::Begin => vec![Action::Ask {
                tag: 0,
                request: self.mode.request(),
                limit: ASK_MAX,
            }],
            Input::Answered { exchange, .. } => match self.address(&exchange, context) {
                Ok(url) => vec![Action::Open {
                    url,
                    headers: HeaderMap::new(),
                }],
                Err(end) => vec![end.into()],
            },
            Input::Opened => vec![timer(HELLO, HELLO_MAX), timer(PING, PING_EVERY)],
            Input::Frame(Frame::Text(text)) => match serde_json::from_str(&text) {
                Ok(message) => self.read(&message, context),
                Err(_) => vec![unread("a message that is no JSON")],
            },
            Input::Frame(Frame::Binary(_)) => vec![unread("a message that is no text")],
            Input::Frame(Frame::Ping(_) | Frame::Pong(_)) => Vec::new(),
            Input::Stored { batch } => {
                let acknowledged = self.unstored.remove(&batch);
                let mut actions: Vec<Action> = acknowledged.iter().map(acknowledgement).collect();
                self.end_if_drained(&mut actions);
                actions
            }
            // What is not acknowledged comes again.
            Input::NotStored { batch } => {
                self.unstored.remove(&batch);
                let mut actions = Vec::new();
                self.end_if_drained(&mut actions);
                actions
            }
            Input::Timer(PING) => vec![
                Action::Send(Frame::Ping(Bytes::from_static(b"anser"))),
                timer(PING, PING_EVERY),
            ],
            Input::Timer(HELLO) if !self.is_live => {
                vec![End::protocol("the WebSocket is open, but Slack said no hello").into()]
            }
            Input::Timer(DRAIN) => self.end.take().map(Action::from).into_iter().collect(),
            Input::Timer(_) => Vec::new(),
            Input::NotOpened { response } => {
                let told = format!(
                    "HTTP {} where the WebSocket was to open",
                    response.status.as_u16()
                );
                vec![End::network(told).into()]
            }
            Input::Closed { code, reason } => {
                let end = self.end.take();
                let end = end.unwrap_or_else(|| match code {
                    Some(_) => End::new(Loss::Asked, Again::Backoff, closed(code, &reason)),
                    None => End::network(closed(code, &reason)),
                });
                vec![end.into()]
            }
        }
    }
}

impl Socket {
    /// The address in the answer. It lets anybody in who has it, so that it is never shown.
    fn address(&self, exchange: &Exchange, context: &InboundContext<'_>) -> Result<Url, End> {
        let (_, body) = object(exchange, context.now)?;
        let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
        if body.get("ok") == Some(&Value::Bool(true)) {
            return socket(text("url"), &self.mode.url);
        }
        Err(refused(words(text("error")), words(text("needed"))))
    }

    fn read(&mut self, message: &Value, context: &InboundContext<'_>) -> Vec<Action> {
        let text = |name: &str| message[name].as_str().unwrap_or_default();
        match text("type") {
            "hello" if self.is_live => Vec::new(),
            "hello" => {
                self.is_live = true;
                let host = message["debug_info"]["host"].as_str();
                vec![Action::Live {
                    session: host.map(|host| words(host).to_owned()),
                    recovery: Recovery::Redelivered,
                }]
            }
            "disconnect" => self.disconnect(words(text("reason"))),
            kind => self.envelope(kind, message, context),
        }
    }

    /// An event, a command or an interaction.
    fn envelope(
        &mut self,
        kind: &str,
        message: &Value,
        context: &InboundContext<'_>,
    ) -> Vec<Action> {
        let Some(id) = message["envelope_id"].as_str() else {
            return vec![unread("a message without an envelope_id")];
        };
        let mut acknowledged = json!({"envelope_id": id});
        match of_envelope(kind, &message["payload"], context) {
            Ok((events, answer)) => {
                if let Some(answer) = answer
                    && message["accepts_response_payload"] == true
                {
                    acknowledged["payload"] = answer;
                }
                if events.is_empty() {
                    return vec![acknowledgement(&acknowledged)];
                }
                self.batch += 1;
                self.unstored.insert(self.batch, acknowledged);
                vec![Action::Take {
                    batch: self.batch,
                    events,
                }]
            }
            // It would come again and again.
            Err(refusal) => {
                let detail = format!("{}: {}", words(kind), refusal.detail);
                vec![unread(detail), acknowledgement(&acknowledged)]
            }
        }
    }

    /// Slack wants another connection in the place of this one, or none.
    fn disconnect(&mut self, reason: &str) -> Vec<Action> {
        let told = format!("Slack disconnects: {reason}");
        self.end = Some(match reason {
            "link_disabled" => End::refused(format!(
                "{told} (Socket Mode is turned off: turn it on at the app's page Socket Mode)"
            )),
            "too_many_websockets" => End::new(
                Loss::Replaced,
                Again::Backoff,
                format!("{told} (an app has ten connections at most)"),
            ),
            "warning" | "refresh_requested" => End::new(Loss::Asked, Again::AtOnce, told),
            _ => End::new(Loss::Asked, Again::Backoff, told),
        });
        let mut actions = vec![timer(DRAIN, DRAIN_MAX)];
        self.end_if_drained(&mut actions);
        actions
    }

    fn end_if_drained(&mut self, actions: &mut Vec<Action>) {
        if self.unstored.is_empty() {
            actions.extend(self.end.take().map(Action::from));
        }
    }
}

fn timer(number: u8, after: Duration) -> Action {
    Action::Timer { number, after }
}

fn unread(detail: impl Into<String>) -> Action {
    Action::Unread {
        detail: detail.into(),
    }
}

fn acknowledgement(said: &Value) -> Action {
    Action::Send(Frame::Text(said.to_string()))
}

/// The words of `apps.connections.open`
/// (<https://docs.slack.dev/reference/methods/apps.connections.open>).
fn refused(word: &str, needed: &str) -> End {
    match word {
        "ratelimited" => End::limited(PAUSE_DEFAULT, word),
        "internal_error" | "fatal_error" | "service_unavailable" | "request_timeout" => {
            End::network(word)
        }
        "missing_scope" => End::refused(format!(
            "{word}: {needed} (give the app-level token the scope connections:write)"
        )),
        "invalid_auth"
        | "not_authed"
        | "token_revoked"
        | "token_expired"
        | "account_inactive"
        | "not_allowed_token_type" => End::refused(format!(
            "{word} (`settings.app_token` is wrong or was revoked: make an app-level token, xapp-…, at the app's page Basic \
Information)"
        )),
        "forbidden_team" | "access_denied" | "no_permission" => End::refused(format!(
            "{word} (Socket Mode is not turned on for the app: turn it on at its page Socket Mode)"
        )),
        "" => End::protocol("the answer has neither ok nor an error"),
        _ => End::refused(word),
    }
}

#[cfg(test)]
mod tests;
