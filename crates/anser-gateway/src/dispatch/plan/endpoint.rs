//! How long each endpoint has been failing, when to warn of it and when to give it up. Remembered across restarts
//! through [`Change`]s that are to be stored; they are few, so a failing endpoint costs no commit per attempt.

use std::collections::HashMap;
use std::time::Duration;

use anser_core::Timestamp;
use anser_core::id::ResourceId;

use super::PlanOptions;
use crate::config::EndpointState;
use crate::dispatch::EndpointEvent;

/// Shares of the way to being disabled, in percent, at which the operator is warned.
const WARNINGS: [u8; 3] = [50, 70, 90];
/// Failures are stored at least this far apart.
const STORE_EVERY: Duration = Duration::from_secs(60);

/// Something to store, and perhaps to tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What to remember.
    pub state: EndpointState,
    /// What to tell the operator.
    pub event: Option<EndpointEvent>,
}

/// Every endpoint that has failed lately.
#[derive(Debug, Default)]
pub struct Endpoints {
    failing: HashMap<ResourceId, (EndpointState, Timestamp)>,
}

impl Endpoints {
    /// Takes over what was remembered of an endpoint (at the start, or after an operator enabled it).
    pub fn remember(&mut self, channel: ResourceId, state: &EndpointState, now: Timestamp) {
        if state.failing_since.is_none() && state.disabled_at.is_none() {
            self.failing.remove(&channel);
        } else {
            self.failing
                .entry(channel)
                .or_insert_with(|| (state.clone(), now));
        }
    }

    /// An attempt succeeded.
    pub fn succeeded(&mut self, channel: ResourceId) -> Option<Change> {
        let (state, _) = self.failing.remove(&channel)?;
        let event = (state.reported_percent > 0).then_some(EndpointEvent::Recovered);
        Some(Change {
            state: EndpointState::default(),
            event,
        })
    }

    /// An attempt failed.
    pub fn failed(
        &mut self,
        channel: ResourceId,
        now: Timestamp,
        options: &PlanOptions,
    ) -> Option<Change> {
        let fresh = !self.failing.contains_key(&channel);
        let (state, stored) = self
            .failing
            .entry(channel)
            .or_insert_with(|| (EndpointState::default(), now));
        if state.disabled_at.is_some() {
            return None;
        }
        let since = *state.failing_since.get_or_insert(now);
        state.failures += 1;
        let percent = percent(now.since(since), state.failures, options);
        if percent >= 100 {
            state.disabled_at = Some(now);
            state.disabled_reason = Some(format!(
                "every attempt since {since} failed, {} of them",
                state.failures
            ));
            return Some(Change {
                state: state.clone(),
                event: Some(EndpointEvent::Disabled),
            });
        }
        let warning = WARNINGS
            .into_iter()
            .rev()
            .find(|limit| percent >= u64::from(*limit) && state.reported_percent < *limit);
        if let Some(warning) = warning {
            state.reported_percent = warning;
        }
        if warning.is_none() && !fresh && now.since(*stored) < STORE_EVERY {
            return None;
        }
        *stored = now;
        Some(Change {
            state: state.clone(),
            event: warning.map(EndpointEvent::Failing),
        })
    }

    /// The endpoint says that it is gone.
    pub fn gone(&mut self, channel: ResourceId, now: Timestamp, reason: &str) -> Option<Change> {
        let (state, _) = self
            .failing
            .entry(channel)
            .or_insert_with(|| (EndpointState::default(), now));
        if state.disabled_at.is_some() {
            return None;
        }
        state.failing_since.get_or_insert(now);
        state.disabled_at = Some(now);
        state.disabled_reason = Some(reason.to_owned());
        Some(Change {
            state: state.clone(),
            event: Some(EndpointEvent::Disabled),
        })
    }
}

/// How far towards being disabled: both the time and the number of failures must be reached.
fn percent(failing_for: Duration, failures: u64, options: &PlanOptions) -> u64 {
    let time = failing_for.as_millis() * 100 / options.disable_after.as_millis().max(1);
    let count = u128::from(failures) * 100 / u128::from(options.disable_failures.max(1));
    u64::try_from(time.min(count)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warns_on_the_way_and_disables_at_the_end() {
        let options = PlanOptions {
            disable_after: Duration::from_secs(1_000),
            disable_failures: 10,
            ..PlanOptions::default()
        };
        let channel = ResourceId(1);
        let mut endpoints = Endpoints::default();
        let mut events = Vec::new();
        for second in 0..1_200 {
            let change =
                endpoints.failed(channel, Timestamp::from_millis(second * 1_000), &options);
            events.extend(
                change
                    .and_then(|change| change.event)
                    .map(|event| (second, event)),
            );
        }
        use EndpointEvent::{Disabled, Failing};
        assert_eq!(
            events,
            [
                (500, Failing(50)),
                (700, Failing(70)),
                (900, Failing(90)),
                (1_000, Disabled)
            ]
        );
    }

    #[test]
    fn few_failures_over_a_long_time_do_not_disable() {
        let options = PlanOptions::default();
        let mut endpoints = Endpoints::default();
        for day in 0..30 {
            let change = endpoints.failed(
                ResourceId(1),
                Timestamp::from_millis(day * 86_400_000),
                &options,
            );
            assert!(change.is_none_or(|change| change.state.disabled_at.is_none()));
        }
        let change = endpoints.succeeded(ResourceId(1)).unwrap();
        assert_eq!(
            (change.state, change.event),
            (EndpointState::default(), None)
        );
        assert_eq!(endpoints.succeeded(ResourceId(1)), None);
    }
}
