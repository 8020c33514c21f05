//! The lines of the README, and of the guides for CMQ and files, work as written: their shell blocks are taken from the file and run.
//! By default the `curl` lines are carried out by a small stand-in, so that a Rust toolchain is all that is needed; with
//! the feature `external` by the real shell and the real `curl`.

use serde_json::Value;

use crate::harness::{Api, Server};

/// Where the README's server listens.
const ADDRESS: &str = "http://127.0.0.1:8620";
/// What the README's build makes.
pub(crate) const BINARY: &str = "./target/release/anser";

const README: &str = "README.md";
const CMQ: &str = "docs/guide/cmq-migration.md";
const FILES: &str = "docs/guide/files.md";

/// The lines of the shell blocks behind the mark in a page, apart from those that build and serve.
pub(crate) fn lines(page: &str) -> Vec<String> {
    let path = format!("{}/../../{page}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, marked) = text.split_once("<!-- The tests run").expect("the mark");
    let blocks = marked.split("```sh\n").skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or_default().lines());
    let skipped = [
        "cargo build --release",
        "./target/release/anser serve --dev",
    ];
    let lines: Vec<String> = lines
        .filter(|line| !skipped.contains(line))
        .map(str::to_owned)
        .collect();
    assert!(lines.len() >= 8, "{lines:?}");
    lines
}

/// Splits a line into words as a shell does, as far as the README goes: blanks, '…' and "…".
pub(crate) fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, ' ') => words.push(String::new()),
            (None, '$' | '\\' | '|' | '>' | '&' | ';') => {
                panic!("more of a shell than the stand-in knows: {line}")
            }
            (_, c) => words.last_mut().unwrap().push(c),
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// What `curl` does with the options that the README uses.
async fn curl(server: &Server, words: &[String]) -> String {
    curl_at(ADDRESS, server, words).await
}

/// The same with a server that is called `address`.
pub(crate) async fn curl_at(address: &str, server: &Server, words: &[String]) -> String {
    curl_by(address, &server.api(), words).await
}

/// The same with anything that is called `address`.
pub(crate) async fn curl_by(address: &str, api: &Api, words: &[String]) -> String {
    let (mut url, mut headers, mut body) = (None, Vec::new(), None);
    let mut rest = words.iter();
    while let Some(word) = rest.next() {
        match word.as_str() {
            "-s" => {}
            "-H" => headers.push(rest.next().unwrap().split_once(": ").unwrap()),
            "-d" => body = rest.next(),
            word if word.starts_with(address) => url = word.strip_prefix(address),
            word => panic!("an option that the stand-in does not know: {word}"),
        }
    }
    let method = if body.is_some() {
        reqwest::Method::POST
    } else {
        reqwest::Method::GET
    };
    let mut request = api.request(method, url.expect("an address"));
    if let Some(body) = body {
        request = request.body(body.clone());
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("content-type"))
        {
            headers.push(("content-type", "application/x-www-form-urlencoded"));
        }
    }
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let (status, answer) = api.try_send(request).await.unwrap();
    assert!((200..300).contains(&status), "{words:?}: {status} {answer}");
    answer.to_string()
}

