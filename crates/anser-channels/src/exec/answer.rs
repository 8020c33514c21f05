//! What a run means for its delivery, and the messages that the program wrote. Must not decide where they may go.

use anser_core::channel::{
    ANSWERS_MAX, Answers, EXIT_CODE, Exchange, HttpResponse, PROGRAM_STDOUT_BYTES_MAX,
    RUN_SUCCEEDED,
};
use anser_core::message::Item;
use anser_core::outcome::Outcome;
use anser_core::{Problem, ProblemKind};
use serde_json::value::RawValue;

use super::settings::Replies;
use crate::kit::classify::no_answer;

/// Exit codes that say that this message is never taken (sysexits.h): its content is wrong (`EX_DATAERR`), or whom it is
/// for is not known (`EX_NOUSER`, `EX_NOHOST`).
const REJECTING: [&str; 3] = ["65", "67", "68"];

/// Exit code 0 is delivered, [`REJECTING`] ones are final, all others are tried again. A program that was ended may have
/// done its work.
pub(super) fn outcome(exchange: &Exchange) -> Outcome {
    let response = match exchange {
        Ok(response) => response,
        Err(error) => return no_answer(error),
    };
    if response.status == RUN_SUCCEEDED {
        return Outcome::Delivered { platform_id: None };
    }
    let code = code(response);
    let text = failure(response);
    if REJECTING.contains(&code) {
        return Outcome::Rejected {
            code: format!("exit_{code}"),
            text,
        };
    }
    Outcome::Retry { reason: text }
}

/// The exit code, and the last line of what the program said about it.
pub(super) fn failure(response: &HttpResponse) -> String {
    let text = format!("exit code {}", code(response));
    let said = String::from_utf8_lossy(&response.body);
    match said.trim_end().lines().next_back() {
        Some(line) => format!("{text}: {}", line.trim()),
        None => text,
    }
}

fn code(response: &HttpResponse) -> &str {
    let code = response.headers.get(EXIT_CODE);
    code.and_then(|code| code.to_str().ok())
        .unwrap_or("unknown")
}

/// The messages that a program wrote: none, one, several one after another, or an array of them.
///
/// # Errors
/// `answer_too_large`, `malformed_json`, `too_many`.
pub(super) fn read(response: &HttpResponse, replies: Replies) -> Result<Answers, Problem> {
    if response.status != RUN_SUCCEEDED || replies == Replies::None {
        return Ok(Answers::default());
    }
    let written = written(response)?;
    let raw: Vec<&RawValue> = if written.starts_with(b"[") {
        serde_json::from_slice(written).map_err(|error| malformed(&error))?
    } else {
        serde_json::Deserializer::from_slice(written)
            .into_iter()
            .collect::<Result<_, _>>()
            .map_err(|error| malformed(&error))?
    };
    let items = raw.iter().map(|raw| raw.get().as_bytes());
    answers(items, replies)
}

/// What was written, without blanks around it.
///
/// # Errors
/// `answer_too_large`.
pub(super) fn written(response: &HttpResponse) -> Result<&[u8], Problem> {
    // What is longer was cut.
    if response.body.len() >= PROGRAM_STDOUT_BYTES_MAX {
        return Err(Problem::new(
            ProblemKind::TooLarge,
            "answer_too_large",
            format!(
                "standard output has less than {PROGRAM_STDOUT_BYTES_MAX} bytes; publish what is larger, and write logs to standard error"
            ),
        ));
    }
    Ok(response.body.trim_ascii())
}

/// Messages from their JSON.
///
/// # Errors
/// `too_many`.
pub(super) fn answers<'a>(
    items: impl ExactSizeIterator<Item = &'a [u8]>,
    replies: Replies,
) -> Result<Answers, Problem> {
    if items.len() > ANSWERS_MAX {
        let detail = format!(
            "a program answers a message with at most {ANSWERS_MAX} messages, not {}",
            items.len()
        );
        return Err(Problem::invalid("too_many", "", detail));
    }
    let item =
        |(i, json)| Item::from_json(json).map_err(|problem| problem.within(&format!("[{i}]")));
    Ok(Answers {
        items: items.enumerate().map(item).collect(),
        anywhere: replies == Replies::Anywhere,
    })
}

pub(super) fn malformed(error: &serde_json::Error) -> Problem {
    Problem::new(
        ProblemKind::Malformed,
        "malformed_json",
        format!(
            "what the program wrote to standard output is no JSON: {error}; logs belong on standard error"
        ),
    )
}
