//! How a sender proves that it knows a robot's secret: the checks that several dialects share. Every comparison takes the
//! same time whatever is compared. Must not say what the right proof would have been.

use std::time::Duration;

use anser_core::Timestamp;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::told::{Fault, Posted};

/// How far the time of a signature may be from now, where the platform does not say otherwise.
pub(super) const SKEW_MAX: Duration = Duration::from_secs(3600);

/// Whether two texts are the same.
pub(super) fn same(given: &[u8], expected: &[u8]) -> Result<(), Fault> {
    verify_slices_are_equal(given, expected).map_err(|_| Fault::Forged)
}

/// Whether `signature` is the HMAC-SHA256 of `signed`.
pub(super) fn hmac_sha256(secret: &[u8], signed: &[u8], signature: &[u8]) -> Result<(), Fault> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    hmac::verify(&key, signed, signature).map_err(|_| Fault::Forged)
}

/// The same with a signature in Base64.
pub(super) fn hmac_base64(secret: &[u8], signed: &[u8], signature: &str) -> Result<(), Fault> {
    let signature = BASE64.decode(signature).map_err(|_| Fault::Forged)?;
    hmac_sha256(secret, signed, &signature)
}

/// The same with a signature in hexadecimal digits.
pub(super) fn hmac_hex(secret: &[u8], signed: &[u8], signature: &str) -> Result<(), Fault> {
    let signature = unhex(signature).ok_or(Fault::Forged)?;
    hmac_sha256(secret, signed, &signature)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok())
        .collect()
}

/// Whether a time is near enough to now.
pub(super) fn fresh(posted: &Posted<'_>, millis: i64, most: Duration) -> Result<(), Fault> {
    let (sent, now) = (Timestamp::from_millis(millis), posted.now);
    if now.since(sent).max(sent.since(now)) <= most {
        Ok(())
    } else {
        Err(Fault::Stale)
    }
}

/// The secret itself, for senders that sign nothing but can set a header: `Authorization: Bearer SECRET`, or the password
/// of `Basic` (RFC 6750 §2.1, RFC 7617 §2).
pub(super) fn authorization(posted: &Posted<'_>, secret: &str) -> Result<(), Fault> {
    let header = posted.header("authorization").ok_or(Fault::Unsigned)?;
    let (scheme, credentials) = header.split_once(' ').ok_or(Fault::Forged)?;
    let credentials = credentials.trim();
    if scheme.eq_ignore_ascii_case("bearer") {
        return same(credentials.as_bytes(), secret.as_bytes());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(Fault::Forged);
    }
    let pair = BASE64.decode(credentials).map_err(|_| Fault::Forged)?;
    let colon = pair.iter().position(|byte| *byte == b':');
    let password = colon.map(|at| &pair[at + 1..]).ok_or(Fault::Forged)?;
    same(password, secret.as_bytes())
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};

    use super::*;

    fn judged(authorization_header: Option<&str>) -> Result<(), Fault> {
        let mut headers = HeaderMap::new();
        if let Some(value) = authorization_header {
            headers.insert("authorization", value.parse().unwrap());
        }
        let posted = Posted {
            method: &Method::POST,
            rest: "",
            query: "",
            headers: &headers,
            body: b"",
            now: Timestamp::from_millis(0),
        };
        authorization(&posted, "s3cret:x")
    }

    #[test]
    fn the_secret_goes_as_bearer_or_as_password() {
        let basic = |pair: &str| format!("Basic {}", BASE64.encode(pair));
        for good in [
            "Bearer s3cret:x".to_owned(),
            basic("anybody:s3cret:x"),
            basic(":s3cret:x"),
        ] {
            assert_eq!(judged(Some(&good)), Ok(()), "{good}");
        }
        assert_eq!(judged(None), Err(Fault::Unsigned));
        for bad in [
            "Bearer",
            "Bearer s3cret",
            "Digest x",
            "Basic !",
            &basic("s3cret"),
            &basic("a:b"),
        ] {
            assert_eq!(judged(Some(bad)), Err(Fault::Forged), "{bad}");
        }
    }

    #[test]
    fn hexadecimal_digits_come_in_pairs() {
        assert_eq!(unhex("00fFa0"), Some(vec![0, 255, 160]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
        assert_eq!(unhex("+1"), None);
    }
}
