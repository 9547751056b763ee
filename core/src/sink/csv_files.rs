//! Rows in CSV files, exactly once.

use std::cell::Cell;
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use frazil_io::staged::{StagedFiles, StagedNames};
use frazil_io::storage::{FileStorage, Storage};
use serde::Serialize;

use super::file_committer::FileCommitter;
use super::{Committer, Sink, SinkError, SinkWriter};
use crate::flow::Record;

const PREFIX: &str = "part-";
const EXTENSION: &str = "csv";

/// Writes records as rows of CSV files, which appear with the checkpoint that their records belong
/// to.
///
/// Each checkpoint with rows adds one file, `part-0000000042.csv` for checkpoint 42, that never
/// changes again; read in the order of their names they are the output. Within a file the rows of
/// different shards come in any order. Fields are quoted where they have to be.
///
/// Records are whatever `serde` serialises to a flat row: numbers, strings, tuples, structs, and
/// the `(&key, &value)` of an aggregation. All rows have the same number of fields.
///
/// The folder also holds hidden files: `.staged-*` with rows of the checkpoint in the making, and
/// `.retracted/` with files that were taken back because a recovery went behind them. Files of the
/// newest checkpoint must not be taken away before the next is there: a recovery checks them. The
/// folder is locked while a job writes to it.
///
/// # Examples
/// ```
/// use frazil::{Committer, CsvFiles, Sink, SinkWriter};
///
/// # let folder = tempfile::tempdir()?;
/// # let out = folder.path().join("out");
/// let sink = CsvFiles::new(&out).header(["word"]);
/// // What a job does, by hand:
/// let mut committer = Sink::<str>::committer(&sink)?;
/// committer.recover(None)?;
/// let mut rows = Vec::new();
/// let mut writer = Sink::<str>::writer(&sink)?;
/// SinkWriter::<str>::write(&mut writer, "frazil, anchor", &mut rows)?;
/// committer.stage(1, &rows)?;
/// committer.pre_commit(1)?;
/// committer.commit(1)?;
/// let written = std::fs::read_to_string(out.join("part-0000000001.csv"))?;
/// assert_eq!(written, "word\n\"frazil, anchor\"\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct CsvFiles {
    folder: Folder,
    header: Option<Vec<u8>>,
}

#[derive(Clone)]
enum Folder {
    Path(PathBuf),
    /// Somebody else's, who also locks it.
    Given(Arc<dyn Storage>),
}

impl CsvFiles {
    /// Files in the folder `path`, which is created if it is missing.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            folder: Folder::Path(path.into()),
            header: None,
        }
    }

    /// Begins every file with a row of these names.
    #[must_use]
    pub fn header<N: AsRef<[u8]>>(self, names: impl IntoIterator<Item = N>) -> Self {
        let mut row = csv::Writer::from_writer(Vec::new());
        row.write_record(names)
            .expect("memory takes any row of bytes");
        let row = row.into_inner().expect("memory takes any row of bytes");
        Self {
            header: Some(row),
            ..self
        }
    }

    /// Writes to `storage` instead of the folder; whoever made it keeps others from writing to it.
    #[must_use]
    pub fn storage(self, storage: Arc<dyn Storage>) -> Self {
        Self {
            folder: Folder::Given(storage),
            ..self
        }
    }
}

impl<R> Sink<R> for CsvFiles
where
    R: Record + ?Sized,
    for<'a> R::Ref<'a>: Serialize,
{
    type Writer = CsvWriter;

    fn name(&self) -> String {
        match &self.folder {
            Folder::Path(path) => format!("csv files in {}", path.display()),
            Folder::Given(storage) => format!("csv files in {}", storage.location()),
        }
    }

    fn committer(&self) -> Result<Box<dyn Committer>, SinkError> {
        let (storage, lock): (Arc<dyn Storage>, _) = match &self.folder {
            Folder::Path(path) => {
                let storage = FileStorage::open(path)?;
                let lock = storage.lock()?;
                (Arc::new(storage), Some(lock))
            }
            Folder::Given(storage) => (Arc::clone(storage), None),
        };
        let names = StagedNames::new(PREFIX, EXTENSION);
        let files = StagedFiles::new(storage, names, self.header.clone());
        Ok(Box::new(FileCommitter::new(files, lock)))
    }

    fn writer(&self) -> Result<CsvWriter, SinkError> {
        Ok(CsvWriter::new())
    }
}

/// Makes CSV rows.
///
/// # Cost
/// About 50 ns for a word and a count; a new `csv::Writer` for each row would take 90 ns and an
/// allocation.
pub struct CsvWriter {
    rows: csv::Writer<Loan>,
    loan: Loan,
}

/// The rows of the caller while a row is written, empty otherwise: how one `csv::Writer` can serve
/// many buffers.
#[derive(Clone, Default)]
struct Loan(Rc<Cell<Vec<u8>>>);

impl io::Write for Loan {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut rows = self.0.take();
        rows.extend_from_slice(bytes);
        self.0.set(rows);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl CsvWriter {
    fn new() -> Self {
        let loan = Loan::default();
        let rows = csv::WriterBuilder::new()
            .has_headers(false)
            .from_writer(loan.clone());
        Self { rows, loan }
    }
}

impl<R> SinkWriter<R> for CsvWriter
where
    R: Record + ?Sized,
    for<'a> R::Ref<'a>: Serialize,
{
    #[inline]
    fn write(&mut self, record: R::Ref<'_>, rows: &mut Vec<u8>) -> Result<(), SinkError> {
        self.loan.0.set(std::mem::take(rows));
        let written = self.rows.serialize(record);
        // Without the flush the row would stay in the csv writer's own buffer.
        let written = written.and_then(|()| Ok(self.rows.flush()?));
        *rows = self.loan.0.take();
        written.map_err(|error| SinkError::Row {
            format: "csv",
            reason: error.to_string(),
        })
    }
}
