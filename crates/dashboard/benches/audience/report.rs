//! Figures beside their targets: a line for each, and one JSON object appended to the file named by
//! `BENCH_JSON`.

use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

use crate::program::Memory;

pub(crate) struct Figure {
    what: String,
    unit: &'static str,
    ours: f64,
    baseline: Option<f64>,
    target: &'static str,
    note: String,
}

impl Figure {
    /// The age below which 99 of 100 updates were, beside those of a client that is alone.
    pub(crate) fn delay(what: &str, ages: &[Duration], alone: &[Duration]) -> Self {
        let [middle, alone_middle] = [ages, alone].map(|ages| millis(quantile(ages, 0.5)));
        Self {
            what: format!("p99 delay, {what}"),
            unit: "ms",
            ours: millis(quantile(ages, 0.99)),
            baseline: Some(millis(quantile(alone, 0.99))),
            target: "≤ 250 ms",
            note: format!(
                "p50 {middle:.1}, alone {alone_middle:.1}, of {} updates",
                ages.len()
            ),
        }
    }

    #[allow(clippy::cast_precision_loss)]
    pub(crate) fn memory(what: &str, before: Memory, after: Memory, clients: usize) -> Self {
        let each =
            |before: u64, after: u64| (after as f64 - before as f64) / 1_024.0 / clients as f64;
        Self {
            what: format!("memory, {what}"),
            unit: "KiB",
            ours: each(before.own_bytes, after.own_bytes),
            baseline: None,
            target: "≤ 40 KiB",
            note: format!(
                "kernel, both ends: {:.1} KiB",
                each(before.sockets_bytes, after.sockets_bytes)
            ),
        }
    }

    pub(crate) fn closed(count: usize, took: Duration) -> Self {
        Self {
            what: format!("{count} stuck ones closed after an update"),
            unit: "s",
            ours: took.as_secs_f64(),
            baseline: None,
            target: "≤ 15 s",
            note: "a round each 10 s".to_owned(),
        }
    }
}

/// The value below which such a part of the samples is.
fn quantile(samples: &[Duration], part: f64) -> Duration {
    let mut sorted = samples.to_vec();
    sorted.sort();
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )]
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn millis(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1_000.0
}

pub(crate) fn print(figures: &[Figure]) {
    let mut out = std::io::stdout().lock();
    let mut kept = std::env::var("BENCH_JSON").ok().map(|path| {
        let file = OpenOptions::new().create(true).append(true).open(path);
        file.expect("BENCH_JSON names a file that can be written")
    });
    for figure in figures {
        let Figure {
            what,
            unit,
            ours,
            baseline,
            target,
            note,
        } = figure;
        let ratio = baseline.map(|baseline| ours / baseline);
        let shown = |value: Option<f64>, places| {
            value.map_or(String::new(), |value| format!("{value:.places$}"))
        };
        let (alone, times) = (shown(*baseline, 1), shown(ratio, 2));
        writeln!(
            out,
            "P8   {what:<52} {ours:>10.1} {alone:>10} {times:>7}  {target} ({unit}; {note})"
        )
        .expect("stdout takes the line");
        if let Some(file) = &mut kept {
            let object = serde_json::json!({
                "id": "P8", "what": what, "unit": unit, "ours": ours,
                "baseline": baseline, "ratio": ratio, "target": target,
            });
            writeln!(file, "{object}").expect("BENCH_JSON takes the figure");
        }
    }
}
