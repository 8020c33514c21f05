//! Generated files (JSON Schema, OpenAPI, tables in the documents) and whether they are current.
//!
//! The crate that knows the fact also writes the file, in a test whose name begins with `generated_`: it compares, or
//! with `ANSER_UPDATE=1` writes. So `cargo test` alone finds a stale file; this module only runs those tests.

use crate::cargo;

/// Tells the tests to write what they would compare.
const UPDATE_VARIABLE: &str = "ANSER_UPDATE";

/// Writes the generated files, or with `check` fails when one is stale.
pub(crate) fn run(check: bool) -> anyhow::Result<()> {
    // The whole workspace: naming single packages would resolve other features and build the dependencies twice.
    let mut command = cargo::cargo(&[
        "test",
        "--workspace",
        "--lib",
        "--bins",
        "--tests",
        "--no-fail-fast",
        "generated_",
    ]);
    if check {
        command.env_remove(UPDATE_VARIABLE);
    } else {
        command.env(UPDATE_VARIABLE, "1");
    }
    cargo::run(&mut command)
}
