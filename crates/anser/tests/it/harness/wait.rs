//! Waiting for a condition, never for a time.

use std::time::Duration;

/// How long a condition may take before the test fails: far above what a busy machine needs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// How often a condition is looked at that cannot tell by itself.
const LOOK: Duration = Duration::from_millis(10);

/// Asks until there is an answer; fails the test, saying `what`, after [`DEADLINE`].
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let mut looks = tokio::time::interval(LOOK);
    let found = async {
        loop {
            looks.tick().await;
            if let Some(found) = ask().await {
                return found;
            }
        }
    };
    match tokio::time::timeout(DEADLINE, found).await {
        Ok(found) => found,
        Err(_) => panic!("not within {DEADLINE:?}: {what}"),
    }
}
