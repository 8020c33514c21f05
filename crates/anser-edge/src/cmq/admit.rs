//! Who sent a CMQ request: the key that its SecretId names, if its signature is that key's. In developer mode, as at the
//! other doors, a caller of this machine needs none.

use anser_core::{Problem, Timestamp};
use anser_gateway::auth::Principal;
use http::request::Parts;

use super::error::{AUTHENTICATION, Fault, MISSING, NO_SUCH_SECRET_ID};
use super::params::Params;
use super::signature::{self, SIGNATURE, Signed};
use crate::guard;
use crate::state::Edge;

/// The largest `Nonce` that is too small to tell two requests of one second apart: the PHP client's have 16 bits.
const NONCE_WEAK_MAX: i64 = 65_535;

/// Who sent a request.
pub(super) struct Caller {
    /// What it may do.
    pub(super) principal: Principal,
    /// The APPID of its key.
    pub(super) app_id: u64,
    /// What tells a repetition of this request from every other one.
    pub(super) repeat: Option<String>,
}

/// Finds out who sent a request.
///
/// # Errors
/// A common parameter is missing or wrong, the SecretId is unknown, or the signature or the time does not fit.
pub(super) fn admit(edge: &Edge, parts: &Parts, params: &Params<'_>) -> Result<Caller, Fault> {
    let gateway = &edge.gateway;
    let secret_id = params.text("SecretId")?;
    let credentials = secret_id.and_then(|id| gateway.cmq_credentials(id));
    let Some(credentials) = credentials else {
        if gateway.options().dev {
            return developer(edge, parts);
        }
        return Err(match secret_id {
            Some(_) => Fault::from(&NO_SUCH_SECRET_ID),
            None => Fault::about(&MISSING, "SecretId"),
        });
    };
    let signature = params
        .bytes(SIGNATURE)?
        .ok_or_else(|| Fault::about(&MISSING, SIGNATURE))?;
    let timestamp = params.required_integer("Timestamp", 0..=i64::MAX)?;
    let nonce = params.required_integer("Nonce", 1..=i64::MAX)?;
    let signed = Signed {
        method: &parts.method,
        host: guard::host(parts).unwrap_or(""),
        public_hosts: &edge.options.cmq.hosts,
        path: parts.uri.path(),
        params,
    };
    let algorithm = params.text("SignatureMethod")?;
    if !signature::verify(&signed, &credentials.secret_key, algorithm, signature) {
        return Err(Fault::from(&AUTHENTICATION).detail(
            "the signature does not fit: check the SecretKey, and that the endpoint's host is the one the gateway sees \
             or one of the setting cmq.hosts",
        ));
    }
    check_time(edge, timestamp)?;
    let repeat = (nonce > NONCE_WEAK_MAX)
        .then(|| std::str::from_utf8(signature).ok())
        .flatten()
        .map(|signature| format!("cmq:{nonce}:{timestamp}:{signature}"));
    Ok(Caller {
        principal: credentials.principal,
        app_id: credentials.app_id,
        repeat,
    })
}

fn developer(edge: &Edge, parts: &Parts) -> Result<Caller, Fault> {
    let refused = |problem: Problem| Fault::from(&AUTHENTICATION).detail(problem.to_string());
    guard::check(parts, &edge.options.trusted_hosts).map_err(refused)?;
    Ok(Caller {
        principal: edge.gateway.authenticate(None).map_err(refused)?,
        app_id: edge.gateway.installation(),
        repeat: None,
    })
}

fn check_time(edge: &Edge, timestamp: i64) -> Result<(), Fault> {
    let now = edge.gateway.now();
    let sent = Timestamp::from_millis(timestamp.saturating_mul(1_000));
    let apart = now.since(sent).max(sent.since(now));
    let most = edge.options.cmq.clock_skew;
    if apart <= most {
        return Ok(());
    }
    Err(Fault::from(&AUTHENTICATION).detail(format!(
        "the timestamp is {} s off, at most {} s are allowed (setting cmq.clock_skew): set the client's clock",
        apart.as_secs(),
        most.as_secs()
    )))
}
