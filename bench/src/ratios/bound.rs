//! What each ratio has to be.

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Better {
    Higher,
    Lower,
}

/// A ratio's floor, which must hold, and its goal.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Bound {
    pub(super) id: &'static str,
    pub(super) what: &'static str,
    pub(super) better: Better,
    pub(super) floor: f64,
    pub(super) goal: f64,
}

impl Bound {
    pub(super) fn holds(&self, value: f64, limit: f64) -> bool {
        match self.better {
            Better::Higher => value >= limit,
            Better::Lower => value <= limit,
        }
    }
}

const fn higher(id: &'static str, what: &'static str, floor: f64, goal: f64) -> Bound {
    Bound {
        id,
        what,
        better: Better::Higher,
        floor,
        goal,
    }
}

const fn lower(id: &'static str, what: &'static str, floor: f64, goal: f64) -> Bound {
    Bound {
        id,
        what,
        better: Better::Lower,
        floor,
        goal,
    }
}

/// All ratios, in order.
pub(super) const BOUNDS: [Bound; 16] = [
    higher("G1", "whole flow / bare map, 10 M keys", 0.70, 1.5),
    higher("G2", "whole flow / bare map, 100 k keys", 0.40, 0.60),
    higher("G3", "throughput, checkpoint every 1 s / off", 0.80, 0.95),
    higher(
        "G4",
        "throughput, checkpoint every 100 ms / off",
        0.70,
        0.90,
    ),
    lower("G5", "freeze p99.9, us", 10.0, 1.0),
    lower("G6", "freeze p50, 4 GiB / 64 MiB", 2.0, 1.1),
    lower("G7", "latency p99.9, checkpoint every 1 s / off", 2.0, 1.1),
    lower(
        "G8",
        "latency p99.9, checkpoint every 100 ms / off",
        3.0,
        1.25,
    ),
    lower("G9", "checkpoint bytes / dirty record bytes", 3.0, 1.3),
    higher("G10", "delta bandwidth / raw write", 0.75, 0.90),
    lower("G11", "time to durable / raw write and sync", 2.0, 1.3),
    lower("G12", "cross-shard hop / raw ring", 4.0, 2.0),
    lower(
        "G13",
        "worst insert while growing / bare map",
        1.0 / 50.0,
        1.0 / 1000.0,
    ),
    lower("G14", "recovery / reading the bytes raw", 4.0, 0.1),
    lower(
        "G15",
        "peak memory, checkpoints every 100 ms / off",
        1.5,
        1.1,
    ),
    lower("G16", "minor page faults per second on shards", 1.0, 0.0),
];

/// The bound called `id`.
pub(super) fn bound(id: &str) -> Option<&'static Bound> {
    BOUNDS
        .iter()
        .find(|bound| bound.id.eq_ignore_ascii_case(id))
}

/// What the ratio called `id` compares.
pub(crate) fn what(id: &str) -> &'static str {
    bound(id).map_or("", |bound| bound.what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goals_are_beyond_floors() {
        for bound in &BOUNDS {
            assert!(bound.holds(bound.goal, bound.floor), "{}", bound.id);
            assert!(!bound.holds(bound.floor, bound.goal), "{}", bound.id);
        }
    }

    #[test]
    fn ids_are_found_in_any_case() {
        assert_eq!(bound("g13").unwrap().id, "G13");
        assert_eq!(bound("G17"), None);
    }
}
