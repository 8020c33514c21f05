//! What a kill leaves behind: leases that hold, acknowledgements that stay, and nothing lost.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{JOBS, ack, data, queue, receive, send, state};
use crate::harness::{ServerOptions, eventually};

/// Messages of each fate.
const EACH: usize = 20;

fn numbers(received: &[Value]) -> BTreeSet<u64> {
    data(received)
        .iter()
        .map(|number| number.as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn killed_while_leases_are_out_they_hold_and_what_is_done_stays_done() {
    let options = ServerOptions::default();
    let server = options.start();
    let api = server.api();
    queue(&api, JOBS, json!({})).await;
    for n in 0..4 * EACH as u64 {
        send(&api, JOBS, n).await;
    }
    let lease = |seconds: u64| json!({"max": EACH, "lease": seconds});
    let done = receive(&api, JOBS, lease(600)).await;
    let held = receive(&api, JOBS, lease(600)).await;
    let lost = receive(&api, JOBS, lease(2)).await;
    let all: Vec<&Value> = done.iter().collect();
    assert_eq!(ack(&api, JOBS, &all).await, [true; EACH]);

    let server = server.kill().await.start();
    let api = server.api();
    let everything: BTreeSet<u64> = (0..4 * EACH as u64).collect();
    let expected = &(&everything - &numbers(&done)) - &numbers(&held);
    let mut seen = BTreeSet::new();
    let seen_all = std::cell::RefCell::new(&mut seen);
    eventually(
        "what was not leased comes, and what was lost comes again",
        || async {
            let received = receive(&api, JOBS, json!({"max": 100, "wait": 1, "lease": 600})).await;
            for message in &received {
                let n = data(std::slice::from_ref(message))[0].as_u64().unwrap();
                let again = numbers(&lost).contains(&n);
                assert_eq!(message["receives"], if again { 2 } else { 1 }, "{message}");
                assert!(seen_all.borrow_mut().insert(n), "{n} came twice");
            }
            (seen_all.borrow().len() >= expected.len()).then_some(())
        },
    )
    .await;
    assert_eq!(seen, expected);
    let counts = state(&api, JOBS).await;
    assert_eq!(counts["leased"], 3 * EACH, "{counts}");
    let all: Vec<&Value> = held.iter().collect();
    assert_eq!(
        ack(&api, JOBS, &all).await,
        [true; EACH],
        "receipts outlive the process"
    );
    let all: Vec<&Value> = lost.iter().collect();
    assert_eq!(ack(&api, JOBS, &all).await, [false; EACH]);
}

#[tokio::test]
async fn a_receive_that_waits_does_not_hold_up_a_stop() {
    let server = ServerOptions::default().start();
    let api = server.api();
    queue(&api, JOBS, json!({})).await;
    let clock = anser_core::clock::SystemClock::new();
    let wait = api
        .request(reqwest::Method::POST, &format!("/v1/queues/{JOBS}/receive"))
        .json(&json!({"wait": 30}));
    let (answer, (status, _)) = tokio::join!(api.try_send(wait), async {
        state(&api, JOBS).await;
        server.stop().await
    });
    assert!(status.success(), "{status}");
    // Answered empty, or, when the stop came first, refused or not taken at all.
    if let Ok((200, answer)) = answer {
        assert_eq!(answer, json!({"messages": []}));
    }
    let took = anser_core::clock::Clock::monotonic(&clock);
    assert!(took < std::time::Duration::from_secs(15), "{took:?}");
}
