//! What an answer means, by the rules of the settings; what they say nothing about, by the table for all channels. Must
//! not take an answer for a success that its rule does not.

use std::collections::BTreeSet;
use std::time::Duration;

use anser_core::Problem;
use anser_core::channel::{Context, Exchange, HttpResponse};
use anser_core::outcome::Outcome;
use minijinja::Value;

use super::engine::Expression;
use super::place;
use super::scope::{Scope, Secrets};
use super::settings::Settings;
use super::variables::{OF_ANSWER, Variables};
use crate::kit::classify::{PAUSE_DEFAULT, classify_http, pause, retry_after};

/// Characters of a platform's id, and of its reason for people.
const TEXT_CHARS_MAX: usize = 500;

/// The rules of a channel.
pub(super) struct Rules {
    success: Option<Expression>,
    limited: Option<Expression>,
    rejected: Option<Expression>,
    retry: Option<Expression>,
    retry_after: Option<Expression>,
    reason: Option<Expression>,
    platform_id: Option<Expression>,
    uses: BTreeSet<String>,
}

impl Rules {
    /// Compiles them.
    ///
    /// # Errors
    /// As [`Expression::compile`].
    pub(super) fn open(settings: &Settings, secrets: &Secrets) -> Result<Self, Problem> {
        let scope = Scope {
            variables: OF_ANSWER,
            secrets,
        };
        let mut uses = BTreeSet::new();
        let mut compile = |field: &str, source: &Option<String>| {
            let Some(source) = source else {
                return Ok(None);
            };
            let field = format!("settings.{field}");
            let compiled = Expression::compile(&field, source, &scope)?;
            uses.extend(compiled.uses.iter().cloned());
            Ok(Some(compiled))
        };
        let rules = Self {
            success: compile("success", &settings.success)?,
            limited: compile("limited", &settings.limited)?,
            rejected: compile("rejected", &settings.rejected)?,
            retry: compile("retry", &settings.retry)?,
            retry_after: compile("retry_after", &settings.retry_after)?,
            reason: compile("reason", &settings.reason)?,
            platform_id: compile("platform_id", &settings.platform_id)?,
            uses: BTreeSet::new(),
        };
        Ok(Self { uses, ..rules })
    }

    /// Judges an exchange.
    pub(super) fn judge(
        &self,
        exchange: &Exchange,
        context: &Context<'_>,
        secrets: &Secrets,
    ) -> Outcome {
        let usual = || {
            classify_http(
                exchange,
                context.now,
                context.fail_fast_4xx,
                context.cmq_policy,
            )
        };
        let Ok(response) = exchange else {
            return usual();
        };
        let json = serde_json::from_slice::<serde_json::Value>(&response.body).ok();
        let variables = Variables::of_answer(&self.uses, response, json.as_ref(), secrets);
        let answer = Answer {
            rules: self,
            response,
            variables,
            secrets,
        };
        match answer.by_rules(context) {
            Ok(Some(outcome)) => outcome,
            Ok(None) if response.status.is_success() && self.success.is_some() => {
                answer.no_success(json.is_some())
            }
            Ok(None) => match usual() {
                Outcome::Delivered { .. } => answer.delivered(),
                outcome => answer.explained(outcome),
            },
            // The rule fits no such answer: what was sent may have been taken.
            Err(problem) if response.status.is_success() => Outcome::Unknown {
                reason: problem.to_string(),
            },
            Err(_) => usual(),
        }
    }
}

/// An answer and the rules for it.
struct Answer<'a> {
    rules: &'a Rules,
    response: &'a HttpResponse,
    variables: Variables<'a>,
    secrets: &'a Secrets,
}

impl Answer<'_> {
    fn by_rules(&self, context: &Context<'_>) -> Result<Option<Outcome>, Problem> {
        let holds = |rule: &Option<Expression>| {
            rule.as_ref()
                .map_or(Ok(false), |rule| rule.holds(&self.variables))
        };
        let rules = self.rules;
        Ok(Some(if holds(&rules.success)? {
            self.delivered()
        } else if holds(&rules.limited)? {
            Outcome::Limited {
                wait: self.wait(context),
            }
        } else if holds(&rules.rejected)? {
            Outcome::Rejected {
                code: self.response.status.as_u16().to_string(),
                text: self.reason("a rule of the channel says that it is refused for good"),
            }
        } else if holds(&rules.retry)? {
            Outcome::Retry {
                reason: self.reason("a rule of the channel says that it may pass"),
            }
        } else {
            return Ok(None);
        }))
    }

    fn delivered(&self) -> Outcome {
        Outcome::Delivered {
            platform_id: self.text(self.rules.platform_id.as_ref()),
        }
    }

    /// A 2xx that its rule does not take. Without the JSON that the rule asks for, nobody knows.
    fn no_success(&self, has_json: bool) -> Outcome {
        let asks_json = self
            .rules
            .success
            .as_ref()
            .is_some_and(|rule| rule.uses.contains("json"));
        if asks_json && !has_json {
            let reason = self.reason("the answer has no JSON, which settings.success asks for");
            return Outcome::Unknown { reason };
        }
        Outcome::Retry {
            reason: self.reason("settings.success does not hold"),
        }
    }

    /// The outcome with the service's own reason, where there is one.
    fn explained(&self, outcome: Outcome) -> Outcome {
        let with = |usual: String| self.reason(&usual);
        match outcome {
            Outcome::Retry { reason } => Outcome::Retry {
                reason: with(reason),
            },
            Outcome::Rejected { code, text } => Outcome::Rejected {
                code,
                text: with(text),
            },
            Outcome::Gone { reason } => Outcome::Gone {
                reason: with(reason),
            },
            outcome => outcome,
        }
    }

    fn wait(&self, context: &Context<'_>) -> Duration {
        let asked = self.rules.retry_after.as_ref().and_then(|rule| {
            let value = rule.value(&self.variables).ok()?;
            f64::try_from(value).ok().filter(|seconds| *seconds > 0.0)
        });
        asked
            .map(pause)
            .or_else(|| retry_after(self.response, context.now))
            .unwrap_or(PAUSE_DEFAULT)
    }

    /// The status and, by the rule for it or else `usual`, why.
    fn reason(&self, usual: &str) -> String {
        match self.text(self.rules.reason.as_ref()) {
            Some(reason) => format!("HTTP {}: {reason}", self.response.status.as_u16()),
            None if usual.starts_with("HTTP ") => usual.to_owned(),
            None => format!("HTTP {}: {usual}", self.response.status.as_u16()),
        }
    }

    /// What an expression says as text; nothing when it fails, as the outcome is clear without it.
    fn text(&self, rule: Option<&Expression>) -> Option<String> {
        let value = rule?.value(&self.variables).ok()?;
        let is_text = |value: &Value| !value.is_none() && !value.is_undefined();
        let value = Some(value).filter(is_text)?;
        let text = place::text(&value).ok()?;
        let text = self.secrets.redacted(text.trim());
        (!text.is_empty()).then(|| crate::kit::plan::shorten(&text, TEXT_CHARS_MAX))
    }
}
