//! The contract of files that somebody sent on a platform, which gives them for the channel's credentials only: one request
//! after another, until an answer is the file. Pure: the gateway sends, follows, and keeps the bytes.

use serde_json::Value;
use url::Url;

use super::{Context, Exchange, HttpRequest, HttpResponse};
use crate::outcome::Outcome;

/// The member of a message's `ext` that lists by which keys its platform gives its files.
pub const MEDIA_EXT: &str = "x-media";
/// Requests that lead to one file: the question where it is, the file itself, and being sent on by either, with one to
/// spare. Who is sent on for longer is sent in a circle.
pub const MEDIA_REQUESTS_MAX: usize = 5;

/// A file of a message that came in.
#[derive(Debug, Clone, Copy)]
pub struct MediaKey<'a> {
    /// What the adapter wrote of it: a member of the list [`MEDIA_EXT`].
    pub key: &'a Value,
    /// The platform's id of the message that it came with.
    pub message: Option<&'a str>,
}

impl<'a> MediaKey<'a> {
    /// A text member that is not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&'a str> {
        self.key.get(name)?.as_str().filter(|text| !text.is_empty())
    }
}

/// One request on the way to a file.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Which one, from 1.
    pub number: usize,
    /// Where it went.
    pub url: &'a Url,
}

/// A platform's way to give the files of messages that came in. Pure, as a channel is.
///
/// The keys were written by people and programs on the platform: what of them becomes an address is checked, so that the
/// channel's credentials go to its platform and to nobody else. The address guard is asked about every request all the same.
pub trait MediaSource: Send + Sync {
    /// The first request.
    ///
    /// # Errors
    /// Why there can be none: `Rejected` or `Gone`.
    fn first(&self, media: &MediaKey<'_>, context: &Context<'_>) -> Result<HttpRequest, Outcome>;

    /// Whether the answer with this head, whose body was not read, is the file.
    fn is_file(&self, media: &MediaKey<'_>, asked: Asked<'_>, head: &HttpResponse) -> bool;

    /// The request that follows from an answer that is not the file, its body cut at the cap: to where the answer says that
    /// the file is, also by a redirect, which nobody else follows.
    ///
    /// # Errors
    /// Why the file is not to be had: `Gone` when the platform has it no more, or its key expired; `RefreshAuth` when the
    /// token is not good, and all is tried once more with a new one; otherwise what it would mean for a delivery.
    fn next(
        &self,
        media: &MediaKey<'_>,
        asked: Asked<'_>,
        exchange: &Exchange,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Outcome>;
}
