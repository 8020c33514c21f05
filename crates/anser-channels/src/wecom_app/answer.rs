//! What the API's answers mean to an app: the table of codes, and a success that did not reach everybody. Must not take a
//! body without a code for success.

use anser_core::channel::{Context, Exchange, Step, StepKind};
use anser_core::outcome::Outcome;
use serde_json::{Map, Value};

use crate::kit::classify::{rejected, unseen};
use crate::kit::reach::{is_last, members, partly_delivered};
use crate::kit::wecom::answer::{Coded, coded, is_of_form, upload};

/// Members of a success that name who got nothing: strangers to the app or the company, and people without a licence.
const MISSED: [&str; 4] = [
    "invaliduser",
    "invalidparty",
    "invalidtag",
    "unlicenseduser",
];

/// The body of an answer with a token in it.
pub(super) fn token(
    exchange: &Exchange,
    context: &Context<'_>,
) -> Result<Map<String, Value>, Outcome> {
    let coded = coded(exchange, context)?;
    match coded.code {
        0 => Ok(coded.body),
        code => {
            let remedy = match remedy(code) {
                "" => {
                    "check settings.corp_id and settings.corp_secret against the pages of company and app"
                }
                remedy => remedy,
            };
            Err(rejected(code, &coded.text, remedy))
        }
    }
}

/// Why a file that somebody sent is not given.
pub(super) fn refused_file(exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let coded = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return unseen(outcome),
    };
    match coded.code {
        0 => Outcome::Retry {
            reason: "the answer has no file".to_owned(),
        },
        40001 | 40014 | 41001 | 42001 => Outcome::RefreshAuth,
        40007 => Outcome::Gone {
            reason: coded.reason(),
        },
        code => rejected(code, &coded.text, remedy(code)),
    }
}

/// Judges the answer to a step.
pub(super) fn classify(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    if step.kind == StepKind::Upload {
        return upload(exchange, || judged(step, exchange, context));
    }
    judged(step, exchange, context)
}

fn judged(step: &Step, exchange: &Exchange, context: &Context<'_>) -> Outcome {
    let coded = match coded(exchange, context) {
        Ok(coded) => coded,
        Err(outcome) => return outcome,
    };
    match (coded.code, step.kind) {
        (0, StepKind::Upload) => match coded.member("media_id") {
            Some(media_id) => Outcome::Delivered {
                platform_id: Some(media_id),
            },
            None => Outcome::Retry {
                reason: "the answer has no media_id".to_owned(),
            },
        },
        (0, _) => taken(step, &coded),
        (40001 | 40014 | 41001 | 42001, _) => Outcome::RefreshAuth,
        (code, kind) if is_of_form(code) && kind != StepKind::Recall && !is_text(step) => {
            Outcome::Degrade {
                reason: coded.reason(),
            }
        }
        (code, _) => rejected(code, &coded.text, remedy(code)),
    }
}

/// A message that was taken, though perhaps not for all.
fn taken(step: &Step, coded: &Coded) -> Outcome {
    let missed: Vec<String> = MISSED
        .iter()
        .filter_map(|name| Some(format!("{name} {}", coded.member(name)?)))
        .collect();
    let platform_id = coded.member("msgid");
    if missed.is_empty() || !is_last(step) {
        return Outcome::Delivered { platform_id };
    }
    let remedy = "take them out of the target, or let them see the app and give them a licence";
    let id = platform_id.as_deref().unwrap_or("without an id");
    partly_delivered(&missed.join(", "), id, remedy)
}

/// Whether it is in the lowest form.
fn is_text(step: &Step) -> bool {
    step.kind == StepKind::Send && members(step).get("msgtype") == Some(&"text".into())
}

const fn remedy(code: i64) -> &'static str {
    match code {
        40013 => "settings.corp_id is wrong: copy it from My Company, Company Information",
        40056 | 301_002 => {
            "settings.agent_id and settings.corp_secret are not of the same app: copy both from its page"
        }
        60020 => "add this machine's IP to the app's trusted IPs",
        48001 | 48002 => "the app has no right to this API",
        81013 => "none of the target can see the app: widen its visible range, or check the ids",
        86001 | 86003 => "there is no such group: the API knows only groups that an app made",
        _ => "",
    }
}
