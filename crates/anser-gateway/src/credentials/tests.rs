//! One request for however many attempts, replacement before the end, failures, and attempts that are given up.

use std::cell::Cell;

use anser_core::Timestamp;
use anser_core::clock::ManualClock;
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::Notify;

use super::*;

const HOUR: Duration = Duration::from_secs(3_600);
const KEY: Key = Key {
    channel: ResourceId(7),
    revision: 1,
};

/// A platform that gives `t-1`, `t-2` and so on, or refuses.
struct Platform {
    credentials: Credentials,
    clock: ManualClock,
    asked: Cell<u32>,
    refuses: Cell<bool>,
    lifetime: Duration,
    answers: Notify,
}

impl Platform {
    fn new(lifetime: Duration) -> Self {
        Self {
            credentials: Credentials::default(),
            clock: ManualClock::at(Timestamp::EPOCH),
            asked: Cell::new(0),
            refuses: Cell::new(false),
            lifetime,
            answers: Notify::new(),
        }
    }

    fn answer(&self) -> Result<Token, Refused> {
        self.asked.set(self.asked.get() + 1);
        if self.refuses.get() {
            return Err(Refused {
                outcome: Outcome::Retry {
                    reason: "down".to_owned(),
                },
                report: None,
            });
        }
        Ok(Token::new(format!("t-{}", self.asked.get()), self.lifetime).unwrap())
    }

    /// The token that an attempt gets at once, or why not.
    async fn get(&self, key: Key) -> Result<String, Outcome> {
        let answer = self
            .credentials
            .get(key, &self.clock, async { self.answer() });
        let answer = answer.await;
        answer
            .map(|token| token.value().to_owned())
            .map_err(|refused| refused.outcome)
    }

    /// The same from a platform that answers when it is told to.
    async fn get_slowly(&self) -> Answer {
        let ask = async {
            self.answers.notified().await;
            self.answer()
        };
        self.credentials.get(KEY, &self.clock, ask).await
    }
}

#[tokio::test]
async fn a_hundred_attempts_make_one_request() {
    let platform = Platform::new(2 * HOUR);
    let attempts = join_all((0..100).map(|_| platform.get_slowly()));
    let mut attempts = std::pin::pin!(attempts);
    assert!((&mut attempts).now_or_never().is_none());
    platform.answers.notify_one();
    for token in attempts.await {
        assert_eq!(token.unwrap().value(), "t-1");
    }
    assert_eq!(platform.asked.get(), 1);
}

#[tokio::test]
async fn a_token_is_replaced_ten_minutes_before_its_end() {
    let platform = Platform::new(2 * HOUR);
    assert_eq!(platform.get(KEY).await.unwrap(), "t-1");
    platform
        .clock
        .advance(2 * HOUR - REPLACED_BEFORE - Duration::from_secs(1));
    assert_eq!(platform.get(KEY).await.unwrap(), "t-1");
    platform.clock.advance(Duration::from_secs(1));
    assert_eq!(platform.get(KEY).await.unwrap(), "t-2");
}

#[tokio::test]
async fn while_it_is_replaced_the_old_token_serves() {
    let platform = Platform::new(2 * HOUR);
    platform.get(KEY).await.unwrap();
    platform.clock.advance(2 * HOUR - REPLACED_BEFORE);
    let mut replacing = Box::pin(platform.get_slowly());
    assert!((&mut replacing).now_or_never().is_none());
    assert_eq!(platform.get(KEY).await.unwrap(), "t-1");
    platform.refuses.set(true);
    platform.answers.notify_one();
    assert_eq!(replacing.await.unwrap().value(), "t-1", "it is still valid");
    platform.clock.advance(REPLACED_BEFORE);
    assert!(platform.get(KEY).await.is_err());
}

#[tokio::test]
async fn a_short_life_is_used_to_its_half() {
    let platform = Platform::new(Duration::from_secs(60));
    platform.get(KEY).await.unwrap();
    platform.clock.advance(Duration::from_secs(29));
    assert_eq!(platform.get(KEY).await.unwrap(), "t-1");
    platform.clock.advance(Duration::from_secs(1));
    assert_eq!(platform.get(KEY).await.unwrap(), "t-2");
}

#[tokio::test]
async fn a_failure_answers_all_for_a_second() {
    let platform = Platform::new(HOUR);
    platform.refuses.set(true);
    let asked = platform.get(KEY).await;
    assert!(matches!(asked, Err(Outcome::Retry { .. })), "{asked:?}");
    platform.clock.advance(FAILURE_KEPT / 4);
    // Those that did not ask have not failed: they wait until somebody may ask again.
    let wait = FAILURE_KEPT * 3 / 4;
    for _ in 0..100 {
        assert_eq!(platform.get(KEY).await, Err(Outcome::Limited { wait }));
    }
    assert_eq!(platform.asked.get(), 1);
    platform.refuses.set(false);
    platform.clock.advance(FAILURE_KEPT);
    assert_eq!(platform.get(KEY).await.unwrap(), "t-2");
}

#[tokio::test]
async fn one_failure_is_one_of_the_hundred_that_waited_for_it() {
    let platform = Platform::new(HOUR);
    platform.refuses.set(true);
    let attempts = join_all((0..100).map(|_| platform.get_slowly()));
    let mut attempts = std::pin::pin!(attempts);
    assert!((&mut attempts).now_or_never().is_none());
    platform.answers.notify_one();
    let (failed, waiting): (Vec<_>, Vec<_>) = attempts
        .await
        .into_iter()
        .map(|answer| answer.unwrap_err().outcome)
        .partition(|outcome| matches!(outcome, Outcome::Retry { .. }));
    assert_eq!(failed.len(), 1, "of the one that asked");
    let wait = FAILURE_KEPT;
    assert_eq!(waiting, vec![Outcome::Limited { wait }; 99]);
}

#[tokio::test]
async fn who_waits_for_an_attempt_that_is_given_up_asks() {
    let platform = Platform::new(HOUR);
    let mut first = Box::pin(platform.get_slowly());
    assert!((&mut first).now_or_never().is_none());
    let mut second = Box::pin(platform.get_slowly());
    assert!((&mut second).now_or_never().is_none());
    drop(first);
    platform.answers.notify_one();
    let token = second.now_or_never().expect("it asks now");
    assert_eq!(token.unwrap().value(), "t-1");
}

#[tokio::test]
async fn other_settings_take_another_token() {
    let platform = Platform::new(HOUR);
    let changed = Key { revision: 2, ..KEY };
    let other = Key {
        channel: ResourceId(8),
        revision: 1,
    };
    assert_eq!(platform.get(KEY).await.unwrap(), "t-1");
    assert_eq!(platform.get(other).await.unwrap(), "t-2");
    assert_eq!(platform.get(changed).await.unwrap(), "t-3");
    assert_eq!(platform.get(other).await.unwrap(), "t-2");
    assert_eq!(platform.credentials.slots().len(), 2, "the old one is gone");
    platform.clock.advance(2 * HOUR);
    platform.get(Key { revision: 3, ..KEY }).await.unwrap();
    assert_eq!(platform.credentials.slots().len(), 1, "expired ones go");
}

#[test]
fn a_token_is_not_shown() {
    let token = Token::new("t-secret".to_owned(), HOUR).unwrap();
    assert!(!format!("{token:?}").contains("secret"));
    for bad in ["", "a b", "a\r\nb", "é"] {
        assert!(Token::new(bad.to_owned(), HOUR).is_none());
    }
}
