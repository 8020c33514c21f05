//! Retry schedules: the presets of the product and custom ones, as pure functions of the number of attempts made, the
//! delivery's age and a random number. Must not know why an attempt failed.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::limits::{RETRY_AGE_MAX, RETRY_DELAY_MAX, RETRY_STEPS_MAX};
use crate::problem::Problem;

/// A retry schedule as written: a preset's name, a list of delays in seconds, or a formula.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "must be standard, patient, cmq-backoff, cmq-decay, a list of seconds, or {first, factor, max, jitter, max_attempts, max_age}"
)]
pub enum RetrySpec {
    /// A preset.
    Preset(RetryPreset),
    /// Delays in seconds, one per retry; after the last the delivery is dead.
    Delays(#[schemars(length(max = 1000), inner(range(min = 0.0, max = 86400.0)))] Vec<f64>),
    /// A growing delay.
    Formula(RetryFormula),
}

impl Default for RetrySpec {
    fn default() -> Self {
        Self::Preset(RetryPreset::Standard)
    }
}

/// The presets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RetryPreset {
    /// 1 s, 2, 4 … 512 s, then every 512 s, ±20 % jitter, for 24 h.
    Standard,
    /// 5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 10 h (the schedule of Svix and Standard Webhooks).
    Patient,
    /// Tencent CMQ `BACKOFF_RETRY`: 3 retries, each after a random 10 to 20 s.
    CmqBackoff,
    /// Tencent CMQ `EXPONENTIAL_DECAY_RETRY`: 176 retries after 1, 2, 4 … 512 s, then 512 s each.
    CmqDecay,
}

/// A growing delay, in seconds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RetryFormula {
    /// The first delay.
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub first: f64,
    /// What each delay is multiplied by to get the next; 1 to 100, default 2.
    #[serde(default = "default_factor")]
    #[schemars(range(min = 1.0, max = 100.0))]
    pub factor: f64,
    /// The longest delay; default 512 s.
    #[serde(default = "default_max")]
    #[schemars(range(min = 0.0, max = 86400.0))]
    pub max: f64,
    /// How far a delay may be off, as a part of it; 0 to 1, default 0.2.
    #[serde(default = "default_jitter")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub jitter: f64,
    /// Attempts in all, the first one included; absent: no bound of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100000))]
    pub max_attempts: Option<u32>,
    /// Age, counted from the first attempt, past which no retry starts; default 24 h, at most 30 days.
    #[serde(default = "default_max_age")]
    #[schemars(range(min = 0.0, max = 2592000.0))]
    pub max_age: f64,
}

const fn default_factor() -> f64 {
    2.0
}
const fn default_max() -> f64 {
    512.0
}
const fn default_jitter() -> f64 {
    0.2
}
const fn default_max_age() -> f64 {
    86_400.0
}

/// A schedule ready to use.
#[derive(Debug, Clone, PartialEq)]
pub struct RetrySchedule {
    delays: Delays,
    max_attempts: u32,
    max_age: Duration,
    cmq: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Delays {
    List(Vec<Duration>),
    Growing {
        first: f64,
        factor: f64,
        max: f64,
        jitter: f64,
    },
    Uniform {
        from: Duration,
        to: Duration,
    },
}

/// Retries of `cmq-decay`.
const CMQ_DECAY_RETRIES: u32 = 176;
/// Retries of `cmq-backoff`.
const CMQ_BACKOFF_RETRIES: u32 = 3;

impl RetrySchedule {
    /// Checks a schedule; `field` is its path in what the user wrote.
    ///
    /// # Errors
    /// `invalid_retry`.
    pub fn compile(field: &str, spec: &RetrySpec) -> Result<Self, Problem> {
        match spec {
            RetrySpec::Preset(preset) => Ok(Self::preset(*preset)),
            RetrySpec::Delays(delays) => Self::list(field, delays),
            RetrySpec::Formula(formula) => Self::formula(field, formula),
        }
    }

