//! A real Prometheus Alertmanager, with the configuration of the guide, posts to a robot, and the alert is a card in three
//! chats: when it fires and when it is resolved.

use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::{Api, eventually};
use crate::robot::{CHATS, GUIDE, Stage, is_card, last};

const PROGRAM: &str = "prometheus-alertmanager";

/// A running Alertmanager; killed when it is dropped.
struct Alertmanager {
    child: Child,
    base: String,
    _folder: tempfile::TempDir,
}

impl Drop for Alertmanager {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let mut log = String::new();
            if let Some(errors) = &mut self.child.stderr {
                drop(errors.read_to_string(&mut log));
            }
            eprintln!("log of Alertmanager:\n{log}");
        }
    }
}

impl Alertmanager {
    fn start(configuration: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("alertmanager.yml");
        std::fs::write(&file, configuration).unwrap();
        // It cannot be told to take any free port and say which.
        let free = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let child = Command::new(PROGRAM)
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.path={}",
                folder.path().join("data").display()
            ))
            .arg(format!("--web.listen-address={free}"))
            .arg("--cluster.listen-address=")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{PROGRAM}: {error}: run `cargo xtask ci`"));
        Self {
            child,
            base: format!("http://{free}"),
            _folder: folder,
        }
    }

    fn api(&self) -> Api {
        Api::new(&self.base, None)
    }

    async fn ready(&self) {
        eventually("Alertmanager is ready", || async {
            let api = self.api();
            let asked = api
                .try_send(api.request(reqwest::Method::GET, "/-/ready"))
                .await;
            matches!(asked, Ok((200, _))).then_some(())
        })
        .await;
    }

    async fn alert(&self, ends_at: Option<&str>) {
        let mut alert = json!({"labels": {"alertname": "HighLatency", "severity": "warning", "job": "api"},
            "annotations": {"summary": "Requests are slow"}, "generatorURL": "http://prometheus.example/graph"});
        if let Some(time) = ends_at {
            alert["startsAt"] = "2026-01-01T00:00:00Z".into();
            alert["endsAt"] = time.into();
        }
        self.api().make("/api/v2/alerts", &json!([alert])).await;
    }
}

/// The first block of a language in the guide.
fn block(language: &str) -> String {
    let path = format!("{}/../../{GUIDE}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).unwrap();
    let (_, rest) = text
        .split_once(&format!("```{language}\n"))
        .expect("the block");
    rest.split("```").next().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_of_a_real_alertmanager_is_a_card_in_three_chats() {
    let mut stage = Stage::set().await;
    stage.run().await;
    stage.check().await;
    let configuration = stage.here(&block("yaml"));
    // What changed in a group is sent after five minutes by default, which nobody waits for here.
    let configuration =
        configuration.replace("group_wait: 1s", "group_wait: 1s\n  group_interval: 1s");
    let alertmanager = Alertmanager::start(&configuration);
    alertmanager.ready().await;
    alertmanager.alert(None).await;
    let mut firing: Vec<Value> = Vec::new();
    for ((platform, _), sim) in CHATS.iter().zip(&stage.sims) {
        let body = last(sim, 3).await;
        is_card(*platform, &body, "Firing: HighLatency");
        assert!(body.to_string().contains("Requests are slow"), "{body}");
        firing.push(body);
    }
    alertmanager.alert(Some("2026-01-02T00:00:00Z")).await;
    for ((platform, _), sim) in CHATS.iter().zip(&stage.sims) {
        is_card(*platform, &last(sim, 4).await, "Resolved: HighLatency");
    }
    let (_, page) = stage
        .server
        .api()
        .get("/v1/messages?topic=alerts&type=alert.firing")
        .await;
    let message = &page["items"][0]["message"];
    let payload = &message["body"]["override"]["alertmanager"];
    assert_eq!(payload["version"], "4", "{message}");
    assert_eq!(
        payload["groupKey"], "{}:{alertname=\"HighLatency\"}",
        "{payload}"
    );
}
