//! A tour of `anser queue` against a running server.

use serde_json::{Value, json};

use crate::harness::Server;

fn receipts(received: &Value) -> Vec<String> {
    received["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|message| message["receipt"].as_str().unwrap().to_owned())
        .collect()
}

#[test]
fn a_queue_from_the_command_line() {
    let server = Server::start();
    let ok = |line: &str| server.anser(&line.split(' ').collect::<Vec<_>>()).ok();
    let json = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["--output", "json"]);
        server.anser(&words).json()
    };
    assert!(ok("queue create dead").contains("created"));
    let create = "queue create jobs --lease 60 --rewind 600 --dead-letter dead --max-receives 2";
    assert!(ok(create).contains("created"));
    assert!(ok(create).contains("unchanged"));
    assert!(ok("queue list").contains("jobs"));
    assert!(ok("queue get jobs").contains("max_receives"));
    assert!(ok("queue set jobs wait=1 description=work").contains("work"));
    assert!(ok("queue receive jobs --wait 0").contains("none"));

    assert!(ok("queue send jobs --type job.new hello").contains("accepted, 1 delivery"));
    assert!(ok("send --to queue:jobs world").contains("accepted, 1 delivery"));
    assert_eq!(json("queue state jobs")["active"], 2);
    let printed = ok("queue receive jobs");
    assert!(
        printed.contains("job.new") && printed.contains("hello"),
        "{printed}"
    );
    let receipt = printed.split(' ').next().unwrap();
    assert!(ok(&format!("queue extend jobs {receipt} --lease 600")).contains("true"));
    assert!(ok(&format!("queue nack jobs {receipt}")).contains("true"));
    let void = server.anser(&["queue", "ack", "jobs", receipt]);
    assert_eq!(void.code, 3, "{}", void.stdout);
    assert!(void.stderr.contains("void_receipts"), "{}", void.stderr);

    let both = json("queue receive jobs --max 10 --ack");
    assert_eq!(receipts(&both).len(), 2, "{both}");
    assert_eq!(json("queue state jobs")["leased"], 0, "acknowledged");
    let rewind = "queue rewind jobs --from 2000-01-01T00:00:00Z";
    let refused = server.anser(&rewind.split(' ').collect::<Vec<_>>());
    assert_eq!(refused.code, 3, "{}", refused.stdout);
    assert!(
        refused.stderr.contains("invalid_rewind_time"),
        "{}",
        refused.stderr
    );
    assert_eq!(json("queue purge jobs"), json!({"count": 0}));
    dead_letters(&server);
    assert_eq!(server.anser(&["queue", "delete", "dead"]).code, 3, "in use");
    ok("queue delete jobs");
    ok("queue delete dead");
}

/// Given back twice, a message is a dead letter; it goes back and is acknowledged.
fn dead_letters(server: &Server) {
    let json = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["--output", "json"]);
        server.anser(&words).json()
    };
    json("queue send jobs bad");
    for _ in 0..2 {
        let receipt = receipts(&json("queue receive jobs")).remove(0);
        json(&format!("queue nack jobs {receipt}"));
    }
    assert!(receipts(&json("queue receive jobs --wait 0")).is_empty());
    assert_eq!(json("queue redrive dead --limit 5"), json!({"count": 1}));
    let receipt = receipts(&json("queue receive jobs")).remove(0);
    let done = json(&format!("queue ack jobs {receipt}"));
    assert_eq!(done["results"][0]["ok"], true);
}

#[test]
fn a_topic_goes_into_a_queue_from_the_command_line() {
    let server = Server::start();
    let ok = |line: &str| server.anser(&line.split(' ').collect::<Vec<_>>()).ok();
    ok("queue create jobs");
    ok("topic create orders");
    ok("subscription create orders jobs --queue jobs --types order.#");
    assert!(ok("subscription list orders").contains("jobs"));
    ok("send --topic orders --type order.paid paid");
    assert!(ok("queue receive jobs --wait 5 --ack").contains("paid"));
    let refused = server.anser(&["queue", "delete", "jobs"]);
    assert!(refused.stderr.contains("in_use"), "{}", refused.stderr);
    ok("queue delete jobs --cascade");
    assert!(ok("subscription list").contains("none"));
}

#[test]
fn a_key_for_cmq_clients_is_shown_once() {
    let server = Server::start();
    let create = [
        "key",
        "create",
        "cmq",
        "--scopes",
        "publish,consume,admin",
        "--cmq",
        "--app-id",
        "1250000000",
        "--output",
        "json",
    ];
    let made = server.anser(&create).json();
    assert!(
        made["cmq"]["secret_id"]
            .as_str()
            .unwrap()
            .starts_with("AKID"),
        "{made}"
    );
    assert_eq!(
        made["cmq"]["secret_key"].as_str().unwrap().len(),
        32,
        "{made}"
    );
    assert_eq!(made["cmq"]["app_id"], 1_250_000_000_u64, "{made}");
    let again = server.anser(&create).json();
    assert_eq!(
        again["cmq"]["secret_id"], made["cmq"]["secret_id"],
        "{again}"
    );
    assert_eq!(again["cmq"].get("secret_key"), None, "{again}");
    let other = server.anser(&["key", "create", "other", "--scopes", "publish", "--cmq"]);
    let printed = other.ok();
    assert!(
        printed.contains("secret_id") && printed.contains("secret_key"),
        "{printed}"
    );
    let shown = server.anser(&["key", "get", "other"]).ok();
    assert!(
        shown.contains("AKID") && !shown.contains("secret_key"),
        "{shown}"
    );
}
