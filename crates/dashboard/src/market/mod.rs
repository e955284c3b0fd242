//! Market figures: where they come from, what was made of them, and the summary that is served.

pub mod service;

pub mod answer;
pub mod figure;
pub mod summary;
pub mod symbol;
