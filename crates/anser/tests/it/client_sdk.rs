//! The Rust SDK (`anser-client`) and `anser listen` against the real binary: what they promise holds while the server is
//! killed under them.

mod cuts;
mod listen;
mod producer;
mod queue;
mod session;
mod tls;

use anser_client::{Credential, LiveBuilder, Token};
use serde_json::{Value, json};

use crate::harness::{DEADLINE, Server, ServerOptions};

/// The first admin key of these servers.
const KEY: &str = "sdk-tests-0123456789abcdef0123456789abcdef";

/// A server with keys and an application called `app`.
struct World {
    server: Server,
    base: String,
}

impl World {
    async fn start() -> Self {
        let server = ServerOptions::default().with_key(KEY).start();
        let base = server.base().to_owned();
        let world = Self { server, base };
        let issuer = json!({"name": "app", "rights": {"read": ["*"], "publish": ["*"]}});
        world.server.api().make("/v1/issuers", &issuer).await;
        world
    }

    /// Kills the server and starts it again, at the same address and on the same data.
    async fn kill_and_restart(self) -> Self {
        let Self { server, base } = self;
        let address = base.strip_prefix("http://").unwrap();
        let server = server.kill().await.listen_on(address).start();
        Self { server, base }
    }

    /// A client of a user, whose tokens come fresh from the server.
    fn user(&self, user: &str) -> LiveBuilder {
        self.client(source(&self.base, user, 60))
    }

    fn client(&self, credential: Credential) -> LiveBuilder {
        LiveBuilder::new(&self.base)
            .credential(credential)
            .connect_within(DEADLINE)
    }
}

/// An application's own server: it mints a token when it is asked for one.
fn source(base: &str, user: &str, lifetime: u64) -> Credential {
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let (url, user) = (format!("{base}/v1/issuers/app/tokens"), user.to_owned());
    Credential::source(move || {
        let draft = json!({"user": user, "lifetime": lifetime});
        let request = http.post(&url).bearer_auth(KEY).json(&draft);
        async move {
            let minted: Value = request.send().await?.json().await?;
            let token = minted["token"].as_str().ok_or("no token was minted")?;
            Ok(Token::new(token))
        }
    })
}

/// Fails the test when it takes too long.
async fn soon<T>(what: &str, task: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, task).await {
        Ok(done) => done,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}
