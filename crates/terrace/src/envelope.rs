//! What a value looks like in a store: a fixed header, the full key, the tags, the
//! body, a checksum.
//!
//! | bytes | holds |
//! |---|---|
//! | 0..4 | magic `TRRC` |
//! | 4 | format, 2 |
//! | 5 | codec |
//! | 6..8 | length of the full key |
//! | 8..24 | token of the write |
//! | 24..28 | schema |
//! | 28..32 | length of the body |
//! | 32..40, 40..48, 48..56 | fresh, stale-while-revalidate, stale-if-error, in ms |
//! | 56..72 | epoch of the last clear |
//! | 72.. | full key |
//! | then | number of tags (1 byte); for each its length (1 byte), the tag, its epoch (16) |
//! | then | body |
//! | last 4 | CRC-32 of everything before |
//!
//! Numbers are little-endian. The magic, the token's place and the trailing
//! checksum are the same in every format to come: scripts compare the token
//! without knowing the rest, and a newer format can be told from damage.

use std::{fmt, sync::Arc};

use crate::{
    options::Life,
    tag::{Epoch, Epochs, MAX_TAG_BYTES, MAX_TAGS},
};

const MAGIC: [u8; 4] = *b"TRRC";
const FORMAT: u8 = 2;
const CHECKSUM_BYTES: usize = 4;

/// Length of the fixed part; anything shorter is not an envelope.
pub(crate) const HEADER_BYTES: usize = 72;
const EPOCH_BYTES: usize = 16;
/// What an envelope may add to a body: header, the longest name and key, tags, checksum.
pub(crate) const MAX_OVERHEAD_BYTES: usize =
    HEADER_BYTES + 33 + 512 + 1 + MAX_TAGS * (1 + MAX_TAG_BYTES + EPOCH_BYTES) + CHECKSUM_BYTES;

/// A random name for one write or one lease: 128 bits, never drawn twice.
///
/// It is the fence: a store accepts a fill only while the token's lease is there.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Token([u8; 16]);

impl Token {
    /// Where an envelope holds its token, in every format.
    pub const RANGE: std::ops::Range<usize> = 8..24;

    /// The token inside an envelope's bytes; `None` if there are too few to be one.
    pub fn of_envelope(bytes: &[u8]) -> Option<Self> {
        if bytes.len() < HEADER_BYTES {
            return None;
        }
        array(bytes, Self::RANGE.start).map(Self)
    }

    /// A token from its bytes, such as a store's reply.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The token's bytes, as they stand in envelopes and leases.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    pub(crate) fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:032x})", u128::from_be_bytes(self.0))
    }
}

/// What must agree between writer and reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) schema: u32,
    pub(crate) codec: u8,
}

/// Why stored bytes are no value for us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Not an envelope, cut, longer than it says, or its checksum is wrong.
    Damaged,
    /// A sound envelope of another key.
    Foreign,
    /// An older format or schema, or another codec: may be overwritten.
    Outdated,
    /// A newer schema or format: another version of the program owns it.
    Newer,
}

#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) token: Token,
    pub(crate) life: Life,
    pub(crate) epochs: Epochs,
    pub(crate) body: &'a [u8],
}

/// What a write puts around its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wrapping<'a> {
    pub(crate) full_key: &'a str,
    pub(crate) shape: Shape,
    pub(crate) life: Life,
    pub(crate) token: Token,
    pub(crate) epochs: &'a Epochs,
}

