//! Which files a text input has, and how their bytes are cut into ranges.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{LineReader, TextError, fingerprint};
use crate::runtime;

/// A sorted list of files, seen as one space of bytes; a clone is the same list.
///
/// The lengths are those of the moment of listing: what is appended to a file later is not read.
///
/// # Examples
/// ```
/// use frazil_io::text::{Line, TextInput};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("ice.txt");
/// std::fs::write(&path, "needles\nplates\r\nslush")?;
/// let input = TextInput::list([&path])?;
/// let mut lines = Vec::new();
/// for range in input.ranges(3) {
///     let mut reader = input.read(range, 1, None)?;
///     loop {
///         match reader.next_line()? {
///             Line::Text(line) => lines.push(line.to_owned()),
///             Line::NotReady => std::thread::yield_now(),
///             Line::End => break,
///         }
///     }
/// }
/// assert_eq!(lines, ["needles", "plates", "slush"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TextInput {
    files: Arc<[TextFile]>,
}

/// One file of a [`TextInput`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextFile {
    /// The path, built from a path as it was given.
    pub path: PathBuf,
    /// Where the file begins in the input's space of bytes.
    pub start: u64,
    /// Length when it was listed, in bytes.
    pub length_bytes: u64,
}

impl TextFile {
    /// Where the file ends in the input's space of bytes.
    pub(super) fn end(&self) -> u64 {
        self.start + self.length_bytes
    }
}

/// The bytes from `start` up to `end` of an input's space, owning the lines that begin there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRange {
    /// First byte.
    pub start: u64,
    /// First byte behind the range.
    pub end: u64,
}

/// Between two lines: all lines before it were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextPosition {
    /// How often the range was read to its end.
    pub round: u64,
    /// Offset in the input's space of bytes; the next line is the first that begins at or behind
    /// it.
    pub offset: u64,
}

impl TextInput {
    /// Lists the files that `paths` name, each a regular file or a folder.
    ///
    /// Folders are listed with all folders in them. The list is sorted by path, and a path that
    /// comes up twice is read once. In folders, symbolic links to files count as files, and links
    /// to folders and everything that is not a regular file are passed over.
    ///
    /// # Errors
    /// [`TextError::Unreadable`], [`TextError::NotAFile`], and [`TextError::NoFiles`] if the list
    /// would be empty.
    pub fn list<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Result<Self, TextError> {
        // The set of CPUs for read-ahead threads is that of the first caller: here no shard is
        // pinned yet.
        let _ = runtime::available_cpus();
        let mut found = Vec::new();
        let mut given = Vec::new();
        for path in paths {
            let path = path.as_ref();
            given.push(path.display().to_string());
            list_path(path, &mut found)?;
        }
        if found.is_empty() {
            return Err(TextError::NoFiles {
                paths: format!("[{}]", given.join(", ")),
            });
        }
        found.sort();
        found.dedup_by(|one, other| one.0 == other.0);
        let mut start = 0;
        let files = found.into_iter().map(|(path, length_bytes)| {
            let file = TextFile {
                path,
                start,
                length_bytes,
            };
            start = file.end();
            file
        });
        Ok(Self {
            files: files.collect(),
        })
    }

    /// The files in the order in which they are read.
    #[must_use]
    pub fn files(&self) -> &[TextFile] {
        &self.files
    }

    /// Length of all files together.
    #[must_use]
    pub fn length_bytes(&self) -> u64 {
        self.files.last().map_or(0, TextFile::end)
    }

    /// Changes when the list of names or a length does: the upper half of
    /// [`fingerprint`](Self::fingerprint), without reading any file.
    #[must_use]
    pub fn listing_crc(&self) -> u32 {
        fingerprint::listing_crc(&self.files)
    }

    /// Tells this input from another: two CRCs, over the list and over samples of the content.
    ///
    /// It notices other names (as given: a relative path differs from an absolute one), other
    /// lengths, and other bytes in the first and the last 64 KiB of any file. It does not notice
    /// bytes that changed further inside a file whose length stayed the same.
    ///
    /// # Errors
    /// [`TextError::Unreadable`] or [`TextError::Shrunk`] if a sample cannot be read.
    pub fn fingerprint(&self) -> Result<u64, TextError> {
        let content_crc = fingerprint::content_crc(&self.files)?;
        Ok(u64::from(self.listing_crc()) << 32 | u64::from(content_crc))
    }

    /// Cuts the input into `count` ranges of nearly equal length; some own no line if lines are
    /// long.
    ///
    /// # Panics
    /// If `count` is zero.
    #[must_use]
    pub fn ranges(&self, count: usize) -> Vec<TextRange> {
        assert!(count > 0, "an input cannot be cut into no ranges");
        let length = u128::from(self.length_bytes());
        let border = |index: usize| {
            let offset = length * index as u128 / count as u128;
            u64::try_from(offset).expect("not above the length")
        };
        let range = |index| TextRange {
            start: border(index),
            end: border(index + 1),
        };
        (0..count).map(range).collect()
    }

    /// Starts reading the lines of `range`, `rounds` times over, from a position noted earlier or
    /// from the start.
    ///
    /// # Errors
    /// [`TextError::Thread`]; what is wrong with the files comes from the reader.
    pub fn read(
        &self,
        range: TextRange,
        rounds: u64,
        from: Option<TextPosition>,
    ) -> Result<LineReader, TextError> {
        let from = from.unwrap_or(TextPosition {
            round: 0,
            offset: range.start,
        });
        LineReader::start(self.clone(), range, rounds, from)
    }

    /// The index of the file that holds byte `offset`, or the number of files behind the last byte.
    pub(super) fn file_at(&self, offset: u64) -> usize {
        self.files.partition_point(|file| file.end() <= offset)
    }
}

fn list_path(path: &Path, found: &mut Vec<(PathBuf, u64)>) -> Result<(), TextError> {
    let metadata = fs::metadata(path).map_err(|error| cannot("find", path, error))?;
    if metadata.is_file() {
        found.push((path.to_owned(), metadata.len()));
        return Ok(());
    }
    if !metadata.is_dir() {
        return Err(TextError::NotAFile {
            path: path.to_owned(),
        });
    }
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        list_folder(&folder, &mut folders, found)?;
    }
    Ok(())
}

fn list_folder(
    folder: &Path,
    folders: &mut Vec<PathBuf>,
    found: &mut Vec<(PathBuf, u64)>,
) -> Result<(), TextError> {
    let entries = fs::read_dir(folder).map_err(|error| cannot("list", folder, error))?;
    for entry in entries {
        let entry = entry.map_err(|error| cannot("list", folder, error))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .map_err(|error| cannot("find", &path, error))?;
        if kind.is_dir() {
            folders.push(path);
            continue;
        }
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => found.push((path, metadata.len())),
            Ok(_) => {}
            // A link that leads nowhere is no regular file.
            Err(_) if kind.is_symlink() => {}
            Err(error) => return Err(cannot("find", &path, error)),
        }
    }
    Ok(())
}

fn cannot(action: &'static str, path: &Path, error: std::io::Error) -> TextError {
    TextError::Unreadable {
        action,
        path: path.to_owned(),
        offset: 0,
        source: Arc::new(error),
    }
}
