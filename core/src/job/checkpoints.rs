//! When and where checkpoints are made.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use frazil_io::storage::{FileStorage, Storage};

use crate::checkpoint::{
    CheckpointListener, CheckpointMode, CheckpointSettings, Listening, RATE_MIN, RestoreMode,
    StoredCheckpoints, Watch, WriteBudget, stored_checkpoints,
};
use crate::error::Error;

const KEEP: usize = 3;
/// What settings expect that make no sense without checkpoints.
pub(super) const PLACE: &str = "a place: Checkpoints::dir or Checkpoints::storage";

/// Checkpoint settings of a job.
///
/// ```
/// use std::time::Duration;
/// use frazil::Checkpoints;
/// let checkpoints = Checkpoints::every(Duration::from_millis(100))
///     .dir("checkpoints")
///     .keep(5);
/// # let _ = checkpoints;
/// ```
#[derive(Clone)]
pub struct Checkpoints {
    pub(crate) settings: CheckpointSettings,
    pub(crate) keep: usize,
    max_write_bytes_per_second: Option<u64>,
    pub(crate) restore: RestoreMode,
    pub(crate) mode: CheckpointMode,
    pub(crate) listening: Listening,
    place: Option<Place>,
}

/// A directory or a storage of another kind.
#[derive(Clone)]
pub(super) enum Place {
    Directory(PathBuf),
    Storage(Arc<dyn Storage>),
}

impl Place {
    fn open(&self) -> Result<Arc<dyn Storage>, Error> {
        Ok(match self {
            Self::Directory(directory) => Arc::new(FileStorage::open(directory)?),
            Self::Storage(storage) => Arc::clone(storage),
        })
    }

    /// Opens what a savepoint is to be read from; a directory is not made.
    pub(super) fn open_existing(&self) -> Result<Arc<dyn Storage>, Error> {
        match self {
            Self::Directory(directory) if !directory.is_dir() => Err(Error::NoSavepoint {
                location: directory.display().to_string(),
            }),
            Self::Directory(_) | Self::Storage(_) => self.open(),
        }
    }
}

impl Checkpoints {
    /// No checkpoints: sinks commit when the job ends, and a crash loses everything.
    #[must_use]
    pub fn off() -> Self {
        Self {
            settings: CheckpointSettings::manual(),
            keep: KEEP,
            max_write_bytes_per_second: None,
            restore: RestoreMode::default(),
            mode: CheckpointMode::default(),
            listening: Listening::default(),
            place: None,
        }
    }

    /// Checkpoints when `settings` say so.
    #[must_use]
    pub fn when(settings: CheckpointSettings) -> Self {
        Self {
            settings,
            ..Self::off()
        }
    }

    /// A checkpoint every `interval`, counted from request to request. One that takes longer delays
    /// the next.
    #[must_use]
    pub fn every(interval: Duration) -> Self {
        Self::when(CheckpointSettings::manual().every(interval))
    }

    /// Checkpoints only when [`JobHandle::checkpoint`](crate::JobHandle::checkpoint) asks for one,
    /// and at the end.
    #[must_use]
    pub fn manual() -> Self {
        Self::off()
    }

    /// The directory for checkpoints, made if it is missing. One job at a time can use it.
    #[must_use]
    pub fn dir(mut self, directory: impl Into<PathBuf>) -> Self {
        self.place = Some(Place::Directory(directory.into()));
        self
    }

