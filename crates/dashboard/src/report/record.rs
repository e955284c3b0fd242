//! A report as it is kept: what names it, and what became of it.

use std::fmt;

use jiff::Timestamp;

use super::{
    content::{Content, PerLanguage},
    error::Error,
    text::{Summary, Title},
};

/// The largest id that an earlier system gave out: its column was of 32 bits.
const LEGACY_ID_MAX: i64 = i32::MAX as i64;

/// What names a report: 1 to 2^63-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReportId(i64);

/// How many times a report was written: 1 when it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Revision(i64);

/// What became of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Only its authors see it.
    Draft,
    /// Everybody sees it.
    Published,
    /// Nobody but its authors sees it any more.
    Withdrawn,
}

/// Whether a write makes a report visible to everybody. One that is visible stays so until it is
/// withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Publication {
    Later,
    Now,
}

/// What a report is about: 1 to 16 of `a-z 0-9 . _ -`, as it stands in a cache key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Symbol(String);

/// The span that it looks at, such as `1d`: 1 to 16 of `a-z 0-9 . _ -`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Timeframe(String);

/// What an author hands in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What it is about; none for the market as a whole.
    pub symbol: Option<Symbol>,
    /// The span it looks at.
    pub timeframe: Option<Timeframe>,
    /// What it says.
    pub contents: PerLanguage<Content>,
    /// Whether everybody is to see it.
    pub publication: Publication,
}

/// A row of an earlier system. It keeps its id, by which it is linked to, and is published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LegacyReport {
    id: ReportId,
    created_at: Timestamp,
    contents: PerLanguage<Content>,
}

/// A report as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Report {
    pub id: ReportId,
    pub revision: Revision,
    pub status: Status,
    pub symbol: Option<Symbol>,
    pub timeframe: Option<Timeframe>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    /// When it was first seen by everybody; revisions do not change it.
    pub published_at: Option<Timestamp>,
    pub contents: PerLanguage<Content>,
}

/// A published report as a list shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Listed {
    pub id: ReportId,
    pub revision: Revision,
    pub symbol: Option<Symbol>,
    pub timeframe: Option<Timeframe>,
    pub published_at: Timestamp,
    pub updated_at: Timestamp,
    pub headings: PerLanguage<Heading>,
}

/// What a list says of a report in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Heading {
    pub title: Title,
    pub summary: Summary,
}

impl ReportId {
    /// Takes a number.
    ///
    /// # Errors
    /// [`Error::Invalid`] for zero and below.
    pub fn new(number: i64) -> Result<Self, Error> {
        (number > 0)
            .then_some(Self(number))
            .ok_or(Error::invalid("id", "a whole number from 1 to 2^63-1"))
    }

    /// Takes decimal digits, and nothing else: no sign, no blank, no leading zero.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let is_plain = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        let number = is_plain.then(|| text.parse().ok()).flatten();
        // What is no number is answered like the number that is no id.
        Self::new(number.unwrap_or(0))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for ReportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Revision {
    /// Takes a number.
    ///
    /// # Errors
    /// [`Error::Invalid`] for zero and below.
    pub fn new(number: i64) -> Result<Self, Error> {
        (number > 0)
            .then_some(Self(number))
            .ok_or(Error::invalid("revision", "a whole number from 1"))
    }

    /// The number.
    pub fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Status {
    /// How it is written.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Published => "published",
            Self::Withdrawn => "withdrawn",
        }
    }

    /// Takes what [`code`](Self::code) writes.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        [Self::Draft, Self::Published, Self::Withdrawn]
            .into_iter()
            .find(|status| status.code() == text)
            .ok_or(Error::invalid("status", "draft, published or withdrawn"))
    }
}

impl Symbol {
    /// Takes a symbol in either case.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.to_ascii_lowercase();
        let takes = "1 to 16 of a-z 0-9 . _ -";
        is_word(&text)
            .then_some(Self(text))
            .ok_or(Error::invalid("symbol", takes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Timeframe {
    /// Takes a span. Case counts: elsewhere `1M` is a month.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let takes = "1 to 16 of a-z 0-9 . _ -";
        is_word(text)
            .then(|| Self(text.to_owned()))
            .ok_or(Error::invalid("timeframe", takes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Draft {
    /// What a new report's status is.
    pub(super) fn status(&self) -> Status {
        match self.publication {
            Publication::Later => Status::Draft,
            Publication::Now => Status::Published,
        }
    }
}

impl LegacyReport {
    /// Takes a row.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an id that the earlier system cannot have given out.
    pub fn new(
        id: ReportId,
        created_at: Timestamp,
        contents: PerLanguage<Content>,
    ) -> Result<Self, Error> {
        // One import with the last id of all would leave none for new reports.
        if id.get() > LEGACY_ID_MAX {
            return Err(Error::invalid(
                "legacy id",
                "a whole number from 1 to 2^31-1",
            ));
        }
        Ok(Self {
            id,
            created_at,
            contents,
        })
    }

    /// The id, which it keeps.
    pub fn id(&self) -> ReportId {
        self.id
    }

    /// When it was made, and so published.
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// What it says.
    pub fn contents(&self) -> &PerLanguage<Content> {
        &self.contents
    }
}

fn is_word(text: &str) -> bool {
    (1..=16).contains(&text.len())
        && text
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'))
}
