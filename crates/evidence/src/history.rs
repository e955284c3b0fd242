//! The checker that users of terrace get: its rules are said there.

pub use terrace::{Source as AnsweredBy, testing::history::*};
