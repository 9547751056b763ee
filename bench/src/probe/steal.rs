//! Time that the hypervisor gave to others.

use std::fs;

/// CPU time of the whole machine so far, in clock ticks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MachineTicks {
    total: u64,
    stolen: u64,
}

impl MachineTicks {
    /// Reads `/proc/stat`; zeros where it cannot be read.
    #[must_use]
    pub fn now() -> Self {
        fs::read_to_string("/proc/stat")
            .ok()
            .and_then(|text| parse(&text))
            .unwrap_or_default()
    }

    /// The part of all CPU time since `earlier` that was stolen, from 0 to 1.
    #[must_use]
    pub fn stolen_since(self, earlier: Self) -> f64 {
        let total = self.total.saturating_sub(earlier.total);
        let stolen = self.stolen.saturating_sub(earlier.stolen);
        if total == 0 {
            return 0.0;
        }
        stolen as f64 / total as f64
    }
}

/// The first line is `cpu user nice system idle iowait irq softirq steal guest guest_nice`; guest
/// time is part of user time.
fn parse(text: &str) -> Option<MachineTicks> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields
        .split_whitespace()
        .take(8)
        .map(|field| field.parse().ok())
        .collect::<Option<_>>()?;
    Some(MachineTicks {
        total: ticks.iter().sum(),
        stolen: *ticks.get(7)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stolen_part_is_of_all_time_between_two_readings() {
        let earlier = parse("cpu  10 0 10 70 0 0 0 10 5 0\ncpu0 1").unwrap();
        let later = parse("cpu  20 0 20 140 0 0 0 20 9 0\n").unwrap();
        assert!((later.stolen_since(earlier) - 0.1).abs() < 1e-9);
        assert_eq!(earlier.stolen_since(earlier), 0.0);
    }

    #[test]
    fn what_cannot_be_understood_is_no_reading() {
        assert_eq!(parse("cpu  10 0 10"), None);
        assert_eq!(parse(""), None);
        assert!(MachineTicks::now().total > 0);
    }
}
