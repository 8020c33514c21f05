//! Attachments as bytes: from the message itself, from a blob or from where a URL leads, checked while they pass against
//! what the message says of them. Whoever asks decides what to do without them. Must not know any platform.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anser_core::blob::BlobHash;
use anser_core::channel::BodyPart;
use anser_core::limits::{BLOB_BYTES_MAX, UPLOAD_STALL_MAX, UPLOAD_TIME_MAX};
use anser_core::message::{Attachment, Source};
use anser_core::{Message, Problem, ProblemKind};
use aws_lc_rs::digest::{self, SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _, stream};
use http::StatusCode;
use http::header::CONTENT_ENCODING;
use url::Url;

use crate::blobs::{Blobs, LocalFiles};
use crate::sender::{BodyStream, Fetched, Sender};

/// How long an attachment that is wanted whole may take to come.
const LOAD_TIME_MAX: Duration = Duration::from_secs(60);

/// Code of the problem that an attachment's server broke off.
const BROKE_OFF: &str = "broke_off";

/// Where attachments are had from.
#[derive(Clone, Copy)]
pub(crate) struct Media<'a> {
    /// Fetches URLs.
    pub(crate) sender: &'a Sender,
    /// Has the blobs, and keeps for a while what a URL gives without telling its length; `None`: there are none.
    pub(crate) blobs: Option<&'a Blobs>,
    /// Files that stand for blobs; `None`: there are none.
    pub(crate) files: Option<&'a LocalFiles>,
}

/// Why the bytes of an attachment cannot be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// They are not to be had: the message can do without, with a link.
    Gone(String),
    /// They are not those that the message speaks of.
    Wrong {
        /// Stable code.
        code: &'static str,
        /// What differs.
        text: String,
    },
    /// The gateway itself cannot read them just now.
    Later(String),
}

/// Where a stream notes why it broke off.
#[derive(Debug, Clone, Default)]
pub(super) struct Fault(Arc<Mutex<Option<Missing>>>);

impl Fault {
    fn set(&self, missing: Missing) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(missing);
    }

    /// Why the stream broke off, if it did.
    pub(super) fn take(&self) -> Option<Missing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The body of an upload, ready to be read.
pub(super) struct Body {
    /// Bytes in all.
    pub(super) length: u64,
    pub(super) stream: BodyStream,
    /// Why `stream` broke off.
    pub(super) fault: Fault,
}

/// An attachment, ready to be read.
struct Opened {
    length: u64,
    stream: BodyStream,
    /// It is the gateway's own: that it cannot be read does not mean that it is not there.
    own: bool,
}

