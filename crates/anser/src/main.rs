//! `anser`: the binary. Reads the command line, does what it says, and ends with a documented exit code. Everything else
//! is in the modules.

mod attach;
mod cli;
mod client;
mod demo;
mod exit;
mod oneshot;
mod output;
mod server;
mod sim;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::Cli;

/// Fewer page faults and less memory than the system's allocator under many small short-lived allocations.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(told) => {
            // Help and version are no errors: clap prints them to standard output and asks for exit code 0.
            drop(told.print());
            return ExitCode::from(u8::try_from(told.exit_code()).unwrap_or(2));
        }
    };
    let output = cli.output();
    match cli.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&output),
    }
}
