//! Blobs: bytes that attachments refer to, uploaded and downloaded as streams, and the signed links by which platforms and
//! people fetch them. Must not hold a blob in memory.

use std::borrow::Cow;
use std::ops::Range;
use std::time::Duration;

use anser_core::blob::BlobHash;
use anser_core::resource::Scope;
use anser_core::{Problem, ProblemKind};
use anser_gateway::auth::Principal;
use anser_gateway::blobs::{BlobBody, BlobLink, BlobView};
use axum::body::Body;
use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;
use futures_util::stream::{self, Stream};
use http::header::{
    ACCEPT_RANGES, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_SECURITY_POLICY, CONTENT_TYPE, RANGE, X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::answer::{self, Answer};
use crate::call::Call;
use crate::operation::Operation;
use crate::route::{Handled, Route, keyed, public};

/// Says what the bytes must hash to (RFC 9530 §2).
const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
/// Bytes in a structured field: neither the padding nor the bits behind the last byte decide whether it is read (RFC 9651
/// §4.2.7).
const FIELD_BYTES: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
/// Any bytes.
const OCTETS: &str = "application/octet-stream";

pub(super) fn routes() -> Vec<Route> {
    let op = Operation::new;
    vec![
        keyed(
            &[Scope::Publish],
            op(Method::POST, "/v1/blobs", "uploadBlob", "Upload a blob")
                .describe(
                    "The body is kept under its SHA-256 and answered once it is durable; an attachment then refers to \
                     it as source.blob. The same bytes are kept once. A blob that no message refers to is removed \
                     after a day.",
                )
                .body_of_any_kind(&[OCTETS])
                .header(
                    "Content-Digest",
                    "^sha-256=:[A-Za-z0-9+/]{43}=?:$",
                    "What the bytes must hash to, else they are refused (RFC 9530).",
                )
                .answer::<BlobView>(201, "It is kept.")
                .problems(&[408, 413, 429, 507]),
            upload,
        ),
        keyed(
            &[Scope::Read, Scope::Consume],
            op(Method::GET, "/v1/blobs/{hash}", "getBlob", "Download a blob")
                .describe("Takes a Range header of one range.")
                .answer_text(OCTETS, "Its bytes."),
            download,
        ),
        public(
            op(Method::GET, "/b/{hash}/{name}", "followBlobLink", "Download what a signed link leads to")
                .describe("Such links are made for platforms and people that have no key; see public_url in the settings.")
                .query::<LinkQuery>()
                .answer_text(OCTETS, "Its bytes, under the media type that the publisher gave.")
                .problems(&[403]),
            follow,
        ),
    ]
}

/// What a link carries beside its path.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct LinkQuery {
    /// The media type.
    #[serde(default)]
    r#type: Option<String>,
    /// Until when it is good, in seconds since 1970.
    expires: String,
    /// What proves that this gateway made it.
    signature: String,
}

async fn upload(call: Call, principal: Principal) -> Handled {
    let expected = digest(call.header(&CONTENT_DIGEST)?)?;
    let edge = call.edge.clone();
    let pieces = pieces(call.into_body()?, edge.options.body_timeout);
    let view = edge.gateway.put_blob(&principal, pieces, expected).await?;
    let path = format!("/v1/blobs/{}", view.hash);
    Ok(answer::at(answer::json(StatusCode::CREATED, &view), &path))
}

async fn download(call: Call, principal: Principal) -> Handled {
    let hash: BlobHash = call.id("hash", "blob_not_found")?;
    let view = call.edge.gateway.blob(&principal, hash).await?;
    let range = match range(call.header(&RANGE)?, view.size) {
        Ok(range) => range,
        Err(Unsatisfiable) => return Ok(unsatisfiable(view.size)),
    };
    let whole = range.is_none();
    let body = call.edge.gateway.get_blob(&principal, hash, range).await?;
    Ok(bytes_of(body, whole))
}

async fn follow(call: Call) -> Handled {
    let query: LinkQuery = call.query()?;
    let (hash, name) = (call.param("hash")?, call.param("name")?);
    let gateway = &call.edge.gateway;
    let linked = gateway.blob_of_link(&BlobLink {
        hash: &hash,
        name: &name,
        media_type: query.r#type.as_deref(),
        expires: &query.expires,
        signature: &query.signature,
    })?;
    let size = gateway.blobs().size(linked.hash).await?;
    let size = size.ok_or_else(gone)?;
    let range = match range(call.header(&RANGE)?, size) {
        Ok(range) => range,
        Err(Unsatisfiable) => return Ok(unsatisfiable(size)),
    };
    let whole = range.is_none();
    let body = gateway.blobs().open(linked.hash, range).await?;
    let mut answer = bytes_of(body.ok_or_else(gone)?, whole);
    let headers = answer.headers_mut();
    if let Some(media_type) = linked.media_type
        && let Ok(media_type) = HeaderValue::try_from(media_type)
    {
        headers.insert(CONTENT_TYPE, media_type);
    }
    let name = utf8_percent_encode(&linked.name, NON_ALPHANUMERIC);
    if let Ok(named) = HeaderValue::try_from(format!("inline; filename*=UTF-8''{name}")) {
        headers.insert(CONTENT_DISPOSITION, named);
    }
    let age = format!("private, max-age={}", linked.valid_for.as_secs());
    if let Ok(age) = HeaderValue::try_from(age) {
        headers.insert(CACHE_CONTROL, age);
    }
    Ok(answer)
}

fn gone() -> Problem {
    Problem::new(
        ProblemKind::NotFound,
        "blob_not_found",
        "what the link led to has been removed",
    )
}

