//! The egress proxy: `CONNECT` for `https` targets (RFC 9110 §9.3.6), absolute-form for `http` (RFC 9112 §3.2.2). The
//! operator named it, so the address guard does not judge it; the target's name is looked up by the proxy.

use std::io;

use anser_core::channel::{SendError, SendErrorKind};
use anser_core::{Problem, ProblemKind};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::HeaderValue;
use percent_encoding::percent_decode_str;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::{Host, Url};

use super::error::{kind_of_io, unsent};

/// The head of the proxy's answer to `CONNECT`, in bytes.
const CONNECT_HEAD_BYTES_MAX: usize = 8 * 1024;

/// Where the proxy is and how to speak to it.
pub(super) struct Proxy {
    pub(super) host: Host<String>,
    pub(super) port: u16,
    /// Value of `proxy-authorization`.
    pub(super) authorization: Option<HeaderValue>,
}

impl Proxy {
    pub(super) fn new(url: &Url) -> Result<Self, Problem> {
        let refused = || {
            Problem::new(
                ProblemKind::Invalid,
                "invalid_setting",
                "the egress proxy must be an http URL with a host, such as http://proxy.example:3128",
            )
            .field("sender.proxy")
        };
        let host = match url.host() {
            Some(host) if url.scheme() == "http" => host.to_owned(),
            _ => return Err(refused()),
        };
        Ok(Self {
            host,
            port: url.port_or_known_default().ok_or_else(refused)?,
            authorization: authorization(url).map_err(|_| refused())?,
        })
    }

    /// Makes a tunnel to `authority` (host and port) of a connection to the proxy.
    pub(super) async fn tunnel(
        &self,
        stream: &mut TcpStream,
        authority: &str,
    ) -> Result<(), SendError> {
        let mut request =
            format!("CONNECT {authority} HTTP/1.1\r\nhost: {authority}\r\n").into_bytes();
        if let Some(value) = &self.authorization {
            request.extend_from_slice(b"proxy-authorization: ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        let failed = |error: io::Error| {
            unsent(
                kind_of_io(&error),
                format!("the proxy did not connect to {authority}: {error}"),
            )
        };
        stream.write_all(&request).await.map_err(failed)?;
        let head = read_head(stream).await.map_err(failed)?;
        match status(&head) {
            Some(200..=299) => Ok(()),
            Some(status) => Err(unsent(
                SendErrorKind::Unreachable,
                format!("the proxy answered {status} to CONNECT {authority}"),
            )),
            None => Err(unsent(
                SendErrorKind::Protocol,
                "the proxy's answer to CONNECT is no HTTP",
            )),
        }
    }
}

fn authorization(url: &Url) -> Result<Option<HeaderValue>, http::header::InvalidHeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let mut pair: Vec<u8> = percent_decode_str(url.username()).collect();
    pair.push(b':');
    pair.extend(percent_decode_str(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", STANDARD.encode(pair)))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

/// Reads up to the empty line. A TLS server is silent until it is spoken to, so there is nothing to be read after it.
async fn read_head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::with_capacity(256);
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() >= CONNECT_HEAD_BYTES_MAX {
            return Err(io::Error::other("the head of its answer is too long"));
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(head)
}

fn status(head: &[u8]) -> Option<u16> {
    let line = head.strip_prefix(b"HTTP/1.")?;
    let digits = line.get(2..5)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}
