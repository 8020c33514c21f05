//! One request and its answer over a connection that is there already: shaping the request for the protocol, driving
//! an HTTP/1.1 connection, reading the body up to the cap. Makes no connection and keeps none.

use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};

use anser_core::channel::{Exchange, HttpResponse, SendError, SendErrorKind};
use bytes::Bytes;
use http::header::{
    CONNECTION, CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, Uri, Version};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::{TrySendError, http1, http2};
use hyper_util::rt::TokioIo;
use tokio::sync::Notify;
use url::{Position, Url};

use super::body::Outbound;
use super::error::{of_http, unsent};
use super::proxy::Proxy;
use super::room::Place;
use super::trace::Trace;
use super::transport::Transport;

/// The head of an answer, in bytes.
pub const RESPONSE_HEAD_BYTES_MAX: usize = 32 * 1024;
/// Headers of an answer. It is hyper's own default for HTTP/1.1, kept because setting it moves the parser's table from
/// the stack to the heap; HTTP/2 answers are held to the same number here.
pub const RESPONSE_HEADERS_MAX: usize = 100;

/// Headers that say how the message is framed or how the connection is used: the sender's to set, never the caller's.
const FRAMING_HEADERS: [HeaderName; 9] = [
    HOST,
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    CONNECTION,
    UPGRADE,
    EXPECT,
    TE,
    TRAILER,
    HeaderName::from_static("keep-alive"),
];

/// What is sent.
pub(super) type Outgoing = Request<Outbound>;

/// What came of an attempt on one connection.
pub(super) enum Tried {
    /// An answer, or an error after which the request may have been processed.
    Done(Exchange),
    /// hyper gave the request back: nothing of it was written, another connection may carry it.
    NotSent(Box<(Outgoing, SendError)>),
}

/// A connection that a request can be sent on.
pub(super) enum Connection {
    /// HTTP/1.1, for one request at a time.
    One(Box<Http1>),
    /// HTTP/2, shared.
    Two(Http2),
}

