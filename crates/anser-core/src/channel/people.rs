//! What people are called, where a platform's events tell their ids only. Pure, as a channel is: the gateway asks, and keeps
//! what it was told.

use super::{Context, Exchange, HttpRequest};
use crate::problem::Problem;

/// Characters of a name that are shown.
pub const PERSON_NAME_CHARS_MAX: usize = 80;

/// A platform's way to tell a person's name.
pub trait People: Send + Sync {
    /// The question for the person with an id, as `header.from.id` has it. The context has the token, where the channel has
    /// an issuer.
    ///
    /// # Errors
    /// A [`Problem`] when that is no id of a person.
    fn request(&self, id: &str, context: &Context<'_>) -> Result<HttpRequest, Problem>;

    /// The name in the answer; `None` where the platform does not tell it.
    fn name(&self, exchange: &Exchange) -> Option<String>;
}
