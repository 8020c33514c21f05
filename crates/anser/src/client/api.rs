//! The one HTTP client of the command line: where the server is, the key, time limits, and how an answer becomes a result
//! or a failure. Must not know any single resource.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use anser_core::blob::BlobHash;
use anser_gateway::blobs::file_pieces;
use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use clap::Args;
use reqwest::Method;
use serde_json::Value;
use url::Url;

use super::answer::Answer;
use crate::exit::{Failure, Refusal};

/// Connecting takes no longer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request and its answer take no longer; above `wait_timeout`'s longest, 60 s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(75);
/// A file on its way takes no longer: 512 MiB at a megabit a second, and some.
const TRANSFER_TIMEOUT: Duration = Duration::from_secs(2 * 3600);
/// An answer is read no further: a page of the default size, full of the largest messages, fits.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Which gateway, and as whom.
#[derive(Debug, Clone, Args)]
pub(crate) struct Remote {
    /// The gateway's address.
    #[arg(
        long,
        global = true,
        value_name = "URL",
        env = "ANSER_SERVER",
        default_value = "http://127.0.0.1:8620",
        help_heading = "Client options"
    )]
    pub(crate) server: Url,
    /// The API key; none is needed with `serve --dev`.
    #[arg(
        long,
        global = true,
        value_name = "KEY",
        env = "ANSER_KEY",
        hide_env_values = true,
        help_heading = "Client options"
    )]
    pub(crate) key: Option<String>,
    /// A PEM file of further certificate authorities to trust.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "ANSER_CA",
        help_heading = "Client options"
    )]
    pub(crate) ca: Option<PathBuf>,
}

/// A gateway to ask.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    http: reqwest::Client,
    server: Url,
    key: Option<String>,
}

impl Api {
    /// A client for `remote`; nothing is sent yet.
    pub(crate) fn new(remote: &Remote) -> Result<Self, Failure> {
        if !matches!(remote.server.scheme(), "http" | "https") || remote.server.cannot_be_a_base() {
            return Err(Failure::Usage(format!(
                "--server must be an http or https address such as http://127.0.0.1:8620, is {}",
                remote.server
            )));
        }
        let mut builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(REQUEST_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("anser/", env!("CARGO_PKG_VERSION")));
        if is_loopback(&remote.server) {
            // A proxy set in the environment would otherwise be asked for this very machine.
            builder = builder.no_proxy();
        }
        if let Some(path) = &remote.ca {
            let pem = std::fs::read(path)
                .with_context(|| format!("cannot read --ca {}", path.display()))?;
            let authorities = reqwest::Certificate::from_pem_bundle(&pem)
                .with_context(|| format!("--ca {} holds no certificate", path.display()))?;
            builder = builder.tls_certs_merge(authorities);
        }
        let http = builder.build().context("cannot set up the HTTP client")?;
        Ok(Self {
            http,
            server: remote.server.clone(),
            key: remote.key.clone(),
        })
    }

    /// `GET` a path, given by its segments.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Answer, Failure> {
        self.call(Method::GET, path, query, None).await
    }

    /// `POST` a JSON value.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Answer, Failure> {
        let body = Some(body.to_string().into_bytes());
        self.call(Method::POST, path, &[], body).await
    }

    /// `POST` without a body, to a path that is a verb.
    pub(crate) async fn act(&self, path: &[&str]) -> Result<Answer, Failure> {
        self.call(Method::POST, path, &[], None).await
    }

    /// Any request; a body is JSON.
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
        body: Option<Vec<u8>>,
    ) -> Result<Answer, Failure> {
        let mut request = self.request(method, path).query(query);
        if let Some(body) = body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        self.read(response).await
    }

    /// Uploads the first `size` bytes of a file as the blob that they are, as a stream. Whether the key is good is asked
    /// before: a refusal that comes while a large body is under way can be lost with the connection.
    pub(crate) async fn upload(
        &self,
        file: File,
        size: u64,
        hash: BlobHash,
    ) -> Result<Answer, Failure> {
        let asked = self
            .request(Method::GET, &["v1", "blobs", &hash.to_string()])
            .header(reqwest::header::RANGE, "bytes=0-0");
        let asked = asked.send().await.map_err(|error| self.lost(&error))?;
        if asked.status() == reqwest::StatusCode::UNAUTHORIZED {
            return self.read(asked).await;
        }
        let digest = format!("sha-256=:{}:", STANDARD.encode(hash.as_bytes()));
        let request = self
            .request(Method::POST, &["v1", "blobs"])
            .timeout(TRANSFER_TIMEOUT)
            .header(reqwest::header::CONTENT_TYPE, "application/octet-stream")
            .header("content-digest", digest)
            .body(reqwest::Body::wrap_stream(file_pieces(file, 0..size)));
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        self.read(response).await
    }

    /// `GET`s what is read as it comes.
    pub(crate) async fn download(&self, path: &[&str]) -> Result<Download<'_>, Failure> {
        let request = self.request(Method::GET, path).timeout(TRANSFER_TIMEOUT);
        let response = request.send().await.map_err(|error| self.lost(&error))?;
        if response.status().is_success() {
            return Ok(Download {
                api: self,
                response,
            });
        }
        let status = response.status();
        match self.read(response).await {
            Err(failure) => Err(failure),
            Ok(_) => Err(Failure::Here(anyhow::anyhow!(
                "the server answered {status}"
            ))),
        }
    }

    fn request(&self, method: Method, path: &[&str]) -> reqwest::RequestBuilder {
        let request = self.http.request(method, self.address(path));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// The whole answer, if it is none that is a refusal.
    async fn read(&self, mut response: reqwest::Response) -> Result<Answer, Failure> {
        let status = response.status().as_u16();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.lost(&error))? {
            if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Failure::Here(anyhow::anyhow!(
                    "the answer is larger than {ANSWER_BYTES_MAX} bytes: ask for less with --limit"
                )));
            }
            bytes.extend_from_slice(&chunk);
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if (200..300).contains(&status) {
            return Ok(Answer { status, text });
        }
        let problem = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Err(Failure::Refused(Box::new(Refusal { status, problem })))
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut address = self.server.clone();
        if let Ok(mut segments) = address.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        address
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        let what = if error.is_timeout() {
            "did not answer in time"
        } else if error.is_connect() {
            "cannot be reached"
        } else {
            "broke off"
        };
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let cause = cause.to_string();
        let remedy = if cause.contains("certificate") {
            "--ca names a file with the authority to trust"
        } else {
            "is `anser serve` running there? --server or ANSER_SERVER names another"
        };
        let why = format!("{} {what}: {cause}; {remedy}", self.server);
        Failure::Unreachable { why }
    }
}

/// An answer that is read as it comes.
pub(crate) struct Download<'a> {
    api: &'a Api,
    response: reqwest::Response,
}

impl Download<'_> {
    /// The next bytes; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        let piece = self.response.chunk().await;
        piece.map_err(|error| self.api.lost(&error))
    }
}

/// Whether an address is of this machine.
pub(super) fn is_loopback(server: &Url) -> bool {
    match server.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
