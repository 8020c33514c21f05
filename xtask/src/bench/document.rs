//! `docs/benchmarks.md`: written by a full run. What people add at its end, where the time goes above all, is kept.

use crate::bench::clock;
use crate::bench::setup::FORMAT;
use crate::bench::table::Section;
use crate::cargo;
use anyhow::Context;
use std::process::Command;

const PATH: &str = "docs/benchmarks.md";
/// Everything from here on is written by hand.
const BY_HAND: &str = "<!-- From here on by hand: `cargo xtask bench` keeps it. -->";

/// Writes it.
pub(crate) fn write(command: &str, sections: &[Section], load: &str) -> anyhow::Result<()> {
    let path = cargo::root().join(PATH);
    let before = std::fs::read_to_string(&path).unwrap_or_default();
    let text = text(command, sections, load, by_hand(&before));
    std::fs::write(&path, text).with_context(|| format!("cannot write {PATH}"))?;
    println!("wrote {PATH}");
    Ok(())
}

fn by_hand(document: &str) -> &str {
    document.split_once(BY_HAND).map_or("\n", |(_, rest)| rest)
}

fn text(command: &str, sections: &[Section], load: &str, by_hand: &str) -> String {
    let mut text = format!(
        "# Benchmarks\n\nWritten by `{command}` on {}, commit {}, on {}. {load}\n\n",
        clock::today(),
        commit(),
        machine()
    );
    text.push_str(&format!(
        "Publishers and receivers run in the harness's own process, one thread, on the same machine and over loopback. \
         Messages carry 256 bytes of data; webhooks have the format `{FORMAT}` and are signed. The gateway is the \
         release build with its default settings, `serve --dev`, on an empty folder for each section. CPU is user and \
         system time of the whole process. Times and rates depend on what else the machine does and drift by tens of \
         percent; compare CPU, and better the ratio of the gateway's to the harness's of the same run.\n\n"
    ));
    for section in sections {
        text.push_str(&section.markdown());
        text.push('\n');
    }
    text.push_str(BY_HAND);
    text.push_str(by_hand);
    text
}

fn commit() -> String {
    let mut git = Command::new("git");
    git.current_dir(cargo::root())
        .args(["describe", "--always", "--dirty"]);
    cargo::read(&mut git).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// Processors, kernel, memory.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processors = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = value(&processors, "model name").unwrap_or("unknown processor");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let memory = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let memory = value(&memory, "MemTotal")
        .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok())
        .map_or_else(String::new, |kib| format!(", {} GiB", kib / 1024 / 1024));
    format!("{cores} cores ({model}){memory}, Linux {}", kernel.trim())
}

fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::{BY_HAND, by_hand, text, value};

    #[test]
    fn what_was_written_by_hand_is_kept() {
        let first = text("c", &[], "", by_hand(""));
        let edited = format!("{first}\n## Where the time goes\n");
        let second = text("c", &[], "", by_hand(&edited));
        assert_eq!(second.matches(BY_HAND).count(), 1);
        assert!(second.ends_with("## Where the time goes\n"));
    }

    #[test]
    fn a_fact_of_the_machine_is_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(value(text, "model name"), Some("Some CPU @ 2 GHz"));
        assert_eq!(value(text, "MemTotal"), None);
    }
}
