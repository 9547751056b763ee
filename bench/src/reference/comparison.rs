//! Committed rows against the expected multiset, one row at a time.
//!
//! An identifier with the final count `c` must have given one row for each power of two `p <= c`
//! and one final row `c`. Where `c` is a power of two, the row `(identifier, c)` is there twice.
//! So the expectation of a key fits into a bit for each power and one for the final row, and
//! memory does not grow with the rows.

use std::collections::HashMap;
use std::fmt;

/// How many differences a report lists; all are counted.
const LISTED_DIFFERENCE_COUNT_MAX: usize = 10;

/// A comparison that rows are being added to.
#[derive(Debug)]
pub struct Comparison<'a> {
    keys: HashMap<&'a str, Progress>,
    report: ComparisonReport,
}

/// What a comparison found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ComparisonReport {
    /// Distinct identifiers expected.
    pub key_count: u64,
    /// Rows committed.
    pub row_count: u64,
    /// Rows expected.
    pub expected_row_count: u64,
    /// Rows missing, unexpected or repeated.
    pub difference_count: u64,
    /// The first few of them.
    pub differences: Vec<Difference>,
}

/// One row that is not as expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Expected and never committed.
    Missing(String, u64),
    /// Committed and never expected.
    Unexpected(String, u64),
    /// Committed more often than expected.
    Repeated(String, u64),
}

/// What of one key is expected and has come.
#[derive(Debug)]
struct Progress {
    final_count: u64,
    /// Bit `i` says that the row for the count `1 << i` has come.
    powers_seen: u64,
    final_seen: bool,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(final_counts: impl Iterator<Item = (&'a str, u64)>) -> Self {
        let keys: HashMap<_, _> = final_counts
            .filter(|(_, final_count)| *final_count > 0)
            .map(|(key, final_count)| (key, Progress::new(final_count)))
            .collect();
        let report = ComparisonReport {
            key_count: keys.len() as u64,
            expected_row_count: keys.values().map(Progress::expected_row_count).sum(),
            ..ComparisonReport::default()
        };
        Self { keys, report }
    }

    /// Adds one committed row.
    pub fn add_row(&mut self, identifier: &str, count: u64) {
        self.report.row_count += 1;
        let is_new = match self.keys.get_mut(identifier) {
            Some(progress) if progress.expects(count) => progress.take(count),
            _ => {
                self.report
                    .add(Difference::Unexpected(identifier.to_owned(), count));
                return;
            }
        };
        if !is_new {
            self.report
                .add(Difference::Repeated(identifier.to_owned(), count));
        }
    }

    /// Looks for rows that never came, and ends the comparison.
    #[must_use]
    pub fn finish(mut self) -> ComparisonReport {
        let mut incomplete: Vec<_> = self
            .keys
            .iter()
            .filter(|(_, progress)| progress.missing().next().is_some())
            .collect();
        incomplete.sort_unstable_by_key(|(identifier, _)| **identifier);
        for (identifier, progress) in incomplete {
            for count in progress.missing() {
                self.report
                    .add(Difference::Missing((*identifier).to_owned(), count));
            }
        }
        self.report
    }
}

impl Progress {
    fn new(final_count: u64) -> Self {
        Self {
            final_count,
            powers_seen: 0,
            final_seen: false,
        }
    }

    fn expects(&self, count: u64) -> bool {
        count == self.final_count || (count.is_power_of_two() && count < self.final_count)
    }

    /// Takes one of the expected rows; `false` if all equal ones have come already.
    fn take(&mut self, count: u64) -> bool {
        if count.is_power_of_two() && self.powers_seen & count == 0 {
            self.powers_seen |= count;
            return true;
        }
        let is_final = count == self.final_count && !self.final_seen;
        self.final_seen |= is_final;
        is_final
    }

    fn expected_row_count(&self) -> u64 {
        u64::from(self.final_count.ilog2()) + 2
    }

