//! Two sides measured in turn, so that what disturbs the machine disturbs both.

use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::result::Spread;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// From this part of stolen time on a cell is noisy.
const STOLEN_PART_MAX: f64 = 0.01;
/// A cell is noisy if the floors before and after differ by this factor.
const FLOOR_FACTOR_MAX: f64 = 2.0;
/// Floors below this, in ns, count as this: they are the resolution of the look itself.
const FLOOR_NS_MIN: f64 = 1_000.0;

/// The two sides of a ratio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What is judged: the numerator.
    A,
    /// What it is judged by.
    B,
}

/// How many pairs, and how long the machine itself is looked at.
#[derive(Clone, Copy, Debug)]
pub struct PairPlan {
    /// Measured pairs.
    pub pair_count: usize,
    /// How long each CPU is looked at for hiccups, before and after.
    pub floor_time: Duration,
}

impl PairPlan {
    /// Five pairs, or three if it is to be quick.
    #[must_use]
    pub fn new(quick: bool) -> Self {
        if quick {
            Self {
                pair_count: 3,
                floor_time: Duration::from_millis(100),
            }
        } else {
            Self {
                pair_count: 5,
                floor_time: Duration::from_millis(500),
            }
        }
    }
}

#[cfg(test)]
impl PairPlan {
    /// For tests that look at no figure.
    pub(crate) fn brief(pair_count: usize) -> Self {
        Self {
            pair_count,
            floor_time: Duration::from_millis(1),
        }
    }
}

/// One A and the B after it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PairValue {
    /// What is judged.
    pub a: f64,
    /// What it is judged by.
    pub b: f64,
    /// `a / b`.
    pub ratio: f64,
}

/// The pairs of one cell, and how quiet the machine was meanwhile.
#[derive(Clone, Debug, PartialEq)]
pub struct PairedCell {
    /// In the order measured.
    pub pairs: Vec<PairValue>,
    /// Hiccup floor before the first and after the last pair, in ns.
    pub floor_ns: [f64; 2],
    /// Part of all CPU time that was stolen meanwhile, from 0 to 1.
    pub stolen_part: f64,
}

impl PairedCell {
    /// Median, least and largest ratio.
    #[must_use]
    pub fn ratio(&self) -> Spread {
        spread(self.pairs.iter().map(|pair| pair.ratio))
    }

    /// Median, least and largest value of one side.
    #[must_use]
    pub fn side(&self, side: Side) -> Spread {
        spread(self.pairs.iter().map(|pair| match side {
            Side::A => pair.a,
            Side::B => pair.b,
        }))
    }

    /// Whether the machine was too busy with something else for the cell to be trusted.
    #[must_use]
    pub fn is_noisy(&self) -> bool {
        is_noisy(self.floor_ns, self.stolen_part)
    }

    /// The state of the machine in a few words.
    #[must_use]
    pub fn conditions(&self) -> String {
        let [before, after] = self.floor_ns.map(|floor| floor / 1e3);
        format!(
            "{}hiccup floor p99.9 {before:.1} us before, {after:.1} us after; {:.1} % stolen",
            if self.is_noisy() { "NOISY: " } else { "" },
            self.stolen_part * 100.0
        )
    }
}

/// Whether stolen time, or floors before and after that lie far apart, say that the machine was
/// busy with something else.
#[must_use]
pub fn is_noisy(floor_ns: [f64; 2], stolen_part: f64) -> bool {
    let [before, after] = floor_ns.map(|floor| floor.max(FLOOR_NS_MIN));
    let factor = before.max(after) / before.min(after);
    stolen_part > STOLEN_PART_MAX || factor > FLOOR_FACTOR_MAX
}

/// Measures A B A B and so on, after one unrecorded turn of both.
///
/// # Errors
///
/// The first error of `measure`.
pub fn measure_pairs<E>(
    plan: PairPlan,
    mut measure: impl FnMut(Side) -> Result<f64, E>,
) -> Result<PairedCell, E> {
    let [cell] = measure_many(plan, |side| Ok([measure(side)?]))?;
    Ok(cell)
}

/// The same for several figures that each turn gives.
///
/// # Errors
///
/// The first error of `measure`.
pub fn measure_many<const N: usize, E>(
    plan: PairPlan,
    mut measure: impl FnMut(Side) -> Result<[f64; N], E>,
) -> Result<[PairedCell; N], E> {
    measure(Side::A)?;
    measure(Side::B)?;
    let before = floor_ns(&Hiccups::of_all(plan.floor_time));
    let ticks = MachineTicks::now();
    let mut pairs = [(); N].map(|()| Vec::with_capacity(plan.pair_count));
    for _ in 0..plan.pair_count {
        let all_a = measure(Side::A)?;
        let all_b = measure(Side::B)?;
        for ((pairs, a), b) in pairs.iter_mut().zip(all_a).zip(all_b) {
            pairs.push(PairValue { a, b, ratio: a / b });
        }
    }
    let stolen_part = MachineTicks::now().stolen_since(ticks);
    let after = floor_ns(&Hiccups::of_all(plan.floor_time));
    Ok(pairs.map(|pairs| PairedCell {
        pairs,
        floor_ns: [before, after],
        stolen_part,
    }))
}

/// The median ratio of two lists, entry by entry.
///
/// # Panics
///
/// If a list is empty.
#[must_use]
pub fn median_ratio(a: &[f64], b: &[f64]) -> f64 {
    spread(a.iter().zip(b).map(|(a, b)| a / b)).median
}

fn spread(values: impl Iterator<Item = f64>) -> Spread {
    Spread::of(values.collect()).expect("a cell has at least one pair")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(pairs: &[(f64, f64)]) -> PairedCell {
        let pairs = pairs.iter().map(|&(a, b)| PairValue { a, b, ratio: a / b });
        PairedCell {
            pairs: pairs.collect(),
            floor_ns: [5_000.0, 5_000.0],
            stolen_part: 0.0,
        }
    }

    #[test]
    fn sides_take_turns_after_a_warm_up() {
        let plan = PairPlan::brief(2);
        let mut order = Vec::new();
        let cell = measure_pairs(plan, |side| {
            order.push(side);
            Ok::<_, ()>(if side == Side::A { 3.0 } else { 2.0 })
        });
        let (a, b) = (Side::A, Side::B);
        assert_eq!(order, [a, b, a, b, a, b]);
        assert_eq!(cell.unwrap().ratio().median, 1.5);
        assert_eq!(
            measure_pairs(plan, |_| Err::<f64, _>("broken")),
            Err("broken")
        );
    }

    #[test]
    fn ratio_is_taken_pair_by_pair() {
        // The machine became twice as slow in the middle: the ratios do not notice.
        let ratio = cell(&[(10.0, 20.0), (5.0, 10.0), (6.0, 10.0)]).ratio();
        assert_eq!((ratio.median, ratio.min, ratio.max), (0.5, 0.5, 0.6));
    }

    #[test]
    fn stolen_time_and_moving_floors_make_a_cell_noisy() {
        let quiet = cell(&[(1.0, 1.0)]);
        assert!(!quiet.is_noisy() && !quiet.conditions().contains("NOISY"));
        let mut noisy = quiet.clone();
        noisy.stolen_part = 0.02;
        assert!(noisy.is_noisy() && noisy.conditions().starts_with("NOISY"));
        let mut moved = quiet.clone();
        moved.floor_ns = [5_000.0, 11_000.0];
        assert!(moved.is_noisy());
        // Both are too small to tell apart.
        moved.floor_ns = [0.0, 900.0];
        assert!(!moved.is_noisy());
    }
}