/// The request without the framing headers, whatever the caller put there.
pub(super) fn outgoing(method: Method, mut headers: HeaderMap, body: Outbound) -> Outgoing {
    for name in &FRAMING_HEADERS {
        headers.remove(name);
    }
    if body.is_end_stream() && matches!(method, Method::POST | Method::PUT | Method::PATCH) {
        // hyper announces only bodies that are there; RFC 9110 §8.6 wants it said for these methods.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.headers_mut() = headers;
    request
}

/// The request as HTTP/1.1 wants it: origin-form and `host`; absolute-form for a proxy that is asked to pass it on.
pub(super) fn shape_http1(
    mut request: Outgoing,
    url: &Url,
    proxy: Option<&Proxy>,
) -> Result<Outgoing, SendError> {
    let authority = authority(url);
    let host = HeaderValue::from_str(authority).map_err(|_| unusable(url))?;
    request.headers_mut().insert(HOST, host);
    *request.version_mut() = Version::HTTP_11;
    *request.uri_mut() = match proxy {
        Some(proxy) if url.scheme() == "http" => {
            if let Some(value) = &proxy.authorization {
                let headers = request.headers_mut();
                headers.insert(PROXY_AUTHORIZATION, value.clone());
            }
            absolute(url)?
        }
        _ => Uri::try_from(&url[Position::BeforePath..Position::AfterQuery])
            .map_err(|_| unusable(url))?,
    };
    Ok(request)
}

/// The request as HTTP/2 wants it: scheme and authority in the URI, no `host`.
pub(super) fn shape_http2(mut request: Outgoing, url: &Url) -> Result<Outgoing, SendError> {
    request.headers_mut().remove(HOST);
    *request.version_mut() = Version::HTTP_2;
    *request.uri_mut() = absolute(url)?;
    Ok(request)
}

/// Host and port as `host` has them: without the scheme's own port, without user and password.
fn authority(url: &Url) -> &str {
    &url[Position::BeforeHost..Position::BeforePath]
}

fn absolute(url: &Url) -> Result<Uri, SendError> {
    Uri::builder()
        .scheme(url.scheme())
        .authority(authority(url))
        .path_and_query(&url[Position::BeforePath..Position::AfterQuery])
        .build()
        .map_err(|_| unusable(url))
}

fn unusable(url: &Url) -> SendError {
    unsent(
        SendErrorKind::Protocol,
        // Not the whole URL: paths and queries of webhooks carry secrets.
        format!(
            "the URL at {} cannot be written as the target of an HTTP request",
            authority(url)
        ),
    )
}

type Driver = http1::Connection<TokioIo<Transport>, Outbound>;

/// An HTTP/1.1 connection. Nothing happens on it unless an exchange drives it.
pub(super) struct Http1 {
    requests: http1::SendRequest<Outbound>,
    /// `None` once the connection has ended.
    driver: Option<Driver>,
    peer: SocketAddr,
    /// The whole of the last answer was read.
    complete: bool,
    _place: Place,
}

impl Http1 {
    pub(super) fn new(
        requests: http1::SendRequest<Outbound>,
        driver: Driver,
        peer: SocketAddr,
        place: Place,
    ) -> Self {
        Self {
            requests,
            driver: Some(driver),
            peer,
            complete: false,
            _place: place,
        }
    }

    /// Another request may follow.
    pub(super) fn is_reusable(&self) -> bool {
        self.complete && self.driver.is_some() && self.requests.is_ready()
    }

    /// Sends `request` and reads its answer.
    pub(super) async fn exchange(&mut self, request: Outgoing, trace: &mut Trace<'_>) -> Tried {
        let (head, body) = match self.ask(request, trace).await {
            Ok(answer) => answer.into_parts(),
            Err(error) => return not_answered(error, trace),
        };
        let cap = trace.answer_max;
        let read = read_body(body, cap, |cx, body| self.poll_body(cx, body.as_mut())).await;
        let (bytes, whole) = match read {
            Ok(read) => read,
            Err(error) => return Tried::Done(Err(of_http(&error, true))),
        };
        if whole && !self.requests.is_ready() {
            // The end of the body was seen before the driver saw that the connection is free again.
            std::future::poll_fn(|cx| {
                drive(&mut self.driver, cx);
                Poll::Ready(())
            })
            .await;
        }
        self.complete = whole;
        Tried::Done(Ok(HttpResponse {
            status: head.status,
            headers: head.headers,
            body: bytes,
        }))
    }

    /// Sends `request` and reads the head of its answer. The driver looks for the peer's close before it writes, so a
    /// connection that was closed while idle gives the request back.
    pub(super) async fn ask(
        &mut self,
        request: Outgoing,
        trace: &mut Trace<'_>,
    ) -> Result<Response<Incoming>, TrySendError<Outgoing>> {
        self.complete = false;
        trace.begin_answer(self.peer);
        let (driver, requests) = (&mut self.driver, &mut self.requests);
        let mut answer = pin!(requests.try_send_request(request));
        let answer = std::future::poll_fn(|cx| {
            drive(driver, cx);
            answer.as_mut().poll(cx)
        })
        .await?;
        trace.first_byte();
        Ok(answer)
    }

    /// The next frame of the answer's body.
    pub(super) fn poll_body(
        &mut self,
        cx: &mut Context<'_>,
        mut body: Pin<&mut Incoming>,
    ) -> Polled {
        match body.as_mut().poll_frame(cx) {
            Poll::Pending => {
                drive(&mut self.driver, cx);
                body.poll_frame(cx)
            }
            ready => ready,
        }
    }
}

/// Lets the connection do what it can. A connection that has ended is dropped: that hands back a request which is
/// still waiting in it.
fn drive(driver: &mut Option<Driver>, cx: &mut Context<'_>) {
    let Some(connection) = driver else { return };
    if let Poll::Ready(ended) = Pin::new(connection).poll(cx) {
        if let Err(error) = ended {
            tracing::debug!(%error, "connection ended");
        }
        *driver = None;
    }
}

/// An HTTP/2 connection; clones share it, and it ends when the last one is dropped.
#[derive(Clone)]
pub(super) struct Http2 {
    requests: http2::SendRequest<Outbound>,
    peer: SocketAddr,
    number: u64,
    /// Tells the task that drives it to end.
    end: Arc<Notify>,
}

impl Http2 {
    pub(super) fn new(
        requests: http2::SendRequest<Outbound>,
        peer: SocketAddr,
        number: u64,
        end: Arc<Notify>,
    ) -> Self {
        Self {
            requests,
            peer,
            number,
            end,
        }
    }

    /// Tells it from any other connection of this sender.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn is_closed(&self) -> bool {
        self.requests.is_closed()
    }

    pub(super) async fn exchange(&self, request: Outgoing, trace: &mut Trace<'_>) -> Tried {
        trace.shared = Some(self.number);
        let (head, body) = match self.ask(request, trace).await {
            Ok(answer) => answer.into_parts(),
            Err(error) => return not_answered(error, trace),
        };
        if head.headers.len() > RESPONSE_HEADERS_MAX {
            return Tried::Done(Err(SendError {
                kind: SendErrorKind::Protocol,
                sent: true,
                detail: format!("the answer has more than {RESPONSE_HEADERS_MAX} headers"),
            }));
        }
        let cap = trace.answer_max;
        let read = read_body(body, cap, |cx, body| body.as_mut().poll_frame(cx)).await;
        Tried::Done(match read {
            Ok((bytes, _)) => Ok(HttpResponse {
                status: head.status,
                headers: head.headers,
                body: bytes,
            }),
            Err(error) => Err(of_http(&error, true)),
        })
    }

    /// Sends `request` and reads the head of its answer.
    pub(super) async fn ask(
        &self,
        request: Outgoing,
        trace: &mut Trace<'_>,
    ) -> Result<Response<Incoming>, TrySendError<Outgoing>> {
        trace.begin_answer(self.peer);
        let answer = self.requests.clone().try_send_request(request).await?;
        trace.first_byte();
        Ok(answer)
    }

    /// Closes the connection when the value is dropped: a body that nobody waits for any more would otherwise go on for
    /// as long as the peer takes it.
    pub(super) fn end_on_drop(&self) -> End {
        End(Some(self.end.clone()))
    }
}

