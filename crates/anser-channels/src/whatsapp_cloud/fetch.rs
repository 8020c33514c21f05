//! Files that people sent: an id gives an address that is good for five minutes, and that the token opens
//! (<https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media>). Must not go anywhere with the token but to
//! where the API says.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;
use http::StatusCode;

use super::{Opened, answer};
use crate::kit::fetching::{address, get, key, no_file, sent_on};

/// The request that asks where a file is; those after it go there.
const ASKED: usize = 1;

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, _: &Context<'_>) -> Result<HttpRequest, Outcome> {
        let key = key(media)?;
        let mut url = self.endpoint.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop().push(key);
        }
        let number = &self.endpoint.phone_number_id;
        url.query_pairs_mut().append_pair("phone_number_id", number);
        Ok(get(url, Some(self.endpoint.bearer.clone())))
    }

    fn is_file(&self, _: &MediaKey<'_>, asked: Asked<'_>, head: &HttpResponse) -> bool {
        asked.number > ASKED && head.status == StatusCode::OK
    }

    fn next(
        &self,
        _: &MediaKey<'_>,
        asked: Asked<'_>,
        exchange: &Exchange,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Outcome> {
        if asked.number == ASKED {
            let url = answer::file_address(exchange, context)?;
            return Ok(get(address(&url)?, Some(self.endpoint.bearer.clone())));
        }
        sent_on(asked, exchange)
            .ok_or_else(|| answer::refused_file(exchange, || no_file(exchange, context)))
    }
}

#[cfg(test)]
mod tests;
