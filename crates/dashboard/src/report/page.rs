//! Pages of the list: after a report, or by number.

use std::fmt;

use jiff::Timestamp;

use super::{
    error::Error,
    record::{Listed, ReportId},
};

/// The most reports that one page holds.
pub const PAGE_SIZE_MAX: u32 = 100;
/// A numbered page costs a walk over all before it; nobody reads the hundred-thousandth.
pub const PAGE_NUMBER_MAX: u32 = 100_000;

/// How many reports a page holds: 1 to [`PAGE_SIZE_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageSize(u32);

/// Which page: 1 to [`PAGE_NUMBER_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageNumber(u32);

/// Where a page ended; the next one begins behind it. Opaque to whoever carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    published_at: Timestamp,
    id: ReportId,
}

/// A page of the list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The reports on it.
    pub reports: Vec<Listed>,
    /// Where the next page begins; none on the last one.
    pub next: Option<Cursor>,
}

impl PageSize {
    /// Takes a number.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn new(number: u32) -> Result<Self, Error> {
        (1..=PAGE_SIZE_MAX)
            .contains(&number)
            .then_some(Self(number))
            .ok_or(Error::invalid("limit", "a whole number from 1 to 100"))
    }

    /// The number.
    pub fn get(self) -> u32 {
        self.0
    }
}

impl PageNumber {
    /// Takes a number.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn new(number: u32) -> Result<Self, Error> {
        (1..=PAGE_NUMBER_MAX)
            .contains(&number)
            .then_some(Self(number))
            .ok_or(Error::invalid("page", "a whole number from 1 to 100000"))
    }

    /// How many reports stand on the pages before it.
    pub fn offset(self, size: PageSize) -> i64 {
        i64::from(self.0 - 1) * i64::from(size.0)
    }
}

impl Cursor {
    /// Behind a report.
    pub fn behind(report: &Listed) -> Self {
        Self {
            published_at: report.published_at,
            id: report.id,
        }
    }

    /// Takes what [`Display`](fmt::Display) writes, and nothing else.
    ///
    /// # Errors
    /// [`Error::Invalid`] for anything that is not a cursor of ours.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let bad = || Error::invalid("cursor", "what an earlier page said comes next");
        let (time, id) = text.rsplit_once('-').ok_or_else(bad)?;
        let time = i64::from_str_radix(time, 16).map_err(|_| bad())?;
        let id = i64::from_str_radix(id, 16).map_err(|_| bad())?;
        let cursor = Self {
            published_at: Timestamp::from_millisecond(time).map_err(|_| bad())?,
            id: ReportId::new(id).map_err(|_| bad())?,
        };
        // One cursor has one form: signs, upper case and leading zeros are none of ours.
        (cursor.to_string() == text)
            .then_some(cursor)
            .ok_or_else(bad)
    }

    pub(super) fn published_at(&self) -> Timestamp {
        self.published_at
    }

    pub(super) fn id(&self) -> ReportId {
        self.id
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.published_at.as_millisecond();
        // Before 1970 the time has a sign, so that what is written can be read again.
        let sign = if time < 0 { "-" } else { "" };
        write!(f, "{sign}{:x}-{:x}", time.unsigned_abs(), self.id.get())
    }
}
