//! Where lines begin and end in the files: fills blocks with the lines of a range.
//!
//! `line start <= piece start < piece end`, and a piece ends where a line does. What was read
//! behind the last whole line is read again for the next piece, so nothing is carried over.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use super::block::Block;
use super::{TextError, TextFile, TextInput, TextPosition, TextRange};

/// How much text a block holds, unless one line is longer.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// With less room than this a block is handed over: reading would cost more than it brings.
const ROOM_BYTES_MIN: usize = 4 << 10;

/// Read beyond the end of a range to find the end of its last line.
const TAIL_BYTES: usize = 4 << 10;

/// A file of the input, open for reading.
pub(super) struct OpenFile {
    listed: TextFile,
    file: File,
}

impl OpenFile {
    pub(super) fn open(listed: &TextFile) -> Result<Self, TextError> {
        match File::open(&listed.path) {
            Ok(file) => Ok(Self {
                listed: listed.clone(),
                file,
            }),
            Err(error) => Err(unreadable("open", listed, 0, error)),
        }
    }

    /// Fills `buffer` from `offset` in the file.
    pub(super) fn read_exact(&self, buffer: &mut [u8], offset: u64) -> Result<(), TextError> {
        let failed = |action, error| unreadable(action, &self.listed, offset, error);
        match self.file.read_exact_at(buffer, offset) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let metadata = self.file.metadata();
                let metadata = metadata.map_err(|error| failed("find the length of", error))?;
                Err(TextError::Shrunk {
                    path: self.listed.path.clone(),
                    offset,
                    expected_bytes: self.listed.length_bytes,
                    found_bytes: metadata.len(),
                })
            }
            Err(error) => Err(failed("read", error)),
        }
    }
}

/// Reads the lines of one range, round after round.
pub(super) struct Scanner {
    input: TextInput,
    range: TextRange,
    rounds: u64,
    /// Everything before it was delivered.
    position: TextPosition,
    /// True if `position` is known to be the start of a line or the end of the input.
    is_at_line: bool,
    /// The file that was read last, by index.
    open: Option<(usize, OpenFile)>,
}

impl Scanner {
    pub(super) fn new(
        input: TextInput,
        range: TextRange,
        rounds: u64,
        position: TextPosition,
    ) -> Self {
        Self {
            input,
            range,
            rounds,
            position,
            is_at_line: false,
            open: None,
        }
    }

    /// Fills an empty block; one that stays empty means the end of the last round.
    pub(super) fn fill(&mut self, block: &mut Block) -> Result<(), TextError> {
        let mut bytes = block.take_bytes();
        let filled = self.fill_bytes(block, &mut bytes);
        // Lines in front of an error are lines of the input: they are handed over first.
        block.put_bytes(bytes);
        if block.has_line() { Ok(()) } else { filled }
    }

    fn fill_bytes(&mut self, block: &mut Block, bytes: &mut Vec<u8>) -> Result<(), TextError> {
        while self.position.round < self.rounds && bytes.len() + ROOM_BYTES_MIN <= BLOCK_BYTES {
            if self.position.offset >= self.range.end {
                self.next_round();
            } else if self.is_at_line {
                let position = self.position;
                let begin = bytes.len();
                let read = self.read_lines(bytes);
                if read.is_err() {
                    bytes.truncate(begin);
                }
                read?;
                block.add_piece(bytes.len(), position);
                self.position.offset += (bytes.len() - begin) as u64;
            } else {
                self.find_line()?;
            }
        }
        Ok(())
    }

    fn next_round(&mut self) {
        self.position = TextPosition {
            round: self.position.round + 1,
            offset: self.range.start,
        };
        self.is_at_line = false;
        if self.range.start >= self.range.end {
            self.position.round = self.rounds;
        }
    }

    /// Moves on to the first line that begins at or behind the position.
    fn find_line(&mut self) -> Result<(), TextError> {
        let from = self.position.offset;
        self.position.offset = self.line_from(from)?;
        self.is_at_line = true;
        if from == self.range.start && self.position.offset >= self.range.end {
            // No line begins in this range: every further round would find the same.
            self.position.round = self.rounds;
        }
        Ok(())
    }

