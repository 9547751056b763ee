//! The lines of files.

use std::path::PathBuf;
use std::sync::OnceLock;

use frazil_io::text::{Line, LineReader, TextInput, TextPosition, TextRange};

use super::splits::{decode, encode, split_count};
use super::{ReadStatus, Source, SourceError, SourcePlan, Split, SplitReader};

const NAME: &str = "text files";

/// Emits the lines of files, as `str` without the line's end; replayable.
///
/// Paths may be files or folders; a folder stands for every regular file in it, at any depth. The
/// files are read in the order of their paths, cut into splits at line borders regardless of
/// where files end. Bytes that are not UTF-8 become U+FFFD.
///
/// The files must not change while a job runs or until it is restored. A restart notices other
/// names, other lengths and other bytes near the two ends of a file; see
/// [`TextInput::fingerprint`].
///
/// Each split has a thread that reads ahead up to 1 MiB and sleeps otherwise.
///
/// # Examples
/// ```
/// use frazil::{Source, TextFiles};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("ice.txt");
/// std::fs::write(&path, "needles\nplates\nslush\n")?;
/// let source = TextFiles::new([&path]).rounds(100);
/// let plan = source.plan(2)?;
/// assert!(plan.replayable);
/// assert_eq!(plan.splits.len(), 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct TextFiles {
    paths: Vec<PathBuf>,
    rounds: u64,
    /// Listed once for all splits of a shard.
    input: OnceLock<TextInput>,
}

impl TextFiles {
    /// The lines of the files that `paths` name.
    #[must_use]
    pub fn new<P: Into<PathBuf>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self {
            paths: paths.into_iter().map(Into::into).collect(),
            rounds: 1,
            input: OnceLock::new(),
        }
    }

    /// Reads everything `rounds` times over, each split by itself; 1 if not said otherwise.
    #[must_use]
    pub fn rounds(self, rounds: u64) -> Self {
        Self { rounds, ..self }
    }

    /// Bytes of input that lie before `position` of `split`, over all rounds: how far a reader has
    /// come that stands there. A line that reaches into the next split counts up to the border.
    ///
    /// # Errors
    /// [`SourceError::BadPosition`] for bytes that this source did not write.
    pub fn bytes_before(split: &Split, position: &[u8]) -> Result<u64, SourceError> {
        let Some([start, end, _listing_crc]) = decode(&split.description) else {
            return Err(bad_description(split));
        };
        let Some([round, offset]) = decode(position) else {
            let expected = "a round and an offset in 16 bytes";
            return Err(SourceError::bad_position(NAME, expected, position));
        };
        let length = end.saturating_sub(start);
        let in_round = offset.saturating_sub(start).min(length);
        Ok(length.saturating_mul(round).saturating_add(in_round))
    }

    fn input(&self) -> Result<&TextInput, SourceError> {
        if let Some(input) = self.input.get() {
            return Ok(input);
        }
        let listed = TextInput::list(&self.paths)?;
        Ok(self.input.get_or_init(|| listed))
    }

    /// The range that a split describes, if the listing is still that of the plan.
    fn range(&self, split: &Split) -> Result<TextRange, SourceError> {
        let input = self.input()?;
        let Some([start, end, listing_crc]) = decode(&split.description) else {
            return Err(bad_description(split));
        };
        let found_crc = input.listing_crc();
        if u64::from(found_crc) != listing_crc {
            return Err(SourceError::Changed {
                what: "the list of input files".to_owned(),
                expected: format!("names and lengths with crc {listing_crc:08x}"),
                found: format!("crc {found_crc:08x}"),
            });
        }
        Ok(TextRange { start, end })
    }
}

fn bad_description(split: &Split) -> SourceError {
    SourceError::bad_position(NAME, "a split of 24 bytes", &split.description)
}

impl Source for TextFiles {
    type Record = str;
    type Reader = TextFilesReader;

    fn name(&self) -> String {
        NAME.to_owned()
    }

    fn plan(&self, shard_count: usize) -> Result<SourcePlan, SourceError> {
        let input = self.input()?;
        let listing_crc = u64::from(input.listing_crc());
        let ranges = input.ranges(split_count(shard_count));
        let splits = (0..).zip(ranges).map(|(id, range)| {
            let mut description = Vec::new();
            encode(&[range.start, range.end, listing_crc], &mut description);
            Split { id, description }
        });
        Ok(SourcePlan {
            // Rounds are input as well: a finished split would not go on with more of them.
            fingerprint: input.fingerprint()? ^ self.rounds.rotate_left(32),
            replayable: true,
            splits: splits.collect(),
        })
    }

    fn open(&self, split: &Split, position: Option<&[u8]>) -> Result<TextFilesReader, SourceError> {
        let range = self.range(split)?;
        let input = self.input()?;
        let from = position.map(|bytes| match decode(bytes) {
            Some([round, offset]) if (range.start..=input.length_bytes()).contains(&offset) => {
                Ok(TextPosition { round, offset })
            }
            _ => {
                let expected = format!(
                    "a round and an offset from {} to {}, in 16 bytes",
                    range.start,
                    input.length_bytes()
                );
                Err(SourceError::bad_position(NAME, expected, bytes))
            }
        });
        let lines = input.read(range, self.rounds, from.transpose()?)?;
        Ok(TextFilesReader { lines })
    }
}

