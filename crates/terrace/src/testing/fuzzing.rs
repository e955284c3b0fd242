//! The bodies of the fuzz targets: each takes any bytes, and panics if a promise of
//! the codecs does not hold for them.
//!
//! They stand here because what they try is not public: the envelope, the names of
//! keys in Redis. `fuzz/` lends them to libFuzzer, and `tests/fuzz.rs` runs the same
//! ones on stable Rust. A feature of its own (`fuzzing`) keeps them out of what users of
//! `testing` see; including single files by path would have needed stand-ins for half
//! of the vocabulary.

use std::sync::Arc;

use crate::{
    envelope::{self, Envelope, Flaw, HEADER_BYTES, Shape, Token, Wrapping},
    key::{MAX_KEY_BYTES, Slot},
    options::Life,
    pattern::{MAX_GLOB_BYTES, Pattern},
    store::redis::keys::{Keys, Meaning, read},
    tag::{Epoch, Epochs, MAX_TAG_BYTES, MAX_TAGS, Mark},
};

/// A body.
pub type Target = fn(&[u8]);

/// All of them, by the names of their files in `fuzz/`.
pub const TARGETS: [(&str, Target); 3] =
    [("envelope", envelope), ("keys", keys), ("pattern", pattern)];

/// Sound envelopes of today's format, to begin with.
pub fn sound_envelopes() -> Vec<Vec<u8>> {
    let tags = |count: u8| {
        let tag = |number| {
            (
                Arc::from(format!("tag:{number}")),
                Epoch::from_bytes([number; 16]),
            )
        };
        (0..count).map(tag).collect()
    };
    let sealed = |key: &str, count, body: &[u8]| {
        let epochs = Epochs {
            clear: Epoch::from_bytes([7; 16]),
            tags: tags(count),
        };
        let wrapping = Wrapping {
            full_key: key,
            shape: Shape {
                schema: 1,
                codec: 1,
            },
            life: Life {
                fresh: 10_000,
                revalidate: 30_000,
                on_error: 3_600_000,
            },
            token: Token::from_bytes([9; 16]),
            epochs: &epochs,
        };
        envelope::seal(wrapping, body)
    };
    vec![
        sealed("numbers:k", 0, b"\x2a"),
        sealed("quotes:btc", 1, b"{\"usd\":1}"),
        sealed("quotes:\u{20ac}}{:", 16, b""),
    ]
}

/// Whatever stands in a store is opened or refused, and an envelope has one text.
pub fn envelope(bytes: &[u8]) {
    open_any(bytes);
    let mut checked = bytes.to_vec();
    if let Some((sealed, checksum)) = checked.split_last_chunk_mut::<4>() {
        *checksum = crc32fast::hash(sealed).to_le_bytes();
        open_any(&checked);
    }
    seal_and_open(Feed(bytes));
}

/// Opens bytes as what they say that they are.
fn open_any(bytes: &[u8]) {
    let number = |at| bytes.get(at).copied().map(u64::from).unwrap_or_default();
    let schema = (24..28).rev().fold(0, |all, at| all << 8 | number(at));
    let shape = Shape {
        schema: u32::try_from(schema).expect("four bytes"),
        codec: bytes.get(5).copied().unwrap_or_default(),
    };
    let length = usize::try_from(number(6) | number(7) << 8).expect("two bytes");
    let key = bytes.get(HEADER_BYTES..HEADER_BYTES + length);
    let key = key.and_then(|key| std::str::from_utf8(key).ok());
    let key = key.unwrap_or("numbers:k");
    if let Ok(opened) = envelope::open(bytes, key, shape) {
        let Envelope {
            token,
            life,
            epochs,
            body,
        } = opened;
        let wrapping = Wrapping {
            full_key: key,
            shape,
            life,
            token,
            epochs: &epochs,
        };
        assert_eq!(envelope::seal(wrapping, body), bytes, "two texts of one");
        let other = envelope::open(bytes, &format!("{key}x"), shape);
        assert_eq!(other.err(), Some(Flaw::Foreign));
    }
}