/// The hash that a digest names.
fn digest(header: Option<&str>) -> Result<Option<BlobHash>, Problem> {
    let Some(text) = header else {
        return Ok(None);
    };
    let value = text
        .trim()
        .strip_prefix("sha-256=:")
        .and_then(|rest| rest.strip_suffix(':'));
    let bytes = value.and_then(|value| FIELD_BYTES.decode(value).ok());
    match bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()) {
        Some(bytes) => Ok(Some(BlobHash(bytes))),
        None => Err(Problem::new(
            ProblemKind::Malformed,
            "invalid_header",
            "the header content-digest is no SHA-256 as RFC 9530 writes it",
        )
        .field("content-digest")
        .accepted("sha-256=:BASE64:")),
    }
}

/// The pieces of a body as they come; one that lets itself be waited for longer than `limit` ends it.
fn pieces(body: Body, limit: Duration) -> impl Stream<Item = Result<Bytes, Problem>> + Send {
    stream::try_unfold(body, move |mut body| async move {
        loop {
            let frame = tokio::time::timeout(limit, body.frame()).await;
            let frame = frame.map_err(|_| {
                let detail = format!("nothing of the body arrived for {} s", limit.as_secs());
                Problem::new(ProblemKind::Timeout, "body_timeout", detail)
            })?;
            let Some(frame) = frame else {
                return Ok(None);
            };
            let frame = frame.map_err(|error| {
                let detail = format!("the body ended before its end: {error}");
                Problem::new(ProblemKind::Malformed, "body_interrupted", detail)
            })?;
            if let Ok(data) = frame.into_data()
                && !data.is_empty()
            {
                return Ok(Some((data, body)));
            }
        }
    })
}

/// A range of which the blob has nothing.
#[derive(Debug, PartialEq, Eq)]
struct Unsatisfiable;

/// The one range that a header asks for (RFC 9110 §14.1.2); `None` for all of it, also when the header asks for something
/// else than one range of bytes, which a server may ignore.
fn range(header: Option<&str>, size: u64) -> Result<Option<Range<u64>>, Unsatisfiable> {
    let asked = header.and_then(|text| text.trim().strip_prefix("bytes="));
    let Some((first, last)) = asked.and_then(|asked| asked.split_once('-')) else {
        return Ok(None);
    };
    let (start, end) = match (first.trim(), last.trim()) {
        ("", suffix) => match suffix.parse::<u64>() {
            Ok(suffix) => (size.saturating_sub(suffix), size),
            Err(_) => return Ok(None),
        },
        (first, last) => {
            let last = if last.is_empty() {
                Some(size)
            } else {
                last.parse::<u64>().ok().map(|last| last.saturating_add(1))
            };
            match (first.parse(), last) {
                (Ok(first), Some(last)) if first < last || first >= size => (first, last.min(size)),
                _ => return Ok(None),
            }
        }
    };
    if start >= end {
        return Err(Unsatisfiable);
    }
    Ok(Some(start..end))
}

fn unsatisfiable(size: u64) -> Answer {
    let mut answer = Response::new(Body::empty());
    *answer.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
    if let Ok(range) = HeaderValue::try_from(format!("bytes */{size}")) {
        answer.headers_mut().insert(CONTENT_RANGE, range);
    }
    answer
}

/// Bytes as bytes: whatever a publisher uploaded, no browser runs it here.
fn bytes_of(body: BlobBody, whole: bool) -> Answer {
    let BlobBody {
        size,
        range,
        stream,
    } = body;
    let mut answer = Response::new(Body::from_stream(stream));
    let headers = answer.headers_mut();
    headers.insert(CONTENT_LENGTH, (range.end - range.start).into());
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(OCTETS));
    headers.insert(ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("sandbox; default-src 'none'"),
    );
    if !whole {
        let shown: Cow<'_, str> = format!(
            "bytes {}-{}/{size}",
            range.start,
            range.end.saturating_sub(1)
        )
        .into();
        if let Ok(shown) = HeaderValue::try_from(&*shown) {
            headers.insert(CONTENT_RANGE, shown);
        }
        *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood_and_anything_else_is_ignored() {
        for (header, expected) in [
            (None, Ok(None)),
            (Some("bytes=0-0"), Ok(Some(0..1))),
            (Some("bytes=2-"), Ok(Some(2..10))),
            (Some("bytes=2-99"), Ok(Some(2..10))),
            (Some("bytes=-3"), Ok(Some(7..10))),
            (Some("bytes=-99"), Ok(Some(0..10))),
            (Some("bytes=10-"), Err(Unsatisfiable)),
            (Some("bytes=-0"), Err(Unsatisfiable)),
            (Some("bytes=5-2"), Ok(None)),
            (Some("bytes=0-1,4-5"), Ok(None)),
            (Some("items=0-1"), Ok(None)),
            (Some("bytes=a-b"), Ok(None)),
            (
                Some("bytes=18446744073709551615-18446744073709551615"),
                Err(Unsatisfiable),
            ),
        ] {
            assert_eq!(range(header, 10), expected, "{header:?}");
        }
        assert_eq!(range(Some("bytes=0-0"), 0), Err(Unsatisfiable));
    }

    #[test]
    fn a_digest_names_a_hash() {
        // As it should be written, without padding, and with something in the bits that mean nothing.
        for text in [
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU:",
            "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=:",
        ] {
            let hash = digest(Some(text)).unwrap().unwrap();
            assert_eq!(
                hash.to_string(),
                "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
            );
        }
        assert_eq!(digest(None), Ok(None));
        for bad in ["", "sha-256=:AAAA:", "md5=:AAAA:", "sha-256=47DE"] {
            assert_eq!(
                digest(Some(bad)).unwrap_err().code,
                "invalid_header",
                "{bad}"
            );
        }
    }
}
