//! Queues whose messages are given to a program by the batch: what it does not do is received again, in the queue's order,
//! and becomes a dead letter by the queue's rule; no kill loses any.

use super::*;

/// Writes the ids of messages with `$1` in their data as JSON strings, one a line.
const IDS: &str = "ids() { sed 's/{\"v\":1,/\\n&/g' | grep \"$1\" | sed 's/^{\"v\":1,\"header\":{\"id\":\\(\"[^\"]*\"\\).*/\\1/'; }";
/// Writes the data of all messages, one a line.
const DATA: &str = "data() { grep -o '\"data\":\"[^\"]*\"' | sed 's/\"data\":\"\\(.*\\)\"/\\1/'; }";

impl Stage {
    /// A channel `worker`, and the queue `jobs` with it as its trigger.
    async fn queue(&self, trigger: Value, queue: Value) {
        let api = self.api();
        let channel = json!({"name": "worker", "kind": "exec", "settings": {"program": "worker", "timeout": 30}});
        api.make("/v1/channels", &channel).await;
        let mut spec = queue;
        spec["name"] = "jobs".into();
        spec["trigger"] = trigger;
        spec["trigger"]["channel"] = "worker".into();
        api.make("/v1/queues", &spec).await;
    }

    async fn send(&self, data: &str, header: Value) {
        let mut header = header;
        header["to"] = json!(["queue:jobs"]);
        let item = json!({"header": header, "body": {"data": data}});
        self.api().make("/v1/messages", &item).await;
    }

