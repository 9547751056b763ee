//! Percentiles, and the refusal of those that the samples cannot carry.

use super::units::{Unit, grouped};
use hdrhistogram::Histogram;

/// A percentile and how many samples it needs: enough that one of them lies beyond it, and in the
/// far tail a hundred, because there single hiccups of the machine decide.
#[derive(Clone, Copy, Debug)]
pub struct Percentile {
    /// How it is called, as `p99.9`.
    pub name: &'static str,
    quantile: f64,
    sample_count_min: u64,
}

/// The percentiles that are shown and stored.
pub const PERCENTILES: [Percentile; 5] = [
    Percentile {
        name: "p50",
        quantile: 0.5,
        sample_count_min: 2,
    },
    Percentile {
        name: "p90",
        quantile: 0.9,
        sample_count_min: 10,
    },
    Percentile {
        name: "p99",
        quantile: 0.99,
        sample_count_min: 100,
    },
    Percentile {
        name: "p99.9",
        quantile: 0.999,
        sample_count_min: 100_000,
    },
    Percentile {
        name: "p99.99",
        quantile: 0.9999,
        sample_count_min: 1_000_000,
    },
];

impl Percentile {
    /// How many nines it has: two for p99.
    pub(crate) fn nines(self) -> f64 {
        -(1.0 - self.quantile).log10()
    }

    /// Its value in `histogram`, or `None` if there are too few samples for it.
    #[must_use]
    pub fn of(self, histogram: &Histogram<u64>) -> Option<u64> {
        (histogram.len() >= self.sample_count_min)
            .then(|| histogram.value_at_quantile(self.quantile))
    }
}

/// The samples of `histogram` and its percentiles on one line for people; `-` where the samples are
/// too few.
#[must_use]
pub fn row(name: &str, histogram: &Histogram<u64>, unit: Unit) -> String {
    let mut row = format!("  {name:<24} {:>11} samples", grouped(histogram.len()));
    for percentile in PERCENTILES {
        let value = percentile.of(histogram);
        let text = value.map_or_else(|| "-".to_owned(), |value| unit.text(value));
        row.push_str(&format!("  {} {text:>7}", percentile.name));
    }
    if !histogram.is_empty() {
        row.push_str(&format!("  max {:>7}", unit.text(histogram.max())));
    }
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_samples_cannot_carry() {
        let mut histogram = Histogram::new(3).unwrap();
        let carried = |histogram: &Histogram<u64>| {
            PERCENTILES.map(|percentile| percentile.of(histogram).is_some())
        };
        assert_eq!(carried(&histogram), [false; 5]);
        histogram.record_n(5, 99).unwrap();
        assert_eq!(carried(&histogram), [true, true, false, false, false]);
        histogram.record(7).unwrap();
        assert_eq!(carried(&histogram), [true, true, true, false, false]);
        histogram.record_n(5, 99_900).unwrap();
        assert_eq!(carried(&histogram), [true, true, true, true, false]);
        histogram.record_n(5, 900_000).unwrap();
        assert_eq!(carried(&histogram), [true; 5]);
        assert!(row("all", &histogram, Unit::Bytes).contains("p99.99"));
    }
}
