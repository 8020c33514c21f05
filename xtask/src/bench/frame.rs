//! Where an HTTP/1.1 message ends: just enough for two programs that know each other, at a fraction of a library's cost,
//! so that the harness takes little of the machine it shares with the gateway.
//!
//! Only bodies with a `content-length`. Anything else is an error, never a guess.

use anyhow::{Context, bail};

/// A head longer than this is refused.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// A body longer than this is refused.
pub(crate) const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The lengths of a message's two parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Start line and headers, with the empty line.
    pub(crate) head: usize,
    /// The body.
    pub(crate) body: usize,
}

impl Frame {
    /// Both together.
    pub(crate) fn bytes(self) -> usize {
        self.head + self.body
    }
}

/// The message at the beginning of `bytes`; none while its head is not whole.
pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Option<Frame>> {
    let end = bytes
        .windows(HEAD_END.len())
        .position(|window| window == HEAD_END);
    let Some(end) = end else {
        if bytes.len() > HEAD_BYTES_MAX {
            bail!("a head of more than {HEAD_BYTES_MAX} bytes");
        }
        return Ok(None);
    };
    let mut body = 0;
    for line in bytes[..end].split(|byte| *byte == b'\n').skip(1) {
        if let Some(value) = value_of(line, b"content-length:") {
            let text = std::str::from_utf8(value).context("a content-length that is no text")?;
            body = text
                .trim()
                .parse()
                .context("a content-length that is no number")?;
        } else if value_of(line, b"transfer-encoding:").is_some() {
            bail!("a body without content-length");
        }
    }
    if body > BODY_BYTES_MAX {
        bail!("a body of more than {BODY_BYTES_MAX} bytes");
    }
    Ok(Some(Frame {
        head: end + HEAD_END.len(),
        body,
    }))
}

/// The status code of a response that begins `bytes`.
pub(crate) fn status(bytes: &[u8]) -> anyhow::Result<u16> {
    let code = bytes
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|code| std::str::from_utf8(code).ok())
        .and_then(|code| code.parse().ok());
    code.context("an answer that is not HTTP/1.1")
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::{Frame, HEAD_BYTES_MAX, read, status};

    #[test]
    fn a_message_is_framed_by_its_content_length() {
        let bytes = b"POST / HTTP/1.1\r\nhost: a\r\nContent-Length: 5\r\n\r\nhelloPOST";
        let frame = read(bytes).expect("well formed").expect("whole");
        assert_eq!(frame, Frame { head: 47, body: 5 });
        assert_eq!(&bytes[frame.head..frame.bytes()], b"hello");
    }

    #[test]
    fn no_content_length_means_no_body() {
        let bytes = b"HTTP/1.1 204 No Content\r\n\r\n";
        let frame = read(bytes).expect("well formed").expect("whole");
        assert_eq!((frame.head, frame.body), (bytes.len(), 0));
        assert_eq!(status(bytes).expect("a status"), 204);
    }

    #[test]
    fn half_a_head_is_waited_for() {
        assert_eq!(
            read(b"POST / HTTP/1.1\r\nhost: a\r\n").expect("so far"),
            None
        );
    }

    #[test]
    fn what_cannot_be_framed_is_an_error() {
        let chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        assert!(read(chunked).is_err());
        assert!(read(b"HTTP/1.1 200 OK\r\ncontent-length: many\r\n\r\n").is_err());
        assert!(read(&vec![b'a'; HEAD_BYTES_MAX + 1]).is_err());
        assert!(status(b"SSH-2.0").is_err());
    }
}
