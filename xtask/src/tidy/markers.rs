//! Marks in the code that must not be committed: silenced lints, ignored tests, unfinished code, sleeping tests.
//!
//! Read from tokens, so a mark inside a string or a comment is no finding here; `text` reads the comments.

use super::finding::Finding;
use super::lexed::{Located, Token};
use super::paths::{PathUse, paths};
use super::tree::Tree;

const UNFINISHED_MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
const SLEEPS: &[&str] = &["sleep", "sleep_ms", "sleep_until"];

/// `#[expect]` instead of `#[allow]`, and no ignored tests.
pub(crate) fn attributes(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        for (name, line) in attribute_names(&file.lexed.tokens) {
            if name == "allow" {
                let remedy =
                    "silences a lint for good: fix the cause, or `#[expect(lint, reason = \"…\")]`";
                findings.push(Finding::new("no-allow", &file.path, line, remedy));
            } else if name == "ignore" {
                let remedy = "an ignored test tells nothing: repair it, remove it, or put it behind a feature that CI turns on";
                findings.push(Finding::new("no-ignored-test", &file.path, line, remedy));
            }
        }
    }
    findings
}

/// Nothing half done.
pub(crate) fn unfinished_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        for pair in file.lexed.tokens.windows(2) {
            if let [
                Located {
                    token: Token::Ident(name),
                    line,
                },
                Located {
                    token: Token::Punct('!'),
                    ..
                },
            ] = pair
                && UNFINISHED_MACROS.contains(&name.as_str())
            {
                let remedy = format!("`{name}!`: finish it, or leave the feature out");
                findings.push(Finding::new("unfinished", &file.path, *line, remedy));
            }
        }
    }
    findings
}

/// No test sleeps: it is slow when all is well and fails when the machine is busy.
pub(crate) fn sleeping_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        for path in paths(&file.lexed.tokens) {
            if is_sleep(&path) && file.is_test(path.line) {
                let remedy = format!(
                    "`{}` in a test: use paused tokio time, or wait for the condition itself under a deadline \
                     (a channel, a notification, `tokio::time::interval`)",
                    path.segments.join("::")
                );
                findings.push(Finding::new("no-sleep", &file.path, path.line, remedy));
            }
        }
    }
    findings
}

fn is_sleep(path: &PathUse) -> bool {
    let [.., owner, last] = path.segments.as_slice() else {
        return false;
    };
    (owner == "thread" || owner == "time") && SLEEPS.contains(&last.as_str())
}

/// The first name of every attribute, and the lint levels inside `cfg_attr`.
fn attribute_names(tokens: &[Located]) -> Vec<(&str, usize)> {
    let mut found = Vec::new();
    for (index, located) in tokens.iter().enumerate() {
        if located.token != Token::Punct('#') {
            continue;
        }
        let inner = tokens
            .get(index + 1)
            .is_some_and(|next| next.token == Token::Punct('!'));
        let open = index + 1 + usize::from(inner);
        if tokens
            .get(open)
            .is_none_or(|next| next.token != Token::Open('['))
        {
            continue;
        }
        let inside: Vec<&Located> = tokens[open + 1..]
            .iter()
            .take_while(|token| token.token != Token::Close(']'))
            .collect();
        let conditional = inside
            .first()
            .is_some_and(|first| first.token.ident() == Some("cfg_attr"));
        let names = if conditional {
            &inside[..]
        } else {
            &inside[..inside.len().min(1)]
        };
        for name in names {
            if let Some(text) = name.token.ident() {
                found.push((text, name.line));
            }
        }
    }
    found
}
