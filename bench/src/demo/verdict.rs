//! Whether the committed rows are those of the reference.

use super::error::DemoError;
use crate::committed_rows::read_rows;
use crate::corpus::tree::append_files;
use crate::reference::{ComparisonReport, Reference};
use crate::text::units::grouped;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::Path;

/// Compares the rows committed in `output` with `rounds` rounds of what `reference` has counted.
///
/// # Errors
///
/// [`DemoError`] naming the file that cannot be read.
pub fn compare(
    output: &Path,
    reference: &Reference,
    rounds: NonZeroU64,
) -> Result<ComparisonReport, DemoError> {
    let is_csv = |path: &Path| path.extension().is_some_and(|extension| extension == "csv");
    let mut committed = Vec::new();
    append_files(output, is_csv, &mut committed)?;
    let mut comparison = reference.compare(rounds.get());
    for file in committed {
        read_rows(&file, |identifier, count| {
            comparison.add_row(identifier, count)
        })?;
    }
    Ok(comparison.finish())
}

/// Writes the verdict, with the first differences if there are any.
///
/// # Errors
///
/// What `out` says.
pub fn write_verdict(comparison: &ComparisonReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "committed {} rows of {} keys, compared with a plain single-threaded count",
        grouped(comparison.row_count),
        grouped(comparison.key_count),
    )?;
    let answer = if comparison.is_equal() { "yes" } else { "no" };
    writeln!(out, "equal to the reference: {answer}")?;
    for difference in &comparison.differences {
        writeln!(out, "  {difference}")?;
    }
    let unlisted = comparison.difference_count - comparison.differences.len() as u64;
    if unlisted > 0 {
        writeln!(out, "  and {} more", grouped(unlisted))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn only_committed_files_are_compared() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join("1.csv"), "a,1\na,2\n").unwrap();
        fs::write(path.join("2.csv"), "a,2\n").unwrap();
        fs::write(path.join("3.csv.pending"), "a,9\n").unwrap();
        let mut reference = Reference::default();
        reference.add_text(b"a");
        let text = |rounds| {
            let rounds = NonZeroU64::new(rounds).unwrap();
            let report = compare(path, &reference, rounds).unwrap();
            let mut out = Vec::new();
            write_verdict(&report, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(text(2).starts_with("committed 3 rows of 1 keys"));
        assert!(text(2).ends_with("\nequal to the reference: yes\n"));
        assert!(
            text(1).contains("reference: no\n  repeated row") || text(1).contains("unexpected row")
        );
    }
}
