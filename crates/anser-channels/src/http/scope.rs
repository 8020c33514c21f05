//! What the templates and rules of a channel may name: variables, and secrets by their names. Must not show a secret.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use anser_core::Problem;
use minijinja::Value;

/// Functions that the engine brings along.
const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];
/// What stands in an error in the place of a secret.
const MASK: &str = "********";
/// Secrets of one channel.
const SECRETS_MAX: usize = 32;
/// Bytes of a secret's name.
const NAME_BYTES_MAX: usize = 64;
/// Bytes of a secret.
const SECRET_BYTES_MAX: usize = 4_096;

/// The secrets of a channel.
#[derive(Default)]
pub(super) struct Secrets {
    values: BTreeMap<String, String>,
    /// The same for templates.
    value: Value,
}

impl Secrets {
    /// Checks them.
    ///
    /// # Errors
    /// `too_many`; `invalid_secret`, without it.
    pub(super) fn new(values: BTreeMap<String, String>) -> Result<Self, Problem> {
        if values.len() > SECRETS_MAX {
            let detail = format!("may have at most {SECRETS_MAX}, has {}", values.len());
            return Err(Problem::invalid("too_many", "settings.secrets", detail));
        }
        for (name, secret) in &values {
            let refuse = |detail: String| {
                let field = format!("settings.secrets.{name}");
                Err(Problem::invalid("invalid_secret", field, detail))
            };
            let mut letters = name.bytes();
            if name.len() > NAME_BYTES_MAX
                || !name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
                || !letters.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            {
                return refuse(format!(
                    "a secret's name is 1 to {NAME_BYTES_MAX} letters, digits and underscores, no digit first"
                ));
            }
            if secret.is_empty()
                || secret.len() > SECRET_BYTES_MAX
                || secret.trim() != secret
                || secret.contains(char::is_control)
            {
                return refuse(format!(
                    "a secret has 1 to {SECRET_BYTES_MAX} bytes, no control characters, and no blanks around it"
                ));
            }
        }
        let pairs = values
            .iter()
            .map(|(name, secret)| (name.as_str(), secret.as_str()));
        let value = Value::from_pairs(pairs);
        Ok(Self { values, value })
    }

    /// As the variable `secrets`.
    pub(super) fn value(&self) -> Value {
        self.value.clone()
    }

    /// A text without any of them.
    pub(super) fn redacted(&self, text: &str) -> String {
        let mut redacted = text.to_owned();
        for secret in self.values.values() {
            redacted = redacted.replace(secret, MASK);
        }
        redacted
    }
}

/// What may be named.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    /// The variables there are.
    pub(super) variables: &'static [&'static str],
    /// The secrets there are.
    pub(super) secrets: &'a Secrets,
}

impl Scope<'_> {
    /// Checks the names in a template: all of them, and those with what follows them.
    ///
    /// # Errors
    /// `unknown_variable`, `unknown_secret`.
    pub(super) fn check(
        &self,
        field: &str,
        names: &BTreeSet<String>,
        paths: HashSet<String>,
    ) -> Result<(), Problem> {
        let known =
            |name: &&String| self.variables.contains(&name.as_str()) || is_function(name.as_str());
        if let Some(name) = names.iter().find(|name| !known(name)) {
            let detail = format!("there is no variable {name}");
            return Err(Problem::invalid("unknown_variable", field, detail)
                .accepted(self.variables.join(", ")));
        }
        let mut secrets: Vec<&str> = paths
            .iter()
            .filter_map(|path| path.strip_prefix("secrets.")?.split('.').next())
            .filter(|name| !self.secrets.values.contains_key(*name))
            .collect();
        secrets.sort_unstable();
        if let Some(name) = secrets.first() {
            let detail = format!("there is no secret {name}; add it to settings.secrets");
            let known: Vec<&str> = self.secrets.values.keys().map(String::as_str).collect();
            return Err(
                Problem::invalid("unknown_secret", field, detail).accepted(known.join(", "))
            );
        }
        Ok(())
    }

    /// Variables to try a template with: none defined, and every one a text.
    pub(super) fn samples(&self) -> [Value; 2] {
        let texts = self.variables.iter().map(|name| (*name, "1"));
        [
            Value::from_pairs([("secrets", self.secrets.value())]),
            Value::from_pairs(texts),
        ]
    }
}

fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}
