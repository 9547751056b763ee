//! How busy each shard is.

use crate::probe::threads::{cpu_ns_by_name, is_shard};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The kernel's account lags by up to 10 ms: over a shorter time it says little.
const OVER: Duration = Duration::from_millis(500);

/// The load of each shard over the last half second.
pub(super) struct ShardLoads {
    since: Instant,
    used_ns: BTreeMap<String, u64>,
    loads: Vec<f64>,
}

impl ShardLoads {
    pub(super) fn begin() -> Self {
        Self {
            since: Instant::now(),
            used_ns: cpu_ns_by_name(is_shard),
            loads: Vec::new(),
        }
    }

    /// By shard, each from 0 to 1; empty in the first half second.
    pub(super) fn now(&mut self) -> &[f64] {
        let elapsed = self.since.elapsed();
        if elapsed >= OVER {
            let used_ns = cpu_ns_by_name(is_shard);
            self.loads = loads(&self.used_ns, &used_ns, elapsed);
            (self.since, self.used_ns) = (Instant::now(), used_ns);
        }
        &self.loads
    }
}

fn loads(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
    elapsed: Duration,
) -> Vec<f64> {
    let mut by_number: Vec<_> = after
        .iter()
        .map(|(name, used_ns)| {
            let number: Option<u64> = name
                .rsplit('-')
                .next()
                .and_then(|digits| digits.parse().ok());
            let new_ns = used_ns.saturating_sub(before.get(name).copied().unwrap_or(0));
            (number, new_ns as f64 / 1e9 / elapsed.as_secs_f64())
        })
        .collect();
    by_number.sort_by_key(|(number, _)| *number);
    by_number.into_iter().map(|(_, load)| load).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_are_in_the_order_of_shards() {
        let of = |times: [u64; 3]| -> BTreeMap<String, u64> {
            let names = ["frazil-shard-0", "frazil-shard-2", "frazil-shard-10"];
            names.map(str::to_owned).into_iter().zip(times).collect()
        };
        let (before, after) = (of([0; 3]), of([100_000_000, 200_000_000, 400_000_000]));
        assert_eq!(
            loads(&before, &after, Duration::from_secs(1)),
            [0.1, 0.2, 0.4]
        );
    }
}
