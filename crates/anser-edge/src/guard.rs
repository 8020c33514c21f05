//! Who may call without a key, in developer mode: only pages and programs of this machine. A web page of any site can
//! make a browser send requests to loopback, and can point its own name there (DNS rebinding); the `Host`, `Origin` and
//! `Sec-Fetch-Site` headers give both away.

use std::net::IpAddr;

use anser_core::{Problem, ProblemKind};
use http::HeaderName;
use http::header::{HOST, ORIGIN};
use http::request::Parts;
use url::Url;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Judges a request that carries no key.
///
/// # Errors
/// 403 `foreign_host` or `foreign_origin`.
pub(crate) fn check(parts: &Parts, trusted_hosts: &[String]) -> Result<(), Problem> {
    let host = host(parts).ok_or_else(|| foreign_host("none"))?;
    let local = Url::parse(&format!("http://{host}"))
        .ok()
        .and_then(|url| url.host_str().map(|name| is_local(name, trusted_hosts)));
    if local != Some(true) {
        return Err(foreign_host(host));
    }
    if text(parts, &SEC_FETCH_SITE).is_some_and(|site| site.eq_ignore_ascii_case("cross-site")) {
        return Err(foreign_origin());
    }
    if !parts.headers.contains_key(ORIGIN) {
        return Ok(());
    }
    let own = text(parts, &ORIGIN)
        .and_then(|origin| origin.split_once("://"))
        .is_some_and(|(_, authority)| authority.eq_ignore_ascii_case(host));
    if own { Ok(()) } else { Err(foreign_origin()) }
}

/// HTTP/2 carries the host in `:authority`, HTTP/1.1 in `Host`; an absolute request target wins over the header
/// (RFC 9112 §3.2.2).
pub(crate) fn host(parts: &Parts) -> Option<&str> {
    parts
        .uri
        .authority()
        .map(http::uri::Authority::as_str)
        .or_else(|| text(parts, &HOST))
}

fn text<'a>(parts: &'a Parts, name: &HeaderName) -> Option<&'a str> {
    parts
        .headers
        .get(name)
        .and_then(|value| value.to_str().ok())
}

fn is_local(name: &str, trusted_hosts: &[String]) -> bool {
    let name = name.trim_end_matches('.');
    let address = name
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    address.is_ok_and(|address| address.is_loopback())
        || name.eq_ignore_ascii_case("localhost")
        || name.to_ascii_lowercase().ends_with(".localhost")
        || trusted_hosts
            .iter()
            .any(|trusted| trusted.eq_ignore_ascii_case(name))
}

fn foreign_host(host: &str) -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "foreign_host",
        format!(
            "without a key the gateway answers on loopback names only, the request is for {host:?}"
        ),
    )
    .accepted("localhost, 127.0.0.1, [::1], or a trusted host of the configuration")
}

fn foreign_origin() -> Problem {
    Problem::new(
        ProblemKind::Forbidden,
        "foreign_origin",
        "without a key the gateway takes no requests that a page of another site makes",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(uri: &str, headers: &[(&str, &str)]) -> Result<(), &'static str> {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        check(&parts, &["gateway.test".to_owned()]).map_err(|problem| problem.code)
    }

    #[test]
    fn only_this_machine_may_call_without_a_key() {
        const HOST_REFUSED: Result<(), &str> = Err("foreign_host");
        const ORIGIN_REFUSED: Result<(), &str> = Err("foreign_origin");
        type Case<'a> = (&'a [(&'a str, &'a str)], Result<(), &'a str>);
        let cases: &[Case<'_>] = &[
            (&[("host", "localhost:8620")], Ok(())),
            (&[("host", "127.0.0.1")], Ok(())),
            (&[("host", "127.3.2.1:80")], Ok(())),
            (&[("host", "[::1]:8620")], Ok(())),
            (&[("host", "console.localhost")], Ok(())),
            (&[("host", "Gateway.test:8620")], Ok(())),
            (&[], HOST_REFUSED),
            (&[("host", "")], HOST_REFUSED),
            (&[("host", "evil.example")], HOST_REFUSED),
            (&[("host", "localhost.evil.example")], HOST_REFUSED),
            (&[("host", "127.0.0.1.evil.example")], HOST_REFUSED),
            (&[("host", "localhost@evil.example")], HOST_REFUSED),
            (&[("host", "10.0.0.1")], HOST_REFUSED),
            (
                &[
                    ("host", "localhost:8620"),
                    ("origin", "http://localhost:8620"),
                ],
                Ok(()),
            ),
            (
                &[
                    ("host", "localhost:8620"),
                    ("origin", "http://localhost:3000"),
                ],
                ORIGIN_REFUSED,
            ),
            (
                &[
                    ("host", "localhost:8620"),
                    ("origin", "https://evil.example"),
                ],
                ORIGIN_REFUSED,
            ),
            (&[("host", "localhost"), ("origin", "null")], ORIGIN_REFUSED),
            (
                &[("host", "localhost"), ("sec-fetch-site", "cross-site")],
                ORIGIN_REFUSED,
            ),
            (
                &[("host", "localhost"), ("sec-fetch-site", "same-origin")],
                Ok(()),
            ),
            (&[("host", "localhost"), ("sec-fetch-site", "none")], Ok(())),
        ];
        for (headers, expected) in cases {
            assert_eq!(judge("/v1/topics", headers), *expected, "{headers:?}");
        }
        assert_eq!(
            judge("http://evil.example/v1/topics", &[("host", "localhost")]),
            HOST_REFUSED
        );
    }
}