/// What is sealed opens as it was; with one bit turned or its end lost, it does not.
fn seal_and_open(mut feed: Feed<'_>) {
    let shape = Shape {
        schema: u32::from(feed.byte()),
        codec: feed.byte(),
    };
    let life = Life {
        fresh: feed.number(),
        revalidate: feed.number(),
        on_error: feed.number(),
    };
    let (token, clear) = (feed.array(), Epoch::from_bytes(feed.array()));
    let count = usize::from(feed.byte()) % (MAX_TAGS + 1);
    let tag = |feed: &mut Feed<'_>| {
        (
            feed.text(MAX_TAG_BYTES).into(),
            Epoch::from_bytes(feed.array()),
        )
    };
    let tags = (0..count).map(|_| tag(&mut feed)).collect();
    let epochs = Epochs { clear, tags };
    let full_key = format!("{}:{}", feed.name(), feed.text(MAX_KEY_BYTES));
    let (turned, kept) = (feed.number(), feed.number());
    let wrapping = Wrapping {
        full_key: &full_key,
        shape,
        life,
        token: Token::from_bytes(token),
        epochs: &epochs,
    };
    let mut sealed = envelope::seal(wrapping, feed.0);
    let open = |bytes: &[u8]| envelope::open(bytes, &full_key, shape).map(|opened| opened.token);

    let opened = envelope::open(&sealed, &full_key, shape).expect("it was just sealed");
    assert_eq!(opened.body, feed.0);
    assert_eq!(
        (opened.token.as_bytes(), opened.epochs),
        (&token, epochs.clone())
    );
    let spans = |life: Life| [life.fresh, life.revalidate, life.on_error];
    assert_eq!(spans(opened.life), spans(life));
    assert_eq!(
        Token::of_envelope(&sealed).map(|token| *token.as_bytes()),
        Some(token)
    );

    let length = sealed.len() as u64;
    let at = |number| usize::try_from(number % length).expect("within a slice");
    assert_eq!(open(&sealed[..at(kept)]), Err(Flaw::Damaged));
    sealed[at(turned / 8)] ^= 1 << (turned % 8);
    assert_eq!(open(&sealed), Err(Flaw::Damaged));
}

/// A name in Redis is read as what it was made from, and has one meaning.
pub fn keys(bytes: &[u8]) {
    read_any(bytes);
    make_and_read(Feed(bytes), |feed| feed.text(MAX_KEY_BYTES));
    make_and_read(Feed(bytes), |feed| feed.letters("ab:{}*?[]\\^"));
}

fn make_and_read(mut feed: Feed<'_>, text: impl Fn(&mut Feed<'_>) -> String) {
    let (namespace, cache) = (feed.name(), feed.name());
    let (text, keys) = (text(&mut feed), Keys::new(&namespace));
    let slot = Slot::new(&cache, &text);
    assert_eq!((slot.cache(), slot.key()), (&*cache, &*text));

    let (value, lease) = (keys.value(&slot), keys.lease(&slot));
    let is_slot = Some((&*namespace, &*cache, Meaning::Slot(&text)));
    assert_eq!(read(value.as_bytes()), is_slot);
    assert_eq!(read(lease.as_bytes()), is_slot);
    assert_eq!(keys.lease_of_value(value.as_bytes()), lease.as_bytes());
    assert_eq!(keys.user_key(&cache, value.as_bytes()), Some(&*text));
    assert_eq!(keys.user_key(&format!("{cache}x"), value.as_bytes()), None);
    for mark in [Mark::Clear, Mark::Clock, Mark::Tag(&text)] {
        let key = keys.mark(&cache, mark);
        assert_eq!(
            read(&key),
            Some((&*namespace, &*cache, Meaning::Mark(mark)))
        );
    }
    let canary = keys.canary(&cache, feed.number());
    assert_eq!(
        read(canary.as_bytes()),
        Some((&*namespace, &*cache, Meaning::Canary))
    );

    // What SCAN is asked to match leaves no key of the pattern out.
    let whole = text
        .char_indices()
        .map(|(at, _)| at)
        .nth(3)
        .unwrap_or(text.len());
    if let Ok(pattern) = Pattern::prefix(&text[..whole]) {
        let candidates = keys.candidates('v', &cache, &pattern);
        if candidates.len() <= MAX_GLOB_BYTES {
            let glob = Pattern::glob(&candidates).expect("what was escaped is a glob");
            assert!(glob.matches(&value), "{glob:?} leaves {value:?} out");
        }
    }
}

