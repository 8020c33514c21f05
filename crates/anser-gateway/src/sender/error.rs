//! Tells apart what failed: one [`SendErrorKind`] for each error of a socket, of TLS and of HTTP, and a text that names
//! the cause. Decides nothing about retrying.

use std::error::Error;
use std::io;

use anser_core::channel::{SendError, SendErrorKind};

/// An error of a step before the first byte of the request.
pub(super) fn unsent(kind: SendErrorKind, detail: impl Into<String>) -> SendError {
    SendError {
        kind,
        sent: false,
        detail: detail.into(),
    }
}

/// What an error of a socket means.
pub(super) fn kind_of_io(error: &io::Error) -> SendErrorKind {
    if is_tls(error) {
        return SendErrorKind::Tls;
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused => SendErrorKind::Refused,
        io::ErrorKind::ConnectionReset
        | io::ErrorKind::ConnectionAborted
        | io::ErrorKind::NotConnected
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::UnexpectedEof => SendErrorKind::Reset,
        io::ErrorKind::TimedOut => SendErrorKind::TimedOut,
        // No route, no network, no local address or port left, or a local firewall that says no.
        _ => SendErrorKind::Unreachable,
    }
}

/// rustls reports its errors through the socket: the inner error of an `io::Error`, which `source` skips.
fn is_tls(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<rustls::Error>())
}

/// What an error of the HTTP exchange means. `sent`: hyper may have written something of the request.
pub(super) fn of_http(error: &hyper::Error, sent: bool) -> SendError {
    let mut unprocessed = false;
    let kind = if error.is_parse() {
        SendErrorKind::Protocol
    } else if let Some(io) = source_of::<io::Error>(error) {
        match io.kind() {
            // How hyper reports a broken chunk or trailer.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData if !is_tls(io) => {
                SendErrorKind::Protocol
            }
            _ => kind_of_io(io),
        }
    } else if let Some(http2) = source_of::<h2::Error>(error) {
        // RFC 9113 §8.7: a refused stream was not processed at all.
        unprocessed = http2.is_remote() && http2.reason() == Some(h2::Reason::REFUSED_STREAM);
        kind_of_http2(http2)
    } else if error.is_timeout() {
        SendErrorKind::TimedOut
    } else if error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        // The connection's task went away, as at shutdown.
        || error.is_user()
    {
        SendErrorKind::Reset
    } else {
        SendErrorKind::Protocol
    };
    SendError {
        kind,
        sent: sent && !unprocessed,
        detail: chain(error),
    }
}

fn kind_of_http2(error: &h2::Error) -> SendErrorKind {
    match error.get_io() {
        Some(io) => kind_of_io(io),
        None if error.is_remote() => SendErrorKind::Reset,
        None => SendErrorKind::Protocol,
    }
}

fn source_of<E: Error + 'static>(error: &hyper::Error) -> Option<&E> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        cause = error.source();
    }
    None
}

/// An error with its causes, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    use super::*;

    #[test]
    fn errors_of_a_socket_are_told_apart() {
        for (kind, expected) in [
            (ErrorKind::ConnectionRefused, SendErrorKind::Refused),
            (ErrorKind::ConnectionReset, SendErrorKind::Reset),
            (ErrorKind::ConnectionAborted, SendErrorKind::Reset),
            (ErrorKind::BrokenPipe, SendErrorKind::Reset),
            (ErrorKind::UnexpectedEof, SendErrorKind::Reset),
            (ErrorKind::TimedOut, SendErrorKind::TimedOut),
            (ErrorKind::HostUnreachable, SendErrorKind::Unreachable),
            (ErrorKind::NetworkUnreachable, SendErrorKind::Unreachable),
            (ErrorKind::NetworkDown, SendErrorKind::Unreachable),
            (ErrorKind::AddrNotAvailable, SendErrorKind::Unreachable),
            (ErrorKind::PermissionDenied, SendErrorKind::Unreachable),
        ] {
            assert_eq!(kind_of_io(&Error::from(kind)), expected, "{kind:?}");
        }
        let tls = Error::new(ErrorKind::InvalidData, rustls::Error::DecryptError);
        assert_eq!(kind_of_io(&tls), SendErrorKind::Tls);
    }

    #[test]
    fn a_chain_says_each_cause_once() {
        let inner = Error::other("deep down");
        let outer = Error::other(Error::other(inner));
        assert_eq!(chain(&outer), "deep down");
    }
}
