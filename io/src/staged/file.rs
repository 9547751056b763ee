//! One staged file: rows in, sealed, rescued.

use super::StagedError;
use super::list::ListedFile;
use crate::IoError;
use crate::storage::{ReadAt, Segment, Storage};

/// Read at once when a file is copied or checked.
const PIECE_BYTES: u64 = 256 << 10;

/// The rows of one generation that are not committed.
pub(super) struct StagedFile {
    pub(super) generation: u64,
    stage: Stage,
    listed: ListedFile,
    crc: crc32fast::Hasher,
}

/// How far the file has come.
enum Stage {
    /// Takes rows.
    Open(Box<dyn Segment>),
    /// A sync or an append failed: the rows so far have to move to another file.
    Poisoned,
    /// Synced; takes no more rows.
    Sealed,
    /// Has its final name, which may not be durable yet.
    Renamed,
}

impl StagedFile {
    /// Creates the file and writes `header`; removes it again if that fails.
    pub(super) fn create(
        storage: &dyn Storage,
        generation: u64,
        staged_name: String,
        final_name: String,
        header: &[u8],
    ) -> Result<Self, IoError> {
        // The length is not known: a reservation would show as zeros after a crash, and cost more
        // than the rows of a short generation.
        let mut segment = storage.create(&staged_name, 0)?;
        if let Err(error) = segment.append(header) {
            // If this fails as well, the file stays until the next recovery; its name is not used
            // again.
            let _ = storage.remove(&staged_name);
            return Err(error);
        }
        let mut crc = crc32fast::Hasher::new();
        crc.update(header);
        Ok(Self {
            generation,
            stage: Stage::Open(segment),
            listed: ListedFile {
                staged_name,
                final_name,
                length_bytes: header.len() as u64,
                crc: 0,
            },
            crc,
        })
    }

    /// What the checkpoint is to list; final once the file is sealed.
    pub(super) fn listed(&self) -> &ListedFile {
        &self.listed
    }

    pub(super) fn is_poisoned(&self) -> bool {
        matches!(self.stage, Stage::Poisoned)
    }

    /// Appends `rows`, all or nothing. The file must be open.
    pub(super) fn append(&mut self, rows: &[u8]) -> Result<(), IoError> {
        let Stage::Open(segment) = &mut self.stage else {
            panic!(
                "rows of generation {} arrived after its pre-commit",
                self.generation
            );
        };
        if let Err(error) = segment.append(rows) {
            if !error.is_full() {
                self.stage = Stage::Poisoned;
            }
            return Err(error);
        }
        self.crc.update(rows);
        self.listed.length_bytes += rows.len() as u64;
        Ok(())
    }

    /// Syncs the data of an open file. A failure poisons it.
    pub(super) fn seal(&mut self) -> Result<(), IoError> {
        if let Stage::Open(segment) = &mut self.stage {
            if let Err(error) = segment.sync() {
                self.stage = Stage::Poisoned;
                return Err(error);
            }
            self.listed.crc = self.crc.clone().finalize();
            self.stage = Stage::Sealed;
        }
        Ok(())
    }

    /// Copies the rows of a poisoned file into a new one, which takes its place.
    ///
    /// After a failed sync the cache may hold the rows or may have dropped them: the CRC of what
    /// was appended decides. Nothing has changed if this fails.
    pub(super) fn rescue(
        &mut self,
        storage: &dyn Storage,
        new_name: String,
    ) -> Result<(), StagedError> {
        let mut segment = storage.create(&new_name, 0)?;
        if let Err(error) = self.copy_into(storage, segment.as_mut()) {
            let _ = storage.remove(&new_name);
            return Err(error);
        }
        let old_name = std::mem::replace(&mut self.listed.staged_name, new_name);
        self.stage = Stage::Open(segment);
        // Not listed by any checkpoint from now on; if it cannot be removed, the next recovery
        // does.
        let _ = storage.remove(&old_name);
        Ok(())
    }

    fn copy_into(&self, storage: &dyn Storage, to: &mut dyn Segment) -> Result<(), StagedError> {
        let from = storage.open(&self.listed.staged_name)?;
        let copy = |rows: &[u8]| to.append(rows);
        let found_crc = read_through(from.as_ref(), self.listed.length_bytes, copy)?;
        let expected_crc = self.crc.clone().finalize();
        if expected_crc == found_crc {
            return Ok(());
        }
        Err(StagedError::Lost {
            location: storage.location(),
            file: self.listed.staged_name.clone(),
            expected_bytes: self.listed.length_bytes,
            expected_crc,
            found_crc,
        })
    }

    /// Gives a sealed file its final name; once only, also after an error that came late.
    pub(super) fn rename(&mut self, storage: &dyn Storage) -> Result<(), StagedError> {
        assert!(
            matches!(self.stage, Stage::Sealed | Stage::Renamed),
            "the commit of generation {} came before its pre-commit",
            self.generation
        );
        if matches!(self.stage, Stage::Renamed) {
            return Ok(());
        }
        let ListedFile {
            staged_name,
            final_name,
            ..
        } = &self.listed;
        match storage.rename(staged_name, final_name) {
            // An earlier try failed after the rename took effect.
            Err(IoError::Missing { .. }) if self.listed.is_whole(storage, final_name)? => {}
            renamed => renamed?,
        }
        self.stage = Stage::Renamed;
        Ok(())
    }
}

impl ListedFile {
    /// True if the file called `name` is there and has the listed bytes.
    pub(super) fn is_whole(&self, storage: &dyn Storage, name: &str) -> Result<bool, IoError> {
        match self.measure(storage, name) {
            Ok(found) => Ok(found == (self.length_bytes, self.crc)),
            Err(IoError::Missing { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Length and CRC of the file called `name`; a file of another length is not read, and its CRC
    /// is 0.
    pub(super) fn measure(&self, storage: &dyn Storage, name: &str) -> Result<(u64, u32), IoError> {
        let file = storage.open(name)?;
        if file.length_bytes() != self.length_bytes {
            return Ok((file.length_bytes(), 0));
        }
        let crc = read_through(file.as_ref(), self.length_bytes, |_| Ok(()))?;
        Ok((self.length_bytes, crc))
    }
}

/// Shows the first `length_bytes` of a file to `visit`, piece by piece, and gives their CRC.
fn read_through(
    file: &dyn ReadAt,
    length_bytes: u64,
    mut visit: impl FnMut(&[u8]) -> Result<(), IoError>,
) -> Result<u32, IoError> {
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = Vec::new();
    let mut offset = 0;
    while offset < length_bytes {
        let length = (length_bytes - offset).min(PIECE_BYTES);
        buffer.resize(
            usize::try_from(length).expect("bounded by the piece size"),
            0,
        );
        file.read_exact_at(&mut buffer, offset)?;
        crc.update(&buffer);
        visit(&buffer)?;
        offset += length;
    }
    Ok(crc.finalize())
}
