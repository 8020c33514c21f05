//! A pool of workers that wait for messages, while others send them and the server is killed in the middle: every message
//! comes, none comes twice unless its lease had run out, and none comes again once it was acknowledged.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::{Clock as _, SystemClock};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{queue, state};
use crate::harness::{Api, DEADLINE, ServerOptions, eventually};

const POOL: &str = "pool";
/// Those who receive, each waiting when there is nothing.
const CONSUMERS: usize = 64;
/// Those who send.
const PRODUCERS: usize = 4;
/// How many messages; the full run sets [`MESSAGES_VARIABLE`] to 100000.
const MESSAGES: usize = 4_000;
const MESSAGES_VARIABLE: &str = "ANSER_QUEUE_MESSAGES";
/// Messages that a producer sends at once.
const BATCH: usize = 50;
/// Messages that a consumer receives at once.
const RECEIVE_MAX: usize = 10;
/// Of so many receives, one is forgotten: what it got is never acknowledged by who got it.
const FORGOTTEN_EVERY: usize = 50;
/// Seconds of a lease: what a killed server had just given out comes again after so long.
const LEASE: u64 = 5;
/// Seconds that a receive waits.
const WAIT: u64 = 2;

/// One receive of a message, as its consumer saw it.
struct Seen {
    receives: u64,
    lease_until: Timestamp,
}

/// What consumers saw of a message.
#[derive(Default)]
struct Fate {
    seen: Vec<Seen>,
    /// By which of its receives it was acknowledged, for sure.
    done_by: Option<u64>,
}

#[derive(Default)]
struct Ledger {
    fates: HashMap<u64, Fate>,
    /// Acknowledged, perhaps: the first answer was lost, and a repeat found the receipt void.
    unsure: HashSet<u64>,
    receives: usize,
    done: usize,
}

/// An answer, and whether it is to a repeat.
struct Told {
    answer: Value,
    repeated: bool,
}

/// What all share.
#[derive(Clone)]
struct Work {
    /// The server that answers now.
    api: watch::Receiver<Api>,
    ledger: Arc<Mutex<Ledger>>,
    /// How many are acknowledged for sure.
    done: watch::Sender<usize>,
    /// Whether nothing is left to receive.
    finished: watch::Receiver<bool>,
    messages: usize,
}

impl Work {
    /// Posts until there is an answer, from whichever server; none when everything was finished meanwhile.
    async fn post(&mut self, path: &str, body: &Value) -> Option<Told> {
        let mut repeated = false;
        loop {
            let api = self.api.borrow_and_update().clone();
            let request = api.request(Method::POST, path).json(body);
            match api.try_send(request).await {
                Ok((200 | 202, answer)) => return Some(Told { answer, repeated }),
                // A gateway that is going down may say so.
                Ok((503, _)) | Err(_) => {}
                Ok((status, answer)) => panic!("{status} {answer}"),
            }
            repeated = true;
            tokio::select! {
                biased;
                changed = self.api.changed() => changed.unwrap(),
                _ = self.finished.wait_for(|finished| *finished) => return None,
            }
        }
    }

    async fn produce(mut self, producer: usize) {
        let mine: Vec<usize> = (producer..self.messages).step_by(PRODUCERS).collect();
        for batch in mine.chunks(BATCH) {
            let items: Vec<Value> = batch
                .iter()
                .map(|n| {
                    json!({"header": {"to": [format!("queue:{POOL}")]}, "body": {"data": n},
                        "dedupe_key": format!("pool-{n}")})
                })
                .collect();
            let answer = self.post("/v1/messages", &json!(items)).await;
            let told = answer.expect("nothing is finished before it is given out");
            for result in told.answer["results"].as_array().unwrap() {
                assert_eq!(result["status"], 202, "{result}");
            }
        }
    }

    async fn consume(mut self) {
        let receive = format!("/v1/queues/{POOL}/receive");
        let ask = json!({"max": RECEIVE_MAX, "wait": WAIT});
        while !*self.finished.borrow() {
            let Some(told) = self.post(&receive, &ask).await else {
                return;
            };
            let received = told.answer["messages"].as_array().unwrap();
            if received.is_empty() {
                continue;
            }
            let receives = self.note(received);
            if !receives.is_multiple_of(FORGOTTEN_EVERY) {
                self.acknowledge(received).await;
            }
        }
    }

