//! How large the input is.

use super::error::CorpusError;
use std::fs;
use std::path::PathBuf;

/// Bytes in all of `files`.
///
/// # Errors
///
/// [`CorpusError::Read`] if a file is gone.
pub fn total_bytes(files: &[PathBuf]) -> Result<u64, CorpusError> {
    files
        .iter()
        .map(|file| Ok(fs::metadata(file).map_err(CorpusError::read(file))?.len()))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_up_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let files = [folder.path().join("a"), folder.path().join("b")];
        fs::write(&files[0], [0; 3]).unwrap();
        fs::write(&files[1], [0; 4]).unwrap();
        assert_eq!(total_bytes(&files).unwrap(), 7);
    }

    #[test]
    fn names_a_missing_file() {
        let error = total_bytes(&[PathBuf::from("/no/such")]).unwrap_err();
        assert!(error.to_string().contains("/no/such"), "{error}");
    }
}
