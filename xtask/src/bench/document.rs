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

/// Puts sections that were measured by themselves where they stood, or at the end; the others stay.
pub(crate) fn record(sections: &[Section], load: &str) -> anyhow::Result<()> {
    let path = cargo::root().join(PATH);
    let mut text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {PATH}"))?;
    for section in sections {
        let mut section = section.clone();
        let (day, commit) = (clock::today(), commit());
        let alone = format!("Measured alone on {day}, commit {commit}. {load}");
        section.notes.push(alone);
        text = replaced(&text, &section);
    }
    std::fs::write(&path, text).with_context(|| format!("cannot write {PATH}"))?;
    println!("wrote {PATH}");
    Ok(())
}

fn replaced(document: &str, section: &Section) -> String {
    let end = document.find(BY_HAND).unwrap_or(document.len());
    let (measured, rest) = document.split_at(end);
    let title = format!("## `{}`:", section.name);
    let begin = measured.find(&title).unwrap_or(end);
    let (before, old) = measured.split_at(begin);
    // The next section begins with a title too.
    let after = old.get(1..).and_then(|old| old.find("\n## "));
    let after = after.map_or("", |at| &old[at + 2..]);
    format!("{before}{}\n{after}{rest}", section.markdown())
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
    use super::{BY_HAND, by_hand, replaced, text, value};
    use crate::bench::table::Section;

    #[test]
    fn what_was_written_by_hand_is_kept() {
        let first = text("c", &[], "", by_hand(""));
        let edited = format!("{first}\n## Where the time goes\n");
        let second = text("c", &[], "", by_hand(&edited));
        assert_eq!(second.matches(BY_HAND).count(), 1);
        assert!(second.ends_with("## Where the time goes\n"));
    }

    #[test]
    fn a_section_measured_alone_takes_the_place_of_the_old_one() {
        let section = |name: &str, title: &str| Section {
            name: name.to_owned(),
            title: title.to_owned(),
            rows: Vec::new(),
            grids: Vec::new(),
            notes: vec!["Note.".to_owned()],
        };
        let before = text(
            "c",
            &[section("a", "old"), section("b", "b")],
            "",
            "\nEnd.\n",
        );
        let after = replaced(&before, &section("a", "new"));
        let expected = text(
            "c",
            &[section("a", "new"), section("b", "b")],
            "",
            "\nEnd.\n",
        );
        assert_eq!(after, expected);
        let more = replaced(&after, &section("d", "d"));
        let sections = [section("a", "new"), section("b", "b"), section("d", "d")];
        assert_eq!(more, text("c", &sections, "", "\nEnd.\n"));
    }

    #[test]
    fn a_fact_of_the_machine_is_found() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n";
        assert_eq!(value(text, "model name"), Some("Some CPU @ 2 GHz"));
        assert_eq!(value(text, "MemTotal"), None);
    }
}
