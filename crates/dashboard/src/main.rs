//! The dashboard's binary.

fn main() {}
