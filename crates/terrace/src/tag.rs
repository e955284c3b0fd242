//! Tags, and the epochs that remove a group of entries at once.
//!
//! An epoch is a random name for the time between two removals of a group. An
//! entry carries the epochs that it was born under and lives while they are
//! still the current ones: removing the group is writing one new epoch.

use std::{fmt, sync::Arc};

use crate::error::Error;

/// The most tags an entry can have.
pub const MAX_TAGS: usize = 16;
/// The longest tag, in bytes of UTF-8.
pub const MAX_TAG_BYTES: usize = 128;

/// A random name for the time between two removals of a group: 128 bits, never
/// drawn twice. Not a counter: a counter that is lost would begin again.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// An epoch from its bytes, such as a store's reply.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The epoch's bytes, as they stand in envelopes and under their keys.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// A new one. Every attempt to write an epoch draws its own: one that was
    /// sent twice could bring back what had been removed in between.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Epoch({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What an epoch belongs to, within one cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mark<'a> {
    /// All entries: `clear` renews it.
    Clear,
    /// The clock of tags: every removal of a tag or a pattern renews it, so that a
    /// load that does not know its tags yet finds out that one was removed meanwhile.
    Clock,
    /// The entries with this tag.
    Tag(&'a str),
}

/// The epochs that an entry was born under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Epochs {
    pub(crate) clear: Epoch,
    pub(crate) tags: Box<[(Arc<str>, Epoch)]>,
}

impl Epochs {
    pub(crate) fn untagged(clear: Epoch) -> Self {
        Self {
            clear,
            tags: Box::default(),
        }
    }

    pub(crate) fn marks(&self) -> impl Iterator<Item = (Mark<'_>, Epoch)> {
        let tags = self.tags.iter();
        std::iter::once((Mark::Clear, self.clear))
            .chain(tags.map(|(tag, epoch)| (Mark::Tag(tag), *epoch)))
    }
}

/// Tags are taken as they are, or refused.
pub(crate) fn check_tag(tag: &str) -> Result<(), Error> {
    match tag.len() {
        0 => Err(Error::invalid_key("an empty tag")),
        1..=MAX_TAG_BYTES => Ok(()),
        length => Err(Error::invalid_key(format!(
            "a tag of {length} bytes: at most {MAX_TAG_BYTES}"
        ))),
    }
}

/// An entry's tags: each checked, none twice.
pub(crate) fn check_tags(mut tags: Vec<Arc<str>>) -> Result<Vec<Arc<str>>, Error> {
    for tag in &tags {
        check_tag(tag)?;
    }
    tags.sort_unstable();
    tags.dedup();
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid_key(format!(
            "{} tags: at most {MAX_TAGS}",
            tags.len()
        )));
    }
    Ok(tags)
}
