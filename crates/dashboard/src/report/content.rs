//! What a report says, in each of its languages.

use super::{
    error::Error,
    text::{LegacyHtml, Markdown, Summary, Title},
};

/// A language that reports are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Language {
    Vi,
    En,
}

/// The text of a report in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// As authors write now.
    Markdown(Markdown),
    /// As an earlier system kept it; not sanitised.
    Legacy(LegacyHtml),
}

/// Title, summary and text in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Content {
    pub title: Title,
    pub summary: Summary,
    pub body: Body,
}

/// One thing for each language that there is.
///
/// Invariant: there is at least one; [`PerLanguage::of`] checks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PerLanguage<T> {
    vi: Option<T>,
    en: Option<T>,
}

impl Language {
    /// Every language, in the order in which one stands in for another.
    pub const ALL: [Self; 2] = [Self::Vi, Self::En];

    /// How it is written: ISO 639-1.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Vi => "vi",
            Self::En => "en",
        }
    }

    /// Takes what [`code`](Self::code) writes.
    ///
    /// # Errors
    /// [`Error::Invalid`] says what it takes.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Self::ALL
            .into_iter()
            .find(|language| language.code() == text)
            .ok_or(Error::invalid("language", "vi or en"))
    }
}

impl<T> PerLanguage<T> {
    /// What there is.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is nothing in either language.
    pub fn of(vi: Option<T>, en: Option<T>) -> Result<Self, Error> {
        if vi.is_none() && en.is_none() {
            return Err(Error::invalid("contents", "at least one language"));
        }
        Ok(Self { vi, en })
    }

    /// What there is in a language.
    pub fn get(&self, language: Language) -> Option<&T> {
        match language {
            Language::Vi => self.vi.as_ref(),
            Language::En => self.en.as_ref(),
        }
    }

    /// What there is in a language, else in the other one, with the language that it is in.
    pub fn get_or_other(&self, language: Language) -> (Language, &T) {
        let others = Language::ALL.into_iter().filter(|other| *other != language);
        std::iter::once(language)
            .chain(others)
            .find_map(|language| Some((language, self.get(language)?)))
            .expect("it was made with at least one language")
    }

    /// Everything there is.
    pub fn iter(&self) -> impl Iterator<Item = (Language, &T)> {
        Language::ALL
            .into_iter()
            .filter_map(|language| Some((language, self.get(language)?)))
    }
}
