//! Programs as channels, on the real binary: which may be run, what their end means, how many run, and that nothing of them
//! is left. Batches of queues are in `triggers`.

#[cfg(feature = "external")]
mod guide;
mod triggers;

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anser_core::clock::{Clock as _, SystemClock};
use rustix::process::{Pid, test_kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{Api, Server, ServerOptions, eventually};

/// The programs of a test and the server that may run them. They work in the folder that they are in.
struct Stage {
    folder: TempDir,
    options: ServerOptions,
    server: Server,
}

impl Stage {
    /// With these programs, each a script for the shell.
    fn set(programs: &[(&str, &str)]) -> Self {
        Self::with(programs, |options| options)
    }

    fn with(programs: &[(&str, &str)], more: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, script) in programs {
            let path = folder.path().join(name);
            std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let dir = folder.path().display().to_string();
        let options = more(ServerOptions::default().set("exec__dir", &dir));
        Self {
            folder,
            server: options.start(),
            options,
        }
    }

    fn api(&self) -> Api {
        self.server.api()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines that programs have written to a file so far.
    fn lines(&self, file: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.file(file)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The lines of a file once there are so many.
    async fn written(&self, file: &str, count: usize) -> Vec<String> {
        let what = format!("{count} lines in {file}");
        eventually(&what, || async {
            let lines = self.lines(file);
            (lines.len() >= count).then_some(lines)
        })
        .await
    }

    /// A channel `bot` that runs `program`, and all that is published to `orders` for it.
    async fn route(&self, program: &str, mut settings: Value) {
        settings["program"] = program.into();
        let channel = json!({"name": "bot", "kind": "exec", "settings": settings});
        let api = self.api();
        api.make("/v1/topics", &json!({"name": "orders"})).await;
        api.make("/v1/channels", &channel).await;
        let subscription = json!({"name": "bot", "channel": "bot", "ordering": "none",
            "retry": {"first": 0.02, "factor": 1, "jitter": 0}});
        api.make("/v1/topics/orders/subscriptions", &subscription)
            .await;
    }

    async fn publish(&self, data: impl Into<Value>) -> String {
        let data: Value = data.into();
        let item = json!({"body": {"data": data}});
        self.api().publish("orders", &item).await
    }
}

/// Waits until processes, written as their numbers, have ended.
async fn gone(numbers: &str) {
    let processes = numbers.split_whitespace().map(|number| number.parse());
    let processes: Vec<i32> = processes.map(Result::unwrap).collect();
    assert!(!processes.is_empty());
    eventually("the processes have ended", || async {
        let lives = |number: &&i32| {
            let stat = std::fs::read_to_string(format!("/proc/{number}/stat"));
            let zombie = stat.is_ok_and(|stat| stat.contains(") Z "));
            !zombie && test_kill_process(Pid::from_raw(**number).unwrap()).is_ok()
        };
        processes.iter().find(lives).is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_folder_in_the_settings_there_are_no_programs() {
    let server = Server::start();
    let channel = json!({"name": "bot", "kind": "exec", "settings": {"program": "sh"}});
    let (status, problem) = server.api().post("/v1/channels", &channel).await;
    assert_eq!((status, &problem["code"]), (422, &json!("programs_off")));
    assert_eq!(problem["field"], "settings.program");
    assert!(
        problem["detail"].as_str().unwrap().contains("exec.dir"),
        "{problem}"
    );
    let missing = ServerOptions::default().set("exec__dir", "/no/such/folder");
    let ran = missing.run();
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("exec.dir"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_programs_of_the_folder_are_channels() {
    let stage = Stage::set(&[("bot", "exit 0"), ("plain", "exit 0")]);
    let plain = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(stage.file("plain"), plain).unwrap();
    std::os::unix::fs::symlink("/bin/sh", stage.file("shell")).unwrap();
    let create = async |settings: Value| {
        let channel = json!({"name": "bot", "kind": "exec", "settings": settings});
        stage.api().post("/v1/channels", &channel).await
    };
    for (settings, code) in [
        (json!({"program": "../../bin/sh"}), "invalid_program"),
        (json!({"program": "/bin/sh"}), "invalid_program"),
        (json!({"program": "sh\u{0}"}), "invalid_program"),
        (json!({"program": ""}), "invalid_program"),
        (json!({"program": "shell"}), "program_not_allowed"),
        (json!({"program": "plain"}), "program_not_allowed"),
        (json!({"program": "missing"}), "unknown_program"),
        (
            json!({"program": "bot", "env": {"LD_PRELOAD": "/tmp/x.so"}}),
            "variable_not_allowed",
        ),
    ] {
        let (status, problem) = create(settings).await;
        assert_eq!((status, problem["code"].as_str()), (422, Some(code)));
    }
    let (status, channel) = create(json!({"program": "bot", "env": {"EXEC_KEY": "s3cret"}})).await;
    assert_eq!(status, 201, "{channel}");
    assert!(!channel.to_string().contains("s3cret"), "{channel}");
    // It is looked for again at each run.
    std::fs::remove_file(stage.file("bot")).unwrap();
    std::os::unix::fs::symlink("/bin/true", stage.file("bot")).unwrap();
    let attempt = stage.api().act("/v1/channels/bot/test").await.1;
    let error = attempt.to_string();
    assert!(error.contains("leads out of the folder"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_the_input_and_the_exit_code_says_what_became_of_it() {
    let stage = Stage::set(&[(
        "bot",
        "cat >> input
echo \"$ANSER_MESSAGE_ID $ANSER_TOPIC $ANSER_SUBSCRIPTION $ANSER_ATTEMPT $EXEC_KEY\" >> facts
case \"$(tail -n 1 input)\" in
*poison*) echo 'no such order' >&2; exit 65 ;;
esac
[ \"$ANSER_ATTEMPT\" -ge 2 ] && exit 0
echo 'try later' >&2
exit 75",
    )]);
    stage
        .route("bot", json!({"env": {"EXEC_KEY": "s3cret"}}))
        .await;
    let id = stage.publish("fine").await;
    let delivery = stage.api().delivery_in(&id, "delivered").await;
    let first = &delivery["attempt_log"][0];
    assert_eq!(first["outcome"], "retry", "{delivery:#}");
    assert_eq!(first["error"], "exit code 75: try later");
    assert_eq!(first["response"], "try later\n");
    let facts = stage.lines("facts");
    assert_eq!(facts[0], format!("{id} orders bot 1 s3cret"));
    assert_eq!(facts[1], format!("{id} orders bot 2 s3cret"));
    let input: Value = serde_json::from_str(&stage.lines("input")[0]).unwrap();
    assert_eq!(input["header"]["id"], id.as_str());
    assert_eq!(input["body"]["data"], "fine");

    let id = stage.publish("poison").await;
    let delivery = stage.api().delivery_in(&id, "dead").await;
    let attempts = delivery["attempt_log"].as_array().unwrap();
    assert_eq!(attempts.len(), 1);
    assert_eq!(attempts[0]["error"], "exit_65: exit code 65: no such order");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_takes_too_long_ends_with_its_children_and_may_have_done_its_work() {
    let stage = Stage::set(&[(
        "stubborn",
        "echo \"$ANSER_POSSIBLE_DUPLICATE\" >> duplicates
[ -n \"$ANSER_POSSIBLE_DUPLICATE\" ] && exit 0
trap '' TERM
(trap '' TERM; while :; do sleep 1; done) &
echo $$ $! > processes
while :; do sleep 1; done",
    )]);
    stage.route("stubborn", json!({"timeout": 1})).await;
    let id = stage.publish(1).await;
    let delivery = stage.api().delivery_in(&id, "delivered").await;
    assert_eq!(delivery["attempt_log"][0]["outcome"], "unknown");
    gone(&stage.lines("processes")[0]).await;
    assert_eq!(stage.lines("duplicates"), ["", "unknown"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_run_at_the_same_time_than_the_settings_say() {
    let stage = Stage::set(&[("slow", "echo + >> log; sleep 0.3; echo - >> log")]);
    stage.route("slow", json!({"concurrency": 2})).await;
    for number in 0..8 {
        stage.publish(number).await;
    }
    let (mut running, mut most) = (0, 0);
    for line in stage.written("log", 16).await {
        running += if line == "+" { 1 } else { -1 };
        most = most.max(running);
    }
    assert_eq!((running, most), (0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn output_without_end_is_bounded() {
    let stage = Stage::set(&[("flood", "[ \"$ANSER_ATTEMPT\" -ge 2 ] && exit 0; exec yes")]);
    stage.route("flood", json!({"timeout": 60})).await;
    let id = stage.publish(1).await;
    let delivery = stage.api().delivery_in(&id, "delivered").await;
    let first = &delivery["attempt_log"][0];
    assert_eq!(first["outcome"], "unknown");
    let error = first["error"].as_str().unwrap();
    assert!(error.contains("wrote more than"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_program_writes_is_sent_on() {
    let stage = Stage::set(&[
        (
            "forward",
            "echo '{\"header\": {\"to\": [\"queue:out\"]}, \"body\": {\"data\": \"one\"}}'
echo '{\"header\": {\"to\": [\"queue:out\"]}, \"body\": {\"data\": \"two\"}}'",
        ),
        ("chatty", "echo done"),
    ]);
    let api = stage.api();
    api.make("/v1/queues", &json!({"name": "out"})).await;
    stage.route("forward", json!({"replies": "anywhere"})).await;
    stage.publish(1).await;
    let mut data = Vec::new();
    while data.len() < 2 {
        let ask = json!({"max": 10, "wait": 30});
        let answer = api.make("/v1/queues/out/receive", &ask).await;
        for message in answer["messages"].as_array().unwrap() {
            data.push(message["message"]["body"]["data"].clone());
        }
    }
    data.sort_by_key(Value::to_string);
    assert_eq!(data, ["one", "two"]);

    let chatty = json!({"settings": {"program": "chatty"}});
    let (status, channel) = api.patch("/v1/channels/bot", &chatty).await;
    assert_eq!(status, 200, "{channel}");
    let id = stage.publish(2).await;
    let delivery = api.delivery_in(&id, "delivered").await;
    let note = delivery["attempt_log"][0]["error"].as_str().unwrap();
    assert!(note.contains("malformed_json"), "{note}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_what_runs_and_the_next_start_repeats_it() {
    let program = "echo \"$ANSER_POSSIBLE_DUPLICATE\" >> duplicates
[ -n \"$ANSER_POSSIBLE_DUPLICATE\" ] && exit 0
sleep 1000 &
echo $$ $! > processes
trap 'echo bye >> ended; exit 1' TERM
wait";
    let stage = Stage::with(&[("endless", program)], |options| {
        options.set("shutdown__limit_seconds", "1")
    });
    stage.route("endless", json!({"timeout": 600})).await;
    let id = stage.publish(1).await;
    let processes = stage.written("processes", 1).await.remove(0);
    let clock = SystemClock::new();
    let before = clock.monotonic();
    let Stage {
        folder,
        options,
        server,
    } = stage;
    let (status, _) = server.stop().await;
    assert!(status.success());
    assert!((clock.monotonic() - before).as_secs() < 20);
    gone(&processes).await;
    let stage = Stage {
        folder,
        server: options.start(),
        options,
    };
    assert_eq!(
        stage.lines("ended"),
        ["bye"],
        "it was asked before it was ended"
    );
    stage.api().delivery_in(&id, "delivered").await;
    assert_eq!(stage.lines("duplicates"), ["", "unknown"]);
}
