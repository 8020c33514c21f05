//! What it takes to ask a platform for a file: requests, redirects as values, and what is meant by an answer that is no file.
//! Must not follow anything, nor put credentials into a request that does not ask for them.

use anser_core::channel::{Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey};
use anser_core::outcome::Outcome;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_DISPOSITION, CONTENT_TYPE, LOCATION, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use url::Url;

use super::arrival::is_word;
use super::classify::{answer, classify_http, rejected, unseen};
use super::post::AGENT;

/// A GET, with credentials where there are some for it.
pub(crate) fn get(url: Url, bearer: Option<HeaderValue>) -> HttpRequest {
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, AGENT);
    if let Some(bearer) = bearer {
        headers.insert(AUTHORIZATION, bearer);
    }
    HttpRequest {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
    }
}

/// The key of a file, fit to be a part of an address once it is escaped.
///
/// # Errors
/// `Rejected` when there is none.
pub(crate) fn key<'a>(media: &MediaKey<'a>) -> Result<&'a str, Outcome> {
    let key = media.text("key").filter(|key| is_word(key));
    key.ok_or_else(|| {
        let text = "the platform gave no key for it";
        rejected(
            "no_key",
            text,
            "it may be of a kind that bots are not given",
        )
    })
}

/// The platform has it no more.
pub(crate) fn gone(reason: impl Into<String>) -> Outcome {
    Outcome::Gone {
        reason: reason.into(),
    }
}

/// An absolute address on the web.
///
/// # Errors
/// `Rejected`, without the text.
pub(crate) fn address(text: &str) -> Result<Url, Outcome> {
    let url = Url::parse(text).ok();
    url.filter(is_web)
        .ok_or_else(|| rejected("no_address", "it names no address of the file", ""))
}

fn is_web(url: &Url) -> bool {
    ["http", "https"].contains(&url.scheme()) && url.has_host()
}

/// Where an answer sends on to, without the credentials of the request before; `None` when it does not. What was encrypted
/// does not go on in the clear.
pub(crate) fn sent_on(asked: Asked<'_>, exchange: &Exchange) -> Option<HttpRequest> {
    let response = exchange.as_ref().ok()?;
    let sends_on = matches!(
        response.status,
        StatusCode::MOVED_PERMANENTLY
            | StatusCode::FOUND
            | StatusCode::SEE_OTHER
            | StatusCode::TEMPORARY_REDIRECT
            | StatusCode::PERMANENT_REDIRECT
    );
    let location = response.headers.get(LOCATION).filter(|_| sends_on)?;
    let url = asked.url.join(location.to_str().ok()?).ok()?;
    let keeps_secret = asked.url.scheme() != "https" || url.scheme() == "https";
    (is_web(&url) && keeps_secret).then(|| get(url, None))
}

/// Whether an answer of status 200 with this head is bytes: not JSON, in which platforms say what is wrong, unless it is
/// given as a file.
pub(crate) fn is_bytes(head: &HttpResponse) -> bool {
    let media_type = head.headers.get(CONTENT_TYPE);
    let media_type = media_type.and_then(|value| value.to_str().ok());
    let says = media_type.is_some_and(|text| {
        let text = text.trim_start().to_ascii_lowercase();
        text.starts_with("application/json") || text.starts_with("text/plain")
    });
    head.status == StatusCode::OK && (!says || head.headers.contains_key(CONTENT_DISPOSITION))
}

/// What an answer means that comes from the address of a file and is none, where the platform says nothing in its body.
/// Addresses expire, and then most are forbidden.
pub(crate) fn no_file(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let response = match answer(exchange, context) {
        Ok(response) => response,
        Err(outcome) => return unseen(outcome),
    };
    match response.status {
        StatusCode::NOT_FOUND | StatusCode::GONE => gone("it is not where it was"),
        StatusCode::FORBIDDEN => gone("its address is not good any more"),
        status if status.is_client_error() => {
            rejected(status.as_u16(), "the address of the file is refused", "")
        }
        status if status.is_success() => rejected(
            status.as_u16(),
            "what is at the file's address is no file",
            "",
        ),
        _ => unseen(classify_http(exchange, context.now, false, false)),
    }
}
