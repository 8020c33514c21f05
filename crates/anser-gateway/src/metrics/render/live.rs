//! The series of connections and live clients.

use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::{CounterFamily, Labels, add};
use crate::metrics::Metrics;
use crate::metrics::live::{Census, ConnectionGauges, WireCounters};

impl Metrics {
    pub(super) fn live(&self, registry: &mut Registry, census: &Census) {
        connections(
            registry,
            "http",
            "Connections of HTTP",
            &self.http_connections,
        );
        connections(registry, "live", "Live connections", &self.live.connections);
        self.wires(registry);
        let of = &self.live;
        count(
            registry,
            "live_credentials_refused",
            "Keys and tokens of live clients that were not accepted",
            of.credentials_refused.load(Ordering::Relaxed),
        );
        let ended = CounterFamily::default();
        for (how, counter) in [
            ("acknowledged", &of.mail_acknowledged),
            ("expired", &of.mail_expired),
        ] {
            add(&ended, &vec![("how", how.to_owned())], counter);
        }
        registry.register(
            "live_mail_ended",
            "Messages of mailboxes that came to their end, by how",
            ended,
        );
        taken(registry, census);
    }

    fn wires(&self, registry: &mut Registry) {
        type Pick = fn(&WireCounters) -> &AtomicU64;
        let shown: [(&str, &str, Pick); 3] = [
            ("live_sessions_opened", "Live sessions opened", |wire| {
                &wire.opened
            }),
            ("live_given", "Messages given to live clients", |wire| {
                &wire.given
            }),
            (
                "live_acknowledgements",
                "Acknowledgements of live clients",
                |wire| &wire.acknowledgements,
            ),
        ];
        let wires = self.live.wires.retain(|_| true);
        let sessions = Family::<Labels, Gauge>::default();
        let label = |wire: &str| vec![("wire", wire.to_owned())];
        for (wire, counters) in &wires {
            let now = counters.sessions.load(Ordering::Relaxed);
            sessions.get_or_create(&label(wire)).set(now);
        }
        registry.register("live_sessions", "Live sessions now, by wire", sessions);
        for (metric, help, pick) in shown {
            let family = CounterFamily::default();
            for (wire, counters) in &wires {
                add(&family, &label(wire), pick(counters));
            }
            registry.register(metric, format!("{help}, by wire"), family);
        }
    }
}

fn connections(registry: &mut Registry, kind: &str, help: &str, of: &ConnectionGauges) {
    gauge(
        registry,
        format!("{kind}_connections"),
        format!("{help} that are open"),
        of.open.load(Ordering::Relaxed),
    );
    gauge(
        registry,
        format!("{kind}_connections_half_open"),
        format!("{help} that have not said yet who they are or what they want"),
        of.half_open.load(Ordering::Relaxed),
    );
    count(
        registry,
        format!("{kind}_connections_refused"),
        format!("{help} for which there was no place"),
        of.refused.load(Ordering::Relaxed),
    );
}

/// What the plan of the sessions knows.
fn taken(registry: &mut Registry, census: &Census) {
    for (metric, help, number) in [
        (
            "live_sessions_paused",
            "Live sessions that are given nothing until they acknowledge or take what they were given",
            census.paused,
        ),
        (
            "live_unsent_bytes",
            "Bytes that wait to be taken by live clients",
            census.unsent_bytes,
        ),
        (
            "live_mail_waiting",
            "Messages that wait in the mailboxes of users who are connected",
            census.mail_waiting,
        ),
        (
            "live_questions_open",
            "Questions between live clients that wait for their answer",
            census.questions_open,
        ),
    ] {
        gauge(registry, metric, help, number as u64);
    }
    let (closed, questions) = (CounterFamily::default(), CounterFamily::default());
    for (reason, number) in &census.closed {
        let labels = vec![("reason", (*reason).to_owned())];
        closed.get_or_create(&labels).inc_by(*number);
    }
    for (outcome, number) in &census.questions {
        let labels = vec![("outcome", (*outcome).to_owned())];
        questions.get_or_create(&labels).inc_by(*number);
    }
    registry.register("live_closed", "Live sessions that ended, by reason", closed);
    registry.register(
        "live_questions",
        "Questions of live clients that had their outcome, by outcome",
        questions,
    );
    count(
        registry,
        "live_presence_changes",
        "Changes of users' presence",
        census.presence_changes,
    );
}

fn gauge(registry: &mut Registry, metric: impl Into<String>, help: impl Into<String>, now: u64) {
    let gauge: Gauge = Gauge::default();
    gauge.set(i64::try_from(now).unwrap_or(i64::MAX));
    registry.register(metric, help, gauge);
}

fn count(registry: &mut Registry, metric: impl Into<String>, help: impl Into<String>, so_far: u64) {
    let counter: Counter = Counter::default();
    counter.inc_by(so_far);
    registry.register(metric, help, counter);
}
