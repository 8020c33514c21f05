//! A program to be run, as a request, and what a program is to a queue whose messages it takes by the batch. Finding,
//! guarding, starting and ending it is the sender's.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, StatusCode};

use super::{Answers, Exchange};
use crate::Message;
use crate::problem::Problem;

/// The longest that a program may be given for one run.
pub const PROGRAM_TIMEOUT_MAX: Duration = Duration::from_secs(600);
/// Bytes of standard output that are read; what is longer is cut there.
pub const PROGRAM_STDOUT_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of standard error that are kept: the last ones.
pub const PROGRAM_STDERR_BYTES_KEPT: usize = 4 * 1024;
/// Bytes that a program may write to both before it is ended.
pub const PROGRAM_OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// In the answer to a run: the program's exit code, in decimal digits.
pub const EXIT_CODE: HeaderName = HeaderName::from_static("exit-code");
/// The status of the answer to a run that ended with exit code 0; its body is the standard output.
pub const RUN_SUCCEEDED: StatusCode = StatusCode::OK;
/// The status of the answer to a run that ended with another exit code; its body is the end of the standard error.
pub const RUN_FAILED: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// A program and how it is run.
#[derive(Clone, PartialEq, Eq)]
pub struct Program {
    /// The name of a file in the folder that the gateway's configuration file names.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables of its environment, beside those that the gateway sets. Their values may be secret.
    pub env: Vec<(String, String)>,
    /// How long one run may take; at most [`PROGRAM_TIMEOUT_MAX`].
    pub timeout: Duration,
    /// How many runs for one channel there may be at the same time.
    pub concurrency: usize,
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.env.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Program")
            .field("name", &self.name)
            .field("args", &self.args)
            .field("env", &names)
            .field("timeout", &self.timeout)
            .field("concurrency", &self.concurrency)
            .finish()
    }
}

/// One run of a program. The answer is [`RUN_SUCCEEDED`] or [`RUN_FAILED`] with [`EXIT_CODE`]; a program that did not end by
/// itself gave none.
#[derive(Debug, Clone)]
pub struct ExecRequest {
    /// What is run.
    pub program: Arc<Program>,
    /// Further variables of its environment: what the run is about.
    pub facts: Vec<(&'static str, String)>,
    /// Its standard input.
    pub input: Bytes,
}

/// A channel's way to take the messages of a queue by the batch. Pure, as a channel is.
pub trait Batches: Send + Sync {
    /// The run that a batch is given to.
    fn request(&self, queue: &str, batch: &[&Message]) -> ExecRequest;

    /// What became of each message of the batch.
    ///
    /// # Errors
    /// Why none of them is done, for people: they are all given back.
    fn read(&self, batch: &[&Message], exchange: &Exchange) -> Result<BatchAnswer, String>;
}

/// What became of a batch.
#[derive(Debug, Default)]
pub struct BatchAnswer {
    /// The places of those that failed; the others are done.
    pub failed: Vec<usize>,
    /// What is answered to which of them, by its place.
    pub answers: Vec<(usize, Answers)>,
    /// Answers that are to none of them, for good.
    pub refused: Vec<Problem>,
}
