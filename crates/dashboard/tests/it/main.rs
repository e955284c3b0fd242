//! The dashboard's integration tests, one binary.

mod rig;
mod wire;

mod admin;
mod connections;
mod http;
mod metrics;
mod page;
mod parts;
mod process;
mod sources;
mod sse;
mod ws;

mod postgres;
mod redis;
mod stand;

mod audience;
mod caches;
mod cluster;
mod conduct;
mod day;
mod fallbacks;
mod fleet;
mod golden;
mod indicators;
mod malformed;
mod market;
mod markets;
mod outages;
mod reports;
mod rounds;
mod secrets;
mod settings;
mod stream;
mod storm;
mod summaries;
mod times;
mod updates;
