//! Rounds of load, each ended by a signal at a random moment; the next begins on the same data.

use anser_core::clock::{Clock as _, SystemClock};
use rustix::process::Signal;
use serde_json::json;

use super::load::{Books, PUBLISHERS, Publisher, publish_all};
use crate::harness::{Receiver, Server, ServerOptions, eventually};

/// How many rounds; the full run sets [`ROUNDS_VARIABLE`] to 100.
const ROUNDS: usize = 20;
const ROUNDS_VARIABLE: &str = "ANSER_CRASH_ROUNDS";
/// Repeats a run: the moments of the signals come from it.
const SEED_VARIABLE: &str = "ANSER_CRASH_SEED";
/// Acknowledgements in one round, at most.
const ROUND_MAX: u64 = 600;

/// SplitMix64: enough to choose moments.
struct Dice(u64);

impl Dice {
    fn from_environment() -> Self {
        let given = std::env::var(SEED_VARIABLE)
            .ok()
            .and_then(|text| text.parse().ok());
        let seed = given.unwrap_or_else(|| SystemClock::new().now().millis().unsigned_abs());
        println!("{SEED_VARIABLE}={seed}");
        Self(seed)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % bound
    }
}

/// Load, ended in each round by `signal`; answers the books once everything that was accepted has come.
async fn run(rounds: usize, signal: Signal) -> Books {
    let mut dice = Dice::from_environment();
    let receiver = Receiver::start().await;
    let options = ServerOptions::default();
    let server = options.start();
    server
        .api()
        .route(
            "crash",
            "hook",
            &receiver.url("/hook"),
            json!({}),
            json!({"retry": [0.1, 1, 5]}),
        )
        .await;
    let books = Books::new();
    let mut publishers: Vec<Publisher> = (0..PUBLISHERS).map(Publisher::new).collect();
    let mut server = Some(server);
    for round in 0..rounds {
        let running = server.take().unwrap_or_else(|| options.start());
        let work = publish_all(publishers, &running.api(), &books);
        let enough = books.ledger.lock().unwrap().acknowledged() + dice.below(ROUND_MAX) as usize;
        books.acknowledged(enough).await;
        end(running, signal).await;
        publishers = work.join_all().await;
        receiver.drained().await;
        books
            .ledger
            .lock()
            .unwrap()
            .receive(round, &receiver.take());
    }
    let server = options.start();
    let api = server.api();
    for publisher in &mut publishers {
        publisher.finish(&api, &books).await;
    }
    delivered(&books, &receiver, rounds).await;
    settled(&server).await;
    let mut ledger = books.ledger.lock().unwrap();
    ledger.receive(rounds, &receiver.take());
    ledger.check();
    println!(
        "{} acknowledged, {} duplicates in {rounds} rounds",
        ledger.acknowledged(),
        ledger.duplicates
    );
    drop(ledger);
    books
}

/// Waits until everything that was acknowledged has come, for as long as something comes.
async fn delivered(books: &Books, receiver: &Receiver, round: usize) {
    let receive = || {
        let mut ledger = books.ledger.lock().unwrap();
        ledger.receive(round, &receiver.take());
        ledger.missing()
    };
    let mut missing = receive();
    println!("{} to be delivered by the last server", missing.len());
    while let Some(first) = missing.first() {
        let what = format!(
            "{} messages are delivered, such as {first:?}",
            missing.len()
        );
        let fewer = || async {
            let now = receive();
            (now.len() < missing.len()).then_some(now)
        };
        missing = eventually(&what, fewer).await;
    }
}

async fn end(mut server: Server, signal: Signal) {
    server.signal(signal);
    let status = server.ended().await;
    if signal == Signal::TERM {
        assert!(status.success(), "{status}");
    }
}

/// Waits until no delivery is unfinished.
async fn settled(server: &Server) {
    let api = server.api();
    let none = || async {
        let (_, text) = api.get("/metrics").await;
        let mut depths = text
            .as_str()?
            .lines()
            .filter(|line| line.starts_with("anser_queue_depth"));
        depths.all(|line| line.ends_with(" 0")).then_some(())
    };
    eventually("every delivery has ended", none).await;
}

#[tokio::test]
async fn killed_under_load_nothing_is_lost_and_only_what_was_in_flight_comes_twice() {
    let given = std::env::var(ROUNDS_VARIABLE)
        .ok()
        .and_then(|text| text.parse().ok());
    run(given.unwrap_or(ROUNDS), Signal::KILL).await;
}

#[tokio::test]
async fn terminated_under_load_nothing_is_lost_and_nothing_comes_twice() {
    let books = run(4, Signal::TERM).await;
    books.ledger.lock().unwrap().check_no_duplicates();
}
