//! Which keys a removal by group means. One matcher for both tiers.

use std::fmt;

use crate::{error::Error, key::MAX_KEY_BYTES};

/// The longest glob, in bytes of UTF-8.
pub const MAX_GLOB_BYTES: usize = 128;

/// A set of keys, by prefix or by glob.
///
/// In a glob `*` stands for any run of characters, `?` for one, `[a-z_]` for one
/// of a set, `[^a-z]` for one outside it, and `\` takes the next character as it
/// is. It matches whole keys. At most [`MAX_GLOB_BYTES`]; matching takes time
/// proportional to pattern times key, whatever the pattern.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Pattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    Literal(char),
    /// `?`
    One,
    /// `*`
    Run,
    Set {
        negated: bool,
        ranges: Vec<(char, char)>,
    },
}

impl Part {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::Literal(own) => *own == character,
            Self::One => true,
            Self::Run => false,
            Self::Set { negated, ranges } => {
                let within = |(first, last): &(char, char)| (*first..=*last).contains(&character);
                ranges.iter().any(within) != *negated
            }
        }
    }
}

impl Pattern {
    /// Every key that begins with `prefix`, of 1 to 512 bytes.
    pub(crate) fn prefix(prefix: &str) -> Result<Self, Error> {
        if prefix.is_empty() || prefix.len() > MAX_KEY_BYTES {
            let length = prefix.len();
            return Err(Error::invalid_key(format!(
                "a prefix of {length} bytes: 1 to {MAX_KEY_BYTES}"
            )));
        }
        let literals = prefix.chars().map(Part::Literal);
        Ok(Self {
            text: prefix.to_owned(),
            parts: literals.chain([Part::Run]).collect(),
        })
    }

    pub(crate) fn glob(glob: &str) -> Result<Self, Error> {
        if glob.is_empty() || glob.len() > MAX_GLOB_BYTES {
            let length = glob.len();
            return Err(Error::invalid_key(format!(
                "a glob of {length} bytes: 1 to {MAX_GLOB_BYTES}"
            )));
        }
        let mut parts = Vec::new();
        let mut rest = glob.chars();
        while let Some(character) = rest.next() {
            let part = match character {
                '*' if parts.last() == Some(&Part::Run) => continue,
                '*' => Part::Run,
                '?' => Part::One,
                '[' => set(&mut rest).ok_or_else(|| invalid(glob, "a set that is not one"))?,
                '\\' => Part::Literal(
                    rest.next()
                        .ok_or_else(|| invalid(glob, "nothing after the last backslash"))?,
                ),
                other => Part::Literal(other),
            };
            parts.push(part);
        }
        Ok(Self {
            text: glob.to_owned(),
            parts,
        })
    }

    /// Whether the key is of the set.
    pub fn matches(&self, key: &str) -> bool {
        let (mut part, mut rest) = (0, key.chars());
        // Where the last run began to be tried: it takes one character more at each failure.
        let mut resume = None;
        loop {
            let here = rest.clone();
            match (self.parts.get(part), rest.next()) {
                (Some(Part::Run), _) => {
                    part += 1;
                    rest = here.clone();
                    resume = Some((part, here));
                    continue;
                }
                (None, None) => return true,
                (Some(wanted), Some(character)) if wanted.takes(character) => {
                    part += 1;
                    continue;
                }
                _ => {}
            }
            let Some((after_run, from)) = &mut resume else {
                return false;
            };
            if from.next().is_none() {
                return false;
            }
            (part, rest) = (*after_run, from.clone());
        }
    }

    /// What every key of the set begins with: a store need not look at others.
    pub fn literal_prefix(&self) -> String {
        let literal = |part: &Part| match part {
            Part::Literal(character) => Some(*character),
            _ => None,
        };
        self.parts.iter().map_while(literal).collect()
    }
}

/// The rest of a set after its bracket; `None` if it does not end, is empty or has
/// a range that runs backwards.
fn set(rest: &mut std::str::Chars<'_>) -> Option<Part> {
    let mut ranges = Vec::new();
    let mut next = rest.next()?;
    let negated = next == '^';
    if negated {
        next = rest.next()?;
    }
    while next != ']' {
        let first = if next == '\\' { rest.next()? } else { next };
        next = rest.next()?;
        let mut last = first;
        if next == '-' {
            last = rest.next().filter(|last| *last != ']')?;
            next = rest.next()?;
        }
        if last < first {
            return None;
        }
        ranges.push((first, last));
    }
    (!ranges.is_empty()).then_some(Part::Set { negated, ranges })
}

fn invalid(glob: &str, why: &str) -> Error {
    Error::invalid_key(format!("glob {glob:?}: {why}"))
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.text)
    }
}