    fn missing(&self) -> impl Iterator<Item = u64> {
        let powers = (0..=self.final_count.ilog2()).map(|exponent| 1 << exponent);
        powers
            .filter(|power| self.powers_seen & power == 0)
            .chain((!self.final_seen).then_some(self.final_count))
    }
}

impl ComparisonReport {
    /// Whether the committed rows are exactly the expected ones.
    #[must_use]
    pub fn is_equal(&self) -> bool {
        self.difference_count == 0
    }

    fn add(&mut self, difference: Difference) {
        self.difference_count += 1;
        if self.differences.len() < LISTED_DIFFERENCE_COUNT_MAX {
            self.differences.push(difference);
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (what, identifier, count) = match self {
            Self::Missing(identifier, count) => ("missing", identifier, count),
            Self::Unexpected(identifier, count) => ("unexpected", identifier, count),
            Self::Repeated(identifier, count) => ("repeated", identifier, count),
        };
        write!(formatter, "{what} row: {identifier},{count}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The rows that a right run commits, spelled out one increment at a time.
    fn rows_of(final_count: u64) -> Vec<u64> {
        let mut rows: Vec<_> = (1..=final_count)
            .filter(|count| count.is_power_of_two())
            .collect();
        rows.push(final_count);
        rows
    }

    fn compare(final_counts: &[(&str, u64)], rows: &[(&str, u64)]) -> ComparisonReport {
        let mut comparison = Comparison::new(final_counts.iter().copied());
        for (identifier, count) in rows {
            comparison.add_row(identifier, *count);
        }
        comparison.finish()
    }

    #[test]
    fn right_rows_in_any_order_are_equal() {
        let rows = [
            ("b", 4),
            ("a", 3),
            ("a", 2),
            ("b", 1),
            ("b", 4),
            ("a", 1),
            ("b", 2),
        ];
        let report = compare(&[("a", 3), ("b", 4)], &rows);
        assert!(report.is_equal(), "{report:?}");
        assert_eq!(
            (
                report.key_count,
                report.row_count,
                report.expected_row_count
            ),
            (2, 7, 7)
        );
    }

    #[test]
    fn power_of_two_as_final_count_is_expected_twice() {
        let report = compare(&[("a", 2)], &[("a", 1), ("a", 2)]);
        assert_eq!(report.differences, [Difference::Missing("a".into(), 2)]);
        let report = compare(&[("a", 1)], &[("a", 1), ("a", 1), ("a", 1)]);
        assert_eq!(report.differences, [Difference::Repeated("a".into(), 1)]);
    }

    #[test]
    fn finds_missing_unexpected_and_repeated_rows() {
        let rows = [("a", 1), ("a", 1), ("a", 3), ("a", 8), ("zzz", 1)];
        let report = compare(&[("a", 3)], &rows);
        let expected = [
            Difference::Repeated("a".into(), 1),
            Difference::Unexpected("a".into(), 8),
            Difference::Unexpected("zzz".into(), 1),
            Difference::Missing("a".into(), 2),
        ];
        assert_eq!(report.differences, expected);
        assert!(!report.is_equal());
        assert_eq!(expected[0].to_string(), "repeated row: a,1");
    }

    #[test]
    fn lists_a_few_differences_and_counts_all() {
        let report = compare(&[("a", u64::MAX)], &[]);
        assert_eq!(report.difference_count, 65);
        assert_eq!(report.differences.len(), LISTED_DIFFERENCE_COUNT_MAX);
    }

    proptest! {
        #[test]
        fn one_row_less_or_more_is_noticed(
            count in 1_u64..5000,
            pick in any::<prop::sample::Index>(),
        ) {
            let mut rows: Vec<_> = rows_of(count).into_iter().map(|row| ("a", row)).collect();
            let right = compare(&[("a", count)], &rows);
            prop_assert!(right.is_equal());
            prop_assert_eq!(right.expected_row_count, right.row_count);

            let removed = rows.swap_remove(pick.index(rows.len()));
            prop_assert_eq!(compare(&[("a", count)], &rows).difference_count, 1);
            rows.extend([removed, removed]);
            prop_assert_eq!(compare(&[("a", count)], &rows).difference_count, 1);
        }
    }
}
