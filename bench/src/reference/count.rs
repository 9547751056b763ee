//! Counting identifiers with a plain map.

use super::comparison::Comparison;
use crate::identifiers::identifiers;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};

/// How often each identifier occurs in one round of the input.
///
/// ```
/// use frazil_bench::reference::Reference;
///
/// let mut reference = Reference::default();
/// reference.add_text(b"to be or not to be");
/// assert_eq!(reference.key_count(), 4);
/// assert_eq!(reference.record_count(), 6);
/// ```
#[derive(Debug, Default)]
pub struct Reference {
    counts: HashMap<Box<str>, u64>,
}

/// An input file could not be counted.
#[derive(Debug, thiserror::Error)]
#[error("cannot count {path}: {source}; the input must stay readable until the command ends")]
pub struct ReferenceError {
    path: PathBuf,
    source: io::Error,
}

impl Reference {
    /// Counts all `files`.
    ///
    /// # Errors
    ///
    /// [`ReferenceError`] naming the file that cannot be read.
    pub fn of_files(files: &[PathBuf]) -> Result<Self, ReferenceError> {
        let mut reference = Self::default();
        for path in files {
            reference.add_file(path).map_err(|source| ReferenceError {
                path: path.clone(),
                source,
            })?;
        }
        Ok(reference)
    }

    /// Counts `text` on top.
    pub fn add_text(&mut self, text: &[u8]) {
        for identifier in identifiers(text) {
            match self.counts.get_mut(identifier) {
                Some(count) => *count += 1,
                None => {
                    self.counts.insert(identifier.into(), 1);
                }
            }
        }
    }

    /// Distinct identifiers.
    #[must_use]
    pub fn key_count(&self) -> usize {
        self.counts.len()
    }

    /// Identifiers in one round.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Starts comparing committed rows with what `rounds` rounds of the input must give.
    #[must_use]
    pub fn compare(&self, rounds: u64) -> Comparison<'_> {
        Comparison::new(
            self.counts
                .iter()
                .map(|(key, count)| (&**key, count * rounds)),
        )
    }

    fn add_file(&mut self, path: &Path) -> io::Result<()> {
        let mut lines = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line)? > 0 {
            self.add_text(&line);
            line.clear();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_across_files_and_lines() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a"), folder.path().join("b")];
        std::fs::write(&files[0], "one two\ntwo thr").unwrap();
        std::fs::write(&files[1], b"ee two \xff").unwrap();
        let reference = Reference::of_files(&files).unwrap();
        assert_eq!(reference.counts["two"], 3);
        assert_eq!(
            reference.counts["thr"], 1,
            "an identifier ends with its file"
        );
        assert_eq!((reference.key_count(), reference.record_count()), (4, 6));
    }

    #[test]
    fn names_the_file_that_cannot_be_read() {
        let error = Reference::of_files(&["/no/such".into()]).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