    async fn emptied(&self) {
        eventually("the queue is empty", || async {
            let (_, state) = self.api().get("/v1/queues/jobs/state").await;
            let none = |field: &str| state[field] == 0;
            (none("active") && none("leased") && none("delayed")).then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_acknowledged_but_for_what_failed_which_becomes_a_dead_letter() {
    let worker = format!(
        "{IDS}\n{DATA}
input=$(cat)
echo \"$ANSER_QUEUE $ANSER_BATCH\" >> batches
printf '%s' \"$input\" | data >> log
failed=$(printf '%s' \"$input\" | ids poison | paste -sd, -)
echo \"{{\\\"failed\\\": [$failed]}}\""
    );
    let stage = Stage::set(&[("worker", &worker)]);
    let api = stage.api();
    api.make("/v1/queues", &json!({"name": "dead"})).await;
    stage
        .queue(
            json!({"batch": 4, "wait": 1_000}),
            json!({"dead_letter": {"queue": "dead", "max_receives": 2}}),
        )
        .await;
    for data in ["a", "b", "poison", "c", "d"] {
        stage.send(data, json!({})).await;
    }
    let ask = json!({"wait": 30});
    let dead = eventually("the dead letter", || async {
        let answer = api.make("/v1/queues/dead/receive", &ask).await;
        answer["messages"].get(0).cloned()
    })
    .await;
    assert_eq!(dead["message"]["body"]["data"], "poison");
    assert_eq!(dead["dead_letter"]["receives"], 2, "{dead:#}");
    stage.emptied().await;
    let mut log = stage.lines("log");
    log.sort_unstable();
    assert_eq!(log, ["a", "b", "c", "d", "poison", "poison"]);
    assert_eq!(
        stage.lines("batches")[0],
        "jobs 4",
        "a batch waits to be full"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_with_the_same_key_keep_their_order_around_a_failure() {
    let worker = format!(
        "{DATA}
data=$(data)
printf '%s\\n' \"$data\" >> log
case \"$data\" in *2*) [ -e failed ] || {{ touch failed; exit 1; }} ;; esac"
    );
    let stage = Stage::set(&[("worker", &worker)]);
    stage
        .queue(json!({"batch": 10}), json!({"ordering": "key"}))
        .await;
    for data in ["1", "2", "3", "4"] {
        stage.send(data, json!({"key": "same"})).await;
    }
    assert_eq!(stage.written("log", 5).await, ["1", "2", "2", "3", "4"]);
    stage.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_answers_messages_of_a_batch() {
    let worker = format!(
        "{IDS}
id=$(ids question)
echo \"{{\\\"replies\\\": [{{\\\"header\\\": {{\\\"reply_to\\\": $id, \\\"to\\\": [\\\"queue:out\\\"]}}, \\\"body\\\": {{\\\"data\\\": \\\"answer\\\"}}}}]}}\""
    );
    let stage = Stage::set(&[("worker", &worker)]);
    let api = stage.api();
    api.make("/v1/queues", &json!({"name": "out"})).await;
    stage.queue(json!({"batch": 10}), json!({})).await;
    let anywhere = json!({"settings": {"replies": "anywhere"}});
    let (status, channel) = api.patch("/v1/channels/worker", &anywhere).await;
    assert_eq!(status, 200, "{channel}");
    stage.send("question", json!({})).await;
    let ask = json!({"wait": 30});
    let answer = api.make("/v1/queues/out/receive", &ask).await;
    assert_eq!(answer["messages"][0]["message"]["body"]["data"], "answer");
    stage.emptied().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_of_a_queue() {
    let worker = format!("{DATA}\nsleep 0.2\ndata >> log");
    let stage = Stage::set(&[("worker", &worker)]);
    stage.queue(json!({"batch": 3}), json!({})).await;
    let names: Vec<String> = (100..130).map(|number| number.to_string()).collect();
    for name in &names {
        stage.send(name, json!({})).await;
    }
    stage.written("log", 3).await;
    let Stage {
        folder,
        options,
        server,
    } = stage;
    server.kill().await;
    let stage = Stage {
        folder,
        server: options.start(),
        options,
    };
    stage.emptied().await;
    let mut done = stage.lines("log");
    done.sort_unstable();
    done.dedup();
    assert_eq!(done, names);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_batch_and_gives_it_back() {
    let worker = format!(
        "{DATA}
data >> log
[ -e stopped ] && exit 0
sleep 1000 &
echo $$ $! > processes
wait"
    );
    let stage = Stage::with(&[("worker", &worker)], |options| {
        options.set("shutdown__limit_seconds", "1")
    });
    stage.queue(json!({}), json!({})).await;
    stage.send("once", json!({})).await;
    let processes = stage.written("processes", 1).await.remove(0);
    std::fs::write(stage.file("stopped"), "").unwrap();
    let paused = |paused: bool| json!({"paused": paused});
    stage
        .api()
        .patch("/v1/channels/worker", &paused(true))
        .await;
    let Stage {
        folder,
        options,
        server,
    } = stage;
    let (status, _) = server.stop().await;
    assert!(status.success());
    gone(&processes).await;
    let stage = Stage {
        folder,
        server: options.start(),
        options,
    };
    let (_, state) = stage.api().get("/v1/queues/jobs/state").await;
    let given_back = (&state["active"], &state["leased"]);
    assert_eq!(given_back, (&json!(1), &json!(0)), "no lease has to end");
    stage
        .api()
        .patch("/v1/channels/worker", &paused(false))
        .await;
    stage.emptied().await;
    assert_eq!(stage.lines("log"), ["once", "once"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_needs_a_channel_that_takes_batches() {
    let stage = Stage::set(&[("worker", "exit 0")]);
    let api = stage.api();
    let hook =
        json!({"name": "hook", "kind": "webhook", "settings": {"url": "http://127.0.0.1:9/"}});
    api.make("/v1/channels", &hook).await;
    for (trigger, code, field) in [
        (
            json!({"channel": "none"}),
            "unknown_channel",
            "trigger.channel",
        ),
        (
            json!({"channel": "hook"}),
            "invalid_trigger",
            "trigger.channel",
        ),
        (
            json!({"channel": "hook", "batch": 101}),
            "out_of_range",
            "trigger.batch",
        ),
        (
            json!({"channel": "hook", "wait": 60_001}),
            "out_of_range",
            "trigger.wait",
        ),
    ] {
        let queue = json!({"name": "jobs", "trigger": trigger});
        let (status, problem) = api.post("/v1/queues", &queue).await;
        let refused = (status, problem["code"].as_str(), problem["field"].as_str());
        assert_eq!(refused, (422, Some(code), Some(field)));
    }
    let channel = [
        "channel",
        "create",
        "worker",
        "--kind",
        "exec",
        "--set",
        "program=worker",
    ];
    stage.server.anser(&channel).ok();
    let create = [
        "queue",
        "create",
        "jobs",
        "--trigger",
        "worker",
        "--batch",
        "5",
        "--batch-wait",
        "20",
    ];
    let shown = stage
        .server
        .anser(&[&create[..], &["--output", "json"]].concat())
        .json();
    assert_eq!(
        shown["trigger"],
        json!({"channel": "worker", "batch": 5, "wait": 20})
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_stays_while_a_queue_needs_it_and_takes_nothing_while_it_is_paused() {
    let stage = Stage::set(&[("worker", "exit 0")]);
    let api = stage.api();
    stage.queue(json!({}), json!({})).await;
    let (status, problem) = api.delete("/v1/channels/worker?cascade=true").await;
    assert_eq!((status, &problem["code"]), (409, &json!("in_use")));
    assert!(problem["detail"].as_str().unwrap().contains("queue:jobs"));
    let (_, paused) = api
        .patch("/v1/channels/worker", &json!({"paused": true}))
        .await;
    assert_eq!(paused["state"], "paused");
    stage.send("waits", json!({})).await;
    let ask = json!({"wait": 30});
    let answer = api.make("/v1/queues/jobs/receive", &ask).await;
    let receipt = &answer["messages"][0]["receipt"];
    assert!(receipt.is_string(), "it was left to others: {answer}");
    let back = json!({"receipts": [receipt]});
    api.make("/v1/queues/jobs/nack", &back).await;
    api.patch("/v1/channels/worker", &json!({"paused": false}))
        .await;
    stage.emptied().await;
    let (_, queue) = api
        .patch("/v1/queues/jobs", &json!({"trigger": null}))
        .await;
    assert_eq!(queue.get("trigger"), None, "{queue}");
    let (status, _) = api.delete("/v1/channels/worker").await;
    assert_eq!(status, 204);
}
