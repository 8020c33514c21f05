//! Names of people, by the directory (<https://open.feishu.cn/document/server-docs/contact-v3/user/get>), which takes the
//! permission `contact:user.base:readonly`. Must not ask for anything else of them.

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpRequest, People};
use serde_json::Value;

use super::{Opened, authorize};
use crate::kit::arrival::is_word;
use crate::kit::fetching::get;

/// Where people are looked up.
const USERS_PATH: &str = "/open-apis/contact/v3/users";
/// Kinds of id, with what theirs begin with.
const ID_TYPES: [(&str, &str); 2] = [("ou_", "open_id"), ("on_", "union_id")];

impl People for Opened {
    fn request(&self, id: &str, context: &Context<'_>) -> Result<HttpRequest, Problem> {
        if !is_word(id) {
            return Err(Problem::invalid("invalid_id", "id", "is no id of a person"));
        }
        let mut url = self.endpoint.url(USERS_PATH);
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(id);
        }
        let of_type = ID_TYPES
            .iter()
            .find(|(initials, _)| id.starts_with(initials));
        let of_type = of_type.map_or("user_id", |(_, name)| name);
        url.query_pairs_mut().append_pair("user_id_type", of_type);
        let mut request = get(url, None);
        authorize(&mut request.headers, context);
        Ok(request)
    }

    fn name(&self, exchange: &Exchange) -> Option<String> {
        let answer = exchange.as_ref().ok()?;
        let answer: Value = serde_json::from_slice(&answer.body).ok()?;
        let name = answer
            .pointer("/data/user/name")
            .filter(|_| answer["code"] == 0)?;
        name.as_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use anser_core::channel::{Channel, ChannelKind as _, HttpResponse};
    use http::{HeaderMap, StatusCode};
    use serde_json::json;

    use super::super::FeishuApp;
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
    fn people_are_looked_up_by_the_kind_of_their_id() {
        let settings = json!({"app_id": "cli_1", "app_secret": "s"});
        let channel = FeishuApp.open(&settings).unwrap();
        let people = channel.people().unwrap();
        for (id, of_type) in [
            ("ou_1", "open_id"),
            ("on_1", "union_id"),
            ("4f2", "user_id"),
        ] {
            let request = people.request(id, &context(0)).unwrap();
            let url = format!(
                "https://open.feishu.cn/open-apis/contact/v3/users/{id}?user_id_type={of_type}"
            );
            assert_eq!(request.url.as_str(), url);
        }
        for (answer, name) in [
            (
                json!({"code": 0, "data": {"user": {"name": "张三"}}}),
                Some("张三"),
            ),
            (json!({"code": 0, "data": {"user": {}}}), None),
            (
                json!({"code": 41050, "msg": "no user authority error"}),
                None,
            ),
        ] {
            assert_eq!(told(&*channel, &answer).as_deref(), name, "{answer}");
        }
    }
}