    fn line_from(&mut self, offset: u64) -> Result<u64, TextError> {
        let index = self.input.file_at(offset);
        let (start, end) = match self.input.files().get(index) {
            Some(file) if file.start < offset => (file.start, file.end()),
            // In front of the first byte of a file, or behind the last.
            _ => return Ok(offset),
        };
        let mut buffer = [0; TAIL_BYTES];
        let mut from = offset - 1;
        while from < end {
            let length = in_memory(end - from).min(buffer.len());
            self.read_at(index, &mut buffer[..length], from - start)?;
            if let Some(found) = memchr::memchr(b'\n', &buffer[..length]) {
                return Ok(from + found as u64 + 1);
            }
            from += length as u64;
        }
        Ok(end)
    }

    /// Appends whole lines of one file, at least one, from the position on.
    fn read_lines(&mut self, bytes: &mut Vec<u8>) -> Result<(), TextError> {
        let index = self.input.file_at(self.position.offset);
        let file = &self.input.files()[index];
        let local = self.position.offset - file.start;
        let left = in_memory(file.length_bytes - local);
        let owned = in_memory(file.end().min(self.range.end) - self.position.offset);
        let begin = bytes.len();
        let mut known = 0;
        let mut wanted = left
            .min(owned.saturating_add(TAIL_BYTES))
            .min(BLOCK_BYTES - begin);
        loop {
            bytes.resize(begin + wanted, 0);
            self.read_at(index, &mut bytes[begin + known..], local + known as u64)?;
            if let Some(length) = whole_lines(&bytes[begin..], owned, wanted == left) {
                bytes.truncate(begin + length);
                return Ok(());
            }
            known = wanted;
            wanted = wanted.saturating_mul(2).min(left);
        }
    }

    fn read_at(&mut self, index: usize, buffer: &mut [u8], offset: u64) -> Result<(), TextError> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != index) {
            self.open = Some((index, OpenFile::open(&self.input.files()[index])?));
        }
        let (_, file) = self.open.as_ref().expect("opened just now");
        file.read_exact(buffer, offset)
    }
}

/// Lengths meet the bound of a buffer before they meet that of the address space.
fn in_memory(length_bytes: u64) -> usize {
    usize::try_from(length_bytes).unwrap_or(usize::MAX)
}

/// How much of `bytes`, which begin with a line, are whole lines that begin in the first `owned`
/// bytes; `None` if not even one line is whole.
fn whole_lines(bytes: &[u8], owned: usize, is_to_end_of_file: bool) -> Option<usize> {
    if owned <= bytes.len() {
        let last_owned = owned - 1;
        if let Some(found) = memchr::memchr(b'\n', &bytes[last_owned..]) {
            return Some(last_owned + found + 1);
        }
    }
    if is_to_end_of_file {
        return Some(bytes.len());
    }
    memchr::memrchr(b'\n', bytes).map(|found| found + 1)
}

fn unreadable(action: &'static str, file: &TextFile, offset: u64, error: io::Error) -> TextError {
    TextError::Unreadable {
        action,
        path: file.path.clone(),
        offset,
        source: Arc::new(error),
    }
}

#[cfg(test)]
mod tests {
    use super::whole_lines;

    #[test]
    fn a_piece_ends_with_the_last_owned_line() {
        assert_eq!(whole_lines(b"ab\ncd\nef\n", 4, false), Some(6));
        assert_eq!(whole_lines(b"ab\ncd\nef\n", 3, false), Some(3));
    }

    #[test]
    fn a_line_that_goes_on_is_left_for_the_next_piece() {
        assert_eq!(whole_lines(b"ab\ncd", 5, false), Some(3));
        assert_eq!(whole_lines(b"ab\ncd", 900, false), Some(3));
        assert_eq!(whole_lines(b"abcd", 2, false), None);
    }

    #[test]
    fn the_end_of_a_file_ends_its_last_line() {
        assert_eq!(whole_lines(b"ab\ncd", 5, true), Some(5));
        assert_eq!(whole_lines(b"ab\ncd", 2, true), Some(3));
        assert_eq!(whole_lines(b"abcd", 2, true), Some(4));
    }
}
