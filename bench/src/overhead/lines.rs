//! Lines held in memory, read over and over.

use crate::corpus::error::CorpusError;
use frazil::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

/// Most text that is taken into memory.
const TEXT_BYTES_MAX: usize = 256 << 20;

/// A source without an end: the lines of a text in memory, again and again.
///
/// Each shard reads one part of the text. It cannot be replayed, since nothing says in which round
/// a reader is: a measurement is never restored.
#[derive(Clone, Debug)]
pub struct Lines {
    text: Arc<str>,
}

impl Lines {
    /// Takes the text of `files` into memory, as many of them as fit into 256 MiB, the first at
    /// least up to there. Bytes that are not UTF-8 become U+FFFD, as they do where the engine reads
    /// files.
    ///
    /// # Errors
    ///
    /// [`CorpusError::Read`] naming the file.
    pub fn of_files(files: &[PathBuf]) -> Result<Self, CorpusError> {
        let mut text = String::new();
        for path in files {
            if text.len() >= TEXT_BYTES_MAX {
                break;
            }
            let bytes = fs::read(path).map_err(CorpusError::read(path))?;
            text.push_str(&String::from_utf8_lossy(&bytes));
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        Ok(Self { text: text.into() })
    }

    /// Bytes of one round.
    #[must_use]
    pub fn byte_count(&self) -> u64 {
        self.text.len() as u64
    }

    /// The borders of part `index` of `count`: behind the line ends that follow equal shares.
    fn part(&self, index: usize, count: usize) -> (usize, usize) {
        let border = |index: usize| {
            let share = self.text.len() / count * index;
            match index {
                0 => 0,
                _ if index == count => self.text.len(),
                _ => {
                    let rest = &self.text.as_bytes()[share..];
                    let line_end = rest.iter().position(|byte| *byte == b'\n');
                    line_end.map_or(self.text.len(), |end| share + end + 1)
                }
            }
        };
        (border(index), border(index + 1))
    }
}

impl Source for Lines {
    type Record = str;
    type Reader = LinesReader;

    fn name(&self) -> String {
        "lines in memory".to_owned()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        let split = |index: usize| {
            let (start, end) = self.part(index, shard_count);
            let mut description = (start as u64).to_le_bytes().to_vec();
            description.extend_from_slice(&(end as u64).to_le_bytes());
            Split {
                id: index as u64,
                description,
            }
        };
        Ok(SourcePlan {
            fingerprint: self.byte_count(),
            replayable: false,
            splits: (0..shard_count).map(split).collect(),
        })
    }

    fn open(&self, split: &Split, _position: Option<&[u8]>) -> Result<LinesReader, SourceError> {
        let (numbers, _) = split.description.as_chunks::<8>();
        let number = |bytes: &[u8; 8]| usize::try_from(u64::from_le_bytes(*bytes)).ok();
        let borders: Option<Vec<usize>> = numbers.iter().map(number).collect();
        match borders.as_deref() {
            Some(&[start, end]) if self.text.get(start..end).is_some() => Ok(LinesReader {
                text: Arc::clone(&self.text),
                start,
                end,
                next: start,
            }),
            _ => {
                let expected = "two borders inside the text, in 16 bytes";
                let name = Source::name(self);
                Err(SourceError::bad_position(
                    &name,
                    expected,
                    &split.description,
                ))
            }
        }
    }
}

/// Reads one part of [`Lines`].
#[derive(Debug)]
pub struct LinesReader {
    text: Arc<str>,
    start: usize,
    end: usize,
    next: usize,
}

impl SplitReader for LinesReader {
    type Record = str;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a str),
    ) -> Result<ReadStatus, SourceError> {
        if self.start == self.end {
            return Ok(ReadStatus::End);
        }
        for _ in 0..limit {
            if self.next == self.end {
                self.next = self.start;
            }
            let rest = &self.text[self.next..self.end];
            let line = rest.split_once('\n').map_or(rest, |(line, _)| line);
            self.next = (self.next + line.len() + 1).min(self.end);
            emit(line);
        }
        Ok(ReadStatus::More)
    }

    fn position(&self, _position: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each reader emits in one round of the text.
    fn one_round(lines: &Lines, shard_count: usize) -> Vec<String> {
        let mut found = Vec::new();
        for split in lines.plan(shard_count).unwrap().splits {
            let mut reader = lines.open(&split, None).unwrap();
            let emit = &mut |line: &str| found.push(line.to_owned());
            while reader.poll(1, emit).unwrap() == ReadStatus::More && reader.next != reader.end {}
        }
        found
    }

    #[test]
    fn every_line_is_read_by_one_shard() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a"), folder.path().join("b")];
        fs::write(&files[0], "needles\n\nplates \u{e9}\n").unwrap();
        fs::write(&files[1], b"slush \xff").unwrap();
        let lines = Lines::of_files(&files).unwrap();
        for shard_count in 1..=7 {
            let expected = ["needles", "", "plates \u{e9}", "slush \u{fffd}"];
            assert_eq!(one_round(&lines, shard_count), expected, "{shard_count}");
        }
    }

    #[test]
    fn reading_begins_again_behind_the_last_line() {
        let lines = Lines {
            text: "a\nb\n".into(),
        };
        let split = lines.plan(1).unwrap().splits.remove(0);
        let mut found = String::new();
        let mut reader = lines.open(&split, None).unwrap();
        reader
            .poll(5, &mut |line: &str| found.push_str(line))
            .unwrap();
        assert_eq!(found, "ababa");
    }

    #[test]
    fn names_a_file_that_cannot_be_read() {
        let error = Lines::of_files(&["/no/such".into()]).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