impl Media<'_> {
    /// The body that these parts make. Each attachment is opened now, since its length is to be announced, and read while
    /// it is sent.
    ///
    /// # Errors
    /// An attachment cannot be had, or is not of the size that the message tells.
    pub(super) async fn body(self, parts: &[BodyPart], message: &Message) -> Result<Body, Missing> {
        let fault = Fault::default();
        let mut length = 0;
        let mut streams: Vec<BodyStream> = Vec::with_capacity(parts.len());
        for part in parts {
            let opened = match part {
                BodyPart::Bytes(bytes) => whole(bytes.clone()),
                BodyPart::Attachment(id) => self.open(find(message, id)?, &fault).await?,
            };
            length += opened.length;
            streams.push(opened.stream);
        }
        Ok(Body {
            length,
            stream: Box::pin(stream::iter(streams).flatten()),
            fault,
        })
    }

    /// All bytes of an attachment, at most `max`.
    ///
    /// # Errors
    /// It cannot be had, is larger, or is not what the message tells.
    pub(super) async fn load(
        self,
        message: &Message,
        id: &str,
        max: u64,
    ) -> Result<Bytes, Missing> {
        let attachment = find(message, id)?;
        let loaded = tokio::time::timeout(LOAD_TIME_MAX, self.read(attachment, max));
        loaded.await.unwrap_or_else(|_| {
            let why = format!("did not come within {LOAD_TIME_MAX:?}");
            Err(gone(attachment, &why))
        })
    }

    async fn read(self, attachment: &Attachment, max: u64) -> Result<Bytes, Missing> {
        let fault = Fault::default();
        let Opened {
            length, mut stream, ..
        } = self.open(attachment, &fault).await?;
        if length > max {
            let why = format!("is larger than the {max} bytes that can be sent this way");
            return Err(gone(attachment, &why));
        }
        let mut bytes = BytesMut::with_capacity(usize::try_from(length).unwrap_or(0));
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => bytes.extend_from_slice(&chunk),
                Err(error) => {
                    let unknown = || gone(attachment, &error.to_string());
                    return Err(fault.take().unwrap_or_else(unknown));
                }
            }
        }
        Ok(bytes.freeze())
    }

    /// Opens an attachment. The stream ends with an error, before its last bytes, if it is not what the message tells.
    async fn open(self, attachment: &Attachment, fault: &Fault) -> Result<Opened, Missing> {
        let opened = match &attachment.source {
            Source::Inline(text) => {
                let bytes = STANDARD.decode(text);
                let bytes = bytes.map_err(|error| gone(attachment, &error.to_string()))?;
                whole(bytes.into())
            }
            Source::Url(url) => self.fetch(attachment, url).await?,
            Source::Blob(_) => self.blob(attachment, attachment.blob()).await?,
        };
        if opened.length > BLOB_BYTES_MAX {
            let why = format!("is larger than {BLOB_BYTES_MAX} bytes");
            return Err(gone(attachment, &why));
        }
        check_size(attachment, opened.length)?;
        let hash = expected_hash(attachment);
        Ok(Opened {
            length: opened.length,
            stream: Box::pin(Checked {
                inner: opened.stream,
                attachment: attachment.clone(),
                hash: hash.map(|expected| (expected, digest::Context::new(&SHA256))),
                count: 0,
                length: opened.length,
                own: opened.own,
                held: None,
                ended: false,
                fault: fault.clone(),
            }),
            own: opened.own,
        })
    }

    async fn fetch(self, attachment: &Attachment, url: &str) -> Result<Opened, Missing> {
        let url = Url::parse(url).map_err(|error| gone(attachment, &error.to_string()))?;
        let fetched = self.sender.fetch(&url, UPLOAD_STALL_MAX).await;
        let fetched =
            fetched.map_err(|error| gone(attachment, &format!("cannot be fetched: {error}")))?;
        if let Some(why) = unusable(&fetched) {
            return Err(gone(attachment, &why));
        }
        match (fetched.length, self.blobs) {
            (Some(length), _) => Ok(Opened {
                length,
                stream: fetched.body,
                own: false,
            }),
            (None, Some(blobs)) => self.spool(attachment, fetched.body, blobs).await,
            (None, None) => Err(gone(
                attachment,
                "cannot be passed on: its server does not tell its length",
            )),
        }
    }

    /// Keeps what comes as a blob, since its length must be known before it can be sent. Nothing refers to the blob, so
    /// it goes with the others that are not needed.
    async fn spool(
        self,
        attachment: &Attachment,
        body: BodyStream,
        blobs: &Blobs,
    ) -> Result<Opened, Missing> {
        let broken = |why: &str| Problem::new(ProblemKind::Unavailable, BROKE_OFF, why);
        let bytes = stream::unfold(body, move |mut body| async move {
            let chunk = match tokio::time::timeout(UPLOAD_STALL_MAX, body.next()).await {
                Ok(chunk) => chunk?.map_err(|error| broken(&error.to_string())),
                Err(_) => Err(broken("it stood still")),
            };
            Some((chunk, body))
        });
        let expected = expected_hash(attachment);
        let stored = tokio::time::timeout(UPLOAD_TIME_MAX, blobs.store(bytes, expected)).await;
        let stored = stored.unwrap_or_else(|_| Err(broken("it took too long")));
        match stored {
            Ok(view) => self.blob(attachment, Some(view.hash)).await,
            Err(problem) => Err(match problem.code {
                BROKE_OFF | "too_large" => gone(
                    attachment,
                    &format!("cannot be fetched: {}", problem.detail),
                ),
                "integrity" => differs(attachment),
                _ => Missing::Later(problem.to_string()),
            }),
        }
    }

    async fn blob(
        self,
        attachment: &Attachment,
        hash: Option<BlobHash>,
    ) -> Result<Opened, Missing> {
        if let (Some(files), Some(hash)) = (self.files, hash) {
            let found = files.open(hash).await;
            let found = found.map_err(|error| Missing::Later(cannot_read(attachment, &error)))?;
            if let Some((length, stream)) = found {
                return Ok(Opened {
                    length,
                    stream,
                    own: true,
                });
            }
        }
        let (Some(blobs), Some(hash)) = (self.blobs, hash) else {
            return Err(gone(attachment, "is a blob, and there are none here"));
        };
        match blobs.open(hash, None).await {
            Ok(Some(blob)) => {
                Ok(Opened {
                    length: blob.size,
                    stream: Box::pin(blob.stream.map(|chunk| {
                        chunk.map_err(|problem| io::Error::other(problem.to_string()))
                    })),
                    own: true,
                })
            }
            Ok(None) => Err(gone(attachment, "is a blob that is not kept here any more")),
            Err(problem) if problem.kind == ProblemKind::Unavailable => {
                Err(Missing::Later(problem.to_string()))
            }
            Err(problem) => Err(gone(attachment, &format!("cannot be read: {problem}"))),
        }
    }
}