    async fn acknowledge(&mut self, received: &[Value]) {
        let receipts: Vec<&Value> = received.iter().map(|message| &message["receipt"]).collect();
        let ack = format!("/v1/queues/{POOL}/ack");
        let told = self.post(&ack, &json!({"receipts": receipts})).await;
        let told = told.expect("nothing is finished while it is held");
        let results = told.answer["results"].as_array().unwrap();
        let mut ledger = self.ledger.lock().unwrap();
        for (message, result) in received.iter().zip(results) {
            if result["ok"] == true {
                let fate = ledger.fates.get_mut(&number(message)).unwrap();
                assert_eq!(fate.done_by, None, "acknowledged twice: {message}");
                fate.done_by = message["receives"].as_u64();
                ledger.done += 1;
            } else if told.repeated {
                ledger.unsure.insert(number(message));
            }
        }
        let done = ledger.done;
        drop(ledger);
        self.done.send_replace(done);
    }

    /// Answers how many receives there were so far.
    fn note(&self, received: &[Value]) -> usize {
        let mut ledger = self.ledger.lock().unwrap();
        for message in received {
            let fate = ledger.fates.entry(number(message)).or_default();
            fate.seen.push(Seen {
                receives: message["receives"].as_u64().unwrap(),
                lease_until: message["lease_until"].as_str().unwrap().parse().unwrap(),
            });
        }
        ledger.receives += 1;
        ledger.receives
    }

    /// Waits until at least so many are acknowledged, for as long as it goes on.
    async fn until(&self, enough: usize) {
        let mut done = self.done.subscribe();
        while *done.borrow_and_update() < enough {
            let more = tokio::time::timeout(DEADLINE, done.changed()).await;
            assert!(
                more.is_ok(),
                "it came to a halt at {} of {enough}",
                *done.borrow()
            );
        }
    }
}

/// Waits until nothing is left in the queue, for as long as it becomes less.
async fn emptied(api: &Api) {
    let mut left = unfinished(api).await;
    while left > 0 {
        let what = format!("fewer than {left} messages are left");
        let fewer = || async {
            let now = unfinished(api).await;
            (now < left).then_some(now)
        };
        left = eventually(&what, fewer).await;
    }
}

async fn unfinished(api: &Api) -> u64 {
    let counts = state(api, POOL).await;
    let parts = ["active", "leased", "delayed"];
    parts
        .map(|part| counts[part].as_u64().unwrap())
        .iter()
        .sum()
}

fn number(message: &Value) -> u64 {
    message["message"]["body"]["data"].as_u64().unwrap()
}

impl Ledger {
    /// Every message came, each receive only once the lease before had ended, and nothing after its acknowledgement.
    /// Answers how many receives there were beyond one a message.
    fn check(&mut self, messages: usize) -> usize {
        assert_eq!(self.fates.len(), messages, "each came");
        let mut again = 0;
        for (n, fate) in &mut self.fates {
            fate.seen.sort_by_key(|seen| seen.receives);
            for pair in fate.seen.windows(2) {
                let [first, next] = pair else { continue };
                assert_ne!(
                    first.receives, next.receives,
                    "{n}: one receive, two consumers"
                );
                let leased = next.lease_until.minus(Duration::from_secs(LEASE));
                assert!(leased >= first.lease_until, "{n}: while the lease was out");
            }
            let last = fate.seen.last().expect("it was seen");
            match fate.done_by {
                Some(by) => assert_eq!(last.receives, by, "{n}: received after it was done"),
                None => assert!(
                    self.unsure.contains(n),
                    "{n}: gone, and nobody was told why"
                ),
            }
            again += fate.seen.len() - 1;
        }
        again
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_get_every_message_and_none_twice_unless_its_lease_ran_out() {
    let given = std::env::var(MESSAGES_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    let messages = given.unwrap_or(MESSAGES);
    let options = ServerOptions::default();
    let server = options.start();
    queue(&server.api(), POOL, json!({"lease": LEASE})).await;
    let (current, api) = watch::channel(server.api());
    let (finish, finished) = watch::channel(false);
    let work = Work {
        api,
        ledger: Arc::default(),
        done: watch::Sender::new(0),
        finished,
        messages,
    };
    let clock = SystemClock::new();
    let (mut consumers, mut producers) = (JoinSet::new(), JoinSet::new());
    for _ in 0..CONSUMERS {
        consumers.spawn(work.clone().consume());
    }
    for producer in 0..PRODUCERS {
        producers.spawn(work.clone().produce(producer));
    }
    work.until(messages / 2).await;
    let server = server.kill().await.start();
    current.send_replace(server.api());
    while let Some(ended) = producers.join_next().await {
        ended.unwrap();
    }
    emptied(&server.api()).await;
    let took = clock.monotonic();
    finish.send_replace(true);
    while let Some(ended) = consumers.join_next().await {
        ended.unwrap();
    }
    let again = work.ledger.lock().unwrap().check(messages);
    assert!(again > 0, "what was forgotten came again");
    println!("{messages} messages in {took:?} with a kill, {again} received again");
}
