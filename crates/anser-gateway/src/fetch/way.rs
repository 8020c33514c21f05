//! The way to a file: one request after another, as the adapter says, with a token where it needs one. Follows nothing that
//! the adapter did not ask for, and reads no more than the cap of an answer that is not the file.

use std::time::Duration;

use anser_core::channel::{
    Asked, Context, Exchange, HttpResponse, MEDIA_REQUESTS_MAX, MediaKey, MediaSource, SendError,
    SendErrorKind,
};
use anser_core::clock::Clock;
use anser_core::limits::RESPONSE_BYTES_MAX;
use anser_core::outcome::Outcome;
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::config::ChannelEntry;
use crate::credentials::Credentials;
use crate::sender::{BodyStream, Fetched, Sender};

/// What it takes to ask a platform for a file.
pub(super) struct Way<'a> {
    pub(super) sender: &'a Sender,
    pub(super) credentials: &'a Credentials,
    pub(super) clock: &'a dyn Clock,
    pub(super) entry: &'a ChannelEntry,
    pub(super) source: &'a dyn MediaSource,
    pub(super) media: MediaKey<'a>,
    pub(super) context: Context<'a>,
}

/// A file whose bytes are coming.
pub(super) struct Found {
    /// Bytes, when the answer tells.
    pub(super) length: Option<u64>,
    /// Its media type, when the answer tells.
    pub(super) media_type: Option<String>,
    pub(super) body: BodyStream,
}

impl Way<'_> {
    /// The file. A token that turns out not to be good is replaced once.
    ///
    /// # Errors
    /// What it would mean for a delivery; `Gone`: the platform has it no more.
    pub(super) async fn find(&self) -> Result<Found, Outcome> {
        match self.tried().await {
            Err(Outcome::RefreshAuth) if self.entry.channel.token_issuer().is_some() => {
                self.tried().await
            }
            found => found,
        }
    }

    async fn tried(&self) -> Result<Found, Outcome> {
        let token = self
            .credentials
            .token(self.sender, self.clock, self.entry, &self.context);
        let token = token.await.map_err(|refused| refused.outcome)?;
        let context = Context {
            token: token.as_deref(),
            ..self.context.clone()
        };
        let found = self.walk(&context).await;
        if let (Err(Outcome::RefreshAuth), Some(token)) = (&found, &token) {
            self.credentials.forget(self.entry, token);
        }
        found
    }

    async fn walk(&self, context: &Context<'_>) -> Result<Found, Outcome> {
        let deadline = Duration::from_secs(self.entry.spec.timeout);
        let mut request = self.source.first(&self.media, context)?;
        for number in 1..=MEDIA_REQUESTS_MAX {
            let url = request.url.clone();
            let asked = Asked { number, url: &url };
            let exchange = match self.sender.open(request, deadline).await {
                Ok(answer) => {
                    let head = HttpResponse {
                        status: answer.status,
                        headers: answer.headers.clone(),
                        body: Bytes::new(),
                    };
                    if self.source.is_file(&self.media, asked, &head) {
                        return found(answer);
                    }
                    read(head, answer.body, deadline).await
                }
                Err(error) => Err(error),
            };
            request = self.source.next(&self.media, asked, &exchange, context)?;
        }
        Err(Outcome::Rejected {
            code: "redirects".to_owned(),
            text: format!("it sends on more than {MEDIA_REQUESTS_MAX} times"),
        })
    }
}

fn found(answer: Fetched) -> Result<Found, Outcome> {
    let header = |name| answer.headers.get(name)?.to_str().ok();
    let encoding = header(CONTENT_ENCODING).unwrap_or("identity");
    if !encoding.eq_ignore_ascii_case("identity") {
        return Err(Outcome::Rejected {
            code: "content-encoding".to_owned(),
            text: "the file comes compressed, unasked".to_owned(),
        });
    }
    Ok(Found {
        length: answer.length,
        media_type: header(CONTENT_TYPE).map(str::to_owned),
        body: answer.body,
    })
}

/// An answer that is not the file, its body up to the cap.
async fn read(head: HttpResponse, mut body: BodyStream, deadline: Duration) -> Exchange {
    let mut bytes = BytesMut::new();
    let reading = async {
        while bytes.len() < RESPONSE_BYTES_MAX {
            let Some(piece) = body.next().await else {
                break;
            };
            let piece = piece.map_err(|error| broken(SendErrorKind::Reset, error.to_string()))?;
            let room = RESPONSE_BYTES_MAX - bytes.len();
            bytes.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        Ok(())
    };
    let late = || broken(SendErrorKind::TimedOut, "the body did not come in time");
    let read = tokio::time::timeout(deadline, reading).await;
    read.unwrap_or_else(|_| Err(late()))?;
    Ok(HttpResponse {
        body: bytes.freeze(),
        ..head
    })
}

fn broken(kind: SendErrorKind, detail: impl Into<String>) -> SendError {
    SendError {
        kind,
        sent: true,
        detail: detail.into(),
    }
}
