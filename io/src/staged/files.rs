//! All files of one sink: stage, pre-commit, commit.

use std::sync::Arc;

use super::file::StagedFile;
use super::{StagedError, StagedNames, list, recover};
use crate::storage::Storage;

/// The output files of one sink; see [the protocol](super).
///
/// Lives on one helper thread; every method may block on the disk. A generation is what lies
/// between two checkpoints, counted by the caller, never downwards.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use frazil_io::staged::{StagedFiles, StagedNames};
/// use frazil_io::storage::{MemoryStorage, Storage};
///
/// let folder = Arc::new(MemoryStorage::new());
/// let names = StagedNames::new("part-", "csv");
/// let mut output = StagedFiles::new(folder.clone(), names, Some(b"word,count\n".to_vec()));
/// output.recover(None)?;
/// output.stage(1, b"ice,1\n")?;
/// let list = output.pre_commit(1)?;
/// // A checkpoint with `list` in it becomes durable, and then:
/// output.commit(1)?;
/// assert_eq!(folder.list()?, ["part-0000000001.csv"]);
/// // After a crash the list of the restored checkpoint says what belongs to it:
/// output.recover(Some((1, &list)))?;
/// # Ok::<(), frazil_io::staged::StagedError>(())
/// ```
pub struct StagedFiles {
    storage: Arc<dyn Storage>,
    names: StagedNames,
    header: Vec<u8>,
    /// Files whose final name is not durable, in ascending order of generations.
    files: Vec<StagedFile>,
    /// Of the next staged file; never used twice, so that no name is taken.
    serial: u64,
}

impl StagedFiles {
    /// Output below `storage`, every file beginning with `header`. Nothing is touched before
    /// [`recover`](Self::recover).
    #[must_use]
    pub fn new(storage: Arc<dyn Storage>, names: StagedNames, header: Option<Vec<u8>>) -> Self {
        Self {
            storage,
            names,
            header: header.unwrap_or_default(),
            files: Vec::new(),
            serial: 0,
        }
    }

    /// Brings the folder to the state of the checkpoint that was restored: its generation, and the
    /// list that [`pre_commit`](Self::pre_commit) returned for it. `None` is a start without a
    /// checkpoint.
    ///
    /// Can be repeated after an error or a crash. To be called once before anything is staged.
    ///
    /// # Errors
    /// Without a checkpoint, [`StagedError::OtherRun`] if there are final files. With one,
    /// [`StagedError::BadList`], [`StagedError::Missing`] and [`StagedError::Damaged`]; nothing was
    /// changed then.
    pub fn recover(&mut self, restored: Option<(u64, &[u8])>) -> Result<(), StagedError> {
        self.files.clear();
        let storage = self.storage.as_ref();
        let steps = match restored {
            None => recover::fresh_start(storage, &self.names)?,
            Some((generation, list)) => {
                recover::restored(storage, &self.names, generation, &list::decode(list)?)?
            }
        };
        recover::apply(storage, &steps)?;
        Ok(())
    }

    /// Whether [`recover`](Self::recover) could start without a checkpoint; changes nothing.
    ///
    /// # Errors
    /// [`StagedError::OtherRun`] if there are final files.
    pub fn check_fresh(&self) -> Result<(), StagedError> {
        recover::fresh_start(self.storage.as_ref(), &self.names).map(|_| ())
    }

    /// Adds rows to a generation, all or nothing: after an error the same call can be repeated.
    ///
    /// # Errors
    /// [`StagedError::Storage`], full or not, and [`StagedError::Lost`] if an earlier failure took
    /// rows away.
    ///
    /// # Panics
    /// If the generation was pre-committed already.
    pub fn stage(&mut self, generation: u64, rows: &[u8]) -> Result<(), StagedError> {
        if rows.is_empty() {
            return Ok(());
        }
        let index = self.file_of(generation)?;
        if self.files[index].is_poisoned() {
            self.rescue(index)?;
        }
        Ok(self.files[index].append(rows)?)
    }

    /// Makes all rows of generations up to `generation` durable that are not committed, and lists
    /// them.
    ///
    /// # Errors
    /// [`StagedError::Storage`]: the checkpoint has to be dropped, and the rows join the next.
    /// [`StagedError::Lost`]: the job has to recover.
    pub fn pre_commit(&mut self, generation: u64) -> Result<Vec<u8>, StagedError> {
        let count = self.count_up_to(generation);
        for index in 0..count {
            self.seal(index)?;
        }
        if count > 0 {
            self.storage.sync_directory()?;
        }
        Ok(list::encode(
            self.files[..count].iter().map(StagedFile::listed),
        ))
    }

    /// Gives the rows of generations up to `generation` their final names, durably; repeating it
    /// does nothing more.
    ///
    /// Only after a checkpoint that holds the list of the same pre-commit became durable.
    ///
    /// # Errors
    /// [`StagedError::Storage`]: to be repeated, now or with a later generation.
    ///
    /// # Panics
    /// If the generation was not pre-committed.
    pub fn commit(&mut self, generation: u64) -> Result<(), StagedError> {
        let count = self.count_up_to(generation);
        if count == 0 {
            return Ok(());
        }
        for file in &mut self.files[..count] {
            file.rename(self.storage.as_ref())?;
        }
        self.storage.sync_directory()?;
        // Only now: until here the next list has to name these files as well.
        self.files.drain(..count);
        Ok(())
    }

    fn count_up_to(&self, generation: u64) -> usize {
        self.files
            .partition_point(|file| file.generation <= generation)
    }

    /// The index of the file of a generation, which is created if there is none.
    fn file_of(&mut self, generation: u64) -> Result<usize, StagedError> {
        let index = self.count_up_to(generation);
        if let Some(before) = index.checked_sub(1)
            && self.files[before].generation == generation
        {
            return Ok(before);
        }
        let staged_name = self.next_staged_name(generation);
        let final_name = self.names.final_name(generation);
        let file = StagedFile::create(
            self.storage.as_ref(),
            generation,
            staged_name,
            final_name,
            &self.header,
        )?;
        self.files.insert(index, file);
        Ok(index)
    }

    /// Seals a file. If its sync fails its rows move to another one, once: a disk that fails again
    /// is left alone until the next checkpoint.
    fn seal(&mut self, index: usize) -> Result<(), StagedError> {
        if self.files[index].is_poisoned() || self.files[index].seal().is_err() {
            self.rescue(index)?;
        }
        Ok(self.files[index].seal()?)
    }

    fn rescue(&mut self, index: usize) -> Result<(), StagedError> {
        let name = self.next_staged_name(self.files[index].generation);
        self.files[index].rescue(self.storage.as_ref(), name)
    }

    fn next_staged_name(&mut self, generation: u64) -> String {
        let serial = self.serial;
        self.serial += 1;
        self.names.staged_name(generation, serial)
    }
}
