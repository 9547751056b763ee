//! The earliest of the key groups' first times: a tournament, derived from the tables and rebuilt
//! when they are opened.

/// First times by group; of equal ones the lowest group is the earliest.
#[derive(Debug)]
pub(super) struct FirstTimes {
    /// A binary tree: node 1 is the root, the children of node n are 2n and 2n + 1, and the groups
    /// are the last `leaves` nodes. A node holds the earlier of its children.
    nodes: Vec<Option<u64>>,
    leaves: usize,
}

impl FirstTimes {
    /// `count` groups without times.
    pub(super) fn new(count: u32) -> Self {
        let leaves = (count as usize).next_power_of_two();
        Self {
            nodes: vec![None; 2 * leaves],
            leaves,
        }
    }

    /// First time of a group.
    pub(super) fn of(&self, group: u32) -> Option<u64> {
        self.nodes[self.leaves + group as usize]
    }

    /// Sets the first time of a group; `None` where it has no timers.
    ///
    /// # Cost
    /// O(log groups).
    pub(super) fn set(&mut self, group: u32, time: Option<u64>) {
        let mut node = self.leaves + group as usize;
        self.nodes[node] = time;
        while node > 1 {
            node /= 2;
            let (left, right) = (self.nodes[2 * node], self.nodes[2 * node + 1]);
            let earlier = match (left, right) {
                (Some(left), Some(right)) => Some(left.min(right)),
                (left, right) => left.or(right),
            };
            if self.nodes[node] == earlier {
                return;
            }
            self.nodes[node] = earlier;
        }
    }

    /// The earliest time, and the lowest group that has it.
    ///
    /// # Cost
    /// O(log groups).
    pub(super) fn earliest(&self) -> Option<(u64, u32)> {
        let time = self.nodes[1]?;
        let mut node = 1;
        while node < self.leaves {
            node *= 2;
            if self.nodes[node] != Some(time) {
                node += 1;
            }
        }
        let group = u32::try_from(node - self.leaves).expect("as many as key groups");
        Some((time, group))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_earliest_is_the_lowest_group_with_the_least_time(
            sets in prop::collection::vec((0..13u32, prop::option::of(0..6u64)), 1..80)
        ) {
            let mut times = FirstTimes::new(13);
            let mut model = [None; 13];
            for (group, time) in sets {
                times.set(group, time);
                model[group as usize] = time;
                let expected = (0..13u32)
                    .filter_map(|group| Some((model[group as usize]?, group)))
                    .min();
                prop_assert_eq!(times.earliest(), expected);
                prop_assert_eq!(times.of(group), time);
            }
        }
    }
}
