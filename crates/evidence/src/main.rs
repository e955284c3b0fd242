//! The commands behind `scripts/prove`, `scripts/chaos` and `scripts/mutants`, and the
//! workers that they start.

use std::{
    env,
    fmt::Display,
    io::{self, Write},
    path::Path,
    process::ExitCode,
    time::Duration,
};

use clap::{Parser, Subcommand};
use evidence::{chaos, converge, history_run, mutants, prove, scenario, worker};
use terrace::BoxError;

/// Shows that terrace keeps its contract.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writers against readers, and the positive control.
    Converge {
        /// Of each setting.
        #[arg(long, default_value_t = 500)]
        rounds: u32,
    },
    /// Random calls under faults, then the checker.
    History {
        #[arg(long, default_value_t = 60)]
        seconds: u64,
        /// Drawn if it is not given; always printed.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// All faults for a while, then the end checks.
    Chaos {
        #[arg(long, default_value_t = 20.0)]
        minutes: f64,
        /// Drawn if it is not given; always printed.
        #[arg(long)]
        seed: Option<u64>,
    },
    /// One of the things that must be shown, at full size.
    Show {
        /// Which.
        #[arg(value_enum)]
        scenario: scenario::Scenario,
    },
    /// Everything that `scripts/prove` shows.
    Prove {
        #[arg(long)]
        seed: Option<u64>,
    },
    /// Rules switched off one by one, in the model and in the code.
    Mutants {
        /// These alone; all if none is named.
        names: Vec<String>,
        /// The model's alone.
        #[arg(long = "model")]
        model_alone: bool,
    },
    /// What the others start; not for people.
    #[command(hide = true)]
    Worker(worker::WorkerSettings),
}

#[tokio::main]
async fn main() -> Result<ExitCode, BoxError> {
    let program = env::current_exe()?;
    let drawn = |seed: Option<u64>| seed.unwrap_or_else(rand::random);
    let table = match Arguments::parse().command {
        Command::Worker(settings) => {
            worker::run(settings).await?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Converge { rounds } => converge::run(&program, rounds).await?,
        Command::History { seconds, seed } => {
            let least = seconds * history_run::LEAST_READS_A_SECOND;
            let span = Duration::from_secs(seconds);
            history_run::run(&program, span, drawn(seed), least).await?
        }
        Command::Chaos { minutes, seed } => {
            let span = Duration::from_secs_f64(minutes * 60.0);
            chaos::run(&program, span, drawn(seed)).await?
        }
        Command::Show { scenario } => scenario.run(&program, scenario::Size::Full).await?,
        Command::Mutants { names, model_alone } => {
            let selection = mutants::Selection { names, model_alone };
            let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
            let ledger = mutants::run(&sources, selection).await?;
            show(&ledger);
            return verdict(ledger.holds());
        }
        Command::Prove { seed } => return verdict(prove::run(&program, drawn(seed), show).await?),
    };
    show(&table);
    verdict(table.holds())
}

fn verdict(holds: bool) -> Result<ExitCode, BoxError> {
    Ok(match holds {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

fn show(table: &dyn Display) {
    // Whoever closed our output does not want to know.
    let _ = write!(io::stdout().lock(), "{table}");
}
