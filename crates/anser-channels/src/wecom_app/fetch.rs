//! Files that people sent: by their media ids, for three days
//! (<https://developer.work.weixin.qq.com/document/path/90254>). Must not take what WeCom says is wrong for a file: both come
//! with status 200.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;

use super::{Opened, answer};
use crate::kit::fetching::{get, is_bytes, key, sent_on};

/// Where files are given.
const GET_PATH: &str = "/cgi-bin/media/get";

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, context: &Context<'_>) -> Result<HttpRequest, Outcome> {
        let key = key(media)?;
        let mut url = self.url(GET_PATH, context);
        url.query_pairs_mut().append_pair("media_id", key);
        Ok(get(url, None))
    }

    fn is_file(&self, _: &MediaKey<'_>, _: Asked<'_>, head: &HttpResponse) -> bool {
        is_bytes(head)
    }

    fn next(
        &self,
        _: &MediaKey<'_>,
        asked: Asked<'_>,
        exchange: &Exchange,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Outcome> {
        sent_on(asked, exchange).ok_or_else(|| answer::refused_file(exchange, context))
    }
}

#[cfg(test)]
mod tests;
