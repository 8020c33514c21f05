//! Calls of the HTTP API: one request, one answer read up to a cap. Must not know what they are about, nor try anything twice.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONTENT_TYPE, RETRY_AFTER};

use crate::Error;
use crate::credential::Credential;
use crate::error::Refusal;
use crate::server::Server;

/// Connecting takes no longer.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// A request and its answer take no longer: a commit may wait for a minute.
const REQUEST_WITHIN: Duration = Duration::from_secs(75);
/// An answer is read no further: a hundred received messages of the largest size fit.
const ANSWER_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Calls one gateway.
#[derive(Debug, Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    server: Server,
    key: Option<String>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// How long the server asks to be left alone.
    pub(crate) retry_after: Option<Duration>,
    pub(crate) body: Bytes,
}

impl Answer {
    /// The refusal that an answer with a status of a refusal is.
    pub(crate) fn refusal(&self) -> Refusal {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| Refusal {
            status: self.status,
            code: "no_problem".to_owned(),
            detail: "the answer is none of a gateway".to_owned(),
            field: None,
            accepted: None,
        })
    }
}

/// The key that a credential of the HTTP API is.
///
/// # Errors
/// [`Error::Setting`] for one that is of live sessions alone.
pub(crate) fn api_key(credential: Credential) -> Result<Option<String>, Error> {
    let rule = match credential {
        Credential::None => return Ok(None),
        Credential::Key { key, user: None } => return Ok(Some(key)),
        Credential::Key { user: Some(_), .. } | Credential::User(_) => {
            "programs have a key without a user; users have live sessions"
        }
        Credential::Token(_) | Credential::Source(_) => {
            "the HTTP API takes API keys; tokens are for live sessions"
        }
    };
    Err(Error::setting("credential", rule))
}

impl Http {
    /// A client of a gateway; nothing is sent yet.
    pub(crate) fn new(
        server: &str,
        key: Option<String>,
        authorities: &[Vec<u8>],
    ) -> Result<Self, Error> {
        let server = Server::parse(server)?;
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .timeout(REQUEST_WITHIN)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("anser-client/", env!("CARGO_PKG_VERSION")));
        if server.is_loopback() {
            // A proxy set in the environment would otherwise be asked for this very machine.
            builder = builder.no_proxy();
        }
        for pem in authorities {
            let authorities = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|error| Error::setting("authority", format!("must be PEM ({error})")))?;
            builder = builder.tls_certs_merge(authorities);
        }
        let client = builder
            .build()
            .map_err(|error| Error::setting("server", error.to_string()))?;
        Ok(Self {
            client,
            server,
            key,
        })
    }

    /// `POST`s JSON to a path, given by its segments.
    ///
    /// # Errors
    /// In words, when no whole answer came: what was asked may have been done.
    pub(crate) async fn post(&self, path: &[&str], body: Bytes) -> Result<Answer, String> {
        let mut request = self
            .client
            .post(self.server.call(path))
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        let mut response = request.send().await.map_err(|error| chain(&error))?;
        let retry_after = response.headers().get(RETRY_AFTER);
        let retry_after = retry_after.and_then(|wait| wait.to_str().ok()?.parse().ok());
        let mut body = BytesMut::new();
        while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
            if body.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err("the answer is too long".to_owned());
            }
            body.extend_from_slice(&piece);
        }
        Ok(Answer {
            status: response.status().as_u16(),
            retry_after: retry_after.map(Duration::from_secs),
            body: body.freeze(),
        })
    }

    /// That there was no answer.
    pub(crate) fn unreachable(&self, cause: String) -> Error {
        Error::Unreachable {
            server: self.server.to_string(),
            cause,
        }
    }
}

fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        text = format!("{text}: {next}");
        cause = next.source();
    }
    text
}
