//! Measured values beside their targets: the verdict, and the table as text and as Markdown. Measures nothing.

/// What a value should be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Target {
    /// It must not be higher.
    AtMost(f64),
    /// It must not be lower.
    AtLeast(f64),
    /// There is none; the value explains others.
    None,
}

/// One measured value.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    /// What was measured.
    pub(crate) what: String,
    /// What it should be.
    pub(crate) target: Target,
    /// What it is; not a number when it could not be measured.
    pub(crate) value: f64,
    /// Of target and value, such as `µs`.
    pub(crate) unit: &'static str,
}

impl Row {
    /// A value with a target.
    pub(crate) fn new(what: &str, target: Target, value: f64, unit: &'static str) -> Self {
        Self {
            what: what.to_owned(),
            target,
            value,
            unit,
        }
    }

    /// A value without a target.
    pub(crate) fn fact(what: &str, value: f64, unit: &'static str) -> Self {
        Self::new(what, Target::None, value, unit)
    }

    fn verdict(&self) -> &'static str {
        match self.target {
            _ if self.value.is_nan() => "NOT MEASURED",
            Target::None => "",
            Target::AtMost(most) if self.value <= most => "met",
            Target::AtLeast(least) if self.value >= least => "met",
            Target::AtMost(_) | Target::AtLeast(_) => "missed",
        }
    }

    fn cells(&self) -> [String; 4] {
        let target = match self.target {
            Target::AtMost(most) => format!("≤ {} {}", figure(most), self.unit),
            Target::AtLeast(least) => format!("≥ {} {}", figure(least), self.unit),
            Target::None => String::new(),
        };
        let measured = format!("{} {}", figure(self.value), self.unit);
        let cells = [&self.what, &target, &measured].map(|cell| cell.trim().to_owned());
        let [what, target, measured] = cells;
        [what, target, measured, self.verdict().to_owned()]
    }
}

/// The same measured of several, beside each other.
#[derive(Clone, Debug)]
pub(crate) struct Grid {
    /// What the rows are about, then a name a column.
    pub(crate) head: Vec<String>,
    /// What was measured, with its unit, then a value a column; not a number where there is none.
    pub(crate) rows: Vec<(String, Vec<f64>)>,
}

impl Grid {
    fn cells(&self) -> impl Iterator<Item = Vec<String>> {
        self.rows.iter().map(|(what, values)| {
            let values = values.iter().map(|value| figure(*value));
            std::iter::once(what.clone()).chain(values).collect()
        })
    }

    fn text(&self) -> String {
        let line = |cells: &[String]| {
            let (first, rest) = cells.split_first().map_or(("", cells), |(f, r)| (f, r));
            let mut line = format!("  {first:<44}");
            for cell in rest {
                line.push_str(&format!(" {cell:>18}"));
            }
            line + "\n"
        };
        let rows: String = self.cells().map(|cells| line(&cells)).collect();
        format!("\n{}{rows}", line(&self.head))
    }

    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rows: String = self.cells().map(|cells| line(&cells)).collect();
        let rule = "|---".repeat(self.head.len());
        format!("{}{rule}|\n{rows}", line(&self.head))
    }
}

/// The rows of one scenario.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    /// Its name on the command line.
    pub(crate) name: String,
    /// What was done.
    pub(crate) title: String,
    /// What came out.
    pub(crate) rows: Vec<Row>,
    /// What came out of several at once.
    pub(crate) grids: Vec<Grid>,
    /// What else a reader should know, a sentence each.
    pub(crate) notes: Vec<String>,
}

impl Section {
    /// One that could not be measured.
    pub(crate) fn failed(name: String, error: &anyhow::Error) -> Self {
        Self {
            name,
            title: "NOT MEASURED".to_owned(),
            rows: Vec::new(),
            grids: Vec::new(),
            notes: vec![format!("{error:#}")],
        }
    }