/// Reads one split of [`TextFiles`].
pub struct TextFilesReader {
    lines: LineReader,
}

impl SplitReader for TextFilesReader {
    type Record = str;

    #[inline]
    fn poll(
        &mut self,
        limit: usize,
        emit: &mut impl for<'a> FnMut(&'a str),
    ) -> Result<ReadStatus, SourceError> {
        for _ in 0..limit {
            match self.lines.next_line()? {
                Line::Text(line) => emit(line),
                Line::NotReady => return Ok(ReadStatus::Idle),
                Line::End => return Ok(ReadStatus::End),
            }
        }
        Ok(ReadStatus::More)
    }

    fn position(&self, position: &mut Vec<u8>) {
        let TextPosition { round, offset } = self.lines.position();
        encode(&[round, offset], position);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// Polls until `limit` records came or the split ended.
    fn take(reader: &mut TextFilesReader, limit: usize) -> Vec<String> {
        let mut lines = Vec::new();
        while lines.len() < limit {
            let left = limit - lines.len();
            let emit = &mut |line: &str| lines.push(line.to_owned());
            match reader.poll(left, emit).unwrap() {
                ReadStatus::More => {}
                ReadStatus::Idle => std::thread::yield_now(),
                ReadStatus::End => break,
            }
        }
        lines
    }

    fn numbers(path: &Path) -> TextFiles {
        let lines: String = (0..100).map(|number| format!("{number}\n")).collect();
        std::fs::write(path, lines).unwrap();
        TextFiles::new([path]).rounds(2)
    }

    #[test]
    fn every_shard_reads_its_splits_and_resumes_at_their_positions() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.txt");
        let splits = numbers(&path).plan(3).unwrap().splits;
        assert_eq!(splits.len(), 9);
        let mut found = Vec::new();
        for (split, count) in splits.iter().zip(0..) {
            // Made anew by the flow's closure, on a shard that never planned.
            let source = TextFiles::new([&path]).rounds(2);
            let mut reader = source.open(split, None).unwrap();
            found.extend(take(&mut reader, count));
            let mut position = Vec::new();
            reader.position(&mut position);
            found.extend(take(
                &mut source.open(split, Some(&position)).unwrap(),
                1_000,
            ));
        }
        found.sort_by_key(|line| line.parse::<u64>().unwrap());
        let expected: Vec<String> = (0..200).map(|index| (index / 2).to_string()).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn bytes_before_the_last_position_are_all_bytes_of_all_rounds() {
        let folder = tempfile::tempdir().unwrap();
        let source = numbers(&folder.path().join("numbers.txt"));
        let mut bytes = 0;
        for split in source.plan(1).unwrap().splits {
            let mut reader = source.open(&split, None).unwrap();
            let mut position = Vec::new();
            reader.position(&mut position);
            assert_eq!(TextFiles::bytes_before(&split, &position).unwrap(), 0);
            take(&mut reader, 1_000);
            position.clear();
            reader.position(&mut position);
            bytes += TextFiles::bytes_before(&split, &position).unwrap();
            assert!(TextFiles::bytes_before(&split, &position[1..]).is_err());
        }
        assert_eq!(bytes, 2 * 290);
    }

    #[test]
    fn other_rounds_are_another_input() {
        let folder = tempfile::tempdir().unwrap();
        let source = numbers(&folder.path().join("numbers.txt"));
        let fingerprint = |source: TextFiles| source.plan(1).unwrap().fingerprint;
        assert_eq!(fingerprint(source.clone()), fingerprint(source.clone()));
        assert_ne!(fingerprint(source.clone()), fingerprint(source.rounds(3)));
    }

    #[test]
    fn a_list_that_changed_behind_the_plan_is_noticed_on_the_shard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("numbers.txt");
        let split = numbers(&path).plan(1).unwrap().splits.remove(0);
        std::fs::write(&path, "longer or shorter").unwrap();
        let opened = TextFiles::new([&path]).open(&split, None);
        assert!(matches!(opened, Err(SourceError::Changed { .. })));
    }

    #[test]
    fn positions_of_something_else_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let source = numbers(&folder.path().join("numbers.txt"));
        let mut split = source.plan(1).unwrap().splits.remove(3);
        let mut outside = Vec::new();
        encode(&[0, 291], &mut outside);
        for position in [&outside[..], &[], &[0; 16], &[0; 8]] {
            let opened = source.open(&split, Some(position));
            assert!(
                matches!(opened, Err(SourceError::BadPosition { .. })),
                "{position:?}"
            );
        }
        split.description.pop();
        let opened = source.open(&split, None);
        assert!(matches!(opened, Err(SourceError::BadPosition { .. })));
    }

    #[test]
    fn what_cannot_be_read_is_named_at_planning() {
        let error = TextFiles::new(["no/such/file.txt"]).plan(1).unwrap_err();
        assert!(error.to_string().contains("no/such/file.txt"), "{error}");
        let error = TextFiles::new(["/dev/null"]).plan(1).unwrap_err();
        assert!(matches!(error, SourceError::NoInput(_)), "{error}");
    }
}
