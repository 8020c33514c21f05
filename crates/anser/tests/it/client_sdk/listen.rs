//! `anser listen`.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;

use anser_client::Outgoing;
use serde_json::Value;

use super::{KEY, World, soon};
use crate::harness::{Answer, DEADLINE, Receiver};

/// A listener, and its lines.
struct Listener {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Listener {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut command = world.server.client(&["--output", "json", "listen"]);
        let mut child = command
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn number(&self) -> u64 {
        let line = self.lines.recv_timeout(DEADLINE).unwrap();
        let value: Value = serde_json::from_str(&line).unwrap();
        value["message"]["body"]["data"].as_u64().unwrap()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_prints_each_message_once_over_a_restart_and_what_was_printed_is_done() {
    let world = World::start().await;
    let bob = world.user("bob").connect().await.unwrap();
    let arguments = ["--user", "ann", "--resource", "shell"];
    let listener = Listener::start(&world, &arguments);
    let say = async |number: u64| {
        let message = Outgoing::data(&number).unwrap().to("user:ann");
        soon("a confirm", bob.handle().publish(message))
            .await
            .unwrap();
    };
    for number in 1..=3 {
        say(number).await;
        assert_eq!(listener.number(), number);
    }
    let world = world.kill_and_restart().await;
    for number in 4..=6 {
        say(number).await;
        assert_eq!(listener.number(), number);
    }
    let mut listener = listener;
    let pid = rustix::process::Pid::from_child(&listener.child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert!(listener.child.wait().unwrap().success());
    say(7).await;
    let listener = Listener::start(&world, &arguments);
    assert_eq!(listener.number(), 7, "what was printed does not come again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_key_is_a_refusal_and_a_wrong_place_a_mistake() {
    let world = World::start().await;
    let base = world.server.base();
    let wrong = crate::harness::anser(&["--server", base, "--key", "ak_wrong", "listen"]);
    assert_eq!(wrong.code, 3, "{}", wrong.stderr);
    let place = [
        "--server",
        base,
        "--key",
        KEY,
        "listen",
        "--after",
        "topic:orders=0",
    ];
    let wrong = crate::harness::anser(&place);
    assert_eq!(wrong.code, 2, "{}", wrong.stderr);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_sent_on_is_sent_until_it_is_taken_and_in_order() {
    let world = World::start().await;
    let api = world.server.api();
    api.make("/v1/topics", &serde_json::json!({"name": "orders"}))
        .await;
    let handler = Receiver::start().await;
    handler.script("/hook", [Answer::Status(500), Answer::Reset]);
    let url = handler.url("/hook");
    let arguments = [
        "--topic",
        "orders",
        "--after",
        "topic:orders=0",
        "--forward",
        &url,
    ];
    let bob = world.user("bob").connect().await.unwrap();
    for number in 1..=2_u64 {
        let message = Outgoing::data(&number).unwrap().topic("orders");
        bob.handle().publish(message).await.unwrap();
    }
    let listener = Listener::start(&world, &arguments);
    assert_eq!((listener.number(), listener.number()), (1, 2));
    let received = handler.count("/hook", 4).await;
    let data = |place: usize| received[place].json()["body"]["data"].as_u64();
    let all: Vec<Option<u64>> = (0..4).map(data).collect();
    assert_eq!(all, [Some(1), Some(1), Some(1), Some(2)]);
    let id = received[0].json()["header"]["id"].clone();
    assert_eq!(received[0].header("webhook-id"), id.as_str().unwrap());
}
