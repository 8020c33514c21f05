//! A mail as a request: what to send, and through which server. How it is written (RFC 5322, MIME) and carried (SMTP) is
//! the sender's.

use crate::time::Timestamp;

/// Bytes of a mail with its attachments, before they are encoded; servers take 25 MB encoded and often less.
pub const MAIL_BYTES_MAX: u64 = 18 * 1024 * 1024;

/// A session with a mail server.
#[derive(Debug, Clone)]
pub struct MailRequest {
    /// The server.
    pub server: MailServer,
    /// The mail; `None`: connect, authenticate and leave, which shows whether the settings are good.
    pub mail: Option<Mail>,
}

/// A mail server that takes mail for delivery (RFC 6409).
#[derive(Clone, PartialEq, Eq)]
pub struct MailServer {
    /// Its name or address; its certificate must be for it.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub security: MailSecurity,
    /// User name and password; `None`: the server asks for none.
    pub login: Option<(String, String)>,
    /// What the gateway calls itself (RFC 5321 §4.1.1.1).
    pub hello: String,
}

impl std::fmt::Debug for MailServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailServer")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("security", &self.security)
            .finish_non_exhaustive()
    }
}

/// How a connection to a mail server is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MailSecurity {
    /// TLS from the first byte (RFC 8314 §3).
    Tls,
    /// TLS after `STARTTLS` (RFC 3207); without it, nothing is sent.
    StartTls,
    /// None: for a server on the same machine or network.
    None,
}

/// A mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `Message-ID`, without its angle brackets: the same for every attempt, so that mail programs show one.
    pub id: String,
    /// `Date`.
    pub date: Timestamp,
    /// `From`, as in RFC 5322: `NAME <ADDRESS>` or an address.
    pub from: String,
    /// `Reply-To`, likewise.
    pub reply_to: Option<String>,
    /// `To`, one address each. All take it or none.
    pub to: Vec<String>,
    /// `Subject`, on one line.
    pub subject: String,
    /// `In-Reply-To` and `References`: the id of the mail that it answers, without angle brackets.
    pub in_reply_to: Option<String>,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// As plain text.
    pub text: String,
    /// As HTML; refers to inline attachments as `cid:` and their content id.
    pub html: Option<String>,
    /// Attachments, at most [`MAIL_BYTES_MAX`] in all.
    pub attachments: Vec<MailAttachment>,
}

/// An attachment of a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailAttachment {
    /// The id of the message's attachment.
    pub attachment: String,
    /// File name.
    pub name: String,
    /// Media type.
    pub media_type: String,
    /// The id by which the HTML shows it; `None`: it is listed beside the text.
    pub content_id: Option<String>,
}
