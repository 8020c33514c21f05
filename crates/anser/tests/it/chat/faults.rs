//! Thousands of messages through every door of every platform at once, while answers get lost, servers break and the gateway
//! is killed.

use std::collections::HashMap;
use std::time::Duration;

use anser_core::clock::{Clock as _, SystemClock};
use anser_sim::{Counted, Fault, FaultKind, Limit, Platform, Received, Sim};
use serde_json::{Value, json};

use super::doors::{DOORS, Door, Doors};
use crate::harness::{Api, ServerOptions, eventually};

/// Conversations at each door, each an ordering key.
const KEYS: usize = 5;
/// How many messages over all doors; the full measure is 10,000. Absent: as many as take seconds.
const MESSAGES_VARIABLE: &str = "ANSER_FAULT_MESSAGES";
const MESSAGES: usize = 720;
/// Messages in one request.
const AT_ONCE: usize = 100;
/// Requests in a row that an outage hits.
const OUTAGE: u32 = 8;

/// What the channels keep to: the platforms' proportions in a fraction of their time. In any 300 ms no more than
/// 5 + 60 × 0.3 = 23 go, and one more of each conversation may have been on its way.
fn rate() -> Value {
    json!({"per_second": 60, "burst": 5})
}

/// What the stand-ins hold them to, by all that the platforms count.
fn windows() -> Vec<Limit> {
    [Counted::Robot, Counted::App, Counted::Method, Counted::Chat]
        .map(|counted| Limit::sliding(counted, 30, Duration::from_millis(300)))
        .to_vec()
}

/// Messages in each conversation.
fn each() -> usize {
    let wanted = std::env::var(MESSAGES_VARIABLE).ok();
    let wanted = wanted.map_or(MESSAGES, |wanted| wanted.parse().expect("a number"));
    wanted.div_ceil(DOORS.len() * KEYS)
}

fn trouble(door: &Door, sim: &Sim) {
    for (every, kind) in [
        (7, FaultKind::DropAfterAccept),
        (11, FaultKind::ServerError { status: 503 }),
        (13, FaultKind::TruncateJson),
        (17, FaultKind::Slow { millis: 40 }),
        (19, door.busy()),
    ] {
        sim.fail(Fault::every(every, kind)).unwrap();
    }
}

/// All doors with trouble behind each, and what was published.
struct Run {
    doors: Doors,
    /// Messages in each conversation.
    each: usize,
    /// What each message says, and its id, in the order in which they were published.
    published: Vec<(String, String)>,
    kills: usize,
    /// Runs since they were.
    clock: SystemClock,
}

impl Run {
    async fn begin() -> Self {
        let each = each();
        let doors = Doors::open(ServerOptions::default(), &windows(), &rate()).await;
        let api = doors.api();
        api.make("/v1/topics", &json!({"name": "chat"})).await;
        for (door, sim) in &doors.sims {
            trouble(door, sim);
            let subscription = json!({"name": door.kind, "channel": door.kind, "ordering": "key",
                "retry": {"first": 0.05, "factor": 1, "jitter": 0}});
            api.make("/v1/topics/chat/subscriptions", &subscription)
                .await;
        }
        let clock = SystemClock::new();
        let texts: Vec<String> = (0..KEYS * each).map(|n| said(n % KEYS, n / KEYS)).collect();
        let mut published = Vec::new();
        for texts in texts.chunks(AT_ONCE) {
            let items: Vec<Value> = texts
                .iter()
                .map(|text| json!({"header": {"key": &text[..2]}, "body": {"segments": [{"type": "text", "text": text}]}}))
                .collect();
            let answer = api.make("/v1/topics/chat/messages", &json!(items)).await;
            let results = answer["results"].as_array().unwrap().iter();
            let ids = results.map(|result| result["id"].as_str().unwrap().to_owned());
            published.extend(texts.iter().cloned().zip(ids));
        }
        Self {
            doors,
            each,
            published,
            kills: 0,
            clock,
        }
    }

    /// Waits until one door has taken a third of all, while none has taken everything.
    async fn middle(&self) {
        let all = KEYS * self.each;
        eventually("a third has come", || async {
            let enough = |(_, sim): &(Door, Sim)| sim.messages().len() >= all / 3;
            self.doors.sims.iter().any(enough).then_some(())
        })
        .await;
        for (door, sim) in &self.doors.sims {
            let count = sim.messages().len();
            assert!(count < all, "{}: it was to be in the middle", door.kind);
        }
    }

    /// An outage of every platform, once enough has gone well that it is no reason to give up on any.
    async fn outage(&self) {
        let all = KEYS * self.each;
        eventually("a part of all has come to every door", || async {
            let enough = |(_, sim): &(Door, Sim)| sim.messages().len() >= all / 3;
            self.doors.sims.iter().all(enough).then_some(())
        })
        .await;
        for (_, sim) in &self.doors.sims {
            let down = FaultKind::ServerError { status: 502 };
            sim.fail(Fault::next(OUTAGE, down)).unwrap();
        }
    }

