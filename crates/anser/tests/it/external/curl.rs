//! The real curl on `/sse`: events come as they happen, not gathered, and `Last-Event-ID` goes on behind the last one.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::{Api, DEADLINE, ServerOptions};

/// The first admin key of these servers.
const KEY: &str = "live-tests-0123456789abcdef0123456789abcdef";
/// curl gives up by itself after so long, in seconds.
const CURL_SECONDS: &str = "120";

/// `curl -N` on a stream.
struct Curl {
    _child: Child,
    lines: BufReader<ChildStdout>,
}

/// One event, as it stood in the stream.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: String,
}

impl Event {
    fn text(&self) -> String {
        let frame: Value = serde_json::from_str(&self.data).unwrap();
        let text = frame["message"]["body"]["data"]["text"].as_str();
        text.unwrap_or_else(|| panic!("no text: {self:?}"))
            .to_owned()
    }
}

impl Curl {
    fn start(base: &str, token: &str, last: Option<&str>) -> Self {
        let mut command = Command::new("curl");
        command
            .args(["-N", "--silent", "--show-error", "--fail-with-body"])
            .args(["--max-time", CURL_SECONDS, "--noproxy", "*"])
            .args(["-H", &format!("Authorization: Bearer {token}")]);
        if let Some(last) = last {
            command.args(["-H", &format!("Last-Event-ID: {last}")]);
        }
        let mut child = command
            .arg(format!("{base}/sse"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self {
            _child: child,
            lines,
        }
    }

    /// The next event that is a message, as soon as curl wrote it.
    async fn message(&mut self) -> Event {
        let next = async {
            loop {
                let event = self.event().await;
                if event.name == "message" {
                    return event;
                }
            }
        };
        let next = tokio::time::timeout(DEADLINE, next).await;
        next.expect("curl wrote no message in time")
    }

    async fn event(&mut self) -> Event {
        let mut event = Event::default();
        loop {
            let mut line = String::new();
            let read = self.lines.read_line(&mut line).await.unwrap();
            assert!(read > 0, "curl ended behind {event:?}");
            let line = line.trim_end();
            match line.split_once(": ") {
                Some(("event", name)) => event.name = name.to_owned(),
                Some(("id", id)) => event.id = id.to_owned(),
                Some(("data", data)) => event.data.push_str(data),
                _ if line.is_empty() && !event.name.is_empty() => return event,
                _ => {}
            }
        }
    }
}

async fn say(api: &Api, text: &str) {
    let message = json!({"header": {"to": ["user:ann"]}, "body": {"data": {"text": text}}});
    api.make("/v1/messages", &message).await;
}

#[tokio::test]
async fn curl_is_given_events_as_they_come_and_goes_on_behind_the_last() {
    let server = ServerOptions::default().with_key(KEY).start();
    let api = server.api();
    api.make("/v1/issuers", &json!({"name": "app"})).await;
    let minted = api
        .make("/v1/issuers/app/tokens", &json!({"user": "ann"}))
        .await;
    let token = minted["token"].as_str().unwrap();

    let mut curl = Curl::start(server.base(), token, None);
    let mut last = String::new();
    // Each is said only once the one before was written: a stream that gathers would stand still.
    for text in ["one", "two", "three"] {
        say(&api, text).await;
        let event = curl.message().await;
        assert_eq!(event.text(), text);
        last = event.id;
    }
    drop(curl);

    // A kill, and something said while nobody listens.
    let address = server.base().strip_prefix("http://").unwrap().to_owned();
    let server = server.kill().await.listen_on(&address).start();
    say(&api, "four").await;
    let mut curl = Curl::start(server.base(), token, Some(&last));
    let next = curl.message().await;
    assert_eq!(next.text(), "four", "nothing twice, nothing lost");
    say(&api, "five").await;
    assert_eq!(curl.message().await.text(), "five");
    drop(curl);

    // Without it, what was not acknowledged comes again.
    let mut curl = Curl::start(server.base(), token, None);
    assert_eq!(curl.message().await.text(), "four");
}

#[tokio::test]
async fn curl_is_told_why_it_is_not_let_in() {
    let server = ServerOptions::default().with_key(KEY).start();
    let refused = Command::new("curl")
        .args(["-N", "--silent", "--noproxy", "*", "--max-time", "60"])
        .args(["-w", "\n%{http_code} %{content_type}"])
        .arg(format!("{}/sse", server.base()))
        .output();
    let refused = tokio::time::timeout(Duration::from_secs(90), refused).await;
    let output = String::from_utf8(refused.unwrap().unwrap().stdout).unwrap();
    let (problem, status) = output.rsplit_once('\n').unwrap();
    assert_eq!(status, "401 application/problem+json");
    let problem: Value = serde_json::from_str(problem).unwrap();
    assert_eq!(problem["code"], "missing_key");
}
