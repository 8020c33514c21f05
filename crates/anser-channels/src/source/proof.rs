//! What proves that a request is of its sender, over the bytes as they came. Must not read what they say.

use std::time::Duration;

use anser_core::inbound::{InboundContext, InboundRequest, Refusal};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::HeaderName;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::kit::arrival::{hex, seconds};
use crate::kit::inbound::{forged, fresh, header, same};
use crate::kit::verifying::VerifyingKey;

/// GitHub's header (<https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries>), and what stands
/// before the signature.
const HUB_SIGNATURE: (&str, &str) = ("x-hub-signature-256", "sha256=");
/// GitLab's header (<https://docs.gitlab.com/user/project/integrations/webhooks/>).
const GITLAB_TOKEN: &str = "x-gitlab-token";
/// Stripe's header (<https://docs.stripe.com/webhooks/signature>).
const STRIPE_SIGNATURE: &str = "stripe-signature";
/// Signatures of one request that are looked at: one for each secret that is in use at once.
const SIGNATURES_MAX: usize = 32;
/// What the headers of Standard Webhooks begin with; the second is that of Svix, from which the standard came.
pub(super) const STANDARD_PREFIXES: [&str; 2] = ["webhook", "svix"];

/// The hash of an HMAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Algorithm {
    /// SHA-1, for senders that have nothing better.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// How a signature is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Encoding {
    /// Hexadecimal digits, upper or lower case.
    Hex,
    /// Standard base64 with padding.
    Base64,
}

/// What a sender must prove.
pub(super) enum Proof {
    /// HMAC-SHA256 of the body.
    Hub { secret: Vec<u8> },
    /// The secret itself.
    Token { secret: Vec<u8> },
    /// HMAC-SHA256 of time and body, in a list.
    Stripe {
        secret: Vec<u8>,
        tolerance: Duration,
    },
    /// Standard Webhooks.
    Standard {
        key: VerifyingKey,
        tolerance: Duration,
    },
    /// An HMAC as described.
    Hmac(Hmac),
}

/// How an HMAC is made and written.
pub(super) struct Hmac {
    pub(super) secret: Vec<u8>,
    pub(super) signature: HeaderName,
    pub(super) algorithm: Algorithm,
    pub(super) encoding: Encoding,
    pub(super) prefix: String,
    pub(super) timestamp: Option<HeaderName>,
    pub(super) tolerance: Duration,
}

impl Proof {
    /// Refuses what is not of the sender, or is signed for another time.
    ///
    /// # Errors
    /// `unsigned`, `wrong_signature`, `stale_signature`.
    pub(super) fn verify(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<(), Refusal> {
        match self {
            Self::Hub { secret } => {
                let (name, prefix) = HUB_SIGNATURE;
                let given = header(request, name)?;
                let tag = mac(hmac::HMAC_SHA256, secret, &[request.body]);
                let expected = format!("{prefix}{}", hex(tag.as_ref()));
                same(given.as_bytes(), expected.as_bytes(), name)
            }
            Self::Token { secret } => {
                let given = header(request, GITLAB_TOKEN)?;
                same(given.as_bytes(), secret, GITLAB_TOKEN)
            }
            Self::Stripe { secret, tolerance } => stripe(secret, *tolerance, request, context),
            Self::Standard { key, tolerance } => standard(key, *tolerance, request, context),
            Self::Hmac(rule) => rule.verify(request, context),
        }
    }
}

fn mac(algorithm: hmac::Algorithm, secret: &[u8], parts: &[&[u8]]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, secret));
    for part in parts {
        context.update(part);
    }
    context.sign()
}

/// `t=TIME,v1=SIGNATURE,…`: the first time counts, and any signature of version 1.
fn stripe(
    secret: &[u8],
    tolerance: Duration,
    request: &InboundRequest<'_>,
    context: &InboundContext<'_>,
) -> Result<(), Refusal> {
    let given = header(request, STRIPE_SIGNATURE)?;
    let items = || given.split(',').filter_map(|item| item.split_once('='));
    let time = items().find(|(name, _)| *name == "t");
    let (_, time) = time.ok_or_else(|| forged(STRIPE_SIGNATURE))?;
    let tag = mac(
        hmac::HMAC_SHA256,
        secret,
        &[time.as_bytes(), b".", request.body],
    );
    let expected = hex(tag.as_ref());
    let mut signatures = items()
        .filter(|(name, _)| *name == "v1")
        .take(SIGNATURES_MAX);
    let is_right = |given: &str| same(given.as_bytes(), expected.as_bytes(), "").is_ok();
    if !signatures.any(|(_, signature)| is_right(signature)) {
        return Err(forged(STRIPE_SIGNATURE));
    }
    let time = seconds(time).ok_or_else(|| forged(STRIPE_SIGNATURE))?;
    fresh(time, tolerance, context.now)
}

fn standard(
    key: &VerifyingKey,
    tolerance: Duration,
    request: &InboundRequest<'_>,
    context: &InboundContext<'_>,
) -> Result<(), Refusal> {
    let [usual, other] = STANDARD_PREFIXES;
    let prefix = if request.headers.contains_key(format!("{other}-signature")) {
        other
    } else {
        usual
    };
    let name = |of: &str| format!("{prefix}-{of}");
    let id = header(request, &name("id"))?;
    let time = header(request, &name("timestamp"))?;
    let given = header(request, &name("signature"))?;
    key.verify(id, time, request.body, given, &name("signature"))?;
    let time = seconds(time).ok_or_else(|| forged(&name("timestamp")))?;
    fresh(time, tolerance, context.now)
}

impl Hmac {
    fn verify(
        &self,
        request: &InboundRequest<'_>,
        context: &InboundContext<'_>,
    ) -> Result<(), Refusal> {
        let name = self.signature.as_str();
        let given = header(request, name)?;
        let given = given
            .strip_prefix(&self.prefix)
            .ok_or_else(|| forged(name))?;
        let time = self.timestamp.as_ref();
        let time = time
            .map(|name| header(request, name.as_str()))
            .transpose()?;
        let algorithm = match self.algorithm {
            Algorithm::Sha1 => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            Algorithm::Sha256 => hmac::HMAC_SHA256,
            Algorithm::Sha512 => hmac::HMAC_SHA512,
        };
        let tag = match time {
            Some(time) => mac(
                algorithm,
                &self.secret,
                &[time.as_bytes(), b".", request.body],
            ),
            None => mac(algorithm, &self.secret, &[request.body]),
        };
        let (given, expected) = match self.encoding {
            Encoding::Hex => (given.to_ascii_lowercase(), hex(tag.as_ref())),
            Encoding::Base64 => (given.to_owned(), BASE64.encode(tag.as_ref())),
        };
        same(given.as_bytes(), expected.as_bytes(), name)?;
        let Some(time) = time else {
            return Ok(());
        };
        let time = seconds(time).ok_or_else(|| forged(name))?;
        fresh(time, self.tolerance, context.now)
    }
}