    /// For a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("{}: {}\n", self.name, self.title);
        for row in &self.rows {
            let [what, target, measured, verdict] = row.cells();
            text.push_str(&format!(
                "  {what:<52} {target:>14}  {measured:>16}  {verdict}\n"
            ));
        }
        for grid in &self.grids {
            text.push_str(&grid.text());
        }
        for note in &self.notes {
            text.push_str(&format!("  - {note}\n"));
        }
        text
    }

    /// For a document.
    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## `{}`: {}\n\n", self.name, self.title);
        if !self.rows.is_empty() {
            text.push_str("| what | target | measured | |\n|---|---|---|---|\n");
        }
        for row in &self.rows {
            text.push_str(&format!("| {} |\n", row.cells().join(" | ")));
        }
        for (index, grid) in self.grids.iter().enumerate() {
            if index > 0 || !self.rows.is_empty() {
                text.push('\n');
            }
            text.push_str(&grid.markdown());
        }
        if !text.ends_with("\n\n") && !self.notes.is_empty() {
            text.push('\n');
        }
        for note in &self.notes {
            text.push_str(&format!("- {note}\n"));
        }
        text
    }
}

/// Three significant digits, thousands apart.
pub(crate) fn figure(value: f64) -> String {
    if value.is_nan() {
        return "–".to_owned();
    }
    let decimals = match value.abs() {
        size if size >= 100.0 => 0,
        size if size >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        None => grouped(&text),
        Some((whole, rest)) => {
            let rest = rest.trim_end_matches('0');
            if rest.is_empty() {
                whole.to_owned()
            } else {
                format!("{whole}.{rest}")
            }
        }
    }
}

fn grouped(digits: &str) -> String {
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && digit != '-' && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Grid, Row, Section, Target, figure};

    #[test]
    fn figures_have_three_digits() {
        let figures = [
            0.0,
            0.426,
            1.3,
            25.04,
            60.0,
            999.6,
            14_000.4,
            1_234_567.0,
            f64::NAN,
        ];
        let texts = figures.map(figure);
        let expected = [
            "0",
            "0.43",
            "1.3",
            "25",
            "60",
            "1,000",
            "14,000",
            "1,234,567",
            "–",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn a_value_on_its_target_meets_it() {
        let verdict = |target, value| Row::new("w", target, value, "µs").verdict();
        assert_eq!(verdict(Target::AtMost(60.0), 60.0), "met");
        assert_eq!(verdict(Target::AtMost(60.0), 60.1), "missed");
        assert_eq!(verdict(Target::AtLeast(14_000.0), 14_000.0), "met");
        assert_eq!(verdict(Target::AtLeast(14_000.0), 13_999.0), "missed");
        assert_eq!(verdict(Target::None, 1.0), "");
        assert_eq!(verdict(Target::AtMost(1.0), f64::NAN), "NOT MEASURED");
    }

    #[test]
    fn a_section_becomes_a_table() {
        let section = Section {
            name: "batch".to_owned(),
            title: "100 a request".to_owned(),
            rows: vec![
                Row::new("gateway CPU", Target::AtMost(22.0), 21.5, "µs"),
                Row::fact("ratio", 2.0, ""),
            ],
            grids: vec![Grid {
                head: ["a message", "one", "another"].map(str::to_owned).to_vec(),
                rows: vec![("CPU, µs".to_owned(), vec![20.54, f64::NAN])],
            }],
            notes: vec!["Best of 3.".to_owned()],
        };
        let expected = "## `batch`: 100 a request\n\n| what | target | measured | |\n|---|---|---|---|\n\
                        | gateway CPU | ≤ 22 µs | 21.5 µs | met |\n| ratio |  | 2 |  |\n\n\
                        | a message | one | another |\n|---|---|---|\n| CPU, µs | 20.5 | – |\n\n- Best of 3.\n";
        assert_eq!(section.markdown(), expected);
        assert!(section.text().contains("met"));
    }
}
