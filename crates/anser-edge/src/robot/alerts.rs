//! Groups of alerts, as Alertmanager sends them and Grafana after it, as one card: title and level by status and severity,
//! a paragraph for each alert, what they have in common as fields, links as buttons. Must not know who sent them.

use anser_core::message::segment::Level;
use serde_json::{Map, Value};

use super::draft::{CardDraft, Draft};
use super::member::{GLANCE_CHARS, TEXT_CHARS, escaped, first, line, list, shorten, text};
use super::told::{Fault, Posted, Told};

/// Alerts that are shown; the others are counted.
const SHOWN_MAX: usize = 10;
/// Labels that tell how serious an alert is.
const SEVERITY: [&str; 3] = ["severity", "level", "priority"];
/// A name of labels that Grafana adds for itself.
const HIDDEN_PREFIX: &str = "__";

/// What a sender of alerts has of its own.
pub(super) struct Sender {
    /// The dialect.
    pub(super) name: &'static str,
    /// The members of an alert that are links, with what their buttons read.
    pub(super) links: &'static [(&'static str, &'static str)],
    /// What the button reads that opens the sender itself.
    pub(super) home: &'static str,
}

/// A group of alerts as a message.
///
/// # Errors
/// [`Fault::Malformed`], [`Fault::Missing`].
pub(super) fn read(sender: &Sender, posted: &Posted<'_>) -> Result<Told, Fault> {
    let body = posted.json()?;
    let alerts = list(&body, "/alerts");
    if alerts.is_empty() {
        return Err(Fault::Missing("alerts"));
    }
    let firing = alerts.iter().filter(|alert| alert["status"] != "resolved");
    let firing: Vec<&Value> = firing.collect();
    let status = if firing.is_empty() {
        "resolved"
    } else {
        "firing"
    };
    let severity = severity(
        &body,
        if firing.is_empty() {
            alerts.first()
        } else {
            None
        },
        &firing,
    );
    let mut draft = Draft::default();
    draft.event(&["alert", status]);
    draft.tag(status);
    if let Some(severity) = severity {
        draft.tag(severity);
    }
    if let Some(group) = text(&body, "/groupKey") {
        draft.order_by(&format!("{} {group}", sender.name));
    }
    let time = match status {
        "resolved" => alerts
            .iter()
            .filter_map(|alert| text(alert, "/endsAt"))
            .max(),
        _ => firing
            .iter()
            .filter_map(|alert| text(alert, "/startsAt"))
            .min(),
    };
    draft.occurred(time);
    draft.card(card(
        sender,
        &body,
        alerts,
        firing.len(),
        level(status, severity),
    ));
    draft.keep(sender.name, body);
    draft.finish(status)
}

/// The severity of the group: the label that all have, else the worst of those that fire.
fn severity<'v>(body: &'v Value, only: Option<&'v Value>, firing: &[&'v Value]) -> Option<&'v str> {
    let of = |labels: &'v Value| {
        let mut names = SEVERITY.iter();
        names.find_map(|name| labels[*name].as_str().filter(|text| !text.is_empty()))
    };
    let common = of(&body["commonLabels"]).or_else(|| only.and_then(|alert| of(&alert["labels"])));
    let all = firing.iter().filter_map(|alert| of(&alert["labels"]));
    common.or_else(|| all.max_by_key(|severity| rank(severity)))
}

/// The higher, the worse.
fn rank(severity: &str) -> u8 {
    match severity.to_ascii_lowercase().as_str() {
        "info" | "information" | "informational" | "none" | "debug" | "low" | "p4" | "p5" => 1,
        "warning" | "warn" | "medium" | "minor" | "p3" => 2,
        _ => 3,
    }
}

/// What fires is an error unless its severity says less.
fn level(status: &str, severity: Option<&str>) -> Level {
    match (status, severity.map(rank)) {
        ("resolved", _) => Level::Success,
        (_, Some(1)) => Level::Info,
        (_, Some(2)) => Level::Warning,
        (_, _) => Level::Error,
    }
}