/// The webhook calls the README's address; here the server listens elsewhere.
fn here(line: &str, server: &Server) -> String {
    let (head, data) = line.split_once(" -d ").unwrap_or((line, ""));
    let data = data.replace(ADDRESS, server.base());
    if data.is_empty() {
        head.to_owned()
    } else {
        format!("{head} -d {data}")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lines_work_as_written() {
    check(&by_stand_in(README).await);
    check_cmq(&by_stand_in(CMQ).await);
    check_files(&by_stand_in(FILES).await);
}

/// Each line with its answer.
async fn by_stand_in(page: &str) -> Vec<(String, String)> {
    let server = Server::start();
    let mut answers = Vec::new();
    for line in lines(page) {
        let words = words(&here(&line, &server));
        let answer = match words[0].as_str() {
            "curl" => curl(&server, &words[1..]).await,
            BINARY => {
                let arguments: Vec<&str> = words[1..].iter().map(String::as_str).collect();
                server.anser(&arguments).ok()
            }
            other => panic!("a command that the stand-in does not know: {other}"),
        };
        answers.push((line, answer));
    }
    answers
}

#[cfg(feature = "external")]
#[tokio::test(flavor = "multi_thread")]
async fn the_lines_work_in_a_real_shell() {
    check(&by_shell(README));
    check_cmq(&by_shell(CMQ));
    check_files(&by_shell(FILES));
}

#[cfg(feature = "external")]
fn by_shell(page: &str) -> Vec<(String, String)> {
    let server = Server::start();
    let mut answers = Vec::new();
    for line in lines(page) {
        let answer = in_shell(&line.replace(ADDRESS, server.base()), &server);
        answers.push((line, answer));
    }
    answers
}

/// What a line prints.
#[cfg(feature = "external")]
pub(crate) fn in_shell(line: &str, server: &Server) -> String {
    let script = line.replace(BINARY, env!("CARGO_BIN_EXE_anser"));
    let output = std::process::Command::new("sh")
        .args(["-ec", &script])
        .env("ANSER_SERVER", server.base())
        .env("NO_PROXY", "*")
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Every CMQ call of the guide is answered with code 0, and what CMQ sent the native API receives.
fn check_cmq(answers: &[(String, String)]) {
    let mut calls = 0;
    for (line, answer) in answers.iter().filter(|(line, _)| line.contains("Action=")) {
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(answer["code"], 0, "{line}: {answer}");
        calls += 1;
        if line.contains("ReceiveMessage") {
            assert_eq!(answer["msgBody"], "hello", "{answer}");
        }
    }
    assert_eq!(calls, 7, "{answers:?}");
    let (_, received) = answers
        .iter()
        .find(|(line, _)| line.contains("queue receive"))
        .expect("the line");
    assert!(received.contains("tagged"), "{received}");
}

/// What was uploaded comes back, and the messages have their attachments.
fn check_files(answers: &[(String, String)]) {
    let (_, blob) = answers
        .iter()
        .find(|(line, _)| line.ends_with("9824"))
        .expect("the line");
    assert!(blob.contains("hello"), "{blob}");
    let (_, range) = answers
        .iter()
        .find(|(line, _)| line.contains("range:"))
        .expect("the line");
    assert!(
        range.contains("hell") && !range.contains("hello"),
        "{range}"
    );
    let (_, messages) = answers
        .iter()
        .find(|(line, _)| line.contains("topic=reports"))
        .expect("the line");
    let messages: Value = serde_json::from_str(messages).unwrap();
    let names: Vec<&str> = messages["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|item| item["message"]["attachments"][0]["name"].as_str())
        .collect();
    assert_eq!(
        names,
        ["hello.txt", "Cargo.toml", "Cargo.toml"],
        "{messages}"
    );
}

/// The answers say what the README says they do.
fn check(answers: &[(String, String)]) {
    let answer = |part: &str| -> Value {
        let (_, answer) = answers
            .iter()
            .find(|(line, _)| line.contains(part))
            .expect(part);
        serde_json::from_str(answer).unwrap_or_else(|error| panic!("{part}: {error}: {answer}"))
    };
    let published = answer("wait=delivered");
    assert_eq!(published["matched"], 1, "{published}");
    assert_eq!(
        published["deliveries"][0]["state"], "delivered",
        "{published}"
    );
    assert_eq!(
        answer("state=delivered")["items"].as_array().map(Vec::len),
        Some(1)
    );
    let arrived = answer("topic=inbox");
    assert_eq!(
        arrived["items"][0]["message"]["header"]["type"], "order.paid",
        "{arrived}"
    );
    assert_eq!(
        arrived["items"][0]["message"]["body"]["data"]["order"], 42,
        "{arrived}"
    );
    let leased = answer("jobs/receive");
    assert_eq!(leased["messages"][0]["receives"], 1, "{leased}");
    let again = answers.iter().find(|(line, _)| line.contains("--ack"));
    let (_, again) = again.expect("the line");
    assert!(
        again.contains("#2") && again.contains("resize picture 7"),
        "{again}"
    );
}
