//! Bodies of `multipart/form-data` (RFC 7578) in which attachments are streamed. Whatever a name or value holds, it ends no
//! header and no part. Must not read attachments.

use anser_core::Message;
use anser_core::channel::{BodyPart, Context, UploadRequest};
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use url::Url;

use super::idempotency;
use super::post::AGENT;

/// A form while fields are added.
pub(crate) struct Multipart {
    boundary: String,
    done: Vec<BodyPart>,
    open: Vec<u8>,
}

impl Multipart {
    /// An empty form of the step that the context names. Its boundary is made of the ids of message, delivery and step: it
    /// is the same for a retry, and nobody can know it when the attachment is made.
    pub(crate) fn new(message: &Message, context: &Context<'_>) -> Self {
        Self {
            boundary: format!("anser-{}", idempotency::key(message, context)),
            done: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Adds a field of text.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.begin(&format!("name=\"{}\"", quoted(name)), None);
        self.open.extend_from_slice(value.as_bytes());
        self.open.extend_from_slice(b"\r\n");
        self
    }

    /// Adds a field with a media type of its own, such as JSON.
    pub(crate) fn typed_field(mut self, name: &str, media_type: &str, value: &str) -> Self {
        self.begin(&format!("name=\"{}\"", quoted(name)), Some(media_type));
        self.open.extend_from_slice(value.as_bytes());
        self.open.extend_from_slice(b"\r\n");
        self
    }

    /// Adds the bytes of the message's attachment `id` as a file.
    pub(crate) fn file(mut self, name: &str, file_name: &str, media_type: &str, id: &str) -> Self {
        let names = format!(
            "name=\"{}\"; filename=\"{}\"",
            quoted(name),
            quoted(file_name)
        );
        self.begin(&names, Some(media_type));
        let before = std::mem::take(&mut self.open);
        self.done.push(BodyPart::Bytes(before.into()));
        self.done.push(BodyPart::Attachment(id.to_owned()));
        self.open.extend_from_slice(b"\r\n");
        self
    }

    fn begin(&mut self, disposition: &str, media_type: Option<&str>) {
        let mut head = format!(
            "--{}\r\nContent-Disposition: form-data; {disposition}\r\n",
            self.boundary
        );
        if let Some(media_type) = media_type {
            head.push_str(&format!("Content-Type: {}\r\n", visible(media_type)));
        }
        head.push_str("\r\n");
        self.open.extend_from_slice(head.as_bytes());
    }

    /// The request, a POST.
    pub(crate) fn post(mut self, url: Url) -> UploadRequest {
        let end = format!("--{}--\r\n", self.boundary);
        self.open.extend_from_slice(end.as_bytes());
        self.done.push(BodyPart::Bytes(self.open.into()));
        let content_type = format!("multipart/form-data; boundary={}", self.boundary);
        let content_type =
            HeaderValue::try_from(content_type).expect("a boundary is letters and digits");
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, content_type);
        headers.insert(USER_AGENT, AGENT);
        UploadRequest {
            method: Method::POST,
            url,
            headers,
            body: self.done,
        }
    }
}

/// A name within quotes, as browsers write it (HTML, "multipart/form-data encoding algorithm"): quotes and line ends
/// percent-encoded, all else as UTF-8. Other control characters are left out.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len());
    for c in name.chars() {
        match c {
            '"' => quoted.push_str("%22"),
            '\r' => quoted.push_str("%0D"),
            '\n' => quoted.push_str("%0A"),
            c if c.is_control() => {}
            c => quoted.push(c),
        }
    }
    quoted
}

fn visible(media_type: &str) -> String {
    let ascii = |c: &char| (' '..='~').contains(c);
    media_type.chars().filter(ascii).collect()
}

#[cfg(test)]
mod tests;
