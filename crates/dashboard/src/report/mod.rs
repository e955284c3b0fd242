//! Reports as they are kept: what they are made of, and the two databases that keep them.
//!
//! Knows no HTTP, no cache and no market. Whatever comes in is parsed before it can be said
//! ([`text`], [`content`], [`record`], [`page`]); whatever is kept goes through [`store::Store`].

pub mod store;

mod kept;
mod session;

mod postgres;
mod sqlite;

mod row;
mod statement;

pub mod address;
pub mod page;
pub mod record;

pub mod content;
pub mod text;

pub mod error;
