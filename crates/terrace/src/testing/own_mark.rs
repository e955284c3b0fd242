//! A mark that outlives the call which named it.

use crate::tag::Mark;

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum OwnMark {
    Clear,
    Clock,
    Tag(String),
}

impl OwnMark {
    pub(super) fn lent(&self) -> Mark<'_> {
        match self {
            Self::Clear => Mark::Clear,
            Self::Clock => Mark::Clock,
            Self::Tag(tag) => Mark::Tag(tag),
        }
    }
}

impl From<Mark<'_>> for OwnMark {
    fn from(mark: Mark<'_>) -> Self {
        match mark {
            Mark::Clear => Self::Clear,
            Mark::Clock => Self::Clock,
            Mark::Tag(tag) => Self::Tag(tag.to_owned()),
        }
    }
}
