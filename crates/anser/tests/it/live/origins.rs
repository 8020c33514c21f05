//! What browsers are told about pages of other origins, header by header; what real ones make of it is under `external`.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use super::{KEY, World};
use crate::harness::{Api, Server, ServerOptions};

/// The paths of the wires that begin as HTTP.
const PATHS: [&str; 4] = [
    "/ws",
    "/sse",
    "/poll?wait=0",
    "/socket.io/?EIO=4&transport=polling",
];
const NAMED: &str = "https://app.example";

async fn asked(server: &Server, method: Method, path: &str, headers: &[(&str, &str)]) -> Response {
    let api = Api::new(server.base(), None);
    let request = headers
        .iter()
        .fold(api.request(method, path), |request, (name, value)| {
            request.header(*name, *value)
        });
    request.send().await.unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> Option<&'a str> {
    let value = answer.headers().get(name);
    value.map(|value| value.to_str().unwrap())
}

fn open_to(origins: &Value) -> Server {
    ServerOptions::default()
        .with_key(KEY)
        .set("live__origins", &origins.to_string())
        .start()
}

#[tokio::test]
async fn pages_of_other_origins_are_refused_unless_they_are_named() {
    let world = World::start().await;
    for path in PATHS {
        // A WebSocket is opened without asking first.
        let all = [Method::GET, Method::POST, Method::OPTIONS];
        let methods = if path == "/ws" { &all[..1] } else { &all };
        for method in methods.iter().cloned() {
            let headers = [("origin", NAMED), ("access-control-request-method", "POST")];
            let answer = asked(&world.server, method, path, &headers).await;
            assert_eq!(answer.status(), 403, "{path}");
            // Nothing in it is a secret, so that the page itself can show why.
            assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
            let problem: Value = answer.json().await.unwrap();
            assert_eq!(problem["code"], "origin_not_allowed", "{path}");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.contains("live.origins") && detail.contains(NAMED));
        }
    }
    // A page of its own origin is told nothing about origins.
    let own = [("origin", world.server.base())];
    let answer = asked(&world.server, Method::GET, "/poll?wait=0", &own).await;
    assert_eq!(answer.status(), 401);
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
    // The API is not for pages of other origins, whatever the setting.
    let named = open_to(&json!([NAMED]));
    let answer = asked(&named, Method::GET, "/v1/topics", &[("origin", NAMED)]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), None);
}

#[tokio::test]
async fn a_preflight_of_an_origin_that_is_named_says_what_may_be_sent() {
    let server = open_to(&json!([NAMED]));
    for path in ["/sse", "/poll", "/socket.io/?EIO=4&transport=polling"] {
        let headers = [
            ("origin", NAMED),
            ("access-control-request-method", "POST"),
            (
                "access-control-request-headers",
                "authorization,content-type",
            ),
        ];
        let answer = asked(&server, Method::OPTIONS, path, &headers).await;
        assert_eq!(answer.status(), 204, "{path}");
        for (name, value) in [
            ("access-control-allow-origin", NAMED),
            ("access-control-allow-methods", "GET, POST"),
            (
                "access-control-allow-headers",
                "authorization, content-type, last-event-id",
            ),
            ("vary", "origin"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{path} {name}");
        }
        assert_eq!(header(&answer, "access-control-allow-credentials"), None);
        // An error of the wire itself may be read too.
        let answer = asked(&server, Method::GET, path, &[("origin", NAMED)]).await;
        let allowed = header(&answer, "access-control-allow-origin");
        assert_eq!(allowed, Some(NAMED), "{path}");
    }
}

#[tokio::test]
async fn in_developer_mode_pages_of_other_origins_need_a_token_whatever_is_allowed() {
    for origins in [json!(["*"]), json!([NAMED])] {
        let server = ServerOptions::default()
            .set("live__origins", &origins.to_string())
            .start();
        let api = server.api();
        api.make("/v1/issuers", &json!({"name": "app"})).await;
        let minted = api
            .make("/v1/issuers/app/tokens", &json!({"user": "ann"}))
            .await;
        let token = minted["token"].as_str().unwrap();
        for (path, status) in [
            ("/poll?wait=0&user=ann".to_owned(), 403),
            (format!("/poll?wait=0&token={token}"), 200),
        ] {
            let answer = asked(&server, Method::GET, &path, &[("origin", NAMED)]).await;
            assert_eq!(answer.status(), status, "{path}");
            let answer: Value = answer.json().await.unwrap();
            let code = if status == 403 {
                json!("foreign_origin")
            } else {
                Value::Null
            };
            assert_eq!(answer["code"], code, "{path}");
        }
    }
}
