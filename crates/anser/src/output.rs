//! What commands print: JSON as received, or aligned tables with times in the reader's own zone. Colours only on a
//! terminal. Must not talk to the server.

use std::io::{self, IsTerminal as _, Write as _};

use clap::ValueEnum;
use serde_json::Value;

/// In what form results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// Tables and sentences.
    #[default]
    Human,
    /// JSON, as the server sent it; streams are one object a line.
    Json,
}

/// Where results go, and how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    form: Form,
    colour: bool,
    colour_errors: bool,
}

/// A column of a table: its title and the path of its field, such as `message.header.id`.
pub(crate) type Column = (&'static str, &'static str);

/// Characters of a table's cell; longer texts are cut, except in the last column.
const CELL_CHARS_MAX: usize = 64;

impl Output {
    /// For the terminal, or what stands in for it. `NO_COLOR` (no-color.org) turns colours off.
    pub(crate) fn new(form: Form) -> Self {
        let wanted = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self {
            form,
            colour: wanted && io::stdout().is_terminal(),
            colour_errors: wanted && io::stderr().is_terminal(),
        }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(&self) -> bool {
        self.form == Form::Json
    }

    /// The word before an error.
    pub(crate) fn paint_error(&self, text: &str) -> String {
        painted(self.colour_errors, "1;31", text)
    }

    /// Text in a colour, for standard error.
    pub(crate) fn paint(&self, code: &str, text: &str) -> String {
        painted(self.colour_errors, code, text)
    }

    /// Prints a result: as received, or what `human` makes of it.
    pub(crate) fn result(&self, raw: &str, human: impl FnOnce(&Value) -> String) {
        if self.is_json() {
            line(raw);
            return;
        }
        let value = serde_json::from_str(raw).unwrap_or(Value::Null);
        line(&human(&value));
    }

    /// Prints a page of a list as a table, and how to get the next one.
    pub(crate) fn page(&self, raw: &str, columns: &[Column], empty: &str) {
        self.result(raw, |page| {
            let rows = page.get("items").and_then(Value::as_array);
            let mut text = match rows {
                Some(rows) if !rows.is_empty() => self.table(rows, columns),
                _ => empty.to_owned(),
            };
            if let Some(cursor) = page.get("cursor").and_then(Value::as_str) {
                text.push_str(&format!("\nmore: --cursor {cursor}"));
            }
            text
        });
    }

    /// Rows under their titles, aligned.
    pub(crate) fn table(&self, rows: &[Value], columns: &[Column]) -> String {
        let mut cells: Vec<Vec<String>> = vec![
            columns
                .iter()
                .map(|(title, _)| (*title).to_owned())
                .collect(),
        ];
        for row in rows {
            cells.push(
                columns
                    .iter()
                    .map(|(_, path)| cell(lookup(row, path)))
                    .collect(),
            );
        }
        let width = |column: usize| {
            let longest = cells.iter().map(|row| row[column].chars().count()).max();
            longest.unwrap_or(0).min(CELL_CHARS_MAX)
        };
        let widths: Vec<usize> = (0..columns.len()).map(width).collect();
        let mut lines = Vec::new();
        for (number, row) in cells.iter().enumerate() {
            lines.push(self.row(row, &widths, number == 0));
        }
        lines.join("\n")
    }

    fn row(&self, cells: &[String], widths: &[usize], title: bool) -> String {
        let mut text = String::new();
        for (number, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let last = number + 1 == cells.len();
            let shown = if last {
                cell.clone()
            } else {
                cut(cell, *width)
            };
            let gap = if last {
                0
            } else {
                width - shown.chars().count() + 2
            };
            let code = if title { "1" } else { state_colour(&shown) };
            text.push_str(&painted(self.colour && !code.is_empty(), code, &shown));
            text.push_str(&" ".repeat(gap));
        }
        text.trim_end().to_owned()
    }

    /// One resource: a field a line, nested objects as JSON.
    pub(crate) fn fields(&self, value: &Value) -> String {
        let Some(fields) = value.as_object() else {
            return cell(Some(value));
        };
        let width = fields.keys().map(|name| name.chars().count()).max();
        let width = width.unwrap_or(0);
        let mut lines = Vec::new();
        for (name, value) in fields.iter().filter(|(_, value)| !value.is_null()) {
            let shown = cell(Some(value));
            let code = state_colour(&shown);
            let shown = painted(self.colour && !code.is_empty(), code, &shown);
            let name = painted(self.colour, "2", &format!("{name:width$}"));
            lines.push(format!("{name}  {shown}"));
        }
        lines.join("\n")
    }
}

/// Prints a line. A reader that went away (`| head`) is no error; the next write tells nothing new either.
pub(crate) fn line(text: &str) {
    drop(writeln!(io::stdout().lock(), "{text}"));
}

/// The value at a path such as `message.header.id`.
pub(crate) fn lookup<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.')
        .try_fold(value, |value, part| value.get(part))
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => "-".to_owned(),
        Some(Value::String(text)) => local_time(text).unwrap_or_else(|| one_line(text)),
        Some(Value::Array(items)) if items.iter().all(Value::is_string) => {
            let items: Vec<&str> = items.iter().filter_map(Value::as_str).collect();
            one_line(&items.join(", "))
        }
        Some(value) => value.to_string(),
    }
}

