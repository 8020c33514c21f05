//! A platform's name appears only in its own folder, and where the doors imitate it.
//!
//! If a change for one platform needs its name in the gateway, the contract is missing something: fix the contract.

use super::finding::Finding;
use super::lexed::Token;
use super::tree::{RustFile, Tree};
use std::collections::BTreeSet;

/// Kinds that name a protocol, not a platform, and the code that all folders share.
const GENERIC_FOLDERS: &[&str] = &["webhook", "http", "exec", "email", "source", "kit"];

/// Platforms that have no folder yet; once they have, the folder's name counts by itself.
const UPCOMING: &[&str] = &[
    "dingtalk",
    "discord",
    "feishu",
    "gotify",
    "lark",
    "line",
    "matrix",
    "mattermost",
    "ntfy",
    "qq",
    "slack",
    "teams",
    "telegram",
    "wechat",
    "wecom",
    "weixin",
    "whatsapp",
];

/// Platforms named after ordinary words: only a whole string that equals them counts.
const ORDINARY_WORDS: &[&str] = &["line", "matrix", "teams"];

/// Where no platform is known by name.
const CRATES: &[&str] = &["anser-core", "anser-store", "anser-gateway", "anser-edge"];
/// Except here: doors that speak a platform's own protocol.
const EXEMPT: &[&str] = &["crates/anser-edge/src/robot", "crates/anser-edge/src/cmq"];

/// No identifier, string or file name holds the kind of a platform.
pub(crate) fn platform_names(tree: &Tree) -> Vec<Finding> {
    let platforms = platforms(tree);
    let mut findings = Vec::new();
    for file in &tree.rust {
        let named = file.crate_name().is_some_and(|name| CRATES.contains(&name));
        if !named || EXEMPT.iter().any(|folder| is_below(&file.path, folder)) {
            continue;
        }
        for platform in &platforms {
            if file
                .path
                .split(['/', '.'])
                .any(|part| names(part, platform))
            {
                findings.push(finding(file, 0, platform));
            }
            for located in &file.lexed.tokens {
                if token_names(&located.token, platform) {
                    findings.push(finding(file, located.line, platform));
                }
            }
        }
    }
    findings
}

fn finding(file: &RustFile, line: usize, platform: &str) -> Finding {
    let remedy = format!(
        "names the platform `{platform}`: move this into crates/anser-channels/src/{platform}, or widen the contract"
    );
    Finding::new("platform-name", &file.path, line, remedy)
}

/// The folders of the channels crate that are no generic kind, and the fixed list.
fn platforms(tree: &Tree) -> BTreeSet<String> {
    let mut platforms: BTreeSet<String> = UPCOMING.iter().map(|name| (*name).to_owned()).collect();
    for file in &tree.rust {
        if let Some(rest) = file.path.strip_prefix("crates/anser-channels/src/")
            && let Some((folder, _)) = rest.split_once('/')
            && !GENERIC_FOLDERS.contains(&folder)
        {
            platforms.insert(folder.to_owned());
        }
    }
    platforms
}

fn token_names(token: &Token, platform: &str) -> bool {
    match token {
        Token::Ident(name) => !ORDINARY_WORDS.contains(&platform) && names(name, platform),
        Token::Literal(literal) => {
            let (Some(first), Some(last)) = (literal.find('"'), literal.rfind('"')) else {
                return false;
            };
            let text = literal.get(first + 1..last).unwrap_or_default();
            if ORDINARY_WORDS.contains(&platform) {
                return text == platform;
            }
            text.split(|c: char| !c.is_alphanumeric() && c != '_')
                .any(|word| names(word, platform))
        }
        _ => false,
    }
}

/// Whether neighbouring words of the identifier make the platform's name: `DingTalkRobot`, `send_dingtalk`.
fn names(identifier: &str, platform: &str) -> bool {
    let words = words(identifier);
    let platform: String = platform.split(['_', '-']).collect();
    for first in 0..words.len() {
        let mut joined = String::new();
        for word in &words[first..] {
            joined.push_str(word);
            if joined == platform {
                return true;
            }
        }
    }
    false
}

/// `send_DingTalkHTTP` is `send`, `ding`, `talk`, `http`.
fn words(identifier: &str) -> Vec<String> {
    let letters: Vec<char> = identifier.chars().collect();
    let mut words = vec![String::new()];
    for (index, letter) in letters.iter().enumerate() {
        let after_lower = index > 0 && !letters[index - 1].is_uppercase();
        let before_lower = letters
            .get(index + 1)
            .is_some_and(|next| next.is_lowercase());
        if *letter == '_' || (letter.is_uppercase() && (after_lower || before_lower)) {
            words.push(String::new());
        }
        if *letter != '_' {
            words
                .last_mut()
                .expect("begins with one word")
                .extend(letter.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

/// `folder/…`, or the file `folder.rs`.
fn is_below(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder)
        .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
}
