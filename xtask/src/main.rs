//! The project's automation: `cargo xtask bench | ci | gen | tidy`, in Rust so that it runs wherever the product builds.
//!
//! This file only reads the command line. Each command has a module of its own, and uses nothing of the product's
//! crates: a gateway that does not compile must not keep `tidy` from saying why.

mod bench;
mod cargo;
mod cargo_deny;
mod ci;
mod external;
mod generate;
mod tidy;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    about = "Checks, generates and measures the Anser workspace",
    version
)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

/// One variant a module, in alphabetical order.
#[derive(Subcommand)]
enum Task {
    /// Measure the release build against the design's targets; a full run writes docs/benchmarks.md
    Bench(bench::Options),
    /// Everything a change must pass, in the order in which it fails fastest; the continuous integration runs just this
    Ci {
        /// Leave out the tests that need Python packages (the feature `external`)
        #[arg(long)]
        skip_external: bool,
    },
    /// Write the generated files again: JSON Schema, OpenAPI, channel tables, the configuration manual
    Gen {
        /// Only say which of them are stale, and fail if one is
        #[arg(long)]
        check: bool,
    },
    /// The house rules no compiler knows; lowers the entries of xtask/tidy-ratchet.txt that have become too high
    Tidy {
        /// Change nothing, and check the generated files too
        #[arg(long)]
        check: bool,
    },
}

fn main() -> ExitCode {
    let result = match Arguments::parse().command {
        Task::Bench(options) => bench::run(&options),
        Task::Ci { skip_external } => ci::run(skip_external),
        Task::Gen { check } => generate::run(check),
        Task::Tidy { check } => tidy::run(check),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        // Without the backtrace that `anyhow` adds: what failed is a check, not this program.
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
