//! What the demo shows while it plays: a few lines that stay in place on a terminal, a line a second elsewhere. Shows
//! counts, makes none.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::gauge::Gauge;
use super::port::{Port, Script};
use super::tally::Snapshot;
use crate::output::{self, Output};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(1);
/// Lines of the scene on a terminal.
const LINES: usize = 10;

/// What does not change while it plays.
pub(crate) struct Scene {
    /// The gateway's address.
    pub(crate) server: String,
    /// What is played.
    pub(crate) script: Script,
}

/// Where it is shown.
pub(crate) struct Screen {
    output: Output,
    mode: Mode,
}

enum Mode {
    /// Lines in place, on standard error.
    Terminal(MultiProgress, Vec<ProgressBar>),
    /// A line now and then, on standard output.
    Plain { next: Duration },
    /// JSON was asked for: only the verdict.
    Silent,
}

impl Screen {
    /// The empty stage.
    pub(crate) fn new(output: &Output, scene: &Scene) -> Self {
        let lines = MultiProgress::new();
        let mode = if output.is_json() {
            Mode::Silent
        } else if lines.is_hidden() {
            output::line(&format!(
                "anser demo: a gateway on {} with three receivers",
                scene.server
            ));
            for port in Port::ALL {
                output::line(&format!(
                    "  {:<10} {}",
                    port.name(),
                    port.behaviour(&scene.script)
                ));
            }
            Mode::Plain {
                next: Duration::ZERO,
            }
        } else {
            let style = ProgressStyle::with_template("{wide_msg}")
                .expect("the template is valid: it is a constant");
            let bars =
                (0..LINES).map(|_| lines.add(ProgressBar::new_spinner().with_style(style.clone())));
            let bars = bars.collect();
            Mode::Terminal(lines, bars)
        };
        Self {
            output: *output,
            mode,
        }
    }

    /// Shows how things stand.
    pub(crate) fn show(&mut self, scene: &Scene, snapshot: &Snapshot, gauge: &Gauge) {
        match &mut self.mode {
            Mode::Silent => {}
            Mode::Plain { next } => {
                if snapshot.elapsed >= *next {
                    *next += LINE_EVERY;
                    output::line(&plain(snapshot, gauge));
                }
            }
            Mode::Terminal(_, bars) => {
                let lines = picture(&self.output, scene, snapshot, gauge);
                for (bar, line) in bars.iter().zip(lines) {
                    // An empty line would not be drawn at all.
                    bar.set_message(if line.is_empty() {
                        " ".to_owned()
                    } else {
                        line
                    });
                }
            }
        }
    }

    /// Clears the stage for the verdict.
    pub(crate) fn close(&mut self) {
        if let Mode::Terminal(lines, _) = &self.mode {
            // Standard error that is gone is no reason to withhold the verdict.
            drop(lines.clear());
            lines.set_draw_target(ProgressDrawTarget::hidden());
        }
    }
}

fn plain(snapshot: &Snapshot, gauge: &Gauge) -> String {
    let arrived: Vec<String> = Port::ALL
        .iter()
        .map(|port| {
            let counts = snapshot.ports[port.index()];
            format!("{} {}/{}", port.name(), counts.received, counts.due)
        })
        .collect();
    format!(
        "{:>5.1} s  accepted {}  delivered {}  retried {}  waiting {}  dead {}  |  {}",
        snapshot.elapsed.as_secs_f64(),
        gauge.accepted,
        gauge.delivered,
        gauge.retried,
        gauge.waiting,
        gauge.dead,
        arrived.join("  ")
    )
}

fn picture(output: &Output, scene: &Scene, snapshot: &Snapshot, gauge: &Gauge) -> Vec<String> {
    let played = snapshot.elapsed.as_secs_f64();
    let mut lines = vec![
        String::new(),
        format!(
            "{}  a gateway on {}, three receivers, {played:.0} of about {:.0} s",
            output.paint("1;36", "anser demo"),
            scene.server,
            scene.script.length.as_secs_f64()
        ),
        String::new(),
        output.paint("2", &heading()),
    ];
    for port in Port::ALL {
        let row = row(port, scene, snapshot);
        let counts = snapshot.ports[port.index()];
        let colour = if counts.missing > 20 { "33" } else { "32" };
        lines.push(output.paint(colour, &row));
    }
    lines.push(String::new());
    lines.push(format!(
        "gateway   accepted {}   delivered {}   retried {}   waiting {}   dead {}",
        output.paint("1", &gauge.accepted.to_string()),
        output.paint("1;32", &gauge.delivered.to_string()),
        output.paint("1;33", &gauge.retried.to_string()),
        output.paint("1;36", &gauge.waiting.to_string()),
        output.paint(
            if gauge.dead > 0 { "1;31" } else { "1" },
            &gauge.dead.to_string()
        ),
    ));
    lines.push(output.paint("2", now(snapshot)));
    lines
}

/// The titles of [`row`].
pub(crate) fn heading() -> String {
    format!(
        "{:<10} {:<36} {:>8} {:>8} {:>6} {:>5} {:>10} {:>10}",
        "receiver", "puts up with", "due", "received", "twice", "503", "p50", "p99"
    )
}

/// One receiver's counts.
pub(crate) fn row(port: Port, scene: &Scene, snapshot: &Snapshot) -> String {
    let counts = snapshot.ports[port.index()];
    let (median, high) = snapshot.latency_us[port.index()];
    format!(
        "{:<10} {:<36} {:>8} {:>8} {:>6} {:>5} {:>10} {:>10}",
        port.name(),
        port.behaviour(&scene.script),
        counts.due,
        counts.received,
        counts.repeated,
        counts.turned_away,
        time(median),
        time(high)
    )
}

fn now(snapshot: &Snapshot) -> &'static str {
    let [billing, warehouse, audit] = snapshot.ports;
    match (warehouse.missing > 20, audit.missing > 2) {
        (true, true) => {
            "warehouse and audit are down: their orders wait on disk and are tried again"
        }
        (true, false) => {
            "warehouse is down or catching up: its orders wait, in order; billing does not notice"
        }
        (false, true) => "nobody listens at audit: its refunds wait on disk and are tried again",
        (false, false) if snapshot.published => "the last ones are on their way",
        (false, false) if billing.received == 0 => "the first orders are on their way",
        (false, false) => "all is well",
    }
}

fn time(micros: u64) -> String {
    match micros {
        0 => "-".to_owned(),
        1..1_000_000 => format!(
            "{:.1} ms",
            Duration::from_micros(micros).as_secs_f64() * 1e3
        ),
        _ => format!("{:.1} s", Duration::from_micros(micros).as_secs_f64()),
    }
}