    async fn kill(&mut self) {
        self.doors.kill_and_restart().await;
        self.kills += 1;
    }

    /// Waits until everything is delivered, holds every stand-in's books against what the gateway says, and tells the figures.
    async fn finish(self) {
        let api = self.doors.api();
        let deliveries = delivered(&api, &self.published).await;
        let took = self.clock.monotonic();
        let (mut taken, mut requests, mut faults, mut twice) = (0, 0, 0, 0);
        for (door, sim) in &self.doors.sims {
            twice += self.audit(&api, door, sim, &deliveries).await;
            let counters = sim.counters();
            taken += counters.accepted;
            requests += counters.requests;
            faults += counters.faults;
        }
        let sent = self.published.len() * DOORS.len();
        eprintln!(
            "{sent} messages through {} doors in {took:.1?} with {} kills: {requests} requests, {faults} faults, {taken} taken, \
             {twice} of them more than once and declared, 0 lost, 0 out of order, 0 over a limit",
            DOORS.len(),
            self.kills
        );
    }

    /// The books of a stand-in against what the gateway says of its deliveries. What was under way at a kill has no record
    /// of its own: the attempt after it is marked for both. Answers how many came again.
    async fn audit(
        &self,
        api: &Api,
        door: &Door,
        sim: &Sim,
        deliveries: &HashMap<(String, String), String>,
    ) -> u64 {
        let name = door.kind;
        let counters = sim.counters();
        assert!(counters.faults > 0, "{name}: {counters:?}");
        assert_eq!(counters.rate_violations, 0, "{name}: {counters:?}");
        let wrong =
            counters.size_violations + counters.credential_violations + counters.content_violations;
        assert_eq!(wrong, 0, "{name}: {counters:?}");
        let mut again = 0;
        for (text, times) in self.in_order(name, &sim.messages()) {
            if times == 1 {
                continue;
            }
            again += times as u64 - 1;
            let id = &deliveries[&(text.clone(), name.to_owned())];
            let delivery = api.get(&format!("/v1/deliveries/{id}")).await.1;
            let log = delivery["attempt_log"].as_array().unwrap();
            let declared = log
                .iter()
                .filter(|attempt| attempt["possible_duplicate"].is_string());
            assert!(
                declared.count() >= (times - 1).saturating_sub(self.kills).max(1),
                "{name}: {text} came {times} times: {delivery:#}"
            );
        }
        again
    }

    /// How often each message came. Every one must have come, the first time in the order of its conversation.
    fn in_order(&self, name: &str, messages: &[Received]) -> HashMap<String, usize> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let mut next = [0; KEYS];
        for message in messages {
            let text = text_of(message);
            let times = seen.entry(text.clone()).or_default();
            *times += 1;
            if *times == 1 {
                let key: usize = text[1..2].parse().unwrap();
                let number: usize = text[3..].parse().unwrap();
                assert_eq!(number, next[key], "{name}: {text} out of order");
                next[key] += 1;
            }
        }
        assert_eq!(next, [self.each; KEYS], "{name}: everything came");
        seen
    }
}

/// What message `number` of conversation `key` says, in letters and digits that no platform has to escape.
fn said(key: usize, number: usize) -> String {
    format!("k{key}n{number:04}")
}

fn text_of(message: &Received) -> String {
    let words = message.text.split_whitespace();
    let found = words
        .filter(|word| word.len() == 7 && word.starts_with('k'))
        .find(|word| word[2..].starts_with('n'));
    found
        .unwrap_or_else(|| panic!("no text: {message:?}"))
        .to_owned()
}

/// Waits until everything is delivered; answers the id of each delivery, by what its message says and the channel's name.
async fn delivered(api: &Api, published: &[(String, String)]) -> HashMap<(String, String), String> {
    let mut all = HashMap::new();
    for (text, id) in published {
        let deliveries = eventually(&format!("{text} is delivered everywhere"), || async {
            let deliveries = api.deliveries(id).await;
            let done = |delivery: &Value| delivery["state"] == "delivered";
            (deliveries.len() == DOORS.len() && deliveries.iter().all(done)).then_some(deliveries)
        })
        .await;
        for delivery in deliveries {
            let text_in = |name: &str| delivery[name].as_str().unwrap().to_owned();
            all.insert((text.clone(), text_in("channel")), text_in("id"));
        }
    }
    all
}

#[test]
fn every_platform_has_a_door() {
    for platform in Platform::ALL {
        let mut doors = DOORS.iter().filter(|door| door.platform == platform);
        let wanted = 1 + usize::from(platform.app(1).is_some());
        assert!(doors.by_ref().count() == wanted, "{}", platform.name());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_swapped_or_sent_too_fast_while_answers_are() {
    let run = Run::begin().await;
    run.outage().await;
    run.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_in_the_middle_loses_nothing() {
    let mut run = Run::begin().await;
    run.middle().await;
    run.kill().await;
    run.finish().await;
}
