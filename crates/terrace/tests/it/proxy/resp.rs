//! Finds where RESP2 and RESP3 frames begin and end in a stream of bytes, however
//! the bytes are cut. Looks at nothing else.

use std::{mem, ops::Range};

/// A header line longer than this is no RESP; the stream is then passed as it is.
const LONGEST_LINE: usize = 65_536;

/// A piece of the bytes fed in: a frame, or a part of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    pub(crate) bytes: Range<usize>,
    /// The first byte of the frame: `+ - : $ * > …`.
    pub(crate) kind: u8,
    pub(crate) begins: bool,
    pub(crate) ends: bool,
    /// Of a frame that ends here: its first blob. A command's is its name.
    pub(crate) name: Option<String>,
}

#[derive(Debug, Default)]
pub(crate) struct Framer {
    /// Elements still to come, innermost last.
    open: Vec<u64>,
    line: Vec<u8>,
    /// Bytes of a blob still to come, its CRLF included.
    blob: u64,
    kind: u8,
    /// Whether a piece of the frame under way was handed out already.
    begun: bool,
    first_blob: FirstBlob,
    broken: bool,
}

/// The first blob of a frame: of a command, its name.
#[derive(Debug, Default)]
enum FirstBlob {
    #[default]
    Awaited,
    Reading(Vec<u8>),
    Read(String),
}

impl Framer {
    /// The pieces that make up `bytes`, in order, without holes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> Vec<Piece> {
        let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
        while at < bytes.len() {
            if self.broken {
                at = bytes.len();
                break;
            }
            if self.blob > 0 {
                let step = usize::try_from(self.blob).unwrap_or(usize::MAX);
                let step = step.min(bytes.len() - at);
                self.keep_name(&bytes[at..at + step]);
                at += step;
                self.blob -= step as u64;
                if self.blob > 0 {
                    break;
                }
                self.name_is_complete();
                if self.element_ended() {
                    pieces.push(self.piece(from..at, true));
                    from = at;
                }
                continue;
            }
            let byte = bytes[at];
            at += 1;
            if self.open.is_empty() && self.line.is_empty() {
                self.kind = byte;
                self.first_blob = FirstBlob::Awaited;
            }
            self.line.push(byte);
            if byte == b'\n' {
                if self.line_ended() {
                    pieces.push(self.piece(from..at, true));
                    from = at;
                }
            } else if self.line.len() > LONGEST_LINE {
                self.broken = true;
            }
        }
        if from < at {
            pieces.push(self.piece(from..at, false));
        }
        pieces
    }

    /// Whether the next byte begins a frame.
    pub(crate) fn is_between_frames(&self) -> bool {
        self.open.is_empty() && self.line.is_empty() && self.blob == 0
    }

    fn piece(&mut self, bytes: Range<usize>, ends: bool) -> Piece {
        let begins = !mem::replace(&mut self.begun, !ends);
        let name = match &self.first_blob {
            FirstBlob::Read(name) if ends => Some(name.clone()),
            _ => None,
        };
        Piece {
            bytes,
            kind: self.kind,
            begins,
            ends,
            name,
        }
    }

    /// Takes in a whole header line. Tells whether a frame ended with it.
    fn line_ended(&mut self) -> bool {
        let line = mem::take(&mut self.line);
        let text = std::str::from_utf8(&line[1..]).unwrap_or_default().trim();
        let count: i64 = text.parse().unwrap_or(0);
        let count = u64::try_from(count);
        match (line[0], count) {
            (b'$' | b'=' | b'!', Ok(length)) => {
                self.blob = length + 2;
                if matches!(self.first_blob, FirstBlob::Awaited) {
                    self.first_blob = FirstBlob::Reading(Vec::new());
                }
                false
            }
            (b'*' | b'~' | b'>', Ok(count @ 1..)) => {
                self.open.push(count);
                false
            }
            (b'%' | b'|', Ok(count @ 1..)) => {
                self.open.push(2 * count);
                false
            }
            _ => self.element_ended(),
        }
    }

    /// Counts an element off. Tells whether the outermost frame ended with it.
    fn element_ended(&mut self) -> bool {
        while let Some(left) = self.open.last_mut() {
            *left -= 1;
            if *left > 0 {
                return false;
            }
            self.open.pop();
        }
        true
    }

    fn keep_name(&mut self, bytes: &[u8]) {
        if let FirstBlob::Reading(name) = &mut self.first_blob
            && name.len() < 64
        {
            name.extend_from_slice(bytes);
        }
    }

    fn name_is_complete(&mut self) {
        if let FirstBlob::Reading(name) = &self.first_blob {
            let text = String::from_utf8_lossy(name);
            self.first_blob = FirstBlob::Read(text.trim_end().to_ascii_uppercase());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPLIES: &[u8] = b"+OK\r\n$5\r\nhello\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n\
        $-1\r\n*0\r\n%1\r\n+a\r\n*2\r\n:1\r\n_\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n:7\r\n";

    #[test]
    fn frames_are_found_however_the_bytes_are_cut() {
        for size in 1..=REPLIES.len() {
            let (mut framer, mut whole, mut kinds) = (Framer::default(), Vec::new(), Vec::new());
            for chunk in REPLIES.chunks(size) {
                for piece in framer.feed(chunk) {
                    whole.extend_from_slice(&chunk[piece.bytes.clone()]);
                    if piece.ends {
                        kinds.push(piece.kind as char);
                    }
                }
            }
            assert_eq!(whole, REPLIES, "chunks of {size}");
            assert_eq!(kinds, ['+', '$', '>', '$', '*', '%', '>', ':'], "{size}");
            assert!(framer.is_between_frames());
        }
    }

    #[test]
    fn each_command_has_its_own_name_in_one_chunk_too() {
        let mut framer = Framer::default();
        let pieces = framer.feed(b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n*1\r\n$4\r\nPING\r\n*1\r\n$4\r\n");
        let names: Vec<_> = pieces.iter().map(|piece| piece.name.as_deref()).collect();
        assert_eq!(names, [Some("GET"), Some("PING"), None]);
    }
}
