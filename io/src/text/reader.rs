//! The lines of one range, without system calls.

use super::block::Block;
use super::read_ahead::{self, Delivery, ReadAhead};
use super::scan::Scanner;
use super::{TextError, TextInput, TextPosition, TextRange};

/// What [`LineReader::next_line`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// The next line, without `\n` or `\r\n`.
    Text(&'a str),
    /// The disk is behind: ask again.
    NotReady,
    /// All rounds are read.
    End,
}

/// Gives the lines of a range in order; see [`TextInput::read`].
///
/// Reading happens on a thread of its own, up to 1 MiB ahead (more while a line is longer than
/// that). Dropping the reader ends the thread, within some milliseconds and without waiting for it.
pub struct LineReader {
    read_ahead: ReadAhead,
    block: Block,
    position: TextPosition,
    /// Set for good with the last delivery.
    outcome: Option<Result<(), TextError>>,
}

impl LineReader {
    pub(super) fn start(
        input: TextInput,
        range: TextRange,
        rounds: u64,
        position: TextPosition,
    ) -> Result<Self, TextError> {
        let scanner = Scanner::new(input, range, rounds, position);
        Ok(Self {
            read_ahead: read_ahead::start(scanner)?,
            block: Block::default(),
            position,
            outcome: None,
        })
    }

    /// The next line, if the read-ahead thread has brought it.
    ///
    /// # Errors
    /// [`TextError::Unreadable`] or [`TextError::Shrunk`] behind the last line that could be read;
    /// the same again on every further call.
    ///
    /// # Cost
    /// A search for the line's end; no system call, no allocation, no waiting.
    #[inline]
    pub fn next_line(&mut self) -> Result<Line<'_>, TextError> {
        if !self.block.has_line() && !self.take_block()? {
            return Ok(if self.outcome.is_some() {
                Line::End
            } else {
                Line::NotReady
            });
        }
        Ok(Line::Text(self.block.take_line(&mut self.position)))
    }

    /// From where to read everything behind the last line that was taken.
    #[must_use]
    pub fn position(&self) -> TextPosition {
        self.position
    }

    /// Changes the used-up block for a filled one; false if there is none.
    #[cold]
    fn take_block(&mut self) -> Result<bool, TextError> {
        if let Some(outcome) = &self.outcome {
            return outcome.clone().map(|()| false);
        }
        let is_abandoned = self.read_ahead.deliveries.is_abandoned();
        match self.read_ahead.deliveries.pop() {
            Ok(Delivery::Block(block)) => {
                let used = std::mem::replace(&mut self.block, block);
                self.block.seek(&mut self.position);
                // A thread that is done takes no block back; this one is then dropped with the
                // ring.
                let _ = self.read_ahead.used.push(used);
                Ok(true)
            }
            Ok(Delivery::End) => {
                self.outcome = Some(Ok(()));
                Ok(false)
            }
            Ok(Delivery::Failed(error)) => {
                self.outcome = Some(Err(error.clone()));
                Err(error)
            }
            Err(_) => {
                assert!(!is_abandoned, "the read-ahead thread has panicked");
                Ok(false)
            }
        }
    }
}
