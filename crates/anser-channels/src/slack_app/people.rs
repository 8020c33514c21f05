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

#[cfg(test)]
mod tests {
    use anser_core::channel::{Channel, ChannelKind as _, HttpResponse};
    use http::header::AUTHORIZATION;
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::super::SlackApp;
    use super::*;
    use crate::kit::testing::context;

    fn told(channel: &dyn Channel, answer: &Value) -> Option<String> {
        let response = HttpResponse {
            status: StatusCode::OK,
            headers: HeaderMap::new(),
            body: answer.to_string().into(),
        };
        channel.people().unwrap().name(&Ok(response))
    }

    #[test]
    fn people_are_called_as_they_chose_to_be() {
        let settings = json!({"token": "xoxb-1-2-hidden", "channel": "C12345"});
        let channel = SlackApp.open(&settings).unwrap();
        let people = channel.people().unwrap();
        let request = people.request("U0123", &context(0)).unwrap();
        assert_eq!(request.method, Method::GET);
        assert_eq!(
            request.url.as_str(),
            "https://slack.com/api/users.info?user=U0123"
        );
        assert_eq!(request.headers[AUTHORIZATION], "Bearer xoxb-1-2-hidden");
        assert!(people.request("U1&x=1", &context(0)).is_err());
        let user = |display: &str, real: &str| json!({"ok": true, "user": {"name": "ann", "real_name": real, "profile": {"display_name": display}}});
        for (answer, name) in [
            (user("Annie", "Ann Lee"), Some("Annie")),
            (user("", "Ann Lee"), Some("Ann Lee")),
            (user("", ""), Some("ann")),
            (json!({"ok": false, "error": "missing_scope"}), None),
            (json!("down"), None),
        ] {
            assert_eq!(told(&*channel, &answer).as_deref(), name, "{answer}");
        }
    }
}
