//! `anser sim`, and `anser send --to URL` against it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use anser_sim::Platform;
use serde_json::Value;

use crate::harness::{Api, anser};

/// A running `anser sim`; killed when it is dropped.
struct Running {
    child: Child,
    told: Value,
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn sim(platform: Platform) -> Running {
    sim_with(platform, &[])
}

fn sim_with(platform: Platform, options: &[&str]) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_anser"))
        .args(["sim", platform.name(), "--output", "json"])
        .args(options)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let stdout = child.stdout.take().unwrap();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    let told = serde_json::from_str(&line).unwrap();
    Running { child, told }
}

/// The URL that stands for a channel to the stand-in, with these credentials.
fn url(platform: Platform, told: &Value, secret: Option<&str>) -> String {
    let text = |name: &str| told[name].as_str().unwrap();
    let mut token = text("token").to_owned();
    if platform == Platform::Telegram {
        token = format!("{}/{}", token.replace(':', "/"), super::CHAT);
    }
    if platform == Platform::WhatsApp {
        token = format!("{token}/{}", super::PERSON);
    }
    let (scheme, base) = (platform.name(), text("base_url"));
    let mut url = format!("{scheme}://{token}?base_url={base}");
    if platform == Platform::WhatsApp {
        url.push_str(&format!("&access_token={}", text("access_token")));
    }
    if let Some(secret) = secret {
        url.push_str(&format!("&secret={secret}"));
    }
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_sent_with_no_server_and_seen_on_the_page() {
    for platform in super::PLATFORMS {
        let running = sim(platform);
        let told = &running.told;
        let page = Api::new(told["page"].as_str().unwrap(), None);
        let to = url(platform, told, told["secret"].as_str());
        let shown = anser(&["send", "--to", &to, "Hello <b>you</b>"]).ok();
        assert_eq!(shown, format!("{}: delivered\n", super::kind(platform)));
        let (_, listed) = page.get("/_sim/messages").await;
        let messages = listed["messages"].as_array().unwrap();
        assert_eq!(messages.len(), 1, "{}: {listed}", platform.name());
        let (status, html) = page.get("/").await;
        let html = html.as_str().unwrap();
        assert!(
            status == 200 && html.contains("Hello") && !html.contains("<b>you"),
            "{html}"
        );
    }
}

#[test]
fn what_the_platform_refuses_is_told_and_fails() {
    let running = sim(Platform::Feishu);
    let to = url(Platform::Feishu, &running.told, Some("wrong"));
    let ran = anser(&["send", "--to", &to, "hi"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("19021") && !ran.stdout.contains("wrong"),
        "{ran:?}"
    );
    let ran = anser(&["sim", "fax"]);
    assert!(ran.code == 2 && ran.stderr.contains("dingtalk"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stand_in_has_the_rate_limits_of_its_platform_unless_told_otherwise() {
    for (options, refused) in [(&[][..], 1), (&["--unlimited"], 0)] {
        let running = sim_with(Platform::Slack, options);
        let page = Api::new(running.told["page"].as_str().unwrap(), None);
        let to = url(Platform::Slack, &running.told, None);
        // One a second is taken, three at once.
        let sent: Vec<i32> = std::thread::scope(|scope| {
            let send = || scope.spawn(|| anser(&["send", "--to", &to, "hi"]).code);
            let sent: Vec<_> = std::iter::repeat_with(send).take(8).collect();
            sent.into_iter().map(|sent| sent.join().unwrap()).collect()
        });
        let (_, counted) = page.get("/_sim/counters").await;
        let violations = counted["rate_violations"].as_u64().unwrap();
        assert!(violations.min(1) == refused, "{sent:?} {counted}");
        assert_eq!(sent.contains(&1), refused == 1, "{sent:?}");
        // Each command has one of its own, and so have we.
        assert_eq!(counted["connections"], 9, "{counted}");
    }
}