    /// A preset's schedule.
    #[must_use]
    pub fn preset(preset: RetryPreset) -> Self {
        let growing = |jitter| Delays::Growing {
            first: 1.0,
            factor: 2.0,
            max: 512.0,
            jitter,
        };
        match preset {
            RetryPreset::Standard => Self {
                delays: growing(0.2),
                max_attempts: u32::MAX,
                max_age: Duration::from_secs(86_400),
                cmq: false,
            },
            RetryPreset::Patient => {
                let delays: Vec<Duration> = [5, 300, 1_800, 7_200, 18_000, 36_000, 36_000]
                    .map(Duration::from_secs)
                    .to_vec();
                Self {
                    max_attempts: 8,
                    delays: Delays::List(delays),
                    max_age: RETRY_AGE_MAX,
                    cmq: false,
                }
            }
            RetryPreset::CmqBackoff => Self {
                delays: Delays::Uniform {
                    from: Duration::from_secs(10),
                    to: Duration::from_secs(20),
                },
                max_attempts: CMQ_BACKOFF_RETRIES + 1,
                max_age: RETRY_AGE_MAX,
                cmq: true,
            },
            RetryPreset::CmqDecay => Self {
                delays: growing(0.0),
                max_attempts: CMQ_DECAY_RETRIES + 1,
                max_age: RETRY_AGE_MAX,
                cmq: true,
            },
        }
    }

