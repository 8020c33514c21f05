//! The verdict: what was promised, held against what the receivers counted. [`judge`] is pure.

use serde_json::json;

use super::gauge::Gauge;
use super::port::Port;
use super::screen::{Scene, heading, row};
use super::tally::Snapshot;
use crate::exit::Failure;
use crate::output::{self, Output};

/// One promise, and whether it was kept.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    kept: bool,
    text: String,
}

/// Prints what was counted and whether every promise was kept.
pub(crate) fn tell(
    output: &Output,
    snapshot: &Snapshot,
    gauge: &Gauge,
    scene: &Scene,
) -> Result<(), Failure> {
    let findings = judge(snapshot, gauge);
    let kept = findings.iter().all(|finding| finding.kept);
    if output.is_json() {
        output::line(&as_json(snapshot, gauge, &findings, kept));
    } else {
        output::line(&format!("\n{}", heading()));
        for port in Port::ALL {
            output::line(&row(port, scene, snapshot));
        }
        output::line(&format!(
            "p50 and p99: from publish to first receipt.\n\nAfter {:.1} s the gateway says: {} accepted, {} delivered, {} retried, {} waiting, {} dead.",
            snapshot.elapsed.as_secs_f64(),
            gauge.accepted,
            gauge.delivered,
            gauge.retried,
            gauge.waiting,
            gauge.dead
        ));
        output::line("The receivers say:");
        for finding in &findings {
            let mark = if finding.kept { "✔" } else { "✘" };
            output::line(&format!("  {mark} {}", finding.text));
        }
    }
    if kept {
        return Ok(());
    }
    Err(Failure::Here(anyhow::anyhow!(
        "a promise was not kept; please report this"
    )))
}

fn judge(snapshot: &Snapshot, gauge: &Gauge) -> Vec<Finding> {
    let sum = |pick: fn(&super::tally::PortCounts) -> u64| -> u64 {
        snapshot.ports.iter().map(pick).sum()
    };
    let (missing, disordered) = (sum(|port| port.missing), sum(|port| port.disordered));
    let (repeated, unmarked) = (sum(|port| port.repeated), sum(|port| port.unmarked));
    let (received, unsigned) = (sum(|port| port.received), sum(|port| port.unsigned));
    let due = snapshot.due();
    let finding = |kept: bool, yes: String, no: String| Finding {
        kept,
        text: if kept { yes } else { no },
    };
    vec![
        finding(
            snapshot.accepted > 0 && missing == 0 && snapshot.published,
            format!("nothing lost: {} messages accepted, all {due} deliveries arrived", snapshot.accepted),
            format!("{missing} of {due} deliveries did not arrive"),
        ),
        finding(
            disordered == 0,
            "in order: every order's messages came in the order they were published in".to_owned(),
            format!("{disordered} messages came behind a later one of their order"),
        ),
        finding(
            unsigned == 0,
            format!("signed: all {} requests taken carried a valid signature", received + repeated),
            format!("{unsigned} requests had no valid signature"),
        ),
        finding(
            unmarked == 0,
            match repeated {
                0 => "once: no message came twice".to_owned(),
                1 => "once, but for the one that was not answered in time: it came twice, marked as such".to_owned(),
                _ => format!("once, but for {repeated} that were not answered in time: they came twice, marked as such"),
            },
            format!("{unmarked} messages came twice without being marked"),
        ),
        finding(
            snapshot.refused == 0
                && gauge.accepted == snapshot.accepted
                && gauge.delivered == due
                && gauge.waiting == 0
                && gauge.dead == 0,
            "counted: the gateway's own numbers agree, nothing waits, nothing is dead".to_owned(),
            format!(
                "the gateway's numbers do not agree: {} refused; accepted {} of {}, delivered {} of {due}, waiting {}, dead {}",
                snapshot.refused, gauge.accepted, snapshot.accepted, gauge.delivered, gauge.waiting, gauge.dead
            ),
        ),
    ]
}

fn as_json(snapshot: &Snapshot, gauge: &Gauge, findings: &[Finding], kept: bool) -> String {
    let receivers: serde_json::Map<String, serde_json::Value> = Port::ALL
        .iter()
        .map(|port| {
            let counts = snapshot.ports[port.index()];
            let (median, high) = snapshot.latency_us[port.index()];
            let value = json!({
                "due": counts.due, "received": counts.received, "repeated": counts.repeated,
                "unmarked": counts.unmarked, "disordered": counts.disordered, "unsigned": counts.unsigned,
                "turned_away": counts.turned_away, "missing": counts.missing, "p50_us": median, "p99_us": high,
            });
            (port.name().to_owned(), value)
        })
        .collect();
    let findings: Vec<_> = findings
        .iter()
        .map(|finding| json!({"kept": finding.kept, "text": finding.text}))
        .collect();
    json!({
        "kept": kept, "findings": findings, "receivers": receivers,
        "seconds": snapshot.elapsed.as_secs_f64(), "refused": snapshot.refused,
        "gateway": {"accepted": gauge.accepted, "delivered": gauge.delivered, "retried": gauge.retried,
            "waiting": gauge.waiting, "dead": gauge.dead},
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::tally::PortCounts;
    use super::*;

    fn good() -> (Snapshot, Gauge) {
        let port = PortCounts {
            received: 10,
            due: 10,
            repeated: 1,
            ..PortCounts::default()
        };
        let snapshot = Snapshot {
            elapsed: Duration::from_secs(20),
            accepted: 10,
            refused: 0,
            published: true,
            ports: [port; 3],
            latency_us: [(1, 2); 3],
        };
        let gauge = Gauge {
            accepted: 10,
            delivered: 30,
            retried: 5,
            dead: 0,
            waiting: 0,
        };
        (snapshot, gauge)
    }

    #[test]
    fn every_promise_can_fail_by_itself() {
        let (snapshot, gauge) = good();
        assert!(judge(&snapshot, &gauge).iter().all(|finding| finding.kept));
        type Break = fn(&mut Snapshot, &mut Gauge);
        let breaks: [Break; 9] = [
            |snapshot, _| snapshot.ports[1].missing = 1,
            |snapshot, _| snapshot.ports[1].disordered = 1,
            |snapshot, _| snapshot.ports[1].unsigned = 1,
            |snapshot, _| snapshot.ports[1].unmarked = 1,
            |snapshot, _| snapshot.published = false,
            |snapshot, _| snapshot.refused = 1,
            |_, gauge| gauge.dead = 1,
            |_, gauge| gauge.waiting = 1,
            |_, gauge| gauge.accepted = 9,
        ];
        for (number, spoil) in breaks.into_iter().enumerate() {
            let (mut snapshot, mut gauge) = good();
            spoil(&mut snapshot, &mut gauge);
            let broken = judge(&snapshot, &gauge);
            let broken = broken.iter().filter(|finding| !finding.kept).count();
            assert_eq!(broken, 1, "{number}");
        }
    }
}
