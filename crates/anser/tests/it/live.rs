//! Live clients against the real binary: every wire connects, publishes, receives and goes on from where it was; what is
//! spoofed, expired, forged or broken is refused with a reason, and nobody else notices.

mod bursts;
mod chaos;
mod client;
mod demo;
mod frames;
mod guide;
mod hostile;
mod limits;
mod metrics;
mod operators;
mod origins;
mod permissions;
mod protocol;
mod tls;
mod tokens;
mod wires;

use serde_json::{Value, json};

use crate::harness::{Server, ServerOptions};

/// The first admin key of these servers.
const KEY: &str = "live-tests-0123456789abcdef0123456789abcdef";

/// Every wire.
const WIRES: [&str; 4] = ["ws", "tcp", "sse", "poll"];

/// A server with keys, framed TCP and an application called `app`.
struct World {
    server: Server,
    options: ServerOptions,
    /// Where framed TCP is spoken.
    tcp: String,
}

impl World {
    async fn start() -> Self {
        // Another process may take it meanwhile: then the server does not start and the test says so.
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp = free.local_addr().unwrap().to_string();
        drop(free);
        let options = ServerOptions::default()
            .with_key(KEY)
            .set("live__tcp", &tcp);
        let server = options.start();
        let world = Self {
            server,
            options,
            tcp,
        };
        let api = world.server.api();
        api.make("/v1/issuers", &json!({"name": "app"})).await;
        world
    }

    /// A token of the application for a user.
    async fn token(&self, user: &str) -> String {
        self.mint(json!({"user": user})).await
    }

    async fn mint(&self, draft: Value) -> String {
        let api = self.server.api();
        let minted = api.make("/v1/issuers/app/tokens", &draft).await;
        minted["token"].as_str().unwrap().to_owned()
    }
}

/// A frame that says `text` to a user or room.
fn say(to: &str, text: &str) -> Value {
    json!({"op": "publish", "message": {"header": {"to": [to]}, "body": {"data": {"text": text}}}})
}

/// What a message event says.
fn text(event: &Value) -> &str {
    event["message"]["body"]["data"]["text"]
        .as_str()
        .unwrap_or_else(|| panic!("no text: {event}"))
}

/// The acknowledgement of a message.
fn arrived(event: &Value) -> Value {
    json!({"op": "ack", "stream": event["stream"], "up_to": event["offset"]})
}
