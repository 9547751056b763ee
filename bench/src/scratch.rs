//! A folder for the files of one measurement, which goes with it.

use crate::interrupt::Guard;
use crate::measure_error::MeasureError;
use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

/// A folder that is there, empty at first, as long as this lives.
#[derive(Debug)]
pub struct Scratch {
    root: PathBuf,
    folder_count: Cell<u32>,
    _guard: Guard,
}

impl Scratch {
    /// Makes the folder `name` in `directory` anew, and leaves everything else there alone.
    ///
    /// # Errors
    ///
    /// [`MeasureError::File`] naming the folder.
    pub fn new(directory: &Path, name: &str) -> Result<Self, MeasureError> {
        let root = directory.join(name);
        if root.exists() {
            fs::remove_dir_all(&root).map_err(MeasureError::file("empty", &root))?;
        }
        fs::create_dir_all(&root).map_err(MeasureError::file("create", &root))?;
        Ok(Self {
            folder_count: Cell::new(0),
            _guard: Guard::of_folder(&root),
            root,
        })
    }

    /// The name of a folder in it that was not given before; it is not made.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder_count.set(self.folder_count.get() + 1);
        self.root.join(self.folder_count.get().to_string())
    }

    /// Removes a folder in it, which may be large, ahead of the rest.
    ///
    /// # Errors
    ///
    /// [`MeasureError::File`] naming the folder.
    pub fn remove(&self, folder: &Path) -> Result<(), MeasureError> {
        fs::remove_dir_all(folder).map_err(MeasureError::file("remove", folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What is left over is in the way of nobody, and the next run removes it.
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folder_is_empty_at_first_and_gone_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let other = directory.path().join("mine");
        fs::create_dir_all(directory.path().join("work/old")).unwrap();
        fs::write(&other, "x").unwrap();
        let scratch = Scratch::new(directory.path(), "work").unwrap();
        let root = directory.path().join("work");
        assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
        let (one, two) = (scratch.folder(), scratch.folder());
        assert_ne!(one, two);
        fs::create_dir(&one).unwrap();
        scratch.remove(&one).unwrap();
        drop(scratch);
        assert!(other.is_file() && !root.exists());
        let error = Scratch::new(Path::new("/proc/no"), "work").unwrap_err();
        assert!(error.to_string().contains("/proc/no/work"), "{error}");
    }
}