fn card(sender: &Sender, body: &Value, alerts: &[Value], firing: usize, level: Level) -> CardDraft {
    let mut card = CardDraft::new(&title(body, alerts, firing), Some(level));
    for alert in alerts.iter().take(SHOWN_MAX) {
        card.section(&paragraph(alert, body, alerts.len() > 1));
    }
    let truncated = body["truncatedAlerts"].as_u64().unwrap_or_default();
    let hidden = alerts.len().saturating_sub(SHOWN_MAX) as u64 + truncated;
    if hidden > 0 {
        card.section(&format!("… and {hidden} more"));
    }
    let common = body["commonLabels"].as_object();
    for (name, value) in common.into_iter().flatten() {
        if name != "alertname" && !name.starts_with(HIDDEN_PREFIX) {
            card.field(name, value.as_str().unwrap_or_default(), true);
        }
    }
    if let Some(receiver) = text(body, "/receiver") {
        card.footer(Some(receiver));
    }
    buttons(&mut card, sender, body, alerts);
    card
}

/// As in `2 firing: HighLatency (api)`: how many, which alert, and the values of the labels that make the group.
fn title(body: &Value, alerts: &[Value], firing: usize) -> String {
    let name = text(body, "/commonLabels/alertname")
        .or_else(|| text(body, "/groupLabels/alertname"))
        .or_else(|| {
            alerts
                .first()
                .and_then(|alert| text(alert, "/labels/alertname"))
        })
        .unwrap_or("alert");
    let more = alerts
        .iter()
        .any(|alert| text(alert, "/labels/alertname").is_some_and(|other| other != name));
    let more = if more { " and others" } else { "" };
    let group = body["groupLabels"].as_object();
    let values: Vec<&str> = group
        .into_iter()
        .flatten()
        .filter(|(label, _)| *label != "alertname")
        .filter_map(|(_, value)| value.as_str())
        .filter(|value| !value.is_empty())
        .collect();
    let values = match values.as_slice() {
        [] => String::new(),
        values => format!(" ({})", values.join(" ")),
    };
    let (status, count) = match firing {
        0 => ("resolved", alerts.len()),
        firing => ("firing", firing),
    };
    let status = match (count, status) {
        (1, "resolved") => "Resolved".to_owned(),
        (1, _) => "Firing".to_owned(),
        (count, status) => format!("{count} {status}"),
    };
    format!("{status}: {name}{more}{values}")
}

/// What an alert says, and by which labels it differs from the others.
fn paragraph(alert: &Value, body: &Value, several: bool) -> String {
    let mut lines = Vec::new();
    let summary = first(
        alert,
        &[
            "/annotations/summary",
            "/annotations/title",
            "/annotations/message",
        ],
    );
    let description = text(alert, "/annotations/description");
    let status = if alert["status"] == "resolved" {
        "✅ "
    } else {
        "🔥 "
    };
    let mark = if several { status } else { "" };
    if let Some(summary) = summary {
        lines.push(format!(
            "{mark}**{}**",
            escaped(&line(summary, GLANCE_CHARS))
        ));
    }
    if let Some(description) = description {
        let shown = escaped(&shorten(description.trim(), TEXT_CHARS));
        lines.push(if summary.is_some() {
            shown
        } else {
            format!("{mark}{shown}")
        });
    }
    let own = own_labels(alert, body);
    if !own.is_empty() {
        lines.push(if lines.is_empty() {
            format!("{mark}{own}")
        } else {
            own
        });
    }
    if let Some(value) = text(alert, "/valueString") {
        lines.push(escaped(&shorten(value, GLANCE_CHARS)));
    }
    lines.join("\n\n")
}

fn own_labels(alert: &Value, body: &Value) -> String {
    let empty = Map::new();
    let common = body["commonLabels"].as_object().unwrap_or(&empty);
    let labels = alert["labels"].as_object().unwrap_or(&empty);
    let own = labels.iter().filter(|(name, _)| {
        !common.contains_key(*name) && *name != "alertname" && !name.starts_with(HIDDEN_PREFIX)
    });
    let shown: Vec<String> = own
        .filter_map(|(name, value)| {
            Some(format!("{}: {}", escaped(name), escaped(value.as_str()?)))
        })
        .collect();
    shorten(&shown.join(" · "), GLANCE_CHARS)
}

/// Links of the first alert, which in most groups are those of all.
fn buttons(card: &mut CardDraft, sender: &Sender, body: &Value, alerts: &[Value]) {
    let Some(alert) = alerts.first() else {
        return;
    };
    for (member, label) in sender.links {
        card.button(label, alert[*member].as_str());
    }
    let annotations = [
        ("runbook_url", "Runbook"),
        ("dashboard_url", "Dashboard"),
        ("dashboard", "Dashboard"),
    ];
    for (name, label) in annotations {
        card.button(label, alert["annotations"][name].as_str());
    }
    card.button(sender.home, text(body, "/externalURL"));
}
