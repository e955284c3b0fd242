//! Why a simulator does not start, or does not take a fault.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Why a simulator does not start, or does not take a fault.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The listen address cannot be bound.
    #[error("listening on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The candle file cannot be opened.
    #[error("opening candles {}: {source}", path.display())]
    OpenCandles {
        /// The file asked for.
        path: PathBuf,
        /// What the reader said.
        source: io::Error,
    },
    /// A line of the candle file is not a candle, or not the one expected there.
    #[error("reading candles {} line {line}: {reason}", path.display())]
    Candle {
        /// The file asked for.
        path: PathBuf,
        /// The line, counted from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// A fault asks for what cannot be done.
    #[error("ordering a fault for {source_name}: {reason}")]
    Fault {
        /// The source it was for.
        source_name: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}
