//! A batch of a queue's messages as one run: one JSON array in, and out which of them failed and what is answered.

use anser_core::channel::{Answers, BatchAnswer, Exchange, ExecRequest, RUN_SUCCEEDED};
use anser_core::message::Item;
use anser_core::{Message, Problem};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::answer::{answers, failure, malformed, written};
use super::settings::{Checked, Replies};

/// What a program may write about a batch.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Written<'a> {
    /// Ids of messages that are to be received again (as `batchItemFailures` of AWS Lambda for SQS).
    failed: Vec<String>,
    /// Messages, each with the `header.reply_to` of the one that it answers.
    #[serde(borrow)]
    replies: Vec<&'a RawValue>,
}

/// The run for a batch.
pub(super) fn request(checked: &Checked, queue: &str, batch: &[&Message]) -> ExecRequest {
    let mut input = vec![b'['];
    for (i, message) in batch.iter().enumerate() {
        if i > 0 {
            input.push(b',');
        }
        input.extend(message.to_json());
    }
    input.extend(b"]\n");
    ExecRequest {
        program: checked.program.clone(),
        facts: vec![
            ("ANSER_QUEUE", queue.to_owned()),
            ("ANSER_BATCH", batch.len().to_string()),
        ],
        input: input.into(),
    }
}

/// What became of a batch. An answer that cannot be read is a failure of all: a program that means to name what failed must
/// not be misunderstood.
///
/// # Errors
/// Why all of them failed.
pub(super) fn read(
    checked: &Checked,
    batch: &[&Message],
    exchange: &Exchange,
) -> Result<BatchAnswer, String> {
    let response = exchange.as_ref().map_err(ToString::to_string)?;
    if response.status != RUN_SUCCEEDED {
        return Err(failure(response));
    }
    let text = written(response).map_err(|problem| problem.to_string())?;
    let given: Written<'_> = match text {
        [] => Written::default(),
        // An array would be taken for the fields in their order.
        [b'[', ..] => return Err("what is said about a batch is an object".to_owned()),
        text => serde_json::from_slice(text).map_err(|error| malformed(&error).to_string())?,
    };
    let mut answer = BatchAnswer::default();
    for id in &given.failed {
        let places = places(batch, id);
        if places.is_empty() {
            return Err(format!(
                "failed has {id:?}, which is no id of a message of the batch"
            ));
        }
        answer.failed.extend(places);
    }
    if checked.replies != Replies::None {
        reply(&mut answer, batch, &given.replies, checked.replies);
    }
    Ok(answer)
}

/// All with that id: a queue can hold a message more than once.
fn places(batch: &[&Message], id: &str) -> Vec<usize> {
    let all = batch.iter().enumerate();
    let same = all.filter(|(_, message)| message.header.id.to_string() == id);
    same.map(|(place, _)| place).collect()
}

/// Puts each reply to the message that it is to.
fn reply(answer: &mut BatchAnswer, batch: &[&Message], replies: &[&RawValue], rule: Replies) {
    let mut by_place: Vec<Vec<&[u8]>> = vec![Vec::new(); batch.len()];
    for (i, raw) in replies.iter().enumerate() {
        match place(batch, raw) {
            Ok(place) => by_place[place].push(raw.get().as_bytes()),
            Err(problem) => answer
                .refused
                .push(problem.within(&format!("replies[{i}]"))),
        }
    }
    for (place, items) in by_place.into_iter().enumerate() {
        let read = answers(items.into_iter(), rule);
        match read {
            Ok(Answers { items, .. }) if items.is_empty() => {}
            Ok(answers) => answer.answers.push((place, answers)),
            Err(problem) => answer.refused.push(problem),
        }
    }
}

/// Which message of the batch a reply is to; the only one, unless it says.
fn place(batch: &[&Message], raw: &RawValue) -> Result<usize, Problem> {
    let item = Item::from_json(raw.get().as_bytes())?;
    let named = item.header.reply_to;
    let place = match &named {
        Some(id) => places(batch, id).first().copied(),
        None => (batch.len() == 1).then_some(0),
    };
    place.ok_or_else(|| {
        let detail = "a reply names the message of the batch that it answers";
        Problem::invalid("invalid_field", "header.reply_to", detail).accepted("header.id of it")
    })
}
