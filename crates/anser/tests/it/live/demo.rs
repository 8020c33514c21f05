//! The page of the developer mode, and who may do there without a key: pages and programs of this machine.

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::client::soon;
use super::{World, say, text};
use crate::harness::{Api, Server};

#[tokio::test]
async fn in_developer_mode_a_page_is_there_and_talks_without_a_key() {
    let server = Server::start();
    let api = server.api();
    let page = api.request(Method::GET, "/live-demo").send().await.unwrap();
    assert_eq!(page.status(), 200);
    assert!(
        page.headers()["content-type"]
            .to_str()
            .unwrap()
            .starts_with("text/html")
    );
    let policy = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("script-src 'self'") && !policy.contains("unsafe"));
    let page = page.text().await.unwrap();
    for file in ["style.css", "page.js", "wires.js"] {
        let path = format!("/live-demo/{file}");
        let named = page.contains(&path) || file == "wires.js";
        let answer = api.request(Method::GET, &path).send().await.unwrap();
        assert!(named && answer.status() == 200, "{path}");
    }

    let host = server.base().strip_prefix("http://").unwrap();
    let connect = async |origin: &str| {
        let url = format!("ws://{host}/ws?user=ann");
        let mut request = url.into_client_request().unwrap();
        let origin = origin.parse().unwrap();
        request.headers_mut().insert("origin", origin);
        let stream = TcpStream::connect(host).await.unwrap();
        let opened = tokio_tungstenite::client_async(request, stream).await;
        opened.map(|(socket, _)| socket)
    };
    let Err(Error::Http(refused)) = connect("https://evil.example").await else {
        panic!("a page of another site was let in");
    };
    assert_eq!(refused.status(), 403);
    let mut ann = connect(server.base()).await.unwrap();
    // Bob polls, as the page does.
    let poll = async |after: &str| {
        let (status, answer) = api.get(&format!("/poll?user=bob&wait=30{after}")).await;
        assert_eq!(status, 200, "{answer}");
        answer
    };
    let welcome = poll("").await;
    let said = say("user:bob", "hello").to_string();
    ann.send(Message::text(said)).await.unwrap();
    let after = format!("&after={}", welcome["after"].as_str().unwrap());
    let came = poll(&after).await;
    assert_eq!(text(&came["events"][0]), "hello");
    let path = format!("/poll?session={}", came["session"].as_str().unwrap());
    let answer = api.make(&path, &say("user:ann", "hello yourself")).await;
    assert_eq!(answer["op"], "ok", "{answer}");
    let heard = soon("the answer", async {
        loop {
            let frame = ann.next().await.unwrap().unwrap();
            let frame: Value = serde_json::from_str(frame.to_text().unwrap()).unwrap();
            if frame["op"] == "message" {
                return frame;
            }
        }
    });
    assert_eq!(text(&heard.await), "hello yourself");
}

#[tokio::test]
async fn otherwise_there_is_no_page() {
    let world = World::start().await;
    let api = Api::new(world.server.base(), None);
    let (status, answer) = api.get("/live-demo").await;
    assert_eq!((status, &answer["code"]), (404, &json!("no_such_route")));
}
