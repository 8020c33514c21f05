//! A mail on its way: written (RFC 5322, MIME) and carried (SMTP, RFC 5321) by `lettre` over a connection that is made
//! here as any other, so that the address guard has its say. Must not decide what a reply means for the delivery.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, UNIX_EPOCH};

use anser_core::channel::{
    Exchange, HttpResponse, Mail, MailAttachment, MailRequest, MailSecurity, MailServer, SendError,
    SendErrorKind,
};
use anser_core::limits::RESPONSE_BYTES_MAX;
use anser_core::{Problem, ProblemKind, Timestamp};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use lettre::address::Envelope;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment, Mailbox, MultiPart, SinglePart};
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, Mechanism};
use lettre::transport::smtp::client::{
    AsyncSmtpConnection, AsyncTokioStream, Certificate, CertificateStore, TlsParameters,
    TlsParametersBuilder,
};
use lettre::transport::smtp::commands::{Data, Mail as MailFrom, Rcpt};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::{kind_of_io, unsent};
use super::room::Place;
use super::trace::{Phase, Trace};
use super::transport::Transport;

/// How long a server may take to say goodbye once it has taken the mail.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// The bytes of a mail's attachments, by attachment id.
pub type MailFiles = HashMap<String, Bytes>;

/// Certificate authorities for `STARTTLS` beside the public ones.
pub(super) struct Authorities(Vec<Certificate>);

impl Authorities {
    /// Those of the files, which have been read once already.
    ///
    /// # Errors
    /// `invalid_setting` when a file cannot be read any more.
    pub(super) fn read(files: &[PathBuf]) -> Result<Self, Problem> {
        let read = |file: &PathBuf| {
            let why = match std::fs::read(file).map(|pem| Certificate::from_pem(&pem)) {
                Ok(Ok(certificate)) => return Ok(certificate),
                Ok(Err(error)) => error.to_string(),
                Err(error) => error.to_string(),
            };
            let detail = format!("the certificate file {}: {why}", file.display());
            let problem = Problem::new(ProblemKind::Invalid, "invalid_setting", detail);
            Err(problem.field("sender.extra_ca_files"))
        };
        files.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    fn parameters(&self, host: &str) -> Result<TlsParameters, Error> {
        let builder = TlsParameters::builder(host.to_owned())
            .certificate_store(CertificateStore::WebpkiRoots);
        let authorities = self.0.iter().cloned();
        authorities
            .fold(builder, TlsParametersBuilder::add_root_certificate)
            .build()
    }
}

/// A connection as `lettre` wants it.
pub(super) struct Stream {
    transport: Transport,
    peer: SocketAddr,
    /// Held as long as the connection is open.
    _place: Place,
}

impl Stream {
    pub(super) fn new(transport: Transport, peer: SocketAddr, place: Place) -> Self {
        Self {
            transport,
            peer,
            _place: place,
        }
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connection to {}", self.peer)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.transport).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.transport).poll_shutdown(cx)
    }
}

impl AsyncTokioStream for Stream {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.peer)
    }
}

/// Carries a mail over a new connection, and answers with the server's last reply.
pub(super) async fn carry(
    stream: Stream,
    request: &MailRequest,
    files: &MailFiles,
    authorities: &Authorities,
    trace: &mut Trace<'_>,
) -> Exchange {
    let written = match request.mail.as_ref().map(|mail| write(mail, files)) {
        Some(Err(why)) => return Err(unsent(SendErrorKind::Protocol, why)),
        Some(Ok(written)) => Some(written),
        None => None,
    };
    trace.phase = Phase::Answer;
    match converse(stream, &request.server, written, authorities, trace).await {
        Ok(reply) => Ok(reply),
        Err(error) => failure(&error, trace.sent),
    }
}

/// The server's reply to the mail, else to the login, else to nothing but that we came.
async fn converse(
    stream: Stream,
    server: &MailServer,
    written: Option<(Envelope, Vec<u8>)>,
    authorities: &Authorities,
    trace: &mut Trace<'_>,
) -> Result<HttpResponse, Error> {
    let hello = ClientId::Domain(server.hello.clone());
    let mut connection =
        AsyncSmtpConnection::connect_with_transport(Box::new(stream), &hello).await?;
    if server.security == MailSecurity::StartTls {
        let parameters = authorities.parameters(&server.host)?;
        connection.starttls(parameters, &hello).await?;
    }
    let mut reply = response(StatusCode::OK, "the server answers");
    if let Some((name, password)) = &server.login {
        let credentials = Credentials::new(name.clone(), password.clone());
        let mechanisms = [Mechanism::Plain, Mechanism::Login];
        reply = reply_of(&connection.auth(&mechanisms, &credentials).await?);
    }
    if let Some((envelope, bytes)) = written {
        let from = MailFrom::new(envelope.from().cloned(), Vec::new());
        connection.command(from).await?;
        for mailbox in envelope.to() {
            let to = Rcpt::new(mailbox.clone(), Vec::new());
            connection.command(to).await?;
        }
        connection.command(Data).await?;
        // From its last byte on the server may have taken it, whatever we hear.
        trace.sent = true;
        reply = reply_of(&connection.message(&bytes).await?);
    }
    trace.first_byte();
    // The mail is with the server; whether it says goodbye changes nothing.
    let _ = tokio::time::timeout(GOODBYE_MAX, connection.quit()).await;
    Ok(reply)
}