/// Puts a body into its envelope.
pub(crate) fn seal(wrapping: Wrapping<'_>, body: &[u8]) -> Vec<u8> {
    let Wrapping {
        full_key,
        shape,
        life,
        epochs,
        ..
    } = wrapping;
    let most = MAX_OVERHEAD_BYTES.min(HEADER_BYTES + full_key.len() + 512);
    let mut bytes = Vec::with_capacity(most + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, shape.codec]);
    let key_length = u16::try_from(full_key.len()).expect("a checked key is below 600 bytes");
    bytes.extend_from_slice(&key_length.to_le_bytes());
    bytes.extend_from_slice(wrapping.token.as_bytes());
    bytes.extend_from_slice(&shape.schema.to_le_bytes());
    let body_length = u32::try_from(body.len()).expect("a checked value is below 256 MiB");
    bytes.extend_from_slice(&body_length.to_le_bytes());
    for span in [life.fresh, life.revalidate, life.on_error] {
        bytes.extend_from_slice(&span.to_le_bytes());
    }
    bytes.extend_from_slice(epochs.clear.as_bytes());
    bytes.extend_from_slice(full_key.as_bytes());
    let one_byte = |length| u8::try_from(length).expect("checked tags are few and short");
    bytes.push(one_byte(epochs.tags.len()));
    for (tag, epoch) in &epochs.tags {
        bytes.push(one_byte(tag.len()));
        bytes.extend_from_slice(tag.as_bytes());
        bytes.extend_from_slice(epoch.as_bytes());
    }
    bytes.extend_from_slice(body);
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Opens stored bytes. The checksum comes first: what it does not cover is
/// damage, so a flipped bit never passes for a newer version.
pub(crate) fn open<'a>(
    bytes: &'a [u8],
    full_key: &str,
    shape: Shape,
) -> Result<Envelope<'a>, Flaw> {
    let (sealed, checksum) = bytes
        .split_last_chunk::<CHECKSUM_BYTES>()
        .ok_or(Flaw::Damaged)?;
    let token = Token::of_envelope(sealed).ok_or(Flaw::Damaged)?;
    if crc32fast::hash(sealed) != u32::from_le_bytes(*checksum) || !sealed.starts_with(&MAGIC) {
        return Err(Flaw::Damaged);
    }
    if sealed[4] > FORMAT {
        return Err(Flaw::Newer);
    }
    let key_length = usize::from(u16::from_le_bytes(array(sealed, 6).ok_or(Flaw::Damaged)?));
    let schema = u32::from_le_bytes(array(sealed, 24).ok_or(Flaw::Damaged)?);
    let body_length = u32::from_le_bytes(array(sealed, 28).ok_or(Flaw::Damaged)?);
    if sealed[4] < FORMAT {
        return Err(Flaw::Outdated);
    }
    let (key, rest) = sealed[HEADER_BYTES..]
        .split_at_checked(key_length)
        .ok_or(Flaw::Damaged)?;
    let (tags, body) = open_tags(rest).ok_or(Flaw::Damaged)?;
    if u32::try_from(body.len()) != Ok(body_length) {
        return Err(Flaw::Damaged);
    }
    if key != full_key.as_bytes() {
        return Err(Flaw::Foreign);
    }
    if schema > shape.schema {
        return Err(Flaw::Newer);
    }
    if schema < shape.schema || sealed[5] != shape.codec {
        return Err(Flaw::Outdated);
    }
    let span = |at| {
        array(sealed, at)
            .map(u64::from_le_bytes)
            .ok_or(Flaw::Damaged)
    };
    let life = Life {
        fresh: span(32)?,
        revalidate: span(40)?,
        on_error: span(48)?,
    };
    let clear = array(sealed, 56).map(Epoch::from_bytes);
    Ok(Envelope {
        token,
        life,
        epochs: Epochs {
            clear: clear.ok_or(Flaw::Damaged)?,
            tags,
        },
        body,
    })
}

/// Whether this is how another key's envelope begins. Looks at nothing else of it.
#[cfg(feature = "redis")]
pub(crate) fn is_of_another(bytes: &[u8], full_key: &str) -> bool {
    let key = || {
        let length = u16::from_le_bytes(array(bytes, 6)?);
        bytes.get(HEADER_BYTES..)?.get(..usize::from(length))
    };
    let is_ours = bytes.starts_with(&MAGIC) && bytes.get(4) == Some(&FORMAT);
    is_ours && key().is_some_and(|key| key != full_key.as_bytes())
}

type Tags = Box<[(Arc<str>, Epoch)]>;

/// The tags, and what follows them.
fn open_tags(bytes: &[u8]) -> Option<(Tags, &[u8])> {
    let (count, mut rest) = bytes.split_first()?;
    let mut tags = Vec::new();
    for _ in 0..*count {
        let (length, after) = rest.split_first()?;
        let (tag, after) = after.split_at_checked(usize::from(*length))?;
        let (epoch, after) = after.split_first_chunk::<EPOCH_BYTES>()?;
        let tag = std::str::from_utf8(tag)
            .ok()
            .filter(|tag| !tag.is_empty())?;
        tags.push((Arc::from(tag), Epoch::from_bytes(*epoch)));
        rest = after;
    }
    Some((tags.into(), rest))
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}
