//! Everything a change must pass, step by step, with a table of times and outcomes at the end.
//!
//! A failed step does not stop the later ones: whoever waits for the machine wants to know all of it. The steps call the
//! same commands a person would, and nothing here decides what is right.

use crate::{cargo, cargo_deny, external, tidy};
use anyhow::bail;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// The fuzz targets, which are no members of the workspace, so that what is done for all passes them by.
const FUZZ: [&str; 2] = ["--manifest-path", "fuzz/Cargo.toml"];

/// Runs the steps; fails when one of them did.
pub(crate) fn run(skip_external: bool) -> anyhow::Result<()> {
    let mut report = Report::default();
    report.step("format", format);
    report.step("clippy", clippy);
    report.step("fuzz", fuzz);
    report.step("tidy", tidy::check_tree);
    report.step("deny", cargo_deny::check);
    let variables = if skip_external {
        report.skip("external");
        None
    } else {
        report.step("external", external::prepare)
    };
    report.step("test", || test(variables.as_deref()));
    report.finish()
}

fn format() -> anyhow::Result<()> {
    cargo::run(&mut cargo::cargo(&["fmt", "--all", "--check"]))?;
    let mut fuzz = cargo::cargo(&["fmt", "--check"]);
    cargo::run(fuzz.args(FUZZ))
}

fn clippy() -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["clippy", "--locked", "--workspace", "--all-targets"]);
    if let Some(features) = external_features()? {
        command.args(["--features", &features]);
    }
    // Here and not in RUSTFLAGS, which would make cargo build every dependency a second time.
    cargo::run(command.args(["--", "-D", "warnings"]))
}

/// The fuzz targets compile.
fn fuzz() -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["check", "--locked", "--bins", "--target-dir", "target/fuzz"]);
    command.args(FUZZ);
    // Nothing is linked, so that libFuzzer need not be there, nor a C++ compiler to build it.
    let unused = cargo::root().join("target/fuzz/unused.a");
    cargo::run(command.env("CUSTOM_LIBFUZZER_PATH", unused))
}

/// One run for all tests: a second one for the feature alone would resolve other features and build the tree again.
fn test(variables: Option<&[(&str, PathBuf)]>) -> anyhow::Result<()> {
    let mut command = cargo::cargo(&["test", "--locked", "--workspace", "--no-fail-fast"]);
    if let Some(variables) = variables
        && let Some(features) = external_features()?
    {
        command
            .args(["--features", &features])
            .envs(variables.iter().map(|(name, path)| (name, path)));
    }
    cargo::run(&mut command)
}

/// `PACKAGE/external` for every package that has the feature, as cargo wants it; none where no package has it.
fn external_features() -> anyhow::Result<Option<String>> {
    let mut features = Vec::new();
    for package in cargo::packages()? {
        if package.features.contains_key(external::FEATURE) {
            features.push(format!("{}/{}", package.name, external::FEATURE));
        }
    }
    Ok(if features.is_empty() {
        None
    } else {
        Some(features.join(","))
    })
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

/// What was run so far.
#[derive(Default)]
struct Report {
    lines: Vec<(&'static str, Outcome, Duration)>,
}

impl Report {
    /// Runs one step; its value is there when it passed.
    fn step<T>(
        &mut self,
        name: &'static str,
        run: impl FnOnce() -> anyhow::Result<T>,
    ) -> Option<T> {
        println!("\n==== {name} ====");
        let started = now();
        let result = run();
        let took = now() - started;
        let (outcome, value) = match result {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(error) => {
                println!("{name}: {error:#}");
                (Outcome::Failed, None)
            }
        };
        println!(
            "==== {name}: {} in {:.1} s ====",
            word(outcome),
            took.as_secs_f64()
        );
        self.lines.push((name, outcome, took));
        value
    }

    fn skip(&mut self, name: &'static str) {
        self.lines.push((name, Outcome::Skipped, Duration::ZERO));
    }

    fn finish(self) -> anyhow::Result<()> {
        println!("\n{}", self.table());
        let mut failed = Vec::new();
        for (name, outcome, _) in &self.lines {
            if *outcome == Outcome::Failed {
                failed.push(*name);
            }
        }
        if !failed.is_empty() {
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }

    fn table(&self) -> String {
        let mut table = String::from("step       outcome   seconds\n");
        let mut total = Duration::ZERO;
        for (name, outcome, took) in &self.lines {
            table.push_str(&format!(
                "{name:<10} {:<8} {:>8.1}\n",
                word(*outcome),
                took.as_secs_f64()
            ));
            total += *took;
        }
        table.push_str(&format!(
            "{:<10} {:<8} {:>8.1}\n",
            "all",
            "",
            total.as_secs_f64()
        ));
        table
    }
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Passed => "passed",
        Outcome::Failed => "FAILED",
        Outcome::Skipped => "skipped",
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "only shown to people; nothing here is replayed or decided by it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::{Outcome, Report};

    #[test]
    fn a_failed_step_fails_the_run_but_not_the_later_steps() {
        let mut report = Report::default();
        assert_eq!(report.step("first", || Ok(7)), Some(7));
        assert_eq!(
            report.step("second", || -> anyhow::Result<()> {
                anyhow::bail!("broken")
            }),
            None
        );
        assert_eq!(report.step("third", || Ok(())), Some(()));
        report.skip("fourth");
        let outcomes: Vec<Outcome> = report.lines.iter().map(|line| line.1).collect();
        assert_eq!(
            outcomes,
            [
                Outcome::Passed,
                Outcome::Failed,
                Outcome::Passed,
                Outcome::Skipped
            ]
        );
        assert!(report.table().contains("second     FAILED"));
        let error = report.finish().expect_err("a step failed");
        assert_eq!(error.to_string(), "failed: second");
    }
}
