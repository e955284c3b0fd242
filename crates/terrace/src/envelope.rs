//! What a value looks like in a store: a fixed header, the full key, the body, a checksum.
//!
//! | bytes | holds |
//! |---|---|
//! | 0..4 | magic `TRRC` |
//! | 4 | format, 1 |
//! | 5 | codec |
//! | 6..8 | length of the full key |
//! | 8..24 | token of the write |
//! | 24..28 | schema |
//! | 28..32 | length of the body |
//! | 32..40, 40..48, 48..56 | fresh, stale-while-revalidate, stale-if-error, in ms |
//! | 56.. | full key, body |
//! | last 4 | CRC-32 of everything before |
//!
//! Numbers are little-endian. The magic, the token's place and the trailing
//! checksum are the same in every format to come: scripts compare the token
//! without knowing the rest, and a newer format can be told from damage.

use std::fmt;

use crate::options::Life;

const MAGIC: [u8; 4] = *b"TRRC";
const FORMAT: u8 = 1;
const CHECKSUM_BYTES: usize = 4;

/// Length of the fixed part; anything shorter is not an envelope.
pub(crate) const HEADER_BYTES: usize = 56;
/// What an envelope may add to a body: header, the longest name and key, checksum.
pub(crate) const MAX_OVERHEAD_BYTES: usize = HEADER_BYTES + 33 + 512 + CHECKSUM_BYTES;

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
    /// An older schema or another codec: may be overwritten.
    Outdated,
    /// A newer schema or format: another version of the program owns it.
    Newer,
}

#[derive(Debug)]
pub(crate) struct Envelope<'a> {
    pub(crate) token: Token,
    pub(crate) life: Life,
    pub(crate) body: &'a [u8],
}

/// Seals what `write_body` appends. `None` if the body does not fit 32 bits.
pub(crate) fn seal<E>(
    full_key: &str,
    shape: Shape,
    life: Life,
    token: Token,
    write_body: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<Option<Vec<u8>>, E> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + full_key.len() + 256);
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&[FORMAT, shape.codec]);
    let key_length = u16::try_from(full_key.len()).expect("a checked key is below 600 bytes");
    bytes.extend_from_slice(&key_length.to_le_bytes());
    bytes.extend_from_slice(token.as_bytes());
    bytes.extend_from_slice(&shape.schema.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    for span in [life.fresh, life.revalidate, life.on_error] {
        bytes.extend_from_slice(&span.to_le_bytes());
    }
    bytes.extend_from_slice(full_key.as_bytes());
    let body_start = bytes.len();
    write_body(&mut bytes)?;
    let Ok(body_length) = u32::try_from(bytes.len() - body_start) else {
        return Ok(None);
    };
    bytes[28..32].copy_from_slice(&body_length.to_le_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    Ok(Some(bytes))
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
    let (key, body) = sealed[HEADER_BYTES..]
        .split_at_checked(key_length)
        .ok_or(Flaw::Damaged)?;
    if sealed[4] != FORMAT || u32::try_from(body.len()) != Ok(body_length) {
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
    Ok(Envelope { token, life, body })
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk::<N>().copied()
}
