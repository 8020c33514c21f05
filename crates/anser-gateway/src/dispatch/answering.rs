//! What a receiver answers a delivery with, between the attempt and its settlement: it is published first, so that no crash
//! can lose it. Must not decide where an answer may go, nor publish it itself.

use anser_core::channel::{Answers, Context, Report};
use anser_core::id::DeliveryId;
use anser_core::outcome::Outcome;
use anser_core::{Message, Problem};
use async_trait::async_trait;

use crate::config::ChannelEntry;

/// The answer to one delivery.
pub(crate) struct Answered<'a> {
    /// The delivery.
    pub(crate) delivery: DeliveryId,
    /// Its channel.
    pub(crate) channel: &'a ChannelEntry,
    /// The message that was delivered.
    pub(crate) message: &'a Message,
    /// What its receiver answered.
    pub(crate) answers: Answers,
}

/// Where answers are published.
#[async_trait]
pub(crate) trait TakeAnswers: Send + Sync {
    /// Publishes each of the messages, once for one delivery however often it is answered. Tells what was not taken and
    /// never will be.
    ///
    /// # Errors
    /// Why they cannot be published now.
    async fn take(&self, answered: Answered<'_>) -> Result<Vec<Problem>, Problem>;
}

/// The messages in the answer that ended an attempt.
///
/// # Errors
/// What the receiver answered cannot be read.
pub(super) fn answers(
    entry: &ChannelEntry,
    context: &Context<'_>,
    outcome: &Outcome,
    report: Option<&Report>,
) -> Result<Answers, Problem> {
    match (outcome, report.map(|report| &report.exchange)) {
        (Outcome::Delivered { .. }, Some(Ok(response))) => entry.channel.answers(response, context),
        _ => Ok(Answers::default()),
    }
}

/// What of an answer was not taken, as the attempts log has it.
pub(super) fn note(refused: &[Problem]) -> Option<String> {
    let all: Vec<String> = refused.iter().map(Problem::to_string).collect();
    (!all.is_empty()).then(|| format!("delivered; of the answer was not taken: {}", all.join("; ")))
}
