//! What a rule answers: a place, the rule's name, and what to do about it.

use std::fmt;

/// One broken rule at one place. Sorts by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    /// From the root of the workspace, with `/`.
    pub(crate) path: String,
    /// From 1; 0 speaks of the whole file.
    pub(crate) line: usize,
    /// A stable short name.
    pub(crate) rule: &'static str,
    /// What is there, and what should be there instead.
    pub(crate) remedy: String,
}

impl Finding {
    pub(crate) fn new(
        rule: &'static str,
        path: &str,
        line: usize,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            remedy: remedy.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            rule,
            remedy,
        } = self;
        if *line == 0 {
            write!(formatter, "{path}: {rule}: {remedy}")
        } else {
            write!(formatter, "{path}:{line}: {rule}: {remedy}")
        }
    }
}