/// Why an answer is not the attachment.
fn unusable(fetched: &Fetched) -> Option<String> {
    if fetched.status != StatusCode::OK {
        return Some(format!(
            "cannot be fetched: its server answers {}",
            fetched.status
        ));
    }
    let encoding = fetched.headers.get(CONTENT_ENCODING)?;
    let plain = encoding.as_bytes().eq_ignore_ascii_case(b"identity");
    (!plain).then(|| "cannot be fetched: its server compresses it unasked".to_owned())
}

fn find<'m>(message: &'m Message, id: &str) -> Result<&'m Attachment, Missing> {
    let mut attachments = message.attachments.iter();
    let found = attachments.find(|attachment| attachment.id == id);
    found.ok_or_else(|| Missing::Gone(format!("the message has no attachment {id}")))
}

fn gone(attachment: &Attachment, why: &str) -> Missing {
    Missing::Gone(format!("attachment {} {why}", attachment.id))
}

fn cannot_read(attachment: &Attachment, error: &io::Error) -> String {
    let name = attachment.name.as_deref().unwrap_or(&attachment.id);
    format!("the file of attachment {name} cannot be read: {error}")
}

fn check_size(attachment: &Attachment, size: u64) -> Result<(), Missing> {
    match attachment.size {
        Some(told) if told != size => Err(Missing::Wrong {
            code: "size_mismatch",
            text: format!(
                "attachment {} has {size} bytes and not the {told} that the message tells",
                attachment.id
            ),
        }),
        _ => Ok(()),
    }
}

fn expected_hash(attachment: &Attachment) -> Option<BlobHash> {
    attachment.sha256.as_deref()?.parse().ok()
}

fn differs(attachment: &Attachment) -> Missing {
    Missing::Wrong {
        code: "hash_mismatch",
        text: format!(
            "attachment {} does not have the SHA-256 that the message tells",
            attachment.id
        ),
    }
}

fn whole(bytes: Bytes) -> Opened {
    Opened {
        length: bytes.len() as u64,
        stream: Box::pin(stream::iter([Ok(bytes)])),
        own: true,
    }
}

/// A stream that is checked while it passes. It is one chunk behind, so that the last one does not pass unless all was
/// right.
struct Checked {
    inner: BodyStream,
    attachment: Attachment,
    hash: Option<(BlobHash, digest::Context)>,
    count: u64,
    length: u64,
    own: bool,
    held: Option<Bytes>,
    ended: bool,
    fault: Fault,
}

impl Checked {
    fn fail(&mut self, missing: Missing) -> io::Error {
        self.ended = true;
        self.held = None;
        let (Missing::Gone(text) | Missing::Wrong { text, .. } | Missing::Later(text)) = &missing;
        let error = io::Error::other(text.clone());
        self.fault.set(missing);
        error
    }

    /// Takes a chunk in and gives the one before it.
    fn pass(&mut self, chunk: Bytes) -> Option<Bytes> {
        self.count += chunk.len() as u64;
        if let Some((_, hash)) = &mut self.hash {
            hash.update(&chunk);
        }
        self.held.replace(chunk)
    }

    fn end(&mut self) -> Option<io::Result<Bytes>> {
        self.ended = true;
        if self.count != self.length {
            let why = format!("broke off after {} of {} bytes", self.count, self.length);
            return Some(Err(self.fail(gone(&self.attachment, &why))));
        }
        if let Some((expected, hash)) = self.hash.take()
            && hash.finish().as_ref() != expected.as_bytes()
        {
            return Some(Err(self.fail(differs(&self.attachment))));
        }
        self.held.take().map(Ok)
    }
}

impl Stream for Checked {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        while !this.ended {
            match ready!(this.inner.as_mut().poll_next(cx)) {
                Some(Ok(chunk)) if chunk.is_empty() => {}
                Some(Ok(chunk)) => {
                    if let Some(before) = this.pass(chunk) {
                        return Poll::Ready(Some(Ok(before)));
                    }
                }
                Some(Err(error)) => {
                    let missing = if this.own {
                        Missing::Later(error.to_string())
                    } else {
                        gone(&this.attachment, &format!("broke off: {error}"))
                    };
                    return Poll::Ready(Some(Err(this.fail(missing))));
                }
                None => return Poll::Ready(this.end()),
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests;