/// Text of others cannot move the cursor or break the table.
pub(crate) fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

/// An instant in the reader's zone with its offset, so that nobody has to guess which; `None` for other texts.
pub(crate) fn local_time(text: &str) -> Option<String> {
    // Only what the server writes: anything looser would turn a name into a time.
    if text.len() != "2026-11-23T01:00:00.000Z".len() || !text.ends_with('Z') {
        return None;
    }
    let instant: jiff::Timestamp = text.parse().ok()?;
    let zoned = instant.to_zoned(jiff::tz::TimeZone::system());
    Some(zoned.strftime("%Y-%m-%d %H:%M:%S%.3f%:z").to_string())
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    cut.push('…');
    cut
}

fn painted(colour: bool, code: &str, text: &str) -> String {
    if colour {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}

/// Good green, bad red, waiting yellow.
fn state_colour(word: &str) -> &'static str {
    match word {
        "delivered" | "active" => "32",
        "dead" | "disabled" | "rejected" | "gone" | "expired" => "31",
        "retrying" | "held" | "paused" | "retry" | "limited" | "unknown" | "in_flight" => "33",
        "waiting" | "pending" | "cancelled" => "36",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Output = Output {
        form: Form::Human,
        colour: false,
        colour_errors: false,
    };

    #[test]
    fn tables_are_aligned_and_cannot_be_broken_by_their_contents() {
        let rows = [
            serde_json::json!({"name": "orders", "spec": {"retention": 60}}),
            serde_json::json!({"name": "a\nb\u{1b}[2J", "spec": {}}),
        ];
        let table = PLAIN.table(&rows, &[("NAME", "name"), ("RETENTION", "spec.retention")]);
        assert_eq!(table, "NAME     RETENTION\norders   60\na b [2J  -");
    }

    #[test]
    fn only_instants_are_shown_as_times() {
        assert!(local_time("2026-11-23T01:00:00.000Z").is_some_and(|text| text.contains(':')));
        for text in ["orders", "2026-11-23", "2026-11-23T01:00:00.000+01:00"] {
            assert_eq!(local_time(text), None, "{text}");
        }
    }

    #[test]
    fn long_cells_are_cut_except_in_the_last_column() {
        let long = "x".repeat(100);
        let rows = [serde_json::json!({"a": long, "b": long})];
        let table = PLAIN.table(&rows, &[("A", "a"), ("B", "b")]);
        let row = table.lines().nth(1).unwrap_or_default();
        assert_eq!(row, format!("{}…  {long}", "x".repeat(CELL_CHARS_MAX - 1)));
    }
}
