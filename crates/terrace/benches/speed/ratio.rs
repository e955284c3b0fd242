//! A figure beside its baseline: measured in turns, medians compared.

use std::{fs::OpenOptions, io::Write};

/// One line of the table.
pub(crate) struct Figure {
    pub(crate) id: &'static str,
    pub(crate) what: String,
    pub(crate) unit: &'static str,
    pub(crate) ours: f64,
    pub(crate) baseline: f64,
    /// The target in words, as peers.md states it.
    pub(crate) target: &'static str,
}

impl Figure {
    fn ratio(&self) -> f64 {
        self.ours / self.baseline
    }
}

pub(crate) fn median(mut samples: Vec<f64>) -> f64 {
    samples.sort_by(f64::total_cmp);
    samples[samples.len() / 2]
}

/// Runs the measurements in turns, so that a drift of the machine hits all of
/// them alike, and gives each one's median.
pub(crate) fn in_turns<const N: usize>(
    rounds: usize,
    mut measure: [&mut dyn FnMut() -> f64; N],
) -> [f64; N] {
    let mut samples: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(rounds));
    for _ in 0..rounds {
        for (samples, measure) in samples.iter_mut().zip(&mut measure) {
            samples.push(measure());
        }
    }
    samples.map(median)
}

pub(crate) fn print_table(figures: &[Figure]) {
    let mut out = std::io::stdout().lock();
    let mut line = |text: String| writeln!(out, "{text}").expect("stdout takes the table");
    line(format!(
        "{:<4} {:<52} {:>10} {:>10} {:>7}  target",
        "id", "what", "ours", "baseline", "ratio"
    ));
    for figure in figures {
        line(format!(
            "{:<4} {:<52} {:>10.1} {:>10.1} {:>7.2}  {}",
            figure.id,
            format!("{} ({})", figure.what, figure.unit),
            figure.ours,
            figure.baseline,
            figure.ratio(),
            figure.target
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
            "ours": figure.ours,
            "baseline": figure.baseline,
            "ratio": figure.ratio(),
            "target": figure.target,
        });
        writeln!(file, "{object}").expect("BENCH_JSON takes the figures");
    }
}
