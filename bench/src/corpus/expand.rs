//! `--input PATH...`: files, folders, and standard input.

use super::error::CorpusError;
use super::tree::append_files;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The files behind the paths that the user named.
#[derive(Debug, PartialEq, Eq)]
pub struct Expanded {
    /// Sorted by path, each once, none empty.
    pub files: Vec<PathBuf>,
    /// Where standard input was copied to, if it was named.
    pub spooled: Option<PathBuf>,
}

/// Finds the files behind `paths`. A folder means all regular files below it; links inside it are
/// not followed. `-` means `standard_input`, which is copied to a file in `spool_directory` first,
/// because a recovery has to read it again.
///
/// # Errors
///
/// [`CorpusError`] if a path cannot be read, or if there is not one byte in all.
pub fn expand(
    paths: &[PathBuf],
    standard_input: impl Read,
    spool_directory: &Path,
) -> Result<Expanded, CorpusError> {
    let mut files = Vec::new();
    let mut spooled = None;
    for path in paths
        .iter()
        .filter(|path| path.as_os_str() != STANDARD_INPUT)
    {
        append_path(path, &mut files)?;
    }
    if paths.iter().any(|path| path.as_os_str() == STANDARD_INPUT) {
        let copy = spool(standard_input, spool_directory)?;
        append_path(&copy, &mut files)?;
        spooled = Some(copy);
    }
    files.sort();
    files.dedup();
    if files.is_empty() {
        return Err(CorpusError::Empty {
            path_count: paths.len(),
        });
    }
    Ok(Expanded { files, spooled })
}

/// A link that the user names is followed: naming it asks for what it points to.
fn append_path(path: &Path, files: &mut Vec<PathBuf>) -> Result<(), CorpusError> {
    let metadata = fs::metadata(path).map_err(CorpusError::read(path))?;
    if metadata.is_dir() {
        return append_files(path, |_| true, files);
    }
    if !metadata.is_file() {
        return Err(CorpusError::NotAFile {
            path: path.to_path_buf(),
        });
    }
    File::open(path).map_err(CorpusError::read(path))?;
    if metadata.len() > 0 {
        files.push(path.to_path_buf());
    }
    Ok(())
}

fn spool(mut standard_input: impl Read, directory: &Path) -> Result<PathBuf, CorpusError> {
    let path = directory.join("standard-input");
    let mut copy = || {
        fs::create_dir_all(directory)?;
        io::copy(&mut standard_input, &mut File::create(&path)?)
    };
    match copy() {
        Ok(_) => Ok(path),
        Err(source) => Err(CorpusError::Spool { path, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expands_files_and_folders_sorted_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let (a, b) = (folder.path().join("a"), inner.join("b"));
        fs::write(&a, "1").unwrap();
        fs::write(&b, "2").unwrap();
        fs::write(folder.path().join("empty"), "").unwrap();

        let paths = [inner, a.clone(), folder.path().to_path_buf()];
        let expanded = expand(&paths, io::empty(), folder.path()).unwrap();
        assert_eq!(
            expanded,
            Expanded {
                files: vec![a, b],
                spooled: None
            }
        );
    }

    #[test]
    fn spools_standard_input_to_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let spool_directory = folder.path().join("new");
        let expanded = expand(&["-".into()], &b"some text"[..], &spool_directory).unwrap();
        let copy = spool_directory.join("standard-input");
        assert_eq!(fs::read(&copy).unwrap(), b"some text");
        assert_eq!(
            expanded,
            Expanded {
                files: vec![copy.clone()],
                spooled: Some(copy)
            }
        );
    }

    #[test]
    fn refuses_missing_special_and_empty_input() {
        let folder = tempfile::tempdir().unwrap();
        let refuse = |path: &Path| {
            expand(&[path.to_path_buf()], io::empty(), folder.path())
                .unwrap_err()
                .to_string()
        };
        assert!(refuse(Path::new("/no/such")).contains("/no/such"));
        assert!(refuse(Path::new("/dev/null")).contains("neither a file nor a folder"));
        assert!(refuse(folder.path()).contains("no bytes"));
        assert!(refuse(Path::new("-")).contains("no bytes"));
    }
}
