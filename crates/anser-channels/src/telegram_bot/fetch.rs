//! Files that people sent: `getFile` says where each is, for at least an hour, and that address has the bot's token in it
//! (<https://core.telegram.org/bots/api#getfile>). Must not show that address.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::json;
use url::Url;

use super::settings::Endpoint;
use super::{Opened, answer};
use crate::kit::classify::rejected;
use crate::kit::fetching::{get, key, no_file};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;

/// The request that asks where a file is; the one after it goes there.
const ASKED: usize = 1;

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, _: &Context<'_>) -> Result<HttpRequest, Outcome> {
        let body = bytes_of(&json!({"file_id": key(media)?}));
        let url = self.endpoint.method("getFile");
        Ok(post_as(url, MEDIA_TYPE, body.into()))
    }

    fn is_file(&self, _: &MediaKey<'_>, asked: Asked<'_>, head: &HttpResponse) -> bool {
        asked.number > ASKED && head.status == StatusCode::OK
    }

    /// It is not sent on anywhere: the address has the token in it.
    fn next(
        &self,
        _: &MediaKey<'_>,
        asked: Asked<'_>,
        exchange: &Exchange,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Outcome> {
        if asked.number > ASKED {
            return Err(no_file(exchange, context));
        }
        let path = answer::file_path(exchange, context)?;
        Ok(get(address(&self.endpoint, &path)?, None))
    }
}

/// Where a file is. A server of one's own that shares its folders says where it is on its disk instead.
fn address(endpoint: &Endpoint, path: &str) -> Result<Url, Outcome> {
    let mut url = endpoint.method("");
    let parts: Vec<&str> = path.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && !["..", "."].contains(part);
    if !parts.iter().all(is_plain) {
        let text = "the API says where the file is on its own disk";
        let remedy = "run the Bot API server without --local, or read the file there";
        return Err(rejected("file_path", text, remedy));
    }
    let own = url.path().trim_end_matches('/').to_owned();
    let (before, bot) = own.rsplit_once('/').unwrap_or(("", &own));
    url.set_path(&format!("{before}/file/{bot}"));
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.extend(parts);
    }
    Ok(url)
}

#[cfg(test)]
mod tests;
