//! A small gzip file that unpacks to a large one.

use std::sync::LazyLock;

use bytes::Bytes;

/// What it unpacks to: this many blanks, which JSON allows in any number.
const BLANKS: u32 = 64 << 20;
/// The CRC-32 of that many blanks.
const CHECKSUM: u32 = 0x97bf_d3ec;
/// The longest repetition that deflate can write.
const RUN: u32 = 258;

/// Made once, for it takes some milliseconds.
static GZIP: LazyLock<Bytes> = LazyLock::new(packed);

/// The gzip file, half a megabyte.
pub(super) fn gzip() -> Bytes {
    GZIP.clone()
}

/// One block of fixed Huffman codes (RFC 1951, 3.2.6): a blank, and then "the last byte again, 258
/// times", in 13 bits each. A crate for packing would pack no tighter and be one more dependency.
fn packed() -> Bytes {
    let mut bits = Bits::default();
    bits.push(0b1, 1); // the last block
    bits.push(0b01, 2); // fixed codes
    let (runs, rest) = ((BLANKS - 1) / RUN, (BLANKS - 1) % RUN);
    for _ in 0..=rest {
        bits.push_code(0x30 + u32::from(b' '), 8);
    }
    for _ in 0..runs {
        bits.push_code(0b1100_0101, 8); // length 258
        bits.push_code(0b00000, 5); // distance 1
    }
    bits.push_code(0b000_0000, 7); // the end
    let deflated = bits.finished();

    let mut file = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    file.extend(deflated);
    file.extend(CHECKSUM.to_le_bytes());
    file.extend(BLANKS.to_le_bytes());
    file.into()
}

/// Bytes filled from their lowest bit.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    open: u32,
    count: u32,
}

impl Bits {
    fn push(&mut self, bits: u32, count: u32) {
        self.open |= bits << self.count;
        self.count += count;
        while self.count >= 8 {
            self.bytes.push(self.open as u8);
            self.open >>= 8;
            self.count -= 8;
        }
    }

    /// Huffman codes, unlike everything else, begin with their highest bit.
    fn push_code(&mut self, code: u32, count: u32) {
        self.push(code.reverse_bits() >> (32 - count), count);
    }

    fn finished(mut self) -> Vec<u8> {
        self.push(0, 7);
        self.bytes
    }
}
