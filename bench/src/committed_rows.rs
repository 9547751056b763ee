//! Reading the rows `identifier,count` that a sink committed to CSV files.

use std::path::{Path, PathBuf};

/// A committed file could not be read as rows.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}; expected rows `identifier,count` without a header")]
pub struct RowError {
    path: PathBuf,
    source: csv::Error,
}

/// Gives every row of the CSV file at `path` to `each`, in order.
///
/// # Errors
///
/// [`RowError`] if the file cannot be read or a row is not an identifier and a number.
pub fn read_rows(path: &Path, mut each: impl FnMut(&str, u64)) -> Result<(), RowError> {
    let wrap = |source| RowError {
        path: path.to_path_buf(),
        source,
    };
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_path(path)
        .map_err(wrap)?;
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(wrap)? {
        let (identifier, count) = record.deserialize(None).map_err(wrap)?;
        each(identifier, count);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_row() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "let,4\nx_1,18446744073709551615\n").unwrap();
        let mut rows = Vec::new();
        read_rows(file.path(), |identifier, count| {
            rows.push((identifier.to_owned(), count))
        })
        .unwrap();
        assert_eq!(rows, [("let".to_owned(), 4), ("x_1".to_owned(), u64::MAX)]);
    }

    #[test]
    fn names_the_file_of_a_bad_row() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "let,4\nlet,four\n").unwrap();
        let error = read_rows(file.path(), |_, _| {}).unwrap_err().to_string();
        assert!(error.contains(file.path().to_str().unwrap()), "{error}");
    }
}
