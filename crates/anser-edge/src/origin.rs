//! Pages of which origins may use the wires of live clients. A page of the gateway's own origin may; of another one when the
//! configuration names it. No wire takes cookies: a page has to bring a key or token whatever its origin, and what is decided
//! here is which pages a browser lets through at all. Pure. Must not know routes.

use http::HeaderValue;
use http::header::ORIGIN;
use http::request::Parts;
use serde::Deserialize;
use url::Url;

use crate::guard::host;

/// Stands for every origin.
const ANY: &str = "*";
/// Origins that a configuration may name.
const ORIGINS_MAX: usize = 100;

/// The origins, beside the gateway's own, whose pages may use the wires of live clients.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct LiveOrigins {
    any: bool,
    exact: Vec<Origin>,
}

impl TryFrom<Vec<String>> for LiveOrigins {
    type Error = String;

    /// Reads a list of origins, such as `https://app.example`, or `*` alone for every one.
    ///
    /// # Errors
    /// In words: which one is no origin, or that there are too many.
    fn try_from(list: Vec<String>) -> Result<Self, String> {
        if list.len() > ORIGINS_MAX {
            return Err(format!("at most {ORIGINS_MAX} origins; \"*\" allows all"));
        }
        if list.iter().any(|text| text == ANY) {
            return match list.len() {
                1 => Ok(Self {
                    any: true,
                    exact: Vec::new(),
                }),
                _ => Err("\"*\" allows every origin and stands alone".to_owned()),
            };
        }
        let exact = list.iter().map(|text| {
            Origin::written(text).ok_or_else(|| {
                format!(
                    "{text:?} is no origin: a scheme, a host and, unless it is the scheme's own, a port, such as \
                     \"https://app.example\" or \"http://localhost:5173\"; nothing behind it"
                )
            })
        });
        Ok(Self {
            any: false,
            exact: exact.collect::<Result<_, _>>()?,
        })
    }
}

/// A scheme, a host and a port (RFC 6454 §4); the port is absent when it is the scheme's own.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Origin {
    scheme: String,
    host: String,
    port: Option<u16>,
}

impl Origin {
    /// Reads one as a browser writes it (RFC 6454 §6.1). `null`, of pages that have no origin, is none.
    fn written(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok()?;
        let host = url.host_str().filter(|host| !host.is_empty())?;
        let (scheme, authority) = text.split_once("://")?;
        // What is behind the authority, or before its host, belongs to an address and to no origin; patterns are not read.
        let bare = !authority.contains(['/', '?', '#', '@', '\\', '*']);
        (bare && scheme.eq_ignore_ascii_case(url.scheme())).then(|| Self {
            scheme: url.scheme().to_owned(),
            host: host.to_ascii_lowercase(),
            port: url.port(),
        })
    }

    /// Whether a request with this `Host` goes to the origin itself. The scheme is not compared: behind a proxy that ends
    /// TLS the gateway does not know its own.
    fn is_at(&self, host: &str) -> bool {
        Self::written(&format!("{}://{host}", self.scheme))
            .is_some_and(|own| own.host == self.host && own.port == self.port)
    }
}

/// What a request's origin means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It is no page's, or a page's of the gateway's own origin: nothing is said about origins.
    Own,
    /// A page's of another origin, which may; the value that tells the browser.
    Allowed(HeaderValue),
    /// A page's of another origin, which may not.
    Refused,
}

impl LiveOrigins {
    /// Judges a request by its `Origin`.
    pub(crate) fn judge(&self, parts: &Parts) -> Judged {
        let Some(written) = parts.headers.get(ORIGIN) else {
            return Judged::Own;
        };
        let origin = written.to_str().ok().and_then(Origin::written);
        let own = origin
            .as_ref()
            .zip(host(parts))
            .is_some_and(|(origin, host)| origin.is_at(host));
        if own {
            return Judged::Own;
        }
        if self.any {
            return Judged::Allowed(HeaderValue::from_static(ANY));
        }
        match origin {
            Some(origin) if self.exact.contains(&origin) => Judged::Allowed(written.clone()),
            _ => Judged::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::HOST;

    use super::*;

    fn origins(list: &[&str]) -> Result<LiveOrigins, String> {
        let list: Vec<String> = list.iter().map(|&text| text.to_owned()).collect();
        list.try_into()
    }

    fn judge(origins: &LiveOrigins, host: &str, origin: Option<&str>) -> Judged {
        let mut request = http::Request::builder().uri("/ws").header(HOST, host);
        if let Some(origin) = origin {
            request = request.header(ORIGIN, origin);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        origins.judge(&parts)
    }

    #[test]
    fn pages_of_the_own_origin_and_programs_always_may() {
        let none = LiveOrigins::default();
        for (host, origin) in [
            ("gw.example", None),
            ("gw.example", Some("https://gw.example")),
            ("gw.example:443", Some("https://gw.example")),
            ("GW.example", Some("http://gw.example")),
            ("127.0.0.1:8620", Some("http://127.0.0.1:8620")),
            ("[::1]:8620", Some("http://[::1]:8620")),
        ] {
            assert_eq!(judge(&none, host, origin), Judged::Own, "{host} {origin:?}");
        }
    }

    #[test]
    fn pages_of_another_origin_may_when_it_is_named_exactly() {
        let named = origins(&["https://App.example:443", "capacitor://localhost"]).unwrap();
        for allowed in ["https://app.example", "capacitor://localhost"] {
            let value = HeaderValue::from_static(allowed);
            let judged = judge(&named, "gw.example", Some(allowed));
            assert_eq!(judged, Judged::Allowed(value));
        }
        for refused in [
            "http://app.example",
            "https://app.example:8443",
            "https://app.example.evil.example",
            "https://evil.example",
            "https://gw.example:8443",
            "http://localhost",
            "null",
            "",
            "nonsense",
        ] {
            let judged = judge(&named, "gw.example", Some(refused));
            assert_eq!(judged, Judged::Refused, "{refused}");
            assert_eq!(
                judge(&LiveOrigins::default(), "gw.example", Some(refused)),
                Judged::Refused
            );
        }
    }

    #[test]
    fn the_star_lets_every_page_in_those_without_an_origin_too() {
        let any = origins(&["*"]).unwrap();
        for origin in ["https://app.example", "null"] {
            let star = HeaderValue::from_static("*");
            let judged = judge(&any, "gw.example", Some(origin));
            assert_eq!(judged, Judged::Allowed(star));
        }
    }

    #[test]
    fn what_is_no_origin_is_named() {
        for bad in [
            "app.example",
            "https://",
            "https://app.example/",
            "https://app.example/page",
            "https://user@app.example",
            "https://*.app.example",
            "null",
            "",
        ] {
            let told = origins(&[bad]).unwrap_err();
            assert!(told.contains(&format!("{bad:?}")), "{told}");
        }
        assert!(origins(&["*", "https://a.example"]).is_err());
        assert!(origins(&vec!["https://a.example"; ORIGINS_MAX + 1]).is_err());
    }
}
