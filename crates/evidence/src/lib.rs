//! What shows that terrace keeps its contract: the protocol as a model that is
//! searched exhaustively, harnesses that run real processes against a real Redis,
//! and mutants that each of them must catch.

pub mod model;