fn reply_of(reply: &Response) -> HttpResponse {
    let lines: Vec<&str> = reply.message().collect();
    let status = StatusCode::from_u16(reply.code().into()).unwrap_or(StatusCode::BAD_GATEWAY);
    response(status, &lines.join("\n"))
}

fn response(status: StatusCode, text: &str) -> HttpResponse {
    let mut body = Bytes::copy_from_slice(text.as_bytes());
    body.truncate(RESPONSE_BYTES_MAX);
    HttpResponse {
        status,
        headers: HeaderMap::new(),
        body,
    }
}

/// A refusal is a reply too.
fn failure(error: &Error, sent: bool) -> Exchange {
    let text = match std::error::Error::source(error) {
        Some(source) => source.to_string(),
        None => error.to_string(),
    };
    if let Some(code) = error.status() {
        let status = StatusCode::from_u16(code.into()).unwrap_or(StatusCode::BAD_GATEWAY);
        return Ok(response(status, &text));
    }
    let kind = if error.is_tls() {
        SendErrorKind::Tls
    } else if error.is_response() || error.is_client() {
        SendErrorKind::Protocol
    } else {
        io_error(error).map_or(SendErrorKind::Reset, kind_of_io)
    };
    let detail = text;
    Err(SendError { kind, sent, detail })
}

fn io_error(error: &Error) -> Option<&io::Error> {
    let mut source = std::error::Error::source(error);
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref() {
            return Some(error);
        }
        source = error.source();
    }
    None
}

/// The mail as it goes over the wire, and its envelope.
fn write(mail: &Mail, files: &MailFiles) -> Result<(Envelope, Vec<u8>), String> {
    let mut builder = lettre::Message::builder()
        .message_id(Some(format!("<{}>", mail.id)))
        .date(UNIX_EPOCH + mail.date.since(Timestamp::EPOCH))
        .subject(&*mail.subject)
        .from(mailbox(&mail.from)?);
    if let Some(reply_to) = &mail.reply_to {
        builder = builder.reply_to(mailbox(reply_to)?);
    }
    for to in &mail.to {
        builder = builder.to(mailbox(to)?);
    }
    if let Some(answered) = &mail.in_reply_to {
        let id = format!("<{answered}>");
        builder = builder.in_reply_to(id.clone()).references(id);
    }
    for (name, value) in &mail.headers {
        let name = HeaderName::new_from_ascii_str(name);
        builder = builder.raw_header(HeaderValue::new(name, value.clone()));
    }
    let message = builder.multipart(parts(mail, files)?);
    let message = message.map_err(|error| format!("the mail cannot be written: {error}"))?;
    Ok((message.envelope().clone(), message.formatted()))
}

fn mailbox(text: &str) -> Result<Mailbox, String> {
    text.parse()
        .map_err(|error| format!("{text} is no mailbox: {error}"))
}

/// Text and HTML as alternatives, the HTML with what it shows; beside them the other attachments.
fn parts(mail: &Mail, files: &MailFiles) -> Result<MultiPart, String> {
    let mut alternatives =
        MultiPart::alternative().singlepart(SinglePart::plain(mail.text.clone()));
    let (shown, listed): (Vec<_>, Vec<_>) = mail
        .attachments
        .iter()
        .partition(|attachment| attachment.content_id.is_some());
    if let Some(html) = &mail.html {
        let html = SinglePart::html(html.clone());
        alternatives = if shown.is_empty() {
            alternatives.singlepart(html)
        } else {
            let mut related = MultiPart::related().singlepart(html);
            for attachment in shown {
                related = related.singlepart(file(attachment, files)?);
            }
            alternatives.multipart(related)
        };
    }
    if listed.is_empty() {
        return Ok(alternatives);
    }
    let mut mixed = MultiPart::mixed().multipart(alternatives);
    for attachment in listed {
        mixed = mixed.singlepart(file(attachment, files)?);
    }
    Ok(mixed)
}

fn file(attachment: &MailAttachment, files: &MailFiles) -> Result<SinglePart, String> {
    let bytes = files.get(&attachment.attachment);
    let bytes = bytes.ok_or_else(|| format!("attachment {} is missing", attachment.attachment))?;
    let octets = || ContentType::parse("application/octet-stream");
    let content_type = ContentType::parse(&attachment.media_type).or_else(|_| octets());
    let content_type = content_type.map_err(|error| error.to_string())?;
    let part = match &attachment.content_id {
        Some(id) => Attachment::new_inline_with_name(id.clone(), attachment.name.clone()),
        None => Attachment::new(attachment.name.clone()),
    };
    Ok(part.body(bytes.to_vec(), content_type))
}
