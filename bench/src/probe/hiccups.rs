//! How long this machine takes the CPU away from a loop that does nothing but read the clock.

use super::cpus::{cpus, on_cpu};
use hdrhistogram::Histogram;
use std::time::{Duration, Instant};

/// Gaps up to here are the clock's own cost.
const GAP_NS_MIN: u64 = 1_000;
/// A longer gap counts as one minute.
const GAP_NS_MAX: u64 = 60_000_000_000;

/// The gaps that one CPU showed.
#[derive(Clone, Debug)]
pub struct Hiccups {
    /// Gaps over 1 us between two readings of the clock, in ns.
    pub gaps: Histogram<u64>,
    /// How long was looked, in ns.
    pub observed_ns: u64,
}

impl Hiccups {
    /// Looks at the CPU at `index` of [`cpus`] for `duration`.
    ///
    /// # Panics
    ///
    /// Never: the bounds of the histogram are fixed.
    #[must_use]
    pub fn of_cpu(index: usize, duration: Duration) -> Self {
        on_cpu(index, || observe(duration))
    }

    /// Looks at every CPU, one after the other.
    #[must_use]
    pub fn of_all(duration: Duration) -> Vec<Self> {
        (0..cpus().len().max(1))
            .map(|index| Self::of_cpu(index, duration))
            .collect()
    }

    /// The part of the time that lay in gaps, from 0 to 1.
    #[must_use]
    pub fn lost_part(&self) -> f64 {
        self.lost_beyond(0.0) / self.observed_ns.max(1) as f64
    }

    /// How long work that arrives at a random instant has to wait, in ns, at `quantile` of all
    /// instants.
    #[must_use]
    pub fn delay_ns(&self, quantile: f64) -> f64 {
        let beyond = (1.0 - quantile) * self.observed_ns.max(1) as f64;
        let (mut low, mut high) = (0.0, self.gaps.max() as f64);
        if self.gaps.is_empty() || self.lost_beyond(0.0) <= beyond {
            return 0.0;
        }
        // Bisection: the time that waits longer than x falls with x.
        for _ in 0..64 {
            let middle = f64::midpoint(low, high);
            if self.lost_beyond(middle) > beyond {
                low = middle;
            } else {
                high = middle;
            }
        }
        high
    }

    /// Instants, in ns, at which an arrival waits longer than `delay_ns`.
    fn lost_beyond(&self, delay_ns: f64) -> f64 {
        let gaps = self.gaps.iter_recorded();
        gaps.map(|gap| {
            let longer = (gap.value_iterated_to() as f64 - delay_ns).max(0.0);
            longer * gap.count_at_value() as f64
        })
        .sum()
    }
}

/// The worst of some CPUs' delays at p99.9, in ns: the floor below which no latency can be.
#[must_use]
pub fn floor_ns(hiccups: &[Hiccups]) -> f64 {
    let delays = hiccups.iter().map(|hiccups| hiccups.delay_ns(0.999));
    delays.fold(0.0, f64::max)
}

fn observe(duration: Duration) -> Hiccups {
    let mut gaps = Histogram::new_with_bounds(1, GAP_NS_MAX, 3).expect("the bounds are valid");
    let begun = Instant::now();
    let mut last = begun;
    while last - begun < duration {
        let now = Instant::now();
        let gap_ns = nanos(now - last);
        if gap_ns > GAP_NS_MIN {
            gaps.saturating_record(gap_ns);
        }
        last = now;
    }
    Hiccups {
        gaps,
        observed_ns: nanos(last - begun),
    }
}

/// Nanoseconds of a duration; after 584 years no more.
#[must_use]
pub fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_gaps(gaps_ns: &[u64], observed_ns: u64) -> Hiccups {
        let mut gaps = Histogram::new_with_bounds(1, GAP_NS_MAX, 3).unwrap();
        for gap in gaps_ns {
            gaps.record(*gap).unwrap();
        }
        Hiccups { gaps, observed_ns }
    }

    #[test]
    fn delay_is_that_of_a_random_arrival() {
        // One gap of 1 ms in a second: a thousandth of all arrivals waits, evenly up to 1 ms.
        let hiccups = with_gaps(&[1_000_000], 1_000_000_000);
        assert!((hiccups.lost_part() - 0.001).abs() < 1e-5);
        assert_eq!(hiccups.delay_ns(0.99), 0.0);
        assert!((hiccups.delay_ns(0.9995) - 500_000.0).abs() < 5_000.0);
        assert_eq!(with_gaps(&[], 1).delay_ns(0.999), 0.0);
    }

    #[test]
    fn every_cpu_is_looked_at() {
        let all = Hiccups::of_all(Duration::from_millis(5));
        assert_eq!(all.len(), cpus().len().max(1));
        assert!(all.iter().all(|hiccups| hiccups.observed_ns >= 5_000_000));
        assert!(floor_ns(&all) >= 0.0);
    }
}
