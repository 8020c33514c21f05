//! Code that decides does no I/O and has no clock, chance or thread of its own: those come in through handles, so that
//! every test controls them.
//!
//! Judged by the paths the code names, test code excepted. A renaming import can hide from this rule, not from clippy's
//! list of banned calls.

use super::finding::Finding;
use super::paths::{PathUse, paths};
use super::tree::Tree;

/// Where code must be pure: folders, or files without their ending.
const PURE: &[&str] = &[
    "crates/anser-core/src",
    "crates/anser-channels/src",
    "crates/anser-gateway/src/dispatch/plan",
    "crates/anser-gateway/src/leasing/alarms",
    "crates/anser-gateway/src/leasing/waiting",
];
/// The handles themselves, which wrap the real clock and the real randomness.
const HANDLES: &[&str] = &[
    "crates/anser-core/src/clock",
    "crates/anser-core/src/random",
];

/// Runtimes and clients: any path that begins with one.
const IO_CRATES: &[&str] = &[
    "tokio",
    "hyper",
    "hyper_util",
    "reqwest",
    "mio",
    "socket2",
    "rusqlite",
    "rustix",
    "async_std",
    "smol",
];
/// Modules of the standard library, by their first two names.
const IO_MODULES: &[&str] = &["fs", "process", "env", "thread"];
const SOCKETS: &[&str] = &[
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "UnixListener",
    "UnixDatagram",
    "ToSocketAddrs",
    "lookup_host",
];
const RANDOM: &[&str] = &[
    "rand",
    "getrandom",
    "fastrand",
    "SystemRandom",
    "OsRng",
    "ThreadRng",
    "thread_rng",
    "RandomState",
];
/// Types whose `now` reads the machine's clock.
const CLOCKS: &[&str] = &[
    "Instant",
    "SystemTime",
    "Timestamp",
    "Zoned",
    "Utc",
    "Local",
    "OffsetDateTime",
];
const UUID_SOURCES: &[&str] = &["now_v1", "now_v6", "now_v7", "new_v4"];

/// No socket, clock, randomness or thread where code is pure.
pub(crate) fn pure_code(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in &tree.rust {
        if !is_in(&file.path, PURE) || is_in(&file.path, HANDLES) {
            continue;
        }
        for path in paths(&file.lexed.tokens) {
            if let Some(remedy) = verdict(&path)
                && !file.is_test(path.line)
            {
                let remedy = format!("`{}`: {remedy}", path.segments.join("::"));
                findings.push(Finding::new("pure-code", &file.path, path.line, remedy));
            }
        }
    }
    findings
}

fn is_in(path: &str, places: &[&str]) -> bool {
    places.iter().any(|place| {
        path.strip_prefix(place)
            .is_some_and(|rest| rest.starts_with('/') || rest == ".rs")
    })
}

fn verdict(path: &PathUse) -> Option<&'static str> {
    let names: Vec<&str> = path.segments.iter().map(String::as_str).collect();
    let first = *names.first()?;
    let last = *names.last()?;
    let owner = names.len().checked_sub(2).map_or("", |index| names[index]);
    let qualified = names.len() > 1;
    if (last == "now" && CLOCKS.contains(&owner))
        || (owner == "Uuid" && UUID_SOURCES.contains(&last))
    {
        return Some("take the time from the clock handle that the caller passes in");
    }
    // A lone name may be anything, a local variable `rand` too.
    if names
        .iter()
        .any(|name| RANDOM.contains(name) && (qualified || name.starts_with(char::is_uppercase)))
        || (owner.ends_with("KeyPair") && last == "generate")
    {
        return Some("take randomness from the handle that the caller passes in");
    }
    let io_module = first == "std"
        && names
            .get(1)
            .is_some_and(|module| IO_MODULES.contains(module));
    if (qualified && IO_CRATES.contains(&first))
        || io_module
        || names.iter().any(|name| SOCKETS.contains(name))
    {
        return Some("no I/O here: return what is to be done and let the shell do it");
    }
    if qualified && last.starts_with("spawn") {
        return Some("no task or thread here: the shell owns them");
    }
    None
}
