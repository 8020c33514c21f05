//! Files that people sent: by the message and the key of each
//! (<https://open.feishu.cn/document/server-docs/im-v1/message/get-2>). Must not ask for what other apps uploaded: Feishu
//! gives that to them alone.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;

use super::{Opened, address, answer, authorize};
use crate::kit::classify::{rejected, unseen};
use crate::kit::fetching::{get, is_bytes, key, no_file, sent_on};

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, context: &Context<'_>) -> Result<HttpRequest, Outcome> {
        let key = key(media)?;
        let of_type = match media.text("kind") {
            Some("image") => "image",
            Some("sticker") => {
                let text = "Feishu gives no stickers to apps";
                return Err(rejected("sticker", text, ""));
            }
            _ => "file",
        };
        let url = address::of_message(&self.endpoint, media.message)
            .map_err(|problem| rejected(problem.code, &problem.detail, ""))?;
        let mut request = get(url, None);
        if let Ok(mut path) = request.url.path_segments_mut() {
            path.extend(["resources", key]);
        }
        request.url.query_pairs_mut().append_pair("type", of_type);
        authorize(&mut request.headers, context);
        Ok(request)
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
        if let Some(onward) = sent_on(asked, exchange) {
            return Ok(onward);
        }
        Err(match answer::refused_file(exchange, context) {
            // Nothing that Feishu itself says.
            Outcome::Unknown { .. } => no_file(exchange, context),
            outcome => unseen(outcome),
        })
    }
}

#[cfg(test)]
mod tests;
