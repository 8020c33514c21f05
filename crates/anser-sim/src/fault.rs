//! Fault switches: what shall go wrong with the next requests. Must not do it: the door does.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value};

/// Switches that may wait at once.
const FAULTS_MAX: usize = 1_000;
/// The longest delay of an answer.
const SLOW_MAX: Duration = Duration::from_secs(600);

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub enum FaultKind {
    /// The request is taken as always and its message recorded, then the connection is closed without an answer.
    DropAfterAccept,
    /// The request is answered with a status of 500 or above, and nothing is taken.
    ServerError {
        /// The status, 500 to 599.
        status: u16,
    },
    /// The request is taken as always, and answered that much later.
    Slow {
        /// How much later, in milliseconds; at most 10 minutes.
        millis: u64,
    },
    /// The request is refused with one of the platform's own codes, in the body and status that the platform has for
    /// it, and nothing is taken.
    Refuse {
        /// The code, such as `11232`, `130101` or `no_service`.
        code: String,
    },
    /// The request is taken as always, but the answer's body ends in its middle.
    TruncateJson,
}

/// A switch: what goes wrong, and how often.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What goes wrong.
    #[serde(flatten)]
    pub kind: FaultKind,
    /// With how many requests; `None`: until it is cleared.
    pub times: Option<u32>,
    /// With every so many-th request only; 1 is each.
    pub every: u32,
    /// Only with requests whose path contains this; `None`: with all.
    pub path: Option<String>,
}

impl Fault {
    /// With the next `times` requests.
    #[must_use]
    pub const fn next(times: u32, kind: FaultKind) -> Self {
        Self {
            kind,
            times: Some(times),
            every: 1,
            path: None,
        }
    }

    /// With every `every`-th request, until it is cleared.
    #[must_use]
    pub const fn every(every: u32, kind: FaultKind) -> Self {
        Self {
            kind,
            times: None,
            every,
            path: None,
        }
    }

    /// The same, but only with requests whose path contains this, such as `/im/v1/images` or `/deleteMessage`.
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        self.path = Some(path.to_owned());
        self
    }

    /// From JSON such as `{"fault": "refuse", "code": "11232", "times": 3, "every": 2, "path": "/im/v1/images"}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(value: &Value) -> Result<Self, InvalidFault> {
        let object = value
            .as_object()
            .ok_or_else(|| wrong("a fault is a JSON object"))?;
        let kind = kind(object)?;
        let own: &[&str] = match kind {
            FaultKind::ServerError { .. } => &["status"],
            FaultKind::Slow { .. } => &["millis"],
            FaultKind::Refuse { .. } => &["code"],
            FaultKind::DropAfterAccept | FaultKind::TruncateJson => &[],
        };
        for name in object.keys() {
            let name = name.as_str();
            if !["fault", "times", "every", "path"].contains(&name) && !own.contains(&name) {
                return Err(wrong(format!("`{name}` is not a field of this fault")));
            }
        }
        Ok(Self {
            kind,
            times: count(object, "times")?,
            every: count(object, "every")?.unwrap_or(1),
            path: match object.get("path") {
                None | Some(Value::Null) => None,
                Some(Value::String(path)) => Some(path.clone()),
                Some(_) => return Err(wrong("`path` must be a part of a path")),
            },
        })
    }
}

/// A fault that cannot be switched on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFault(String);

impl std::fmt::Display for InvalidFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidFault {}

fn wrong(why: impl Into<String>) -> InvalidFault {
    InvalidFault(why.into())
}

fn kind(object: &Map<String, Value>) -> Result<FaultKind, InvalidFault> {
    match object.get("fault").and_then(Value::as_str) {
        Some("drop_after_accept") => Ok(FaultKind::DropAfterAccept),
        Some("truncate_json") => Ok(FaultKind::TruncateJson),
        Some("server_error") => match object.get("status").map_or(Some(503), Value::as_u64) {
            Some(status @ 500..=599) => Ok(FaultKind::ServerError {
                status: u16::try_from(status).unwrap_or(500),
            }),
            _ => Err(wrong("`status` must be between 500 and 599")),
        },
        Some("slow") => match object.get("millis").and_then(Value::as_u64) {
            Some(millis) if Duration::from_millis(millis) <= SLOW_MAX => {
                Ok(FaultKind::Slow { millis })
            }
            _ => Err(wrong("`millis` must be between 0 and 600000")),
        },
        Some("refuse") => match object.get("code") {
            Some(Value::String(code)) => Ok(FaultKind::Refuse { code: code.clone() }),
            Some(Value::Number(code)) => Ok(FaultKind::Refuse {
                code: code.to_string(),
            }),
            _ => Err(wrong("`code` must be one of the platform's codes")),
        },
        _ => Err(wrong(
            "`fault` must be drop_after_accept, server_error, slow, refuse or truncate_json",
        )),
    }
}

