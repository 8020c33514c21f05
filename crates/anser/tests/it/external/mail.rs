//! Mail, end to end: what is sent through the channel arrives at PyPI `aiosmtpd` and is read by Python's `email`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

use super::{python, script};
use crate::harness::{Api, Server, ServerOptions, anser};

const USER: &str = "alerts@example.com";
const PASSWORD: &str = "app pass/word";

/// A mail server as a process.
struct MailServer {
    child: Child,
    _stdin: ChildStdin,
    lines: BufReader<ChildStdout>,
    port: u64,
}

/// A certificate for `localhost` that is its own authority, and the files that hold it and its key.
struct Certificate {
    folder: tempfile::TempDir,
}

impl Certificate {
    fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(folder.path().join("cert.pem"), made.cert.pem()).unwrap();
        let key = made.signing_key.serialize_pem();
        std::fs::write(folder.path().join("key.pem"), key).unwrap();
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

impl MailServer {
    fn start(security: &str, certificate: &Certificate) -> Self {
        let mut child = Command::new(python())
            .arg(script("mail_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let settings = json!({"security": security, "user": USER, "password": PASSWORD,
            "certificate": certificate.path("cert.pem"), "key": certificate.path("key.pem")});
        writeln!(stdin, "{settings}").unwrap();
        let mut server = Self {
            lines: BufReader::new(child.stdout.take().unwrap()),
            child,
            _stdin: stdin,
            port: 0,
        };
        server.port = server.next()["port"].as_u64().expect("it says its port");
        server
    }

    /// What it says next.
    fn next(&mut self) -> Value {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
    }

    fn settings(&self, security: &str) -> Value {
        let mut settings = json!({"host": "localhost", "port": self.port, "security": security,
            "from": "Ünser Alerts <alerts@example.com>", "to": "ops@example.com"});
        if security != "none" {
            settings["username"] = USER.into();
            settings["password"] = PASSWORD.into();
        }
        settings
    }
}

impl Drop for MailServer {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn gateway(certificate: &Certificate) -> (Server, Api) {
    let files = json!([certificate.path("cert.pem")]).to_string();
    let server = ServerOptions::default().set("extra_ca", &files).start();
    let api = server.api();
    (server, api)
}

async fn send(api: &Api, to: &str) -> String {
    let item = json!({
        "header": {"to": [to], "reply_to": "<first.1@example.com>"},
        "body": {"segments": [
            {"type": "markdown", "text": "**Disk** is full on `db1` — päid"},
            {"type": "image", "att": "chart", "alt": "a chart"},
            {"type": "file", "att": "log"}
        ]},
        "attachments": [
            {"id": "chart", "name": "chärt.png", "media_type": "image/png", "source": {"inline": "iVBORw0KGgo="}},
            {"id": "log", "name": "a.log", "media_type": "text/plain", "source": {"inline": "bGluZQo="}}
        ]
    });
    let made = api.make("/v1/messages", &item).await;
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_mail_arrives_whole_however_the_connection_is_protected() {
    let certificate = Certificate::make();
    let (_server, api) = gateway(&certificate);
    for security in ["tls", "starttls", "none"] {
        let mut mails = MailServer::start(security, &certificate);
        let channel =
            json!({"name": security, "kind": "email", "settings": mails.settings(security)});
        api.make("/v1/channels", &channel).await;
        let id = send(&api, &format!("{security}/a@example.com,b@example.com")).await;
        let delivery = api.delivery_in(&id, "delivered").await;
        let mail = mails.next();
        assert_eq!(mail["tls"], security != "none", "{mail}");
        let login = if security == "none" {
            Value::Null
        } else {
            USER.into()
        };
        assert_eq!(mail["login"], login);
        assert_eq!(mail["sender"], USER);
        assert_eq!(mail["mailboxes"], json!(["a@example.com", "b@example.com"]));
        assert_eq!(mail["defects"], json!([]));
        let headers = &mail["headers"];
        assert_eq!(headers["from"], "Ünser Alerts <alerts@example.com>");
        assert_eq!(headers["subject"], "Disk is full on db1 — päid");
        assert_eq!(headers["in-reply-to"], "<first.1@example.com>");
        let parts = mail["parts"].as_array().unwrap();
        let types: Vec<&str> = parts
            .iter()
            .map(|part| part["type"].as_str().unwrap())
            .collect();
        assert_eq!(
            types,
            ["text/plain", "text/html", "image/png", "text/plain"]
        );
        assert!(
            parts[0]["text"]
                .as_str()
                .unwrap()
                .contains("Disk is full on db1 — päid")
        );
        let html = parts[1]["text"].as_str().unwrap();
        let shown = parts[2]["content_id"].as_str().unwrap();
        let shown = shown.trim_start_matches('<').trim_end_matches('>');
        assert!(
            html.contains("<b>Disk</b>") && html.contains(&format!("cid:{shown}")),
            "{html}"
        );
        assert_eq!(parts[2]["name"], "chärt.png");
        assert_eq!(parts[3]["name"], "a.log");
        assert_eq!(parts[3]["disposition"], "attachment");
        let id = delivery["attempt_log"][0]["platform_ids"][0]
            .as_str()
            .unwrap();
        assert_eq!(headers["message-id"], format!("<{id}>"), "{delivery}");
    }
}

#[tokio::test]
async fn a_refused_mailbox_is_final_and_a_greylisted_one_is_tried_again() {
    let certificate = Certificate::make();
    let (_server, api) = gateway(&certificate);
    let mut mails = MailServer::start("none", &certificate);
    let channel = json!({"name": "mail", "kind": "email", "settings": mails.settings("none")});
    api.make("/v1/channels", &channel).await;
    let id = send(&api, "mail/nobody@example.com").await;
    let delivery = api.delivery_in(&id, "dead").await;
    let error = delivery["attempt_log"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("550") && error.contains("no such user"),
        "{error}"
    );

    let id = send(&api, "mail/later@example.com").await;
    let delivery = api.delivery_in(&id, "delivered").await;
    assert_eq!(delivery["attempts"], 2, "{delivery}");
    assert_eq!(mails.next()["mailboxes"], json!(["later@example.com"]));
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_certificate_are_told_apart() {
    let certificate = Certificate::make();
    let (_server, api) = gateway(&certificate);
    let mails = MailServer::start("tls", &certificate);
    let mut settings = mails.settings("tls");
    settings["password"] = "wrong".into();
    let channel = json!({"name": "wrong", "kind": "email", "settings": settings});
    api.make("/v1/channels", &channel).await;
    let id = send(&api, "wrong").await;
    let delivery = api.delivery_in(&id, "dead").await;
    let error = delivery["attempt_log"][0]["error"].as_str().unwrap();
    assert!(
        error.contains("535") && error.contains("app password"),
        "{error}"
    );
    let (_, shown) = api.get("/v1/channels/wrong").await;
    assert_eq!(shown["settings"]["username"], USER);
    assert_ne!(shown["settings"]["password"], "wrong", "{shown}");

    // Without the authority nothing is sent, not even the login.
    let port = mails.port;
    let to =
        format!("smtps://alerts%40example.com:app%20pass%2Fword@localhost:{port}/ops@example.com");
    let ran = anser(&["send", "--to", &to, "hello"]);
    assert_ne!(ran.code, 0, "{}", ran.stdout);
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(said.contains("TLS"), "{said}");
}
