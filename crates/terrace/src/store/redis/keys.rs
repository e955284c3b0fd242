//! The names of our keys, both ways.
//!
//! | key | holds |
//! |---|---|
//! | `NAMESPACE:v:{CACHE:KEY}` | an envelope |
//! | `NAMESPACE:l:{CACHE:KEY}` | a lease |
//! | `NAMESPACE:t:{CACHE:TAG}` | the epoch of a tag |
//! | `NAMESPACE:t:{CACHE}clear`, `…clock` | the epoch of the last clear, the clock of tags |
//! | `NAMESPACE:t:{CACHE}canary:ID` | what a process has changed to hear of it |
//!
//! Neither a namespace nor a cache's name has a colon or a brace, so no two of these meet.

use std::sync::Arc;

use crate::{key::Slot, pattern::Pattern, tag::Mark};

/// The keys below one namespace.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    namespace: Arc<str>,
}

/// What a key of ours is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning<'a> {
    /// The value or the lease of a user's key.
    Slot(&'a str),
    Mark(Mark<'a>),
    Canary,
}

impl Keys {
    pub(crate) fn new(namespace: &str) -> Self {
        Self {
            namespace: Arc::from(namespace),
        }
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    pub(crate) fn value(&self, slot: &Slot) -> String {
        format!("{}:v:{{{}}}", self.namespace, slot.full_key())
    }

    pub(crate) fn lease(&self, slot: &Slot) -> String {
        format!("{}:l:{{{}}}", self.namespace, slot.full_key())
    }

    pub(crate) fn mark(&self, cache: &str, mark: Mark<'_>) -> Vec<u8> {
        let namespace = &self.namespace;
        match mark {
            Mark::Clear => format!("{namespace}:t:{{{cache}}}clear"),
            Mark::Clock => format!("{namespace}:t:{{{cache}}}clock"),
            Mark::Tag(tag) => format!("{namespace}:t:{{{cache}:{tag}}}"),
        }
        .into_bytes()
    }

    pub(crate) fn canary(&self, cache: &str, id: u64) -> String {
        format!("{}:t:{{{cache}}}canary:{id:016x}", self.namespace)
    }

    /// The keys of a family (`v` or `l`) that a pattern may mean, for MATCH.
    pub(crate) fn candidates(&self, family: char, cache: &str, pattern: &Pattern) -> String {
        let mut text = format!("{}:{family}:{{{cache}:", self.namespace);
        for character in pattern.literal_prefix().chars() {
            if matches!(character, '*' | '?' | '[' | ']' | '\\' | '^') {
                text.push('\\');
            }
            text.push(character);
        }
        text.push('*');
        text
    }

    /// The user's key in a value or lease key of this cache.
    pub(crate) fn user_key<'a>(&self, cache: &str, key: &'a [u8]) -> Option<&'a str> {
        let (namespace, of_cache, meaning) = read(key)?;
        match meaning {
            Meaning::Slot(key) if namespace == &*self.namespace && of_cache == cache => Some(key),
            _ => None,
        }
    }

    /// The lease key that belongs to a value key of ours.
    pub(crate) fn lease_of_value(&self, value_key: &[u8]) -> Vec<u8> {
        let mut key = value_key.to_vec();
        key[self.namespace.len() + 1] = b'l';
        key
    }
}

/// Namespace, cache and meaning of a key; `None` if it is not one of ours.
pub(crate) fn read(key: &[u8]) -> Option<(&str, &str, Meaning<'_>)> {
    let key = std::str::from_utf8(key).ok()?;
    let (namespace, rest) = key.split_once(':')?;
    let (family, rest) = rest.split_once(":{")?;
    let end_of_cache = rest.find([':', '}'])?;
    let (cache, rest) = rest.split_at(end_of_cache);
    let inner = rest
        .strip_prefix(':')
        .and_then(|rest| rest.strip_suffix('}'));
    let meaning = match (family, inner) {
        ("v" | "l", Some(key)) => Meaning::Slot(key),
        ("t", Some(tag)) => Meaning::Mark(Mark::Tag(tag)),
        ("t", None) => match rest.strip_prefix('}')? {
            "clear" => Meaning::Mark(Mark::Clear),
            "clock" => Meaning::Mark(Mark::Clock),
            other => other.strip_prefix("canary:").map(|_| Meaning::Canary)?,
        },
        _ => return None,
    };
    Some((namespace, cache, meaning))
}
