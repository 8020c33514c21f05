//! The programs of `docs/guide/programs.md` do what the page says; they need Python.

use super::*;

const GUIDE: &str = include_str!("../../../../../docs/guide/programs.md");

/// Puts the programs of the page into the folder, in their order.
fn install(stage: &Stage, names: &[&str]) {
    let blocks: Vec<&str> = GUIDE.split("```python\n").skip(1).collect();
    assert_eq!(blocks.len(), names.len());
    for (name, block) in names.iter().zip(blocks) {
        let (text, _) = block.split_once("```").unwrap();
        std::fs::write(stage.file(name), text).unwrap();
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(stage.file(name), mode).unwrap();
    }
}

async fn receive(api: &Api, queue: &str) -> Value {
    let ask = json!({"wait": 30});
    let call = format!("/v1/queues/{queue}/receive");
    eventually("a message", || async {
        let answer = api.make(&call, &ask).await;
        answer["messages"].get(0).cloned()
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_and_the_worker_of_the_guide_work() {
    let stage = Stage::set(&[]);
    install(&stage, &["echo.py", "worker.py"]);
    let api = stage.api();
    for queue in ["out", "dead"] {
        api.make("/v1/queues", &json!({"name": queue})).await;
    }
    stage.route("echo.py", json!({})).await;
    let said = json!({"header": {"conversation": {"id": "queue:out", "type": "group"}},
        "body": {"segments": [{"type": "text", "text": "hello"}]}});
    api.publish("orders", &said).await;
    let answer = receive(&api, "out").await;
    let text = &answer["message"]["body"]["segments"][0]["text"];
    assert_eq!(text, "hello", "{answer:#}");

    let anser = |line: &str| {
        let words: Vec<&str> = line.split(' ').skip(1).collect();
        stage.server.anser(&words).ok();
    };
    let lines = GUIDE.lines();
    for line in lines.filter(|line| {
        line.starts_with("anser channel create worker")
            || line.starts_with("anser queue create jobs")
    }) {
        anser(&line.replace("--max-receives 5", "--max-receives 2"));
    }
    for data in [json!({"order": 1}), json!("no order"), json!({"order": 2})] {
        let item = json!({"header": {"to": ["queue:jobs"]}, "body": {"data": data}});
        api.make("/v1/messages", &item).await;
    }
    let dead = receive(&api, "dead").await;
    assert_eq!(dead["message"]["body"]["data"], "no order");
    eventually("the queue is empty", || async {
        let (_, state) = api.get("/v1/queues/jobs/state").await;
        (state["active"] == 0 && state["leased"] == 0).then_some(())
    })
    .await;
}
