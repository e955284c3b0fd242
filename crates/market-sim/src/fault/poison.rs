//! What the figures of an answer may become.

use serde::{Deserialize, Serialize};

/// What the figures of an answer become; names, labels and times stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Poison {
    /// The figure below zero.
    Negative,
    /// Zero.
    Zero,
    /// The text `NaN`.
    Nan,
    /// The text `abc`.
    Text,
    /// The empty text.
    Empty,
    /// The text `1e999`, infinite to whoever parses it.
    Huge,
    /// JSON null.
    Null,
    /// A number where text belongs and text where a number belongs.
    WrongType,
    /// The figure as the only item of an array, as one generation of TAAPI writes it.
    Listed,
}
