//! A receiver that answers with messages: a bot is a plain HTTP handler. Must not decide where they may go.

use anser_core::channel::{ANSWERS_MAX, Answers, HttpResponse};
use anser_core::limits::RESPONSE_BYTES_MAX;
use anser_core::message::{self, Item};
use anser_core::{Problem, ProblemKind};
use http::header::CONTENT_TYPE;
use serde_json::value::RawValue;

use super::settings::Replies;

/// The messages of an answer; none, unless its media type says that it is one: that is how a receiver asks for it.
///
/// # Errors
/// `answer_too_large`, `malformed_json`, `too_many`.
pub(super) fn read(response: &HttpResponse, replies: Replies) -> Result<Answers, Problem> {
    let asked = response.status.is_success() && replies != Replies::None && is_message(response);
    let body = response.body.trim_ascii();
    if !asked || body.is_empty() {
        return Ok(Answers::default());
    }
    // What is longer was cut.
    if response.body.len() >= RESPONSE_BYTES_MAX {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            "answer_too_large",
            format!("an answer has less than {RESPONSE_BYTES_MAX} bytes; publish what is larger"),
        ));
    }
    let items = if body.starts_with(b"[") {
        let raw: Vec<&RawValue> =
            serde_json::from_slice(body).map_err(|error| malformed(&error))?;
        if raw.len() > ANSWERS_MAX {
            let detail = format!(
                "an answer has at most {ANSWERS_MAX} messages, this one {}",
                raw.len()
            );
            return Err(Problem::invalid("too_many", "", detail));
        }
        let item = |(i, raw): (usize, &&RawValue)| {
            let item = Item::from_json(raw.get().as_bytes());
            item.map_err(|problem| problem.within(&format!("[{i}]")))
        };
        raw.iter().enumerate().map(item).collect()
    } else {
        vec![Item::from_json(body)]
    };
    Ok(Answers {
        items,
        anywhere: replies == Replies::Anywhere,
    })
}

fn is_message(response: &HttpResponse) -> bool {
    let media_type = response.headers.get(CONTENT_TYPE);
    let text = media_type.and_then(|value| value.to_str().ok());
    let essence = text.and_then(|text| text.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(message::MEDIA_TYPE))
}

fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(
        ProblemKind::Malformed,
        "malformed_json",
        format!("the answer is no JSON: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http::{HeaderMap, HeaderValue, StatusCode};
    use serde_json::{Value, json};

    use super::*;

    fn answered(status: u16, media_type: &str, body: impl Into<Bytes>) -> HttpResponse {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
        HttpResponse {
            status: StatusCode::from_u16(status).unwrap(),
            headers,
            body: body.into(),
        }
    }

    fn text(text: &str) -> Value {
        json!({"body": {"segments": [{"type": "text", "text": text}]}})
    }

    #[test]
    fn an_answer_is_one_message_or_several_and_asked_for_by_its_media_type() {
        let one = text("a").to_string();
        let two = json!([text("a"), text("b")]).to_string();
        let typed = "Application/vnd.anser.message+json; charset=utf-8";
        for (response, replies, count) in [
            (answered(200, typed, one.clone()), Replies::Conversation, 1),
            (answered(202, typed, two), Replies::Anywhere, 2),
            (answered(200, typed, one.clone()), Replies::None, 0),
            (answered(200, typed, " "), Replies::Conversation, 0),
            (answered(200, typed, "[]"), Replies::Conversation, 0),
            (
                answered(200, "application/json", one.clone()),
                Replies::Conversation,
                0,
            ),
            (answered(500, typed, one), Replies::Conversation, 0),
        ] {
            let answers = read(&response, replies).unwrap();
            assert_eq!(answers.items.len(), count, "{response:?}");
            assert!(answers.items.iter().all(Result::is_ok));
            assert_eq!(answers.anywhere, replies == Replies::Anywhere && count > 0);
        }
    }

    #[test]
    fn an_answer_that_is_none_says_why() {
        let read = |body: String| {
            read(
                &answered(200, message::MEDIA_TYPE, body),
                Replies::Conversation,
            )
        };
        let many = json!(vec![text("a"); ANSWERS_MAX + 1]).to_string();
        for (body, code) in [
            ("hello".to_owned(), "malformed_json"),
            ("[1,".to_owned(), "malformed_json"),
            (many, "too_many"),
            (
                text(&"x".repeat(RESPONSE_BYTES_MAX)).to_string(),
                "answer_too_large",
            ),
        ] {
            let refused = read(body.clone()).map(|answers| answers.items);
            let code_of = match refused {
                Err(problem) => problem.code,
                Ok(items) => items.into_iter().next().unwrap().unwrap_err().code,
            };
            assert_eq!(code_of, code, "{body:.40}");
        }
        // A service that echoes what it was sent answers with no message of its own.
        let echo = json!([text("a"), {"v": 1, "header": {"id": "x"}, "body": {"data": 1}}]);
        let items = read(echo.to_string()).unwrap().items;
        assert!(items[0].is_ok());
        let problem = items[1].as_ref().unwrap_err();
        assert!(
            problem
                .field
                .as_deref()
                .is_some_and(|field| field.starts_with("[1]"))
        );
    }
}
