//! The task of a session, on paused time and without a network: what it does while there is no token to connect with.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::clock::Clock;

use super::*;
use crate::{Credential, Error, Token, TokenError};

/// A clock that goes with the runtime's, which a test stops.
struct RuntimeClock(tokio::time::Instant);

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        Timestamp::EPOCH.plus(self.0.elapsed())
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock of a test goes with the runtime's, which is paused"
)]
fn clock() -> Arc<RuntimeClock> {
    Arc::new(RuntimeClock(tokio::time::Instant::now()))
}

fn builder(credential: Credential) -> LiveBuilder {
    LiveBuilder::new("http://127.0.0.1:9").credential(credential)
}

#[tokio::test(start_paused = true)]
async fn a_source_that_fails_is_asked_again_and_its_reason_is_told_in_the_end() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let source = Credential::source(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err::<Token, TokenError>("the vault is sealed".into()) }
    });
    let clock = clock();
    let within = Duration::from_secs(60);
    let opened = builder(source).connect_within(within).open(clock.clone());
    let Err(Error::Unreachable { cause, .. }) = opened.await else {
        panic!("there is no server");
    };
    assert!(cause.contains("the vault is sealed"), "{cause}");
    assert_eq!(clock.monotonic().as_secs(), within.as_secs());
    let asked = asked.load(Ordering::Relaxed);
    assert!((6..20).contains(&asked), "asked {asked} times in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_source_that_hangs_is_not_waited_for() {
    let source = Credential::source(std::future::pending::<Result<Token, TokenError>>);
    let clock = clock();
    let within = Duration::from_secs(25);
    let opened = builder(source).connect_within(within).open(clock.clone());
    let Err(Error::Unreachable { cause, .. }) = opened.await else {
        panic!("there is no server");
    };
    assert!(cause.contains("took too long"), "{cause}");
    assert_eq!(clock.monotonic().as_secs(), within.as_secs());
}
