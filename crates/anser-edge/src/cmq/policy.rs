//! CMQ's `deadLetterPolicy`: a JSON text in a parameter, read into the fields of a queue and written back. Pure.

use anser_core::resource::DeadLetterSpec;
use serde_json::{Value, json};

use super::error::{Fault, POLICY_JSON, POLICY_KIND, POLICY_PARAMETERS, POLICY_QUEUE};

/// `maxReceiveCount`, least and most.
const RECEIVES: (u64, u64) = (1, 1_000);
/// `maxTimeToLive` in seconds, least and most.
const AGE: (u64, u64) = (300, 43_200);

/// Reads a policy into a queue's field `dead_letter`, as a merge patch: what the policy does not use is removed.
///
/// # Errors
/// No JSON object, no queue, no policy, or its bound missing or out of range.
pub(super) fn parse(text: &str) -> Result<Value, Fault> {
    let Ok(Value::Object(policy)) = serde_json::from_str(text) else {
        return Err(Fault::from(&POLICY_JSON));
    };
    let Some(Value::String(queue)) = policy.get("deadLetterQueue") else {
        return Err(Fault::from(&POLICY_QUEUE));
    };
    let bound = |name: &str, (least, most): (u64, u64)| {
        policy
            .get(name)
            .and_then(Value::as_u64)
            .filter(|number| (least..=most).contains(number))
            .ok_or_else(|| {
                Fault::from(&POLICY_PARAMETERS).detail(format!("{name} must be {least} to {most}"))
            })
    };
    match policy.get("policy").and_then(Value::as_u64) {
        Some(0) => {
            let receives = bound("maxReceiveCount", RECEIVES)?;
            Ok(json!({"queue": queue, "max_receives": receives, "max_age": null}))
        }
        Some(1) => {
            let age = bound("maxTimeToLive", AGE)?;
            Ok(json!({"queue": queue, "max_receives": null, "max_age": age}))
        }
        Some(_) | None => Err(Fault::from(&POLICY_KIND)),
    }
}

/// A policy as JSON text. One made through another door may have both bounds: then it is of the first kind, and the age
/// is told beside it.
pub(super) fn write(spec: &DeadLetterSpec) -> String {
    let mut policy = json!({
        "deadLetterQueue": spec.queue,
        "policy": u8::from(spec.max_receives.is_none()),
    });
    if let Some(receives) = spec.max_receives {
        policy["maxReceiveCount"] = receives.into();
    }
    if let Some(age) = spec.max_age {
        policy["maxTimeToLive"] = age.into();
    }
    policy.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_are_read_and_written_back() {
        for (text, spec) in [
            (
                r#"{"deadLetterQueue":"dead","policy":0,"maxReceiveCount":5}"#,
                json!({"queue": "dead", "max_receives": 5, "max_age": null}),
            ),
            (
                r#"{"deadLetterQueue":"dead","policy":1,"maxTimeToLive":600}"#,
                json!({"queue": "dead", "max_receives": null, "max_age": 600}),
            ),
        ] {
            let read = parse(text).unwrap();
            assert_eq!(read, spec);
            let spec: DeadLetterSpec = serde_json::from_value(read).unwrap();
            assert_eq!(write(&spec), text);
        }
    }

    #[test]
    fn policies_are_refused_by_their_rule() {
        for (text, message) in [
            ("dead", "(10710)deadLetterPolicy must be a json string"),
            ("[]", "(10710)deadLetterPolicy must be a json string"),
            (
                r#"{"policy":0,"maxReceiveCount":5}"#,
                "(10760)the deadLetterPolicy must has deadLetterQueue member, only be a string",
            ),
            (
                r#"{"deadLetterQueue":"d","policy":2}"#,
                "(10770)the deadLetterPolicy must has policy member , only set 0 or 1",
            ),
            (
                r#"{"deadLetterQueue":"d","policy":0,"maxReceiveCount":1001}"#,
                "(10720)deadLetterPolicy params error,please check it",
            ),
            (
                r#"{"deadLetterQueue":"d","policy":1,"maxTimeToLive":299}"#,
                "(10720)deadLetterPolicy params error,please check it",
            ),
            (
                r#"{"deadLetterQueue":"d","policy":1}"#,
                "(10720)deadLetterPolicy params error,please check it",
            ),
        ] {
            assert_eq!(parse(text).unwrap_err().message(), message, "{text}");
        }
    }
}