/// Whatever has a meaning, is the one text that has it.
fn read_any(bytes: &[u8]) {
    let Some((namespace, cache, meaning)) = read(bytes) else {
        return;
    };
    let keys = Keys::new(namespace);
    let texts = match meaning {
        Meaning::Slot(key) => {
            let slot = Slot::new(cache, key);
            [keys.value(&slot), keys.lease(&slot)]
                .map(String::into_bytes)
                .to_vec()
        }
        Meaning::Mark(mark) => vec![keys.mark(cache, mark)],
        // Told by its beginning alone: nobody acts on a canary's number.
        Meaning::Canary => return,
    };
    assert!(texts.iter().any(|text| text == bytes), "two names of one");
}

/// Any glob is refused or matches what it should.
pub fn pattern(bytes: &[u8]) {
    let mut feed = Feed(bytes);
    match_both_ways(&feed.text(MAX_GLOB_BYTES), &feed.text(MAX_KEY_BYTES));
    // Of few letters, so that they match now and then.
    let mut feed = Feed(bytes);
    match_both_ways(&feed.letters("aab\u{20ac}**?"), &feed.letters("ab\u{20ac}"));
    let mut feed = Feed(bytes);
    match_both_ways(&feed.letters("ab*?[]^-\\"), &feed.letters("ab-]"));
}

fn match_both_ways(glob: &str, key: &str) {
    let prefix = Pattern::prefix(glob).expect("of 1 to 128 bytes");
    assert_eq!(prefix.matches(key), key.starts_with(glob));
    let Ok(pattern) = Pattern::glob(glob) else {
        return;
    };
    let is_match = pattern.matches(key);
    assert!(!is_match || key.starts_with(&pattern.literal_prefix()));
    if !glob.contains(['[', '\\']) {
        assert_eq!(is_match, matches_plainly(glob, key), "{glob:?} {key:?}");
    }
}

/// A glob of `*` and `?` only: which of its beginnings match the key so far.
fn matches_plainly(glob: &str, key: &str) -> bool {
    let glob: Vec<char> = glob.chars().collect();
    let runs_on = |row: &mut [bool]| {
        for (at, part) in glob.iter().enumerate() {
            row[at + 1] |= row[at] && *part == '*';
        }
    };
    let mut row = vec![false; glob.len() + 1];
    row[0] = true;
    runs_on(&mut row);
    for character in key.chars() {
        let mut next = vec![false; glob.len() + 1];
        for (at, part) in glob.iter().enumerate() {
            next[at + 1] |= row[at] && (*part == '?' || (*part == character && *part != '*'));
            next[at + 1] |= row[at + 1] && *part == '*';
        }
        runs_on(&mut next);
        row = next;
    }
    row[glob.len()]
}

/// Bytes, taken as what is needed; zeros when they have run out.
struct Feed<'a>(&'a [u8]);

impl Feed<'_> {
    fn array<const N: usize>(&mut self) -> [u8; N] {
        let (taken, rest) = self.0.split_at(N.min(self.0.len()));
        self.0 = rest;
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    fn number(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// A cache's name or a namespace.
    fn name(&mut self) -> String {
        const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789_-";
        let length = 1 + usize::from(self.byte()) % 32;
        let letter = |_| char::from(LETTERS[usize::from(self.byte()) % LETTERS.len()]);
        (0..length).map(letter).collect()
    }

    /// One to twelve of these letters.
    fn letters(&mut self, of: &str) -> String {
        let of: Vec<char> = of.chars().collect();
        let length = 1 + self.byte() % 12;
        let letter = |_| of[usize::from(self.byte()) % of.len()];
        (0..length).map(letter).collect()
    }

    /// At least one character, at most so many bytes.
    fn text(&mut self, most: usize) -> String {
        let length = usize::from(u16::from_le_bytes(self.array())) % most;
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        let mut text = String::from_utf8_lossy(taken).into_owned();
        // A damaged byte becomes three.
        let end = (0..=most.min(text.len()))
            .rev()
            .find(|at| text.is_char_boundary(*at));
        text.truncate(end.unwrap_or_default());
        if text.is_empty() {
            text.push('k');
        }
        text
    }
}
