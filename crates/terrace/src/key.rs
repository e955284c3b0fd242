//! Names and keys: what they may be, and where a value lives.

use std::{fmt, sync::Arc};

use crate::error::Error;

/// The longest key, in bytes of UTF-8, without any prefix.
pub const MAX_KEY_BYTES: usize = 512;

const MAX_NAME_BYTES: usize = 32;

/// Where a value lives in a store: the cache's name and the user's key.
///
/// A name has no colon, so [`full_key`](Self::full_key) maps no two slots to one text.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Slot {
    full_key: Arc<str>,
    name_length: usize,
}

impl Slot {
    pub(crate) fn new(cache: &str, key: &str) -> Self {
        Self {
            full_key: format!("{cache}:{key}").into(),
            name_length: cache.len(),
        }
    }

    /// The cache's name: 1 to 32 of `a-z 0-9 _ -`.
    pub fn cache(&self) -> &str {
        &self.full_key[..self.name_length]
    }

    /// The user's key, 1 to 512 bytes.
    pub fn key(&self) -> &str {
        &self.full_key[self.name_length + 1..]
    }

    /// `cache:key`, the text that an envelope carries to prove whose it is.
    pub fn full_key(&self) -> &str {
        &self.full_key
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Quoted: a key may hold a line feed, and this ends up in logs.
        write!(f, "{:?}", self.full_key())
    }
}

/// Keys are taken as they are, or refused: never cut, never hashed.
pub(crate) fn check_key(key: &str) -> Result<(), Error> {
    match key.len() {
        0 => Err(Error::invalid_key("an empty key")),
        1..=MAX_KEY_BYTES => Ok(()),
        length => Err(Error::invalid_key(format!(
            "a key of {length} bytes: at most {MAX_KEY_BYTES}"
        ))),
    }
}

/// A cache's name or a store's namespace.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    let fits = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-');
    if fits {
        return Ok(());
    }
    Err(Error::config(format!(
        "{what} {name:?}: 1 to {MAX_NAME_BYTES} of a-z 0-9 _ -"
    )))
}

#[cfg(test)]
mod tests {
    use super::Slot;

    #[test]
    fn a_key_with_a_line_feed_is_printed_on_one_line() {
        let printed = format!("{:?}", Slot::new("texts", "k\n2026-01-01 WARN forged"));
        assert!(printed.contains("forged"), "{printed}");
        assert!(!printed.contains('\n'), "{printed}");
    }
}
