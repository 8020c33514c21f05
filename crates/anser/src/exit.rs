//! How a command ends: the documented exit codes, and the errors behind them. Must not know any single command.

use std::process::ExitCode;

use serde_json::Value;

use crate::output::Output;

/// What the help says of the exit codes.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  it failed here: files, settings, data in use, the demo's verdict
  2  the command line is wrong
  3  the server refused it, or a part of it
  4  the server was not reached";

/// Why a command did not do what it was asked to.
#[derive(Debug)]
pub(crate) enum Failure {
    /// It failed on this machine.
    Here(anyhow::Error),
    /// Arguments that contradict each other, or a file that is not what it should be.
    Usage(String),
    /// The server answered, and refused.
    Refused(Box<Refusal>),
    /// No answer.
    Unreachable {
        /// Why, in one line with the remedy.
        why: String,
    },
}

/// A refusal, as the server told it (RFC 9457).
#[derive(Debug, Clone)]
pub(crate) struct Refusal {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The whole problem, as received; a text when it was no JSON.
    pub(crate) problem: Value,
}

impl Failure {
    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Here(_) => 1,
            Self::Usage(_) => 2,
            Self::Refused(_) => 3,
            Self::Unreachable { .. } => 4,
        }
    }

    /// Tells the user, on standard error, and gives the exit code.
    pub(crate) fn report(&self, output: &Output) -> ExitCode {
        let text = match (self, output.is_json()) {
            (Self::Refused(refusal), true) => refusal.problem.to_string(),
            (_, true) => {
                serde_json::json!({"error": self.text(), "exit_code": self.code()}).to_string()
            }
            (_, false) => format!("{} {}", output.paint_error("error:"), self.text()),
        };
        eprintln!("{text}");
        ExitCode::from(self.code())
    }

    fn text(&self) -> String {
        match self {
            Self::Here(error) => format!("{error:#}"),
            Self::Usage(text) | Self::Unreachable { why: text } => text.clone(),
            Self::Refused(refusal) => refusal.text(),
        }
    }
}

impl Refusal {
    /// Whether the same request may be taken later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self.status, 429 | 500 | 502 | 503 | 504 | 507)
    }

    /// The detail, with the field, the code and what would have been accepted under it.
    pub(crate) fn text(&self) -> String {
        let part = |name: &str| self.problem.get(name).and_then(Value::as_str);
        let Some(detail) = part("detail").or_else(|| part("title")) else {
            return format!("the server answered {}: {}", self.status, self.problem);
        };
        let mut text = detail.to_owned();
        if let Some(field) = part("field") {
            text.push_str(&format!("\n  field:    {field}"));
        }
        if let Some(accepted) = part("accepted") {
            text.push_str(&format!("\n  accepted: {accepted}"));
        }
        let code = part("code").unwrap_or("unknown");
        text.push_str(&format!("\n  code:     {code} (HTTP {})", self.status));
        text
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Here(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_detail_field_and_code() {
        let refusal = Refusal {
            status: 422,
            problem: serde_json::json!({"type": "about:blank", "detail": "must be between 0 and 604800", "field": "dedupe_window",
                "code": "out_of_range"}),
        };
        assert_eq!(
            refusal.text(),
            "must be between 0 and 604800\n  field:    dedupe_window\n  code:     out_of_range (HTTP 422)"
        );
        let foreign = Refusal {
            status: 502,
            problem: Value::String("<html>".to_owned()),
        };
        assert_eq!(foreign.text(), "the server answered 502: \"<html>\"");
    }
}
