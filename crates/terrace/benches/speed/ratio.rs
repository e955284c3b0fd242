//! A figure beside its baseline: measured in turns, medians compared with the target.

use std::{fmt, fs::OpenOptions, io::Write};

use rand::{SeedableRng, rngs::StdRng, seq::SliceRandom};

/// Of the order in each round.
const SEED: u64 = 7;

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: Sample,
    pub(crate) baseline: Sample,
    pub(crate) target: Target,
}

/// What was measured: the value that counts, and the middle half of the samples.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) value: f64,
    low: f64,
    high: f64,
}

/// What a figure has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target {
    RatioAtMost(f64),
    RatioAtLeast(f64),
    /// In the figure's own unit, whatever the baseline.
    AtMost(f64),
    /// In the figure's own unit, beyond the baseline.
    AboveBaselineAtMost(f64),
    Exactly(f64),
    Open,
}

impl From<f64> for Sample {
    fn from(value: f64) -> Self {
        Self {
            value,
            low: value,
            high: value,
        }
    }
}

impl Sample {
    pub(crate) fn median(samples: Vec<f64>) -> Self {
        Self::quantile(samples, 0.5)
    }

    /// The quantile counts; the spread is always the quartiles.
    pub(crate) fn quantile(mut samples: Vec<f64>, quantile: f64) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (samples.len() as f64 * share) as usize;
            samples[index.min(samples.len() - 1)]
        };
        Self {
            value: at(quantile),
            low: at(0.25),
            high: at(0.75),
        }
    }

    /// The largest counts.
    pub(crate) fn worst(samples: Vec<f64>) -> Self {
        Self::quantile(samples, 1.0)
    }

    pub(crate) fn map(self, change: impl Fn(f64) -> f64) -> Self {
        Self {
            value: change(self.value),
            low: change(self.low),
            high: change(self.high),
        }
    }
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.ours.value / self.baseline.value
    }

    /// `None` where there is nothing to meet.
    fn is_met(&self) -> Option<bool> {
        match self.target {
            Target::RatioAtMost(most) => Some(self.ratio() <= most),
            Target::RatioAtLeast(least) => Some(self.ratio() >= least),
            Target::AtMost(most) => Some(self.ours.value <= most),
            Target::AboveBaselineAtMost(most) => {
                Some(self.ours.value - self.baseline.value <= most)
            }
            Target::Exactly(value) => Some((self.ours.value - value).abs() < 0.5),
            Target::Open => None,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "",
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RatioAtMost(most) => write!(f, "ratio <= {most}"),
            Self::RatioAtLeast(least) => write!(f, "ratio >= {least}"),
            Self::AtMost(most) => write!(f, "<= {most}"),
            Self::AboveBaselineAtMost(most) => write!(f, "<= base + {most}"),
            Self::Exactly(value) => write!(f, "= {value}"),
            Self::Open => Ok(()),
        }
    }
}

/// Runs the measurements in turns, so that a drift of the machine hits all of
/// them alike, and gives each one's median. Each round in an order of its own, the same
/// in each run: whoever comes after another one's memory pays for it, up to 10 ns a hit.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    measure: [&mut dyn FnMut() -> f64; N],
) -> [Sample; N] {
    let mut sides = measure.map(|measure| (measure, Vec::with_capacity(rounds)));
    let mut random = StdRng::seed_from_u64(SEED);
    let mut order: [usize; N] = std::array::from_fn(|side| side);
    for _ in 0..rounds {
        order.shuffle(&mut random);
        for side in order {
            let (measure, samples) = &mut sides[side];
            samples.push(measure());
        }
    }
    sides.map(|(_, samples)| Sample::median(samples))
}

pub(crate) fn print_table(figures: &[Figure]) {
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").expect("stdout takes the table");
    line(format!(
        "{:<4} {:<56} {:>10} {:>19} {:>10} {:>7}  target",
        "id", "what", "ours", "middle half", "baseline", "ratio"
    ));
    for figure in figures {
        let Sample { value, low, high } = figure.ours;
        line(format!(
            "{:<4} {:<56} {:>10.1} {:>19} {:>10.1} {:>7.2}  {:<15} {}",
            figure.id,
            format!("{} ({})", figure.what, figure.unit),
            value,
            format!("{low:.1} .. {high:.1}"),
            figure.baseline.value,
            figure.ratio(),
            figure.target.to_string(),
            figure.verdict()
        ));
    }
    let Ok(path) = std::env::var("BENCH_JSON") else {
        return;
    };
    let mut file = OpenOptions::new()
        .create(true)
        .append(true)
        .open(path)
        .expect("BENCH_JSON names a file that can be written");
    for figure in figures {
        let object = serde_json::json!({
            "id": figure.id,
            "what": figure.what,
            "unit": figure.unit,
            "ours": figure.ours.value,
            "ours_quartiles": [figure.ours.low, figure.ours.high],
            "baseline": figure.baseline.value,
            "baseline_quartiles": [figure.baseline.low, figure.baseline.high],
            "ratio": figure.ratio(),
            "target": figure.target.to_string(),
            "met": figure.is_met(),
        });
        writeln!(file, "{object}").expect("BENCH_JSON takes the figures");
    }
}
