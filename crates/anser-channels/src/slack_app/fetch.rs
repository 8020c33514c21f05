//! Files that people sent: at `url_private` for the bot's token
//! (<https://docs.slack.dev/reference/objects/file-object>), or where `files.info` says. Must not give the token to anybody
//! but Slack: what people share may be at any address.

use anser_core::channel::{
    Asked, Context, Exchange, HttpRequest, HttpResponse, MediaKey, MediaSource,
};
use anser_core::outcome::Outcome;
use http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{Method, StatusCode};
use serde_json::{Map, Value};
use url::Url;

use super::{Opened, answer};
use crate::kit::classify::{rejected, unseen};
use crate::kit::fetching::{address, get, key, no_file, sent_on};

/// Domains of Slack's, where files are.
const DOMAINS: [&str; 2] = ["slack.com", "slack-files.com"];
/// The method that tells of a file.
const INFO: &str = "files.info";
const NO_SCOPE: &str =
    "give the app's bot the scope files:read, install it again, and invite it to the channel";

impl MediaSource for Opened {
    fn first(&self, media: &MediaKey<'_>, _: &Context<'_>) -> Result<HttpRequest, Outcome> {
        if let Some(url) = media.text("url") {
            return self.private(url);
        }
        // Of files in channels that are shared with another workspace, an event has the id alone.
        let mut url = self.endpoint.url(INFO);
        url.query_pairs_mut().append_pair("file", key(media)?);
        Ok(get(url, Some(self.endpoint.bearer())))
    }

    /// Who may not have a file is shown the page where people sign in, with status 200.
    fn is_file(&self, _: &MediaKey<'_>, asked: Asked<'_>, head: &HttpResponse) -> bool {
        let media_type = head.headers.get(CONTENT_TYPE);
        let is_page = media_type.is_some_and(|value| value.as_bytes().starts_with(b"text/html"));
        head.status == StatusCode::OK
            && !self.is_info(asked)
            && (!is_page || head.headers.contains_key(CONTENT_DISPOSITION))
    }

    fn next(
        &self,
        _: &MediaKey<'_>,
        asked: Asked<'_>,
        exchange: &Exchange,
        context: &Context<'_>,
    ) -> Result<HttpRequest, Outcome> {
        if self.is_info(asked) {
            let body = answer::file_info(exchange, context).map_err(unseen)?;
            let file = body.get("file").and_then(Value::as_object);
            return match file.and_then(private_of) {
                Some(url) => self.private(url),
                None => Err(rejected(
                    "no_url",
                    "Slack does not say where the file is",
                    "",
                )),
            };
        }
        if let Some(onward) = sent_on(asked, exchange) {
            let signs_in = onward
                .url
                .query()
                .is_some_and(|query| query.contains("redir="));
            return if signs_in || onward.method != Method::GET {
                Err(rejected(
                    "not_authed",
                    "Slack wants somebody to sign in",
                    NO_SCOPE,
                ))
            } else {
                Ok(onward)
            };
        }
        let status = exchange.as_ref().map(|response| response.status);
        Err(match status {
            Ok(status @ (StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => {
                let text = "Slack does not give the file to this bot";
                rejected(status.as_u16(), text, NO_SCOPE)
            }
            _ => no_file(exchange, context),
        })
    }
}

impl Opened {
    /// The request for a file at Slack's.
    fn private(&self, url: &str) -> Result<HttpRequest, Outcome> {
        let url = address(url)?;
        if self.is_slack(&url) {
            return Ok(get(url, Some(self.endpoint.bearer())));
        }
        let text = "the file is not at Slack but was shared from elsewhere";
        Err(rejected(
            "external_file",
            text,
            "its link is in the message",
        ))
    }

    /// Slack's own addresses, and that of the setting for a proxy or a stand-in.
    fn is_slack(&self, url: &Url) -> bool {
        let base = &self.endpoint.base;
        let is_base = url.origin() == base.origin();
        let within = |host: &str, domain: &str| {
            host.strip_suffix(domain)
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
        };
        let of_slack = |host: &str| DOMAINS.iter().any(|domain| within(host, domain));
        is_base || (url.scheme() == "https" && url.host_str().is_some_and(of_slack))
    }

    fn is_info(&self, asked: Asked<'_>) -> bool {
        asked.url.path() == self.endpoint.url(INFO).path()
    }
}

fn private_of(file: &Map<String, Value>) -> Option<&str> {
    let url = |name: &str| file.get(name)?.as_str().filter(|url| !url.is_empty());
    url("url_private_download").or_else(|| url("url_private"))
}

#[cfg(test)]
mod tests;
