//! Signed links to blobs, for platforms that fetch an attachment by URL and for people who are sent one as text. Whoever
//! has such a link may read that one blob until it expires. Must not read a blob.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use anser_core::blob::BlobHash;
use anser_core::channel::Links;
use anser_core::clock::Clock;
use anser_core::message::Attachment;
use anser_core::{Problem, ProblemKind, Timestamp};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::secrets::MASTER_KEY_BYTES;

/// What the key of the links is derived with.
const KEY_LABEL: &[u8] = b"anser: signed links to blobs, version 1";
/// Links expire at the end of such a time, so that the same message is rendered alike when it is tried again.
const ROUND_TO: Duration = Duration::from_secs(24 * 3600);
/// Bytes of the file name in a link.
const NAME_BYTES_MAX: usize = 100;
/// The file name when the attachment has none.
const NAME_DEFAULT: &str = "file";

/// The address under which platforms and people reach the gateway: `http` or `https`, perhaps with a path in front of
/// the gateway's own; no credentials, query or fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicUrl(Url);

impl PublicUrl {
    /// Checks it.
    ///
    /// # Errors
    /// `invalid_url` for the field `public_url`.
    pub fn new(url: Url) -> Result<Self, Problem> {
        let plain = ["http", "https"].contains(&url.scheme())
            && url.has_host()
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        if plain {
            return Ok(Self(url));
        }
        Err(Problem::invalid(
            "invalid_url",
            "public_url",
            "must be an absolute http or https URL without user, query and fragment, such as https://anser.example.com",
        ))
    }
}

/// Makes and checks signed links.
pub struct SignedLinks {
    base: Url,
    key: hmac::Key,
    lifetime: Duration,
    clock: Arc<dyn Clock>,
}

impl fmt::Debug for SignedLinks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedLinks")
            .field("base", &self.base.as_str())
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// The pieces of a link as a request has them, percent-decoded: `/b/{hash}/{name}?type=…&expires=…&signature=…`.
#[derive(Debug, Clone, Copy)]
pub struct BlobLink<'a> {
    /// The blob.
    pub hash: &'a str,
    /// The file name.
    pub name: &'a str,
    /// `type`: the media type, absent when the attachment has none.
    pub media_type: Option<&'a str>,
    /// `expires`: seconds since 1970.
    pub expires: &'a str,
    /// `signature`.
    pub signature: &'a str,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedBlob {
    /// The blob.
    pub hash: BlobHash,
    /// The file name that it is offered under.
    pub name: String,
    /// The media type that its publisher gave.
    pub media_type: Option<String>,
    /// For how long the link is still good.
    pub valid_for: Duration,
}

impl SignedLinks {
    /// Links under `base`, each good for `lifetime` and the rest of that day. Their key is derived from the master key:
    /// with another master key they are void.
    #[must_use]
    pub fn new(
        base: &PublicUrl,
        master_key: &[u8; MASTER_KEY_BYTES],
        lifetime: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let master = hmac::Key::new(hmac::HMAC_SHA256, master_key);
        let derived = hmac::sign(&master, KEY_LABEL);
        let mut base = base.0.clone();
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        Self {
            base,
            key: hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()),
            lifetime,
            clock,
        }
    }

    /// The address that every link begins with; its path ends with `/`.
    #[must_use]
    pub fn base(&self) -> &str {
        self.base.as_str()
    }

    /// When a link made now expires, in seconds.
    fn expiry(&self) -> i64 {
        let end = self.clock.now().plus(self.lifetime).millis();
        let round = i64::try_from(ROUND_TO.as_millis()).unwrap_or(i64::MAX);
        let days = end.div_euclid(round) + i64::from(end.rem_euclid(round) > 0);
        days.saturating_mul(round) / 1_000
    }

    fn sign(&self, hash: BlobHash, name: &str, media_type: &str, expires: &str) -> hmac::Tag {
        hmac::sign(&self.key, &signed(hash, name, media_type, expires))
    }

    /// What a link leads to, if this gateway made it and it is still good.
    ///
    /// # Errors
    /// 403 `invalid_link`, `expired_link`.
    pub fn verify(&self, link: &BlobLink<'_>) -> Result<LinkedBlob, Problem> {
        let hash: BlobHash = link.hash.parse().map_err(|_| invalid_link())?;
        let given = URL_SAFE_NO_PAD
            .decode(link.signature)
            .map_err(|_| invalid_link())?;
        let media_type = link.media_type.unwrap_or_default();
        let signed = signed(hash, link.name, media_type, link.expires);
        // Compares in constant time.
        hmac::verify(&self.key, &signed, &given).map_err(|_| invalid_link())?;
        let seconds: i64 = link.expires.parse().map_err(|_| invalid_link())?;
        let expires = Timestamp::from_millis(seconds.saturating_mul(1_000));
        let valid_for = expires.since(self.clock.now());
        if valid_for.is_zero() {
            return Err(Problem::new(
                ProblemKind::Forbidden,
                "expired_link",
                "this link has expired; ask whoever sent it for the file",
            ));
        }
        Ok(LinkedBlob {
            hash,
            name: link.name.to_owned(),
            media_type: link.media_type.map(str::to_owned),
            valid_for,
        })
    }
}

impl Links for SignedLinks {
    fn link(&self, attachment: &Attachment) -> Option<String> {
        let hash = attachment.blob()?;
        let name = file_name(attachment.name.as_deref().unwrap_or_default());
        let media_type = attachment.media_type.as_deref().unwrap_or_default();
        let expires = self.expiry().to_string();
        let signature = self.sign(hash, &name, media_type, &expires);
        let mut url = self.base.clone();
        url.path_segments_mut()
            .ok()?
            .pop_if_empty()
            .extend(["b", &hash.to_string(), &name]);
        {
            let mut query = url.query_pairs_mut();
            if !media_type.is_empty() {
                query.append_pair("type", media_type);
            }
            query
                .append_pair("expires", &expires)
                .append_pair("signature", &URL_SAFE_NO_PAD.encode(signature));
        }
        Some(url.into())
    }
}

/// The bytes that are signed: each part with its length, so that no two links share them.
fn signed(hash: BlobHash, name: &str, media_type: &str, expires: &str) -> Vec<u8> {
    let mut bytes = hash.as_bytes().to_vec();
    for part in [name, media_type, expires] {
        bytes.extend((part.len() as u64).to_be_bytes());
        bytes.extend(part.as_bytes());
    }
    bytes
}

/// A file name that is one segment of a path and harmless on every system.
fn file_name(given: &str) -> String {
    let mut name = String::new();
    for given in given.trim().trim_start_matches('.').chars() {
        let kept = given.is_alphanumeric() || matches!(given, '.' | '-' | '_' | '(' | ')');
        let next = if kept { given } else { '_' };
        if name.len() + next.len_utf8() > NAME_BYTES_MAX {
            break;
        }
        name.push(next);
    }
    if name.is_empty() {
        NAME_DEFAULT.to_owned()
    } else {
        name
    }
}

fn invalid_link() -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "invalid_link",
        "this link was not made by this gateway, or has been changed",
    )
}
