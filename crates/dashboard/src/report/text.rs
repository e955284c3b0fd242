//! The texts of a report, each made by parsing: none is too long, and none holds what a database
//! or a page cannot carry.

use std::fmt;

use super::error::Error;

/// Characters of a title.
pub const TITLE_MAX: usize = 200;
/// Characters of a summary.
pub const SUMMARY_MAX: usize = 1_000;
/// A long report is some 20 KB; this is what one may cost to read, render and keep.
pub const MARKDOWN_MAX_BYTES: usize = 256 * 1024;
/// Legacy rows carry their own markup and pictures.
pub const LEGACY_HTML_MAX_BYTES: usize = 1024 * 1024;

/// One line of 1 to [`TITLE_MAX`] characters, without blanks around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Title(String);

/// One line of at most [`SUMMARY_MAX`] characters; it may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary(String);

/// A body as its author wrote it: not empty, at most [`MARKDOWN_MAX_BYTES`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Markdown(String);

/// The body of a row of an earlier system, as it was there: it may hold scripts. Only what
/// sanitises may look into it, so it has no `Display` and `as_str` is called otherwise.
#[derive(Clone, PartialEq, Eq)]
pub struct LegacyHtml(String);

impl Title {
    /// Takes a title.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let is_fine = !text.is_empty() && is_line(text, TITLE_MAX);
        let takes = "a line of 1 to 200 characters without control characters";
        is_fine
            .then(|| Self(text.to_owned()))
            .ok_or(Error::invalid("title", takes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Summary {
    /// Takes a summary.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let takes = "a line of at most 1000 characters without control characters";
        is_line(text, SUMMARY_MAX)
            .then(|| Self(text.to_owned()))
            .ok_or(Error::invalid("summary", takes))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Markdown {
    /// Takes a body; line ends become `\n`.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let takes = "1 byte to 256 KiB of text without control characters";
        let is_fine = text.len() <= MARKDOWN_MAX_BYTES && !text.trim().is_empty();
        if !is_fine {
            return Err(Error::invalid("markdown", takes));
        }
        let text = text.replace("\r\n", "\n");
        let is_refused = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
        if text.contains(is_refused) {
            return Err(Error::invalid("markdown", takes));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl LegacyHtml {
    /// Takes a body as an earlier system kept it.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        // NUL is what PostgreSQL cannot store; all else is for the sanitiser to judge.
        let is_fine =
            text.len() <= LEGACY_HTML_MAX_BYTES && !text.trim().is_empty() && !text.contains('\0');
        is_fine.then(|| Self(text.to_owned())).ok_or(Error::invalid(
            "legacy_html",
            "1 byte to 1 MiB of text without NUL",
        ))
    }

    /// The markup, which nobody has cleaned yet.
    pub fn unsanitised(&self) -> &str {
        &self.0
    }
}

/// Not the markup: what is logged must not be what somebody else wrote.
impl fmt::Debug for LegacyHtml {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LegacyHtml({} bytes)", self.0.len())
    }
}

fn is_line(text: &str, longest: usize) -> bool {
    text.chars().count() <= longest && !text.contains(is_unfit_for_a_line)
}

/// Control characters, line ends, and those that turn the direction of what stands around them.
fn is_unfit_for_a_line(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
