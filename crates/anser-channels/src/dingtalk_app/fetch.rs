//! Files that people sent: a download code gives an address that is good for a while
//! (<https://open.dingtalk.com/document/orgapp/download-the-file-content-of-the-robot-receiving-message>). Must not send the
//! token to that address, which is of another service.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;
use http::StatusCode;
use serde_json::json;

use super::{Opened, answer};
use crate::kit::fetching::{address, get, key, no_file, sent_on};
use crate::kit::plan::{MEDIA_TYPE, json as bytes_of};
use crate::kit::post::post_as;

/// Where an address is asked for.
const DOWNLOAD_PATH: &str = "/v1.0/robot/messageFiles/download";
/// The request that asks where a file is; those after it go there.
const ASKED: usize = 1;

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, context: &Context<'_>) -> Result<HttpRequest, Outcome> {
        // Download codes are longer than ids.
        let code = media.text("key").map_or_else(|| key(media), Ok)?;
        let body = json!({"downloadCode": code, "robotCode": self.endpoint.robot_code});
        let url = self.endpoint.url(DOWNLOAD_PATH);
        let mut request = post_as(url, MEDIA_TYPE, bytes_of(&body).into());
        super::authorize(&mut request.headers, context);
        Ok(request)
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
            return Ok(get(address(&url)?, None));
        }
        sent_on(asked, exchange).ok_or_else(|| no_file(exchange, context))
    }
}

#[cfg(test)]
mod tests;
