//! Numbers for people: units, percentiles that the samples can carry, and histograms as bars.

pub mod bars;
pub mod buckets;
pub mod percentiles;
pub mod sizes;
pub mod units;