/// Ends a connection of HTTP/2, with whatever is under way on it.
pub(super) struct End(Option<Arc<Notify>>);

impl End {
    /// Nothing is under way any more: the connection ends in peace.
    pub(super) fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for End {
    fn drop(&mut self) {
        if let Some(end) = &self.0 {
            end.notify_one();
        }
    }
}

pub(super) fn not_answered(mut error: TrySendError<Outgoing>, trace: &mut Trace<'_>) -> Tried {
    let request = error.take_message();
    trace.sent = request.is_none();
    let error = of_http(&error.into_error(), trace.sent);
    match request {
        Some(request) => Tried::NotSent(Box::new((request, error))),
        None => Tried::Done(Err(error)),
    }
}

pub(super) type Polled = Poll<Option<Result<Frame<Bytes>, hyper::Error>>>;

/// The body up to `cap` bytes, and whether that is all of it. Copied out of hyper's buffer, which is used again that way.
async fn read_body(
    body: Incoming,
    cap: usize,
    mut poll: impl FnMut(&mut Context<'_>, &mut Pin<&mut Incoming>) -> Polled,
) -> Result<(Bytes, bool), hyper::Error> {
    let mut body = pin!(body);
    let mut bytes = Vec::new();
    while !body.is_end_stream() {
        let frame = match std::future::poll_fn(|cx| poll(cx, &mut body)).await {
            Some(frame) => frame?,
            None => break,
        };
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = cap - bytes.len();
        if data.len() > room {
            bytes.extend_from_slice(&data[..room]);
            return Ok((Bytes::from(bytes), false));
        }
        bytes.extend_from_slice(&data);
    }
    Ok((Bytes::from(bytes), true))
}
