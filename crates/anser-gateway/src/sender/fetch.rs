//! Fetching: a request whose answer is read as it comes, for bytes that are passed on or kept. Goes through the same guard,
//! proxy and limits as everything that is sent. Must not decide what an answer is good for.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use anser_core::channel::{HttpRequest, SendError, SendErrorKind};
use bytes::Bytes;
use futures_util::Stream;
use http::header::ACCEPT_ENCODING;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use url::Url;

use super::Sender;
use super::body::{BodyStream, Outbound};
use super::error::chain;
use super::exchange::{self, Connection, Http1, Http2, RESPONSE_HEADERS_MAX, Tried};
use super::trace::Trace;

/// An answer whose body has not been read yet.
pub struct Fetched {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Bytes of the body, when the answer tells.
    pub length: Option<u64>,
    /// The body. It has no cap and no time limit: whoever reads it has them.
    pub body: BodyStream,
}

impl Sender {
    /// Asks for what is at `url` and waits for the head of the answer, within `deadline`. The connection is this
    /// answer's alone; dropping the body closes it.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn fetch(&self, url: &Url, deadline: Duration) -> Result<Fetched, SendError> {
        let request = HttpRequest {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        self.open(request, deadline).await
    }

    /// Sends a request and waits for the head of the answer, as [`Sender::fetch`].
    ///
    /// # Errors
    /// There is no answer.
    pub async fn open(
        &self,
        request: HttpRequest,
        deadline: Duration,
    ) -> Result<Fetched, SendError> {
        let mut trace = Trace::start(&*self.clock, deadline);
        let asked = tokio::time::timeout(deadline, self.ask(request, &mut trace)).await;
        asked.unwrap_or_else(|_| Err(trace.timed_out()))
    }

    async fn ask(&self, request: HttpRequest, trace: &mut Trace<'_>) -> Result<Fetched, SendError> {
        let HttpRequest {
            method,
            url,
            mut headers,
            body,
        } = request;
        // What is fetched is passed on as it is.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        let request = exchange::outgoing(method, headers, Outbound::Full(Full::new(body)));
        let url = &url;
        match self.connect(url, trace).await? {
            Connection::One(mut one) => {
                let request = exchange::shape_http1(request, url, self.connector.proxy())?;
                let answer = one.ask(request, trace).await;
                let answer =
                    answer.map_err(|error| reason(exchange::not_answered(error, trace)))?;
                fetched(answer, Some(one), None)
            }
            Connection::Two(two) => {
                let request = exchange::shape_http2(request, url)?;
                let answer = two.ask(request, trace).await;
                let answer =
                    answer.map_err(|error| reason(exchange::not_answered(error, trace)))?;
                fetched(answer, None, Some(two))
            }
        }
    }
}

/// Why there is no answer.
fn reason(tried: Tried) -> SendError {
    match tried {
        Tried::Done(Err(error)) => error,
        Tried::NotSent(again) => again.1,
        Tried::Done(Ok(_)) => SendError {
            kind: SendErrorKind::Protocol,
            sent: true,
            detail: "an answer was taken for none".to_owned(),
        },
    }
}

fn fetched(
    answer: Response<Incoming>,
    one: Option<Box<Http1>>,
    two: Option<Http2>,
) -> Result<Fetched, SendError> {
    let (head, body) = answer.into_parts();
    if head.headers.len() > RESPONSE_HEADERS_MAX {
        return Err(SendError {
            kind: SendErrorKind::Protocol,
            sent: true,
            detail: format!("the answer has more than {RESPONSE_HEADERS_MAX} headers"),
        });
    }
    Ok(Fetched {
        status: head.status,
        headers: head.headers,
        length: body.size_hint().exact(),
        body: Box::pin(Reading {
            one,
            _two: two,
            body,
        }),
    })
}

/// The body of an answer, and the connection that it comes over.
struct Reading {
    /// Driven by whoever reads.
    one: Option<Box<Http1>>,
    /// Driven by its task for as long as there is a handle.
    _two: Option<Http2>,
    body: Incoming,
}

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        loop {
            let body = Pin::new(&mut this.body);
            let frame = match &mut this.one {
                Some(one) => one.poll_body(cx, body),
                None => body.poll_frame(cx),
            };
            match ready!(frame) {
                Some(Ok(frame)) => {
                    // Trailers say nothing about the bytes.
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data)));
                    }
                }
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(io::Error::other(chain(&error)))));
                }
                None => return Poll::Ready(None),
            }
        }
    }
}
