//! Values as they stand on the page.

use crate::text::units::{Unit, grouped, per_second};

/// What a number is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quantity {
    /// A duration in ns.
    Nanoseconds,
    /// A size.
    Bytes,
    /// Seconds of a run.
    Seconds,
    /// Things a second.
    PerSecond,
    /// A whole number.
    Count,
}

impl Quantity {
    /// With three digits and its unit.
    pub(super) fn text(self, value: f64) -> String {
        match self {
            Self::Nanoseconds => typeset(&Unit::Nanoseconds.text(whole(value))),
            Self::Bytes => Unit::Bytes.text(whole(value)),
            Self::Seconds => format!("{value:.1} s"),
            Self::PerSecond => per_second(value, "").replace(" /s", "/s"),
            Self::Count => grouped(whole(value)),
        }
    }

    /// For the ticks of an axis: without zeros that say nothing.
    pub(super) fn tick(self, value: f64) -> String {
        if value == 0.0 {
            return "0".to_owned();
        }
        let text = self.text(value);
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
        let (number, unit) = text.split_at(end.unwrap_or(text.len()));
        let number = match number.split_once('.') {
            Some(_) => number.trim_end_matches('0').trim_end_matches('.'),
            None => number,
        };
        format!("{number}{unit}")
    }
}

/// The sign for microseconds, which terminals may not have.
pub(super) fn typeset(text: &str) -> String {
    text.replace(" us", " \u{b5}s")
}

/// A place on the page.
pub(super) fn px(place: f64) -> String {
    let text = format!("{place:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

/// A percentile by its number of nines: 2 is 99 %.
pub(super) fn percent(nines: f64) -> String {
    let value = 100.0 * (1.0 - 10_f64.powf(-nines));
    let decimals = (2..)
        .take_while(|place| f64::from(*place) < nines - 1e-9)
        .count();
    format!("{value:.decimals$} %")
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a cast from f64 ends at the largest u64"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_have_no_empty_digits() {
        assert_eq!(Quantity::Nanoseconds.tick(1e3), "1 \u{b5}s");
        assert_eq!(Quantity::Nanoseconds.tick(2.5e6), "2.5 ms");
        assert_eq!(Quantity::Nanoseconds.tick(100.0), "100 ns");
        assert_eq!(Quantity::Bytes.tick(1024.0 * 1024.0), "1 MiB");
        assert_eq!(Quantity::Seconds.tick(20.0), "20 s");
        assert_eq!(Quantity::PerSecond.tick(2e6), "2 M/s");
        assert_eq!(Quantity::Count.tick(1_000.0), "1,000");
        assert_eq!(Quantity::Bytes.tick(0.0), "0");
    }

    #[test]
    fn percentiles_have_as_many_digits_as_they_need() {
        let texts = [0.0, 0.5, 1.0, 2.0, 2.25, 3.0, 3.5, 4.0].map(percent);
        let expected = [
            "0 %", "68 %", "90 %", "99 %", "99.4 %", "99.9 %", "99.97 %", "99.99 %",
        ];
        assert_eq!(texts, expected);
    }

    #[test]
    fn places_are_short() {
        assert_eq!((px(12.0), px(3.16)), ("12".to_owned(), "3.2".to_owned()));
    }
}
