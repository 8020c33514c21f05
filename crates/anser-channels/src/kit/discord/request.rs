//! The requests of Discord's API: JSON, or several parts when files ride along. Must not know addresses.

use anser_core::Message;
use anser_core::channel::{Context, HttpRequest, Request};
use bytes::Bytes;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Map, Value, json};
use url::Url;

use super::Author;
use super::file::{FILES, take_list};
use crate::kit::change::Changes;
use crate::kit::multipart::Multipart;
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;

/// Who asks, in the form that Discord wants: its gate refuses others.
const AGENT: HeaderValue = HeaderValue::from_static(concat!(
    "DiscordBot (",
    env!("CARGO_PKG_REPOSITORY"),
    ", ",
    env!("CARGO_PKG_VERSION"),
    ")"
));
/// Any message can be put in the place of any other, files too.
pub(crate) const CHANGES: Changes<'static> = Changes {
    editable: &|_| true,
    recalls: true,
};

/// A question without a body.
pub(crate) fn asked(url: Url, mut headers: HeaderMap) -> HttpRequest {
    headers.insert(USER_AGENT, AGENT);
    HttpRequest {
        method: Method::GET,
        url,
        headers,
        body: Bytes::new(),
    }
}

/// A call with JSON that the address itself lets in.
pub(crate) fn called(url: Url, body: &Value) -> HttpRequest {
    let mut request = post_as(url, MEDIA_TYPE, bytes_of(body).into());
    request.headers.insert(USER_AGENT, AGENT);
    request
}

/// What the body of an edit does not name would stay.
pub(crate) fn replaces(body: &mut Map<String, Value>, author: Author) {
    body.entry("content").or_insert_with(|| "".into());
    let lists: &[&str] = match author {
        Author::Webhook => &["embeds", "attachments"],
        Author::Bot => &["embeds", "attachments", "components"],
    };
    for list in lists {
        body.entry(*list).or_insert_with(|| json!([]));
    }
}

/// The request with that body: JSON, or several parts when there are files.
pub(crate) fn request(
    method: Method,
    url: Url,
    mut headers: HeaderMap,
    mut body: Map<String, Value>,
    message: &Message,
    context: &Context<'_>,
) -> Request {
    let files = take_list(&mut body, FILES);
    let names = body.get("attachments").and_then(Value::as_array).cloned();
    if method == Method::DELETE {
        return Request::Http(HttpRequest {
            method,
            ..asked(url, headers)
        });
    }
    headers.insert(USER_AGENT, AGENT);
    let json = bytes_of(&Value::Object(body));
    if files.is_empty() {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        return Request::Http(HttpRequest {
            method,
            url,
            headers,
            body: json.into(),
        });
    }
    let json = String::from_utf8_lossy(&json);
    let mut form =
        Multipart::new(message, context).typed_field("payload_json", "application/json", &json);
    for (place, (file, shown)) in files.iter().zip(names.unwrap_or_default()).enumerate() {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        form = form.file(
            &format!("files[{place}]"),
            &text(&shown["filename"]),
            &text(&file["media_type"]),
            &text(&file["id"]),
        );
    }
    let mut upload = form.post(url);
    upload.method = method;
    upload.headers.extend(headers);
    Request::Upload(upload)
}
