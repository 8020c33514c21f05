//! The one shape of every CMQ answer: HTTP 200, also for refusals (clients do not read the body of any other status),
//! and one JSON object that begins with the four common members.

use anser_core::Timestamp;
use http::StatusCode;
use serde_json::{Map, Value};

use super::error::Fault;
use crate::answer::{self, Answer};

/// The media type of every answer.
const JSON: &str = "application/json; charset=utf-8";
/// Tencent's clients keep whole numbers in 32 bits with a sign.
const INT_MAX: u64 = i32::MAX as u64;

/// What an action answers beside the common members.
pub(super) type Fields = Map<String, Value>;

/// What every answer carries.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Ids {
    /// Ours, unique for each request.
    pub(super) request: u64,
    /// The client's own, 0 when it gave none.
    pub(super) client: u64,
}

/// The answer to a request.
pub(super) fn make(ids: Ids, result: Result<Fields, Fault>) -> Answer {
    let (code, message, fields) = match result {
        Ok(fields) => (0, String::new(), fields),
        Err(fault) => {
            if fault.is_internal() {
                tracing::error!(request = ids.request, ?fault, "a CMQ request failed");
            }
            (fault.code(), fault.message(), fault.into_fields())
        }
    };
    let mut body = Map::with_capacity(4 + fields.len());
    body.insert("code".to_owned(), code.into());
    body.insert("message".to_owned(), message.into());
    body.insert("requestId".to_owned(), ids.request.to_string().into());
    body.insert("clientRequestId".to_owned(), ids.client.into());
    body.extend(fields);
    answer::bytes(StatusCode::OK, JSON, Value::Object(body).to_string())
}

/// Fields from pairs.
pub(super) fn fields<const N: usize>(members: [(&str, Value); N]) -> Fields {
    members
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// A count as clients can hold it.
pub(super) fn int(number: u64) -> Value {
    number.min(INT_MAX).into()
}

/// A time in Unix seconds.
pub(super) fn seconds(time: Timestamp) -> Value {
    time.seconds().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fit_an_int_of_java() {
        assert_eq!(int(5), 5);
        assert_eq!(int(u64::MAX), i32::MAX);
    }
}
