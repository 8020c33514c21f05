//! `anser channel connection`, `connections` and `journal`: how channels are connected to their platforms, and what became of
//! it. Must not connect anything.

use clap::Args;
use serde_json::{Value, json};

use super::api::Api;
use super::resource::{self, Paging};
use crate::exit::Failure;
use crate::output::{Column, Output, local_time, lookup, one_line};

const COLUMNS: &[Column] = &[
    ("CHANNEL", "channel"),
    ("KIND", "kind"),
    ("STATE", "state"),
    ("SINCE", "since"),
    ("LAST HEARD", "last_heard"),
    ("LAST EVENT", "last_event"),
    ("WHY", "detail"),
];
const JOURNAL_COLUMNS: &[Column] = &[("TIME", "at"), ("EVENT", "event"), ("WHAT", "what")];

/// Which connection.
#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// The channel's name.
    name: String,
    /// Connect anew, now.
    #[arg(long)]
    reconnect: bool,
}

/// Which part of which journal.
#[derive(Debug, Args)]
pub(crate) struct Journal {
    /// The channel's name.
    name: String,
    #[command(flatten)]
    paging: Paging,
}

/// How every connection stands.
pub(crate) async fn all(api: &Api, output: &Output, paging: &Paging) -> Result<(), Failure> {
    resource::list(
        api,
        output,
        &["v1", "connections"],
        &paging.query(),
        COLUMNS,
    )
    .await
}

impl Connection {
    /// Shows it, or makes another.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let path = ["v1", "channels", &self.name, "connection"];
        if !self.reconnect {
            return resource::get(api, output, &path).await;
        }
        let answer = api.act(&[&path[..], &["reconnect"]].concat()).await?;
        output.result(&answer.text, |value| output.fields(value));
        Ok(())
    }
}

impl Journal {
    /// Shows it, the newest entry first.
    pub(crate) async fn run(self, api: &Api, output: &Output) -> Result<(), Failure> {
        let path = ["v1", "channels", &self.name, "connection", "journal"];
        let answer = api.get(&path, &self.paging.query()).await?;
        if output.is_json() {
            output.page(&answer.text, JOURNAL_COLUMNS, "");
            return Ok(());
        }
        let mut page = answer.json()?;
        if let Some(entries) = page.get_mut("items").and_then(Value::as_array_mut) {
            for entry in entries {
                entry["what"] = json!(words(entry));
            }
        }
        output.page(&page.to_string(), JOURNAL_COLUMNS, "nothing happened yet");
        Ok(())
    }
}

/// An entry in a few words.
fn words(entry: &Value) -> String {
    let text = |path: &str| {
        let text = lookup(entry, path).and_then(Value::as_str);
        one_line(text.unwrap_or_default())
    };
    let number = |path: &str| lookup(entry, path).and_then(Value::as_u64).unwrap_or(0);
    let time = |path: &str| local_time(&text(path)).unwrap_or_default();
    match entry.get("event").and_then(Value::as_str) {
        Some("live") => {
            let mut words = format!("after {}", counted(number("tries"), "attempt"));
            if lookup(entry, "gap.ms").is_some() {
                words.push_str(&format!(
                    " and a gap of {}, {}, about {} missed",
                    span(number("gap.ms")),
                    text("gap.recovery"),
                    counted(number("gap.missed_estimate"), "event"),
                ));
            }
            let events = counted(number("events"), "event");
            format!("{words}; until {} {events}", time("seen_at"))
        }
        Some("lost") => format!(
            "{}: {} (live for {}, {})",
            text("reason"),
            text("detail"),
            span(number("live_ms")),
            counted(number("events"), "event"),
        ),
        Some("failed") => {
            let causes = entry.get("causes").and_then(Value::as_array);
            let causes = causes.into_iter().flatten().map(cause);
            let attempts = counted(number("tries"), "attempt");
            let causes = causes.collect::<Vec<_>>().join("; ");
            format!("{attempts} until {}: {causes}", time("last_at"))
        }
        Some("away") => format!("the gateway was gone until {}", time("until")),
        Some("unread") => format!("{} times: {}", number("count"), text("detail")),
        _ => String::new(),
    }
}

fn cause(cause: &Value) -> String {
    let text = |name: &str| cause.get(name).and_then(Value::as_str).unwrap_or_default();
    let tries = cause.get("tries").and_then(Value::as_u64).unwrap_or(0);
    let detail = one_line(text("detail"));
    format!("{tries}× {}: {detail}", text("reason"))
}

fn counted(number: u64, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// Milliseconds as people say them, the two largest units.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min {} s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{} d {} h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_read_at_a_glance() {
        let live = json!({"event": "live", "tries": 3, "events": 1,
            "gap": {"ms": 125_000, "recovery": "missed", "missed_estimate": 4}});
        let said = words(&live);
        assert!(
            said.starts_with(
                "after 3 attempts and a gap of 2 min 5 s, missed, about 4 events missed;"
            ),
            "{said}"
        );
        assert!(said.ends_with("1 event"), "{said}");
        let lost = json!({"event": "lost", "reason": "deaf", "detail": "nothing\ncame", "live_ms": 90_061_000, "events": 0});
        assert_eq!(
            words(&lost),
            "deaf: nothing came (live for 1 d 1 h, 0 events)"
        );
        let failed = json!({"event": "failed", "tries": 7, "causes": [
            {"reason": "network", "tries": 5, "detail": "no route"},
            {"reason": "limited", "tries": 2, "detail": "HTTP 429"}]});
        let said = words(&failed);
        assert!(
            said.ends_with("5× network: no route; 2× limited: HTTP 429"),
            "{said}"
        );
    }
}
