//! Signatures of CMQ requests, verified: HMAC over method, host, path and sorted parameters (Tencent Cloud, "Signature
//! method" of CMQ). Clients disagree on what they sign, so every known form is tried. Pure; must never show a key.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;

use super::params::{Pair, Params};

/// The parameter that carries the signature, and is not signed.
pub(super) const SIGNATURE: &str = "Signature";
/// The paths that clients sign beside the one they request: an endpoint without a path is signed in two ways.
const OTHER_PATHS: [&str; 2] = ["/v2/index.php", "/"];

/// A request as it came.
pub(super) struct Signed<'a> {
    /// GET or POST.
    pub(super) method: &'a Method,
    /// Its host as received, with port.
    pub(super) host: &'a str,
    /// More names that clients know the gateway by, each with its port if they name one.
    pub(super) public_hosts: &'a [String],
    /// Its path.
    pub(super) path: &'a str,
    /// All its parameters.
    pub(super) params: &'a Params<'a>,
}

/// Whether `signature` is that of the request with `secret_key`. `algorithm` is the parameter `SignatureMethod`.
pub(super) fn verify(
    request: &Signed<'_>,
    secret_key: &str,
    algorithm: Option<&str>,
    signature: &[u8],
) -> bool {
    // A plus sign that a client forgot to encode arrives as a blank.
    let signature: Vec<u8> = signature
        .iter()
        .map(|byte| if *byte == b' ' { b'+' } else { *byte })
        .collect();
    let Ok(signature) = BASE64.decode(signature) else {
        return false;
    };
    let algorithm = match algorithm {
        Some(name) if name.eq_ignore_ascii_case("HmacSHA256") => hmac::HMAC_SHA256,
        Some(_) | None => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
    };
    let key = hmac::Key::new(algorithm, secret_key.as_bytes());
    texts(request)
        .iter()
        .any(|text| matches(&key, request, text, &signature))
}

fn matches(key: &hmac::Key, request: &Signed<'_>, text: &[u8], signature: &[u8]) -> bool {
    let bare = without_port(request.host);
    let mut hosts = vec![request.host];
    hosts.extend((bare != request.host).then_some(bare));
    hosts.extend(request.public_hosts.iter().map(String::as_str));
    let mut paths = vec![request.path];
    paths.extend(OTHER_PATHS.into_iter().filter(|path| *path != request.path));
    hosts.iter().any(|host| {
        paths.iter().any(|path| {
            let mut context = hmac::Context::with_key(key);
            for part in [request.method.as_str(), host, path, "?"] {
                context.update(part.as_bytes());
            }
            context.update(text);
            verify_slices_are_equal(context.sign().as_ref(), signature).is_ok()
        })
    })
}

/// `HOST` of `HOST:PORT`; the colons of an IPv6 address stand in brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// The forms in which the parameters may have been signed: all of them; with POST also without those whose value begins
/// with `@`, which clients in Python and PHP take for a file; and each with `_` in names as it is or as `.`.
fn texts(request: &Signed<'_>) -> Vec<Vec<u8>> {
    let mut pairs: Vec<&Pair<'_>> = request
        .params
        .pairs()
        .iter()
        .filter(|pair| *pair.name != *SIGNATURE.as_bytes())
        .collect();
    // Stable: parameters of one name stay in the order sent.
    pairs.sort_by(|one, other| one.name.cmp(&other.name));
    let underscores = pairs.iter().any(|pair| pair.name.contains(&b'_'));
    let files =
        *request.method == Method::POST && pairs.iter().any(|pair| pair.value.starts_with(b"@"));
    let mut texts = Vec::with_capacity(1);
    for leave_out in [false, true] {
        for replace in [true, false] {
            if (leave_out && !files) || (!replace && !underscores) {
                continue;
            }
            let signed = pairs
                .iter()
                .copied()
                .filter(|pair| !(leave_out && pair.value.starts_with(b"@")));
            texts.push(join(signed, replace));
        }
    }
    texts
}

fn join<'p>(pairs: impl Iterator<Item = &'p Pair<'p>>, replace: bool) -> Vec<u8> {
    let mut text = Vec::new();
    for pair in pairs {
        if !text.is_empty() {
            text.push(b'&');
        }
        text.extend(pair.name.iter().map(|byte| match byte {
            b'_' if replace => b'.',
            byte => *byte,
        }));
        text.push(b'=');
        text.extend_from_slice(&pair.value);
    }
    text
}

#[cfg(test)]
mod tests;