    /// A storage of another kind.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.place = Some(Place::Storage(storage));
        self
    }

    /// How long a checkpoint may take before it is dropped and its changes wait for the next; 60 s
    /// by default.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.settings.timeout = timeout;
        self
    }

    /// How many checkpoints are kept; 3 by default.
    #[must_use]
    pub fn keep(mut self, count: usize) -> Self {
        self.keep = count;
        self
    }

    /// Most bytes a second that checkpoints and the folding of their deltas may write together;
    /// unlimited by default. Held within 5 % over any second. Checkpoints come first; folding gets
    /// what they leave, at least a quarter.
    ///
    /// A job that changes more than this between two checkpoints makes them late, and drops some
    /// when its staging memory is full.
    #[must_use]
    pub fn max_write_bytes_per_second(mut self, bytes: u64) -> Self {
        self.max_write_bytes_per_second = Some(bytes);
        self
    }

    /// How the job comes back to its state when it starts again; [`RestoreMode::Eager`] by default.
    #[must_use]
    pub fn restore(mut self, mode: RestoreMode) -> Self {
        self.restore = mode;
        self
    }

    /// What checkpoints promise; [`CheckpointMode::Aligned`], exactly once, by default. May change
    /// from one start to the next.
    #[must_use]
    pub fn mode(mut self, mode: CheckpointMode) -> Self {
        self.mode = mode;
        self
    }

    /// Who is told what happens to checkpoints.
    #[must_use]
    pub fn listener(mut self, listener: impl CheckpointListener) -> Self {
        self.listening = Listening::to(Arc::new(listener));
        self
    }

    /// What lies in the checkpoint directory, by its manifests alone: also while a job runs there.
    /// It works for a savepoint's directory as well.
    ///
    /// ```
    /// use frazil::{Checkpoints, Cores, Count, Iter, Job};
    ///
    /// # fn main() -> Result<(), frazil::Error> {
    /// # let folder = tempfile::tempdir().map_err(|_| frazil::Error::Ended)?;
    /// # let path = folder.path();
    /// let checkpoints = Checkpoints::manual().dir(path);
    /// let job = Job::builder("numbers").cores(Cores::count(1)).checkpoints(checkpoints.clone());
    /// let handle = job.build()?.start(|flow| {
    ///     flow.source(Iter::new(|_, _| 0..1000_u64)).sink(Count::new());
    /// })?;
    /// handle.wait()?;
    /// let stored = checkpoints.stored()?.checkpoints;
    /// assert!(stored[0].finished && stored[0].job == "numbers");
    /// assert_eq!(stored[0].settings.as_ref().map(|s| s.interval), Some(None));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NoCheckpoints`] without a place, [`Error::NoSavepoint`] for a directory that is not
    /// there, the storage's, and manifests of another version.
    pub fn stored(&self) -> Result<StoredCheckpoints, Error> {
        let place = self.place.as_ref().ok_or(Error::NoCheckpoints)?;
        stored_checkpoints(&*place.open_existing()?)
    }

    /// How long a barrier of an aligned checkpoint waits on a shard before it overtakes the records
    /// in front of it, as in [`CheckpointMode::Unaligned`]; for ever by default. Counted from the
    /// barrier at the shard's sources. Can be changed while the job runs.
    #[must_use]
    pub fn alignment_timeout(mut self, timeout: Duration) -> Self {
        self.settings.alignment_timeout = Some(timeout);
        self
    }

    pub(crate) fn budget(&self) -> WriteBudget {
        WriteBudget::new(self.max_write_bytes_per_second)
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch::new(self.settings.clone(), self.listening.clone())
    }

    pub(super) fn has_place(&self) -> bool {
        self.place.is_some()
    }

    /// Opens the place; `None` where no checkpoints are kept.
    pub(crate) fn open(&self) -> Result<Option<Arc<dyn Storage>>, Error> {
        self.place.as_ref().map(Place::open).transpose()
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.keep == 0 {
            return Err(Error::setting("Checkpoints::keep", "at least 1", "0"));
        }
        if let Some(rate) = self
            .max_write_bytes_per_second
            .filter(|rate| *rate < RATE_MIN)
        {
            let setting = "Checkpoints::max_write_bytes_per_second";
            let expected = format!("at least {RATE_MIN}");
            return Err(Error::setting(setting, expected, rate.to_string()));
        }
        self.settings.check()?;
        if self.settings.is_automatic() && self.place.is_none() {
            return Err(Error::setting("Checkpoints::when", PLACE, "none"));
        }
        Ok(())
    }
}
