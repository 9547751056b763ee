//! The folders of one run, all below one folder of our own, which each run empties.

use crate::interrupt::Guard;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that a run has to itself.
#[derive(Debug)]
pub struct WorkFolder {
    root: PathBuf,
    _guard: Guard,
}

/// Where one job keeps its checkpoints and its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFolders {
    /// For checkpoints.
    pub checkpoints: PathBuf,
    /// For committed rows.
    pub output: PathBuf,
}

/// The work folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the work folder at {path}: {source}; free some space or use `--dir DIR`")]
pub struct WorkFolderError {
    path: PathBuf,
    source: io::Error,
}

impl WorkFolder {
    /// Makes the folder `demo` in `directory` anew, and leaves everything else there alone.
    ///
    /// # Errors
    ///
    /// [`WorkFolderError`] naming the folder.
    pub fn create(directory: &Path) -> Result<Self, WorkFolderError> {
        let root = directory.join("demo");
        remake(&root)?;
        Ok(Self {
            _guard: Guard::of_folder(&root),
            root,
        })
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Folders for the job `name`, empty.
    ///
    /// # Errors
    ///
    /// [`WorkFolderError`] naming the folder.
    pub fn empty_job_folders(&self, name: &str) -> Result<JobFolders, WorkFolderError> {
        let root = self.root.join(name);
        remake(&root)?;
        let folders = JobFolders {
            checkpoints: root.join("checkpoints"),
            output: root.join("output"),
        };
        fs::create_dir(&folders.output).map_err(WorkFolderError::at(&folders.output))?;
        Ok(folders)
    }

    /// Takes the folders of the job `name` away.
    ///
    /// # Errors
    ///
    /// [`WorkFolderError`] naming the folder.
    pub fn remove_job_folders(&self, name: &str) -> Result<(), WorkFolderError> {
        let root = self.root.join(name);
        fs::remove_dir_all(&root).map_err(WorkFolderError::at(&root))
    }

    /// Writes a file and gives its path.
    ///
    /// # Errors
    ///
    /// [`WorkFolderError`] naming the file.
    pub fn write(&self, name: &str, content: &[u8]) -> Result<PathBuf, WorkFolderError> {
        let path = self.root.join(name);
        fs::write(&path, content).map_err(WorkFolderError::at(&path))?;
        Ok(path)
    }
}

impl WorkFolderError {
    fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        |source| Self {
            path: path.to_path_buf(),
            source,
        }
    }
}

fn remake(folder: &Path) -> Result<(), WorkFolderError> {
    let remake = || {
        if folder.exists() {
            fs::remove_dir_all(folder)?;
        }
        fs::create_dir_all(folder)
    };
    remake().map_err(WorkFolderError::at(folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_run_empties_its_own_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("mine");
        fs::write(&other, "x").unwrap();
        let work = WorkFolder::create(folder.path()).unwrap();
        let old = work.write("old.json", b"x").unwrap();
        WorkFolder::create(folder.path()).unwrap();
        assert!(other.is_file() && !old.exists());
    }

    #[test]
    fn job_folders_are_empty_each_time() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkFolder::create(folder.path()).unwrap();
        let folders = work.empty_job_folders("count").unwrap();
        fs::write(folders.output.join("old.csv"), "x").unwrap();
        assert_eq!(work.empty_job_folders("count").unwrap(), folders);
        assert_eq!(fs::read_dir(&folders.output).unwrap().count(), 0);
        work.remove_job_folders("count").unwrap();
        assert!(!folders.output.exists());
    }

    #[test]
    fn names_the_folder_that_cannot_be_used() {
        let error = WorkFolder::create(Path::new("/proc/no")).unwrap_err();
        assert!(error.to_string().contains("/proc/no/demo"), "{error}");
    }
}
