//! Pages to read; no code.

#[doc = include_str!("../docs/coherence.md")]
pub mod coherence {}

#[doc = include_str!("../docs/outages.md")]
pub mod outages {}

#[doc = include_str!("../docs/wire-format.md")]
pub mod wire_format {}

#[doc = include_str!("../docs/races.md")]
pub mod races {}

#[doc = include_str!("../docs/faults.md")]
pub mod faults {}
