//! The way to a file with scripted answers. Tests only.

use anser_core::channel::{
    Asked, Channel, Context, HttpRequest, HttpResponse, MEDIA_REQUESTS_MAX, MediaKey, Token,
};
use anser_core::outcome::Outcome;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::Value;

use super::context;

/// How the way to a file went.
pub(crate) struct Walk {
    /// The requests, in order.
    pub(crate) requests: Vec<HttpRequest>,
    /// Whether the last answer was the file, or why there is none.
    pub(crate) end: Result<(), Outcome>,
}

impl Walk {
    /// The addresses, in order.
    pub(crate) fn urls(&self) -> Vec<&str> {
        let urls = self.requests.iter();
        urls.map(|request| request.url.as_str()).collect()
    }

    /// The values of a header, in order; empty where it is not there.
    pub(crate) fn header(&self, name: &str) -> Vec<&str> {
        let values = self
            .requests
            .iter()
            .map(|request| request.headers.get(name));
        values
            .map(|value| value.map_or("", |value| value.to_str().unwrap()))
            .collect()
    }

    /// The outcome's class, and its code or reason; `file` when there is one.
    pub(crate) fn told(&self) -> String {
        match &self.end {
            Ok(()) => "file".to_owned(),
            Err(Outcome::Rejected { code, .. }) => format!("rejected {code}"),
            Err(outcome) => outcome_name(outcome),
        }
    }
}

fn outcome_name(outcome: &Outcome) -> String {
    format!("{:?}", outcome.class()).to_lowercase()
}

/// Asks for the file of that key in the message of that id, with these answers.
pub(crate) fn walk(
    channel: &dyn Channel,
    key: &Value,
    message: Option<&str>,
    answers: &[HttpResponse],
) -> Walk {
    let token = Token::new("T".to_owned(), std::time::Duration::from_secs(60)).unwrap();
    let context = Context {
        token: Some(&token),
        ..context(0)
    };
    let source = channel.media().unwrap();
    let media = MediaKey { key, message };
    let mut requests = Vec::new();
    let mut next = source.first(&media, &context);
    for answer in answers {
        let Ok(request) = next else { break };
        let url = request.url.clone();
        requests.push(request);
        let asked = Asked {
            number: requests.len(),
            url: &url,
        };
        assert!(asked.number <= MEDIA_REQUESTS_MAX);
        let head = HttpResponse {
            body: bytes::Bytes::new(),
            ..answer.clone()
        };
        if source.is_file(&media, asked, &head) {
            let end = Ok(());
            return Walk { requests, end };
        }
        next = source.next(&media, asked, &Ok(answer.clone()), &context);
    }
    let end = next.map(|request| panic!("no answer is left for {}", request.url));
    Walk { requests, end }
}

/// An answer.
pub(crate) fn answered(status: u16, headers: &[(&str, &str)], body: &str) -> HttpResponse {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        let name = HeaderName::try_from(*name).unwrap();
        map.insert(name, HeaderValue::from_str(value).unwrap());
    }
    HttpResponse {
        status: StatusCode::from_u16(status).unwrap(),
        headers: map,
        body: body.to_owned().into(),
    }
}

/// An answer of JSON.
pub(crate) fn json_answered(status: u16, body: &Value) -> HttpResponse {
    let media_type = [("content-type", "application/json; charset=utf-8")];
    answered(status, &media_type, &body.to_string())
}

/// A picture.
pub(crate) fn picture() -> HttpResponse {
    answered(200, &[("content-type", "image/png")], "")
}
