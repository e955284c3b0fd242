//! Figures beside their bounds, and whether they hold.

use std::{fmt, time::Duration};

/// What one piece of evidence found.
#[derive(Clone, Debug)]
pub struct Table {
    title: String,
    rows: Vec<Row>,
    remarks: Vec<String>,
}

#[derive(Clone, Debug)]
struct Row {
    what: String,
    figure: String,
    bound: String,
    holds: bool,
}

impl Table {
    /// A table without rows.
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            rows: Vec::new(),
            remarks: Vec::new(),
        }
    }

    /// A figure that something is demanded of.
    pub fn demand(
        &mut self,
        what: impl Into<String>,
        figure: impl fmt::Display,
        bound: impl Into<String>,
        holds: bool,
    ) {
        self.rows.push(Row {
            what: what.into(),
            figure: figure.to_string(),
            bound: bound.into(),
            holds,
        });
    }

    /// A figure for the reader.
    pub fn note(&mut self, what: impl Into<String>, figure: impl fmt::Display) {
        self.demand(what, figure, "", true);
    }

    /// A line below the table: what a figure is made of.
    pub fn remark(&mut self, line: impl Into<String>) {
        self.remarks.push(line.into());
    }

    /// A count that must be exactly this.
    pub fn exactly(&mut self, what: impl Into<String>, figure: u64, expected: u64) {
        self.demand(what, figure, format!("= {expected}"), figure == expected);
    }

    /// A count that must not be smaller.
    pub fn at_least(&mut self, what: impl Into<String>, figure: u64, least: u64) {
        self.demand(what, figure, format!(">= {least}"), figure >= least);
    }

    /// A time that must not be longer.
    pub fn within(&mut self, what: impl Into<String>, figure: Duration, most: Duration) {
        let bound = format!("<= {most:?}");
        self.demand(what, millis(figure), bound, figure <= most);
    }

    /// Whether every row holds, and there is one.
    pub fn holds(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.holds)
    }

    /// Takes over the rows of another.
    pub fn extend(&mut self, other: Self) {
        self.rows.extend(other.rows);
        self.remarks.extend(other.remarks);
    }
}

/// Milliseconds to two places.
pub(crate) fn millis(span: Duration) -> String {
    format!("{:.2} ms", span.as_secs_f64() * 1_000.0)
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |of: fn(&Row) -> &str| {
            let widths = self.rows.iter().map(|row| of(row).chars().count());
            widths.max().unwrap_or(0)
        };
        let (what, figure, bound) = (
            width(|row| &row.what),
            width(|row| &row.figure),
            width(|row| &row.bound),
        );
        writeln!(f, "\n{}", self.title)?;
        for row in &self.rows {
            let verdict = match (row.holds, row.bound.is_empty()) {
                (true, true) => "",
                (true, false) => "ok",
                (false, _) => "FALLS SHORT",
            };
            writeln!(
                f,
                "  {:what$}  {:>figure$}  {:bound$}  {verdict}",
                row.what, row.figure, row.bound
            )?;
        }
        for remark in &self.remarks {
            writeln!(f, "  - {remark}")?;
        }
        Ok(())
    }
}
