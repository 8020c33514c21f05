//! Names of people, by `users.info` (<https://docs.slack.dev/reference/methods/users.info>), which takes the scope `users:read`.
//! Must not ask for anything else of them.

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpRequest, People};
use bytes::Bytes;
use http::Method;
use serde_json::Value;

use super::address::Target;
use super::{MEDIA_TYPE, Opened};

impl People for Opened {
    fn request(&self, id: &str, _: &Context<'_>) -> Result<HttpRequest, Problem> {
        let person = Target::parse("id", id)?;
        let mut request = self.call("users.info", MEDIA_TYPE, Bytes::new());
        request.headers.remove(http::header::CONTENT_TYPE);
        request.method = Method::GET;
        request
            .url
            .query_pairs_mut()
            .append_pair("user", &person.id);
        Ok(request)
    }

    /// As people see it in Slack: the name that they chose to be shown, else the real one.
    fn name(&self, exchange: &Exchange) -> Option<String> {
        let answer = exchange.as_ref().ok()?;
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        let user = answer.get("user").filter(|_| answer["ok"] == true)?;
        let names = [
            &user["profile"]["display_name"],
            &user["profile"]["real_name"],
            &user["real_name"],
            &user["name"],
        ];
        let mut names = names.into_iter().filter_map(Value::as_str);
        names.find(|name| !name.is_empty()).map(str::to_owned)
    }
}
