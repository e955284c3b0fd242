//! A crypto market dashboard on the terrace cache: market sources, the summary made of them,
//! live updates, and the HTTP face.

pub mod app;
pub mod demo;

pub mod command;
pub mod config;
pub mod setting;
pub mod telemetry;

pub mod http;
pub mod live;

pub mod market;

pub mod indicator;

pub mod report;

pub mod cache;

mod supervise;

pub mod clock;