fn count(object: &Map<String, Value>, name: &str) -> Result<Option<u32>, InvalidFault> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_u64().and_then(|count| u32::try_from(count).ok()) {
            Some(count) if count > 0 => Ok(Some(count)),
            _ => Err(wrong(format!("`{name}` must be a number above 0"))),
        },
    }
}

/// The switches that are on, in the order in which they were switched on.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    on: VecDeque<(Fault, u32)>,
}

impl Faults {
    /// Switches one more on.
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), InvalidFault> {
        if self.on.len() >= FAULTS_MAX {
            return Err(wrong(format!("{FAULTS_MAX} faults are on already")));
        }
        self.on.push_back((fault, 0));
        Ok(())
    }

    /// Switches all off.
    pub(crate) fn clear(&mut self) {
        self.on.clear();
    }

    /// Those that are on.
    pub(crate) fn list(&self) -> Vec<Fault> {
        self.on.iter().map(|(fault, _)| fault.clone()).collect()
    }

    /// What goes wrong with the request that has just come: the first switch whose turn it is. Every switch counts
    /// every request to a path of its own that none before it took.
    pub(crate) fn next(&mut self, path: &str) -> Option<FaultKind> {
        for index in 0..self.on.len() {
            let (fault, seen) = self.on.get_mut(index)?;
            if fault.path.as_ref().is_some_and(|part| !path.contains(part)) {
                continue;
            }
            *seen += 1;
            if *seen < fault.every {
                continue;
            }
            *seen = 0;
            let kind = fault.kind.clone();
            if let Some(times) = &mut fault.times {
                *times -= 1;
                if *times == 0 {
                    self.on.remove(index);
                }
            }
            return Some(kind);
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn switches_take_their_turns() {
        let mut faults = Faults::default();
        faults
            .add(Fault::next(2, FaultKind::DropAfterAccept))
            .unwrap();
        faults
            .add(Fault::every(3, FaultKind::TruncateJson))
            .unwrap();
        let drop = Some(FaultKind::DropAfterAccept);
        let cut = Some(FaultKind::TruncateJson);
        let seen: Vec<_> = (0..8).map(|_| faults.next("/send")).collect();
        let expected = [drop.clone(), drop, None, None, cut.clone(), None, None, cut];
        assert_eq!(seen, expected);
        faults.clear();
        assert_eq!(faults.next("/send"), None);
    }

    #[test]
    fn a_switch_for_a_path_leaves_others_alone() {
        let mut faults = Faults::default();
        let fault = Fault::next(1, FaultKind::TruncateJson).on("/images");
        faults.add(fault).unwrap();
        assert_eq!(faults.next("/im/v1/messages"), None);
        assert_eq!(faults.next("/im/v1/images"), Some(FaultKind::TruncateJson));
        assert_eq!(faults.next("/im/v1/images"), None);
    }

    #[test]
    fn what_is_shown_can_be_switched_on_again() {
        for kind in [
            FaultKind::DropAfterAccept,
            FaultKind::ServerError { status: 502 },
            FaultKind::Slow { millis: 50 },
            FaultKind::Refuse {
                code: "11232".to_owned(),
            },
            FaultKind::TruncateJson,
        ] {
            let fault = Fault::next(2, kind).on("/send");
            assert_eq!(Fault::parse(&json!(fault)), Ok(fault));
        }
    }

    #[test]
    fn typing_errors_are_told() {
        for wrong in [
            json!([]),
            json!({"fault": "drop"}),
            json!({"fault": "drop_after_accept", "time": 1}),
            json!({"fault": "drop_after_accept", "times": 0}),
            json!({"fault": "server_error", "status": 404}),
            json!({"fault": "slow", "millis": 600_001}),
            json!({"fault": "slow"}),
            json!({"fault": "refuse"}),
            json!({"fault": "drop_after_accept", "path": 1}),
        ] {
            assert!(Fault::parse(&wrong).is_err(), "{wrong}");
        }
    }
}
