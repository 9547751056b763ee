//! All regular files below a folder.

use super::error::CorpusError;
use std::fs;
use std::path::{Path, PathBuf};

/// Appends every regular, non-empty file below `directory` that `wanted` accepts, in no order.
///
/// Symbolic links are not followed, so a link cannot lead outside the folder or round in a circle.
///
/// # Errors
///
/// [`CorpusError::Read`] if a folder cannot be listed.
pub fn append_files(
    directory: &Path,
    wanted: impl Fn(&Path) -> bool,
    files: &mut Vec<PathBuf>,
) -> Result<(), CorpusError> {
    let mut pending = vec![directory.to_path_buf()];
    while let Some(folder) = pending.pop() {
        for entry in fs::read_dir(&folder).map_err(CorpusError::read(&folder))? {
            let entry = entry.map_err(CorpusError::read(&folder))?;
            let path = entry.path();
            let metadata = entry.metadata().map_err(CorpusError::read(&path))?;
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_file() && metadata.len() > 0 && wanted(&path) {
                files.push(path);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_nested_files_and_skips_links_and_empty_ones() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        fs::create_dir_all(&inner).unwrap();
        fs::write(inner.join("deep.rs"), "x").unwrap();
        fs::write(folder.path().join("empty.rs"), "").unwrap();
        fs::write(folder.path().join("other.txt"), "x").unwrap();
        std::os::unix::fs::symlink(folder.path(), inner.join("circle")).unwrap();
        std::os::unix::fs::symlink(inner.join("deep.rs"), inner.join("link.rs")).unwrap();

        let mut files = Vec::new();
        let is_rust = |path: &Path| path.extension().is_some_and(|extension| extension == "rs");
        append_files(folder.path(), is_rust, &mut files).unwrap();
        assert_eq!(files, [inner.join("deep.rs")]);
    }

    #[test]
    fn names_a_folder_that_cannot_be_listed() {
        let error = append_files(Path::new("/no/such"), |_| true, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
