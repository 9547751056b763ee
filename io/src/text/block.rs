//! A run of whole lines in memory, and the way through it.
//!
//! A block is a row of pieces. A piece is text that lies together in one file, read in one round;
//! it begins with a line, so its last line may end without `\n` only where the file does. Small
//! files and short rounds share a block: what a shard takes at once does not depend on them.

use super::TextPosition;

/// Whole lines, and which of them were taken already.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    pieces: Vec<Piece>,
    /// For pieces whose text is not the file's bytes, where each line ends in the input.
    line_ends: Vec<u64>,
    /// Where in `text` the next line begins; in `pieces[piece_index]`, if there is one.
    next: usize,
    piece_index: usize,
    /// Lines taken of the pieces that have `line_ends`.
    line_end_index: usize,
}

#[derive(Debug)]
struct Piece {
    /// End in the text.
    end: usize,
    /// Of its first line.
    position: TextPosition,
    is_source_text: bool,
}

impl Block {
    /// Takes the memory out for filling; the block is empty afterwards.
    pub(super) fn take_bytes(&mut self) -> Vec<u8> {
        self.pieces.clear();
        self.line_ends.clear();
        self.next = 0;
        self.piece_index = 0;
        self.line_end_index = 0;
        let mut bytes = std::mem::take(&mut self.text).into_bytes();
        bytes.clear();
        bytes
    }

    /// Notes that the bytes up to `end` were read from `position` on; they begin with a line.
    pub(super) fn add_piece(&mut self, end: usize, position: TextPosition) {
        debug_assert!(self.pieces.last().map_or(0, |piece| piece.end) < end);
        self.pieces.push(Piece {
            end,
            position,
            is_source_text: true,
        });
    }

    /// Gives the filled memory back, as text.
    pub(super) fn put_bytes(&mut self, bytes: Vec<u8>) {
        debug_assert_eq!(self.pieces.last().map_or(0, |piece| piece.end), bytes.len());
        match String::from_utf8(bytes) {
            Ok(text) if self.is_cut_between_characters(&text) => self.text = text,
            Ok(text) => self.replace_invalid(text.as_bytes()),
            Err(invalid) => self.replace_invalid(invalid.as_bytes()),
        }
    }

    /// False where one file ends in the middle of a character and the next one's first bytes happen
    /// to complete it.
    fn is_cut_between_characters(&self, text: &str) -> bool {
        self.pieces
            .iter()
            .all(|piece| text.is_char_boundary(piece.end))
    }

    /// Text of another length than its bytes: only the pieces that need it, with their line ends.
    fn replace_invalid(&mut self, bytes: &[u8]) {
        let mut begin = 0;
        for piece in &mut self.pieces {
            let source = &bytes[begin..piece.end];
            begin = piece.end;
            if let Ok(text) = std::str::from_utf8(source) {
                self.text.push_str(text);
            } else {
                self.text.push_str(&String::from_utf8_lossy(source));
                let mut line_end = piece.position.offset;
                let line_ends = source.split_inclusive(|byte| *byte == b'\n').map(|line| {
                    line_end += line.len() as u64;
                    line_end
                });
                self.line_ends.extend(line_ends);
                piece.is_source_text = false;
            }
            piece.end = self.text.len();
        }
    }

    pub(super) fn has_line(&self) -> bool {
        self.piece_index < self.pieces.len()
    }

    /// The next line, without its end; moves `position` behind it.
    pub(super) fn take_line(&mut self, position: &mut TextPosition) -> &str {
        let piece = &self.pieces[self.piece_index];
        let begin = self.next;
        let rest = &self.text.as_bytes()[begin..piece.end];
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let taken = (length + 1).min(rest.len());
        if piece.is_source_text {
            position.offset += taken as u64;
        } else {
            position.offset = self.line_ends[self.line_end_index];
            self.line_end_index += 1;
        }
        self.next = begin + taken;
        if self.next == piece.end {
            self.piece_index += 1;
            self.seek(position);
        }
        let line = &self.text[begin..begin + length];
        line.strip_suffix('\r').unwrap_or(line)
    }

    /// Moves `position` to the next line, if there is one; to be called once for a new block.
    pub(super) fn seek(&self, position: &mut TextPosition) {
        if let Some(piece) = self.pieces.get(self.piece_index) {
            *position = piece.position;
        }
    }

    /// Gives memory back that one very long line had needed.
    pub(super) fn shrink_to(&mut self, capacity_bytes: usize) {
        if self.text.capacity() > 2 * capacity_bytes {
            self.text = String::new();
        }
    }
}