    fn list(field: &str, delays: &[f64]) -> Result<Self, Problem> {
        if delays.len() > RETRY_STEPS_MAX {
            return Err(invalid(
                field,
                format!("at most {RETRY_STEPS_MAX} delays, has {}", delays.len()),
            ));
        }
        let mut list = Vec::with_capacity(delays.len());
        for (i, delay) in delays.iter().enumerate() {
            list.push(seconds(&format!("{field}[{i}]"), *delay, RETRY_DELAY_MAX)?);
        }
        let max_attempts = u32::try_from(list.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        Ok(Self {
            delays: Delays::List(list),
            max_attempts,
            max_age: RETRY_AGE_MAX,
            cmq: false,
        })
    }

    fn formula(field: &str, formula: &RetryFormula) -> Result<Self, Problem> {
        seconds(&format!("{field}.first"), formula.first, RETRY_DELAY_MAX)?;
        seconds(&format!("{field}.max"), formula.max, RETRY_DELAY_MAX)?;
        let max_age = seconds(&format!("{field}.max_age"), formula.max_age, RETRY_AGE_MAX)?;
        if !(1.0..=100.0).contains(&formula.factor) {
            return Err(invalid(
                &format!("{field}.factor"),
                "must be between 1 and 100".to_owned(),
            ));
        }
        if !(0.0..=1.0).contains(&formula.jitter) {
            return Err(invalid(
                &format!("{field}.jitter"),
                "must be between 0 and 1".to_owned(),
            ));
        }
        if formula.max_attempts == Some(0) {
            return Err(invalid(
                &format!("{field}.max_attempts"),
                "must be at least 1".to_owned(),
            ));
        }
        let delays = Delays::Growing {
            first: formula.first,
            factor: formula.factor,
            max: formula.max,
            jitter: formula.jitter,
        };
        Ok(Self {
            delays,
            max_attempts: formula.max_attempts.unwrap_or(u32::MAX),
            max_age,
            cmq: false,
        })
    }

    /// Whether this is one of CMQ's policies, whose classifier and default ordering differ.
    #[must_use]
    pub const fn is_cmq(&self) -> bool {
        self.cmq
    }

    /// How long to wait after the `attempts`-th attempt (from 1) failed, or `None` when the delivery is exhausted.
    /// `age` is the time since the first attempt, `random` a number in `[0, 1)`.
    #[must_use]
    pub fn delay_after(&self, attempts: u32, age: Duration, random: f64) -> Option<Duration> {
        if attempts >= self.max_attempts {
            return None;
        }
        let retry = attempts.saturating_sub(1);
        let delay = match &self.delays {
            Delays::List(list) => *list.get(usize::try_from(retry).unwrap_or(usize::MAX))?,
            Delays::Uniform { from, to } => *from + (*to - *from).mul_f64(random.clamp(0.0, 1.0)),
            Delays::Growing {
                first,
                factor,
                max,
                jitter,
            } => {
                let grown =
                    (first * factor.powi(i32::try_from(retry).unwrap_or(i32::MAX))).min(*max);
                let spread = 1.0 + jitter * (2.0 * random.clamp(0.0, 1.0) - 1.0);
                Duration::from_secs_f64((grown * spread).clamp(0.0, RETRY_DELAY_MAX.as_secs_f64()))
            }
        };
        (age.saturating_add(delay) <= self.max_age).then_some(delay)
    }
}

fn invalid(field: &str, detail: String) -> Problem {
    Problem::invalid("invalid_retry", field, detail)
        .accepted("standard, patient, cmq-backoff, cmq-decay, a list of seconds, or {first, factor, max, jitter, max_attempts, max_age}")
}

fn seconds(field: &str, value: f64, most: Duration) -> Result<Duration, Problem> {
    if value.is_finite() && (0.0..=most.as_secs_f64()).contains(&value) {
        return Ok(Duration::from_secs_f64(value));
    }
    Err(invalid(
        field,
        format!("must be between 0 and {} seconds", most.as_secs()),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(schedule: &RetrySchedule, random: f64) -> Vec<f64> {
        let (mut age, mut delays) = (Duration::ZERO, Vec::new());
        while let Some(delay) =
            schedule.delay_after(u32::try_from(delays.len()).unwrap() + 1, age, random)
        {
            age += delay;
            delays.push(delay.as_secs_f64());
        }
        delays
    }

    #[test]
    fn cmq_decay_is_the_documented_schedule() {
        let delays = run(&RetrySchedule::preset(RetryPreset::CmqDecay), 0.9);
        assert_eq!(delays.len(), 176);
        assert_eq!(
            delays[..10],
            [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0]
        );
        assert_eq!(delays.iter().filter(|delay| **delay == 512.0).count(), 167);
        assert_eq!(delays.iter().sum::<f64>(), 86_015.0);
    }

    #[test]
    fn cmq_backoff_is_three_times_10_to_20_s() {
        let schedule = RetrySchedule::preset(RetryPreset::CmqBackoff);
        assert_eq!(run(&schedule, 0.0), [10.0; 3]);
        assert_eq!(run(&schedule, 0.5), [15.0; 3]);
    }

    #[test]
    fn standard_ends_within_a_day_and_jitters_by_a_fifth() {
        let schedule = RetrySchedule::preset(RetryPreset::Standard);
        assert_eq!(
            schedule.delay_after(1, Duration::ZERO, 0.0),
            Some(Duration::from_millis(800))
        );
        assert_eq!(
            schedule.delay_after(4, Duration::ZERO, 0.5),
            Some(Duration::from_secs(8))
        );
        let delays = run(&schedule, 0.5);
        assert!(
            delays.iter().sum::<f64>() <= 86_400.0 && delays.len() > 170,
            "{}",
            delays.len()
        );
    }

    #[test]
    fn patient_and_lists() {
        assert_eq!(
            run(&RetrySchedule::preset(RetryPreset::Patient), 0.3),
            [5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 36_000.0]
        );
        let list =
            RetrySchedule::compile("retry", &serde_json::from_str("[0, 2.5]").unwrap()).unwrap();
        assert_eq!(run(&list, 0.0), [0.0, 2.5]);
        let none = RetrySchedule::compile("retry", &serde_json::from_str("[]").unwrap()).unwrap();
        assert_eq!(none.delay_after(1, Duration::ZERO, 0.0), None);
    }

    #[test]
    fn formulas_are_bounded_by_attempts_and_age() {
        let compile = |text| RetrySchedule::compile("retry", &serde_json::from_str(text).unwrap());
        assert_eq!(
            run(
                &compile(r#"{"first":1,"factor":3,"max":10,"jitter":0,"max_attempts":5}"#).unwrap(),
                0.0
            ),
            [1.0, 3.0, 9.0, 10.0]
        );
        assert_eq!(
            run(
                &compile(r#"{"first":10,"jitter":0,"max_age":35}"#).unwrap(),
                0.0
            ),
            [10.0, 20.0]
        );
        for bad in [
            r#"{"first":-1}"#,
            r#"{"first":1,"factor":0.5}"#,
            r#"{"first":1,"jitter":2}"#,
            r#"{"first":1,"max_attempts":0}"#,
            "[90000]",
        ] {
            assert_eq!(compile(bad).unwrap_err().code, "invalid_retry", "{bad}");
        }
        assert!(serde_json::from_str::<RetrySpec>(r#""often""#).is_err());
    }
}
