//! The dashboard's integration tests, one binary.
