//! The one HTTP client of the command line: where the server is, the key, time limits, and how an answer becomes a result
//! or a failure. Must not know any single resource.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
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
        let mut request = self.http.request(method, self.address(path)).query(query);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key);
        }
        if let Some(body) = body {
            request = request
                .header(reqwest::header::CONTENT_TYPE, "application/json")
                .body(body);
        }
        let mut response = request.send().await.map_err(|error| self.lost(&error))?;
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

fn is_loopback(server: &Url) -> bool {
    match server.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}
