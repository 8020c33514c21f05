//! `anser publish`: a file of messages, one JSON item a line, in order. Where it was broken off it goes on: what was
//! confirmed is remembered beside the file, and every line has a dedupe key, so that a repeat stores nothing twice.

mod batch;
mod journal;
mod lines;

use std::path::PathBuf;
use std::time::Duration;

use anser_core::limits;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::Value;

use super::api::Api;
use crate::exit::Failure;
use crate::output::{self, Output};
use batch::Batch;
use journal::Journal;
use lines::Lines;

/// First pause after a failure that may pass; doubles.
const RETRY_FIRST: Duration = Duration::from_millis(250);
/// Tries of one batch before giving up: half a minute of waiting in all.
const TRIES_MAX: u32 = 8;
/// Refused lines that are told one by one; the rest is only counted.
const REFUSALS_SHOWN_MAX: usize = 20;

/// A file to publish.
#[derive(Debug, Args)]
pub(crate) struct PublishArguments {
    /// A file with one item a line, such as {"header":{"type":"order.paid"},"body":{"data":{"total":42}}}.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// The topic; default: each line's own `header.topic`, or its `header.to`.
    #[arg(long)]
    topic: Option<String>,
    /// Messages a request.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=limits::BATCH_MESSAGES_MAX as i64))]
    batch: u32,
    /// Begin at this line (1 is the first), whatever was confirmed before.
    #[arg(long, value_name = "LINE", value_parser = clap::value_parser!(u64).range(1..))]
    from_line: Option<u64>,
}

/// What became of the lines.
#[derive(Debug, Default, serde::Serialize)]
struct Tally {
    /// Stored now.
    accepted: u64,
    /// Stored before, under the same dedupe key.
    duplicates: u64,
    /// Not stored.
    refused: u64,
    /// Confirmed in an earlier run.
    skipped: u64,
}

impl PublishArguments {
    /// Publishes the file.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let mut journal = Journal::open(&self.file, self.from_line)?;
        let mut lines = Lines::open(&self.file, self.topic.clone(), journal.content())?;
        let bar = progress_bar(lines.bytes_total(), output);
        let mut tally = Tally {
            skipped: lines.skip(journal.lines_done())?,
            ..Tally::default()
        };
        while let Some(batch) = lines.next_batch(self.batch as usize)? {
            bar.set_position(lines.bytes_read());
            let sent = send(api, &batch, &bar).await;
            let results = sent.map_err(|failure| journal.interrupted(failure))?;
            count(&mut tally, &batch, &results, &bar);
            journal.confirm(batch.last_line())?;
            bar.set_message(format!(
                "{} accepted, {} refused",
                tally.accepted, tally.refused
            ));
        }
        bar.finish_and_clear();
        journal.finish()?;
        let raw = serde_json::to_string(&tally).unwrap_or_default();
        output.result(&raw, |_| tally.sentence());
        if tally.refused > 0 {
            let why = format!(
                "{} lines were refused; the others are stored",
                tally.refused
            );
            return Err(Failure::Refused(Box::new(crate::exit::Refusal {
                status: 200,
                problem: serde_json::json!({"detail": why, "code": "lines_refused"}),
            })));
        }
        Ok(())
    }
}

impl Tally {
    fn sentence(&self) -> String {
        let mut text = format!("{} accepted", self.accepted);
        for (count, what) in [
            (self.duplicates, "stored before"),
            (self.refused, "refused"),
            (self.skipped, "confirmed in an earlier run"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        text
    }
}

/// On a terminal only; drawn on standard error.
fn progress_bar(bytes: u64, output: &Output) -> ProgressBar {
    if output.is_json() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(
        "{bar:32.cyan} {percent:>3}%  {bytes}/{total_bytes}  {msg}  {eta} left",
    )
    .expect("the template is valid: it is a constant");
    ProgressBar::new(bytes).with_style(style)
}

/// Sends a batch until it is confirmed, refused for good, or out of tries.
async fn send(api: &Api, batch: &Batch, bar: &ProgressBar) -> Result<Vec<Value>, Failure> {
    let mut pause = RETRY_FIRST;
    for _ in 1..TRIES_MAX {
        match batch.send(api).await {
            Err(Failure::Unreachable { why }) => bar.set_message(why),
            Err(Failure::Refused(refusal)) if refusal.may_pass() => {
                bar.set_message(refusal.text());
            }
            sent => return sent,
        }
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    batch.send(api).await
}

fn count(tally: &mut Tally, batch: &Batch, results: &[Value], bar: &ProgressBar) {
    for (line, result) in batch.line_numbers().zip(results) {
        if result.get("id").is_some() {
            let again = result.get("duplicate").and_then(Value::as_bool) == Some(true);
            tally.accepted += u64::from(!again);
            tally.duplicates += u64::from(again);
            continue;
        }
        tally.refused += 1;
        if tally.refused <= REFUSALS_SHOWN_MAX as u64 {
            let text = |name: &str| result.get(name).and_then(Value::as_str).unwrap_or("-");
            let told = format!(
                "line {line}: {} ({}, {})",
                output::one_line(text("detail")),
                output::one_line(text("field")),
                text("code")
            );
            bar.suspend(|| eprintln!("{told}"));
        }
    }
}
