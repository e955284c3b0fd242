//! The reports' store, on both of its databases.

mod field;

mod contract;
mod lists;
mod migrations;

mod kills;
mod outages;

mod values;
