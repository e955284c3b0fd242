//! What the searches found, as tables.

use std::fmt;

/// How a search ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Every state that can be reached was visited.
    Complete,
    /// The search stopped at its bound.
    Cut,
    /// A promise is broken: which, and the steps that lead there.
    Broken {
        /// The promise.
        promise: &'static str,
        /// The shortest way there.
        steps: Vec<String>,
    },
}

/// One scenario of the protocol.
#[derive(Clone, Debug)]
pub struct Row {
    /// Calls, start and faults.
    pub scenario: String,
    /// Scenarios of one group are totalled together.
    pub group: String,
    /// Distinct states.
    pub states: usize,
    /// How it ended.
    pub ending: Ending,
}

/// The protocol over many scenarios.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// A row per scenario.
    pub rows: Vec<Row>,
}

impl Report {
    /// Whether no scenario breaks a promise. A search that was cut is no failure.
    pub fn passed(&self) -> bool {
        !self.rows.iter().any(Row::is_broken)
    }

    /// Distinct states of all scenarios.
    pub fn states(&self) -> usize {
        self.rows.iter().map(|row| row.states).sum()
    }

    /// How many searches stopped at their bound.
    pub fn cut(&self) -> usize {
        self.rows.iter().filter(|row| row.is_cut()).count()
    }

    fn groups(&self) -> Vec<(&str, Totals<'_>)> {
        let mut groups: Vec<(&str, Totals<'_>)> = Vec::new();
        for row in &self.rows {
            let group = match groups.iter().position(|(name, _)| *name == row.group) {
                Some(known) => known,
                None => {
                    groups.push((&row.group, Totals::default()));
                    groups.len() - 1
                }
            };
            groups[group].1.add(row);
        }
        groups
    }
}

impl Row {
    fn is_cut(&self) -> bool {
        self.ending == Ending::Cut
    }

    fn is_broken(&self) -> bool {
        matches!(self.ending, Ending::Broken { .. })
    }
}

#[derive(Default)]
struct Totals<'a> {
    scenarios: usize,
    states: usize,
    cut: usize,
    first_cut: Option<&'a Row>,
    broken: usize,
}

impl<'a> Totals<'a> {
    fn add(&mut self, row: &'a Row) {
        self.scenarios += 1;
        self.states += row.states;
        if row.is_cut() {
            self.cut += 1;
            self.first_cut.get_or_insert(row);
        }
        self.broken += usize::from(row.is_broken());
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Totals::default();
        self.rows.iter().for_each(|row| all.add(row));
        writeln!(
            f,
            "{:<44} {:>9} {:>12} {:>5} {:>6}",
            "group", "scenarios", "states", "cut", "broken"
        )?;
        let total = ("total", all);
        for (name, totals) in self.groups().iter().chain([&total]) {
            writeln!(
                f,
                "{name:<44} {:>9} {:>12} {:>5} {:>6}",
                totals.scenarios, totals.states, totals.cut, totals.broken
            )?;
        }
        for (_, totals) in &self.groups() {
            if let Some(row) = totals.first_cut {
                let more = totals.cut - 1;
                writeln!(
                    f,
                    "cut at {} states, as {more} more of its group: {}",
                    row.states, row.scenario
                )?;
            }
        }
        for row in &self.rows {
            if let Ending::Broken { promise, steps } = &row.ending {
                writeln!(f, "BROKEN: {promise}\n  {}", row.scenario)?;
                steps
                    .iter()
                    .try_for_each(|step| writeln!(f, "    {step}"))?;
            }
        }
        Ok(())
    }
}

/// What became of a mutant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// The search found what it breaks.
    Caught(&'static str),
    /// It breaks nothing here, and should.
    Missed,
    /// It breaks nothing, as expected: the reason.
    Harmless(&'static str),
    /// The protocol itself breaks on this scenario, so it proves nothing.
    NotClean(&'static str),
}

/// One mutant on its scenario.
#[derive(Clone, Debug)]
pub struct MutantRow {
    /// Its name.
    pub mutant: String,
    /// The rule that it switches off.
    pub rule: &'static str,
    /// Calls, start and faults.
    pub scenario: String,
    /// Distinct states until it was caught.
    pub states: usize,
    /// Distinct states of the protocol itself on the scenario, all of them.
    pub clean_states: usize,
    /// What became of it.
    pub fate: Fate,
}

/// Every mutant on its scenario.
#[derive(Clone, Debug, Default)]
pub struct MutantReport {
    /// A row per mutant.
    pub rows: Vec<MutantRow>,
}

impl MutantReport {
    /// Whether every mutant met the fate that it should.
    pub fn passed(&self) -> bool {
        let is_due = |row: &MutantRow| matches!(row.fate, Fate::Caught(_) | Fate::Harmless(_));
        self.rows.iter().all(is_due)
    }

    /// How many were caught.
    pub fn caught(&self) -> usize {
        let is_caught = |row: &&MutantRow| matches!(row.fate, Fate::Caught(_));
        self.rows.iter().filter(is_caught).count()
    }
}

impl fmt::Display for MutantReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<10} {:<24} {:>8} {:>8}  what it breaks, and where",
            "rule", "mutant", "states", "clean"
        )?;
        for row in &self.rows {
            let fate = match &row.fate {
                Fate::Caught(promise) => (*promise).to_owned(),
                Fate::Missed => "MISSED".to_owned(),
                Fate::Harmless(reason) => format!("nothing: {reason}"),
                Fate::NotClean(promise) => format!("THE PROTOCOL ITSELF: {promise}"),
            };
            writeln!(
                f,
                "{:<10} {:<24} {:>8} {:>8}  {fate} [{}]",
                row.rule, row.mutant, row.states, row.clean_states, row.scenario
            )?;
        }
        let (caught, all) = (self.caught(), self.rows.len());
        writeln!(f, "{caught} of {all} caught")
    }
}
