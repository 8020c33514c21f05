//! Where the gateway is and whom to trust on the way there: one address for HTTP and WebSocket, TLS with the public
//! authorities and those that the application adds. Verification is never switched off.

use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use url::{Host, Url};

use crate::Error;

/// ALPN's name of HTTP/1.1 (RFC 7301 §6), which the handshake of a WebSocket is (RFC 6455 §4.1).
const HTTP1: &[u8] = b"http/1.1";

/// A gateway's address.
#[derive(Debug, Clone)]
pub(crate) struct Server {
    /// `http` or `https`, its path ending in `/`.
    base: Url,
}

impl Server {
    /// Reads an address: `http`, `https`, `ws` or `wss`.
    pub(crate) fn parse(text: &str) -> Result<Self, Error> {
        let rule = "must be an address such as https://anser.example.com or ws://127.0.0.1:8620";
        let refused = || Error::setting("server", rule);
        let mut base = Url::parse(text).map_err(|_| refused())?;
        let scheme = match base.scheme() {
            "http" | "ws" => "http",
            "https" | "wss" => "https",
            _ => return Err(refused()),
        };
        // Between schemes that both have hosts this cannot fail.
        base.set_scheme(scheme).map_err(|()| refused())?;
        if base.host().is_none() {
            return Err(refused());
        }
        if !base.path().ends_with('/') {
            let path = format!("{}/", base.path());
            base.set_path(&path);
        }
        base.set_query(None);
        base.set_fragment(None);
        Ok(Self { base })
    }

    /// The address of a call, given by the segments of its path.
    pub(crate) fn call(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    /// The address of the WebSocket.
    pub(crate) fn socket(&self) -> Url {
        let mut url = self.call(&["ws"]);
        let scheme = if self.is_secure() { "wss" } else { "ws" };
        if url.set_scheme(scheme).is_err() {
            debug_assert!(false, "both have hosts");
        }
        url
    }

    /// Whether it is reached by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Host and port to connect to.
    pub(crate) fn peer(&self) -> (Host<&str>, u16) {
        let host = self.base.host().expect("checked when it was parsed");
        let port = self.base.port_or_known_default();
        (host, port.expect("http and https have one"))
    }

    /// Whether it is this machine: a proxy of the environment is not asked for it.
    pub(crate) fn is_loopback(&self) -> bool {
        match self.peer().0 {
            Host::Domain(name) => name.eq_ignore_ascii_case("localhost"),
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        }
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.base.as_str().trim_end_matches('/'))
    }
}

/// TLS for a WebSocket; `authorities` are PEM files of further certificate authorities.
pub(crate) fn tls(authorities: &[Vec<u8>]) -> Result<Arc<ClientConfig>, Error> {
    let mut roots = RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    for pem in authorities {
        let refused = |why: String| Error::setting("authority", why);
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| refused(format!("must be PEM ({error})")))?;
        if certificates.is_empty() {
            return Err(refused("holds no certificate; give a PEM file".to_owned()));
        }
        for certificate in certificates {
            roots
                .add(certificate)
                .map_err(|error| refused(format!("holds an unusable certificate ({error})")))?;
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has cipher suites for TLS 1.2 and 1.3")
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![HTTP1.to_vec()];
    Ok(Arc::new(config))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_leads_to_the_same_two_addresses() {
        for (text, http, socket) in [
            ("http://h:1", "http://h:1/v1/messages", "ws://h:1/ws"),
            ("ws://h:1/", "http://h:1/v1/messages", "ws://h:1/ws"),
            (
                "wss://h/anser",
                "https://h/anser/v1/messages",
                "wss://h/anser/ws",
            ),
            ("https://h/?x=1", "https://h/v1/messages", "wss://h/ws"),
        ] {
            let server = Server::parse(text).unwrap();
            assert_eq!(server.call(&["v1", "messages"]).as_str(), http);
            assert_eq!(server.socket().as_str(), socket);
        }
        for bad in ["", "h:1", "ftp://h", "http://", "mailto:a@b"] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
        assert_eq!(Server::parse("wss://[::1]").unwrap().peer().1, 443);
        assert!(Server::parse("ws://[::1]:9").unwrap().is_loopback());
    }

    #[test]
    fn an_authority_is_a_certificate() {
        assert!(tls(&[]).is_ok());
        assert!(tls(&[b"no pem".to_vec()]).is_err());
    }
}
