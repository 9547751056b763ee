//! From values to places on a page, and the round values worth a line.

/// Multiples of a power of ten that read as round.
const ROUND: [f64; 3] = [1.0, 2.0, 5.0];
/// Below so many powers of ten a logarithmic axis is marked between them too.
const SPARSE_DECADES: f64 = 2.5;

/// A straight or logarithmic way from values to places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: f64,
    to: f64,
    start: f64,
    end: f64,
    is_log: bool,
}

impl Scale {
    /// `values` fall on `places`, evenly.
    pub(super) fn linear(values: (f64, f64), places: (f64, f64)) -> Self {
        let (from, to) = values;
        Self {
            from,
            // A single value still has a place.
            to: if to > from { to } else { from + 1.0 },
            start: places.0,
            end: places.1,
            is_log: false,
        }
    }

    /// Equal factors fall on equal lengths; values are positive.
    pub(super) fn log(values: (f64, f64), places: (f64, f64)) -> Self {
        let from = values.0.max(f64::MIN_POSITIVE);
        Self {
            from,
            to: values.1.max(from * 2.0),
            start: places.0,
            end: places.1,
            is_log: true,
        }
    }

    /// The place of `value`; what lies outside falls on the nearer end.
    pub(super) fn at(&self, value: f64) -> f64 {
        let part = if self.is_log {
            (value.max(self.from) / self.from).ln() / (self.to / self.from).ln()
        } else {
            (value - self.from) / (self.to - self.from)
        };
        self.start + part.clamp(0.0, 1.0) * (self.end - self.start)
    }

    /// The value at a part of the way, from 0 to 1.
    pub(super) fn value(&self, part: f64) -> f64 {
        if self.is_log {
            self.from * (self.to / self.from).powf(part)
        } else {
            self.from + part * (self.to - self.from)
        }
    }

    /// Round values within, at most about `count_max` of them.
    pub(super) fn ticks(&self, count_max: usize) -> Vec<f64> {
        if self.is_log {
            self.log_ticks(count_max)
        } else {
            self.linear_ticks(count_max, 10.0)
        }
    }

    /// The same for sizes, whose units are powers of 1024.
    pub(super) fn byte_ticks(&self, count_max: usize) -> Vec<f64> {
        if self.is_log {
            self.log_ticks(count_max)
        } else {
            self.linear_ticks(count_max, 1024.0)
        }
    }

    fn linear_ticks(&self, count_max: usize, unit_base: f64) -> Vec<f64> {
        let least_step = (self.to - self.from) / count_max.max(1) as f64;
        let unit = if unit_base > 10.0 {
            unit_base.powf(self.to.max(1.0).log(unit_base).floor())
        } else {
            1.0
        };
        let decade = 10_f64.powf((least_step / unit).log10().floor()) * unit;
        let steps = ROUND.iter().map(|round| round * decade);
        let step = steps
            .chain([10.0 * decade])
            .find(|step| *step >= least_step);
        let step = step.unwrap_or(10.0 * decade);
        let first = (self.from / step).ceil();
        (0..=count_max)
            .map(|index| (first + index as f64) * step)
            .take_while(|tick| *tick <= self.to * (1.0 + 1e-9))
            .collect()
    }

    fn log_ticks(&self, count_max: usize) -> Vec<f64> {
        let decades = (self.to / self.from).log10();
        let every = (decades / count_max.max(1) as f64).ceil().max(1.0);
        let is_sparse = decades < SPARSE_DECADES && 3.0 * decades <= count_max as f64;
        let rounds = if is_sparse { &ROUND[..] } else { &ROUND[..1] };
        let mut ticks = Vec::new();
        let mut exponent = self.from.log10().floor();
        while 10_f64.powf(exponent) <= self.to {
            for round in rounds {
                let tick = round * 10_f64.powf(exponent);
                if tick >= self.from * (1.0 - 1e-9) && tick <= self.to * (1.0 + 1e-9) {
                    ticks.push(tick);
                }
            }
            exponent += every;
        }
        ticks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_of_the_values_fall_on_ends_of_the_places() {
        for scale in [
            Scale::linear((10.0, 1000.0), (300.0, 20.0)),
            Scale::log((10.0, 1000.0), (300.0, 20.0)),
        ] {
            assert_eq!((scale.at(10.0), scale.at(1000.0)), (300.0, 20.0));
            assert_eq!((scale.at(-5.0), scale.at(1e9)), (300.0, 20.0));
            assert!((scale.at(scale.value(0.3)) - 216.0).abs() < 1e-6);
        }
        assert_eq!(Scale::log((10.0, 1000.0), (0.0, 2.0)).at(100.0), 1.0);
    }

    #[test]
    fn ticks_are_round_and_within() {
        let linear = Scale::linear((0.0, 23.0), (0.0, 1.0));
        assert_eq!(linear.ticks(6), [0.0, 5.0, 10.0, 15.0, 20.0]);
        let log = Scale::log((300.0, 2e6), (0.0, 1.0));
        assert_eq!(log.ticks(8), [1e3, 1e4, 1e5, 1e6]);
        let narrow = Scale::log((150.0, 900.0), (0.0, 1.0));
        assert_eq!(narrow.ticks(8), [200.0, 500.0]);
        let bytes = Scale::linear((0.0, 5.0 * 1024.0 * 1024.0), (0.0, 1.0));
        assert_eq!(bytes.byte_ticks(5)[1], 1024.0 * 1024.0);
    }

    #[test]
    fn one_value_alone_has_a_place() {
        let scale = Scale::linear((7.0, 7.0), (0.0, 10.0));
        assert_eq!(scale.at(7.0), 0.0);
        assert!(!scale.ticks(5).is_empty());
    }
}
