//! Units for people: three significant digits and the unit that fits.

use std::time::Duration;

/// What the numbers of a histogram are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Time in nanoseconds, shown as ns, us, ms or s.
    Nanoseconds,
    /// Size in bytes, shown as B, KiB, MiB, GiB or TiB.
    Bytes,
}

const NANOSECONDS: Scale = Scale {
    base: 1000.0,
    names: &["ns", "us", "ms", "s"],
};
const BYTES: Scale = Scale {
    base: 1024.0,
    names: &["B", "KiB", "MiB", "GiB", "TiB"],
};
const PLAIN: Scale = Scale {
    base: 1000.0,
    names: &["", "k", "M", "G", "T"],
};

struct Scale {
    base: f64,
    names: &'static [&'static str],
}

impl Unit {
    /// `value` with its unit.
    ///
    /// ```
    /// use frazil_bench::text::units::Unit;
    ///
    /// assert_eq!(Unit::Nanoseconds.text(1_234), "1.23 us");
    /// assert_eq!(Unit::Bytes.text(3 << 19), "1.50 MiB");
    /// ```
    #[must_use]
    pub fn text(self, value: u64) -> String {
        match self {
            Self::Nanoseconds => NANOSECONDS.text(value as f64),
            Self::Bytes => BYTES.text(value as f64),
        }
    }
}

/// A duration with its unit, as `1.23 ms`.
#[must_use]
pub fn duration(duration: Duration) -> String {
    Unit::Nanoseconds.text(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A rate of `things` in a second, as `12.3 M records/s`.
#[must_use]
pub fn per_second(rate: f64, things: &str) -> String {
    format!("{} {things}/s", PLAIN.text(rate.max(0.0)))
}

/// A whole number with its digits in groups of three, as `1,234,567`.
#[must_use]
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

impl Scale {
    fn text(&self, value: f64) -> String {
        let mut scaled = value;
        let mut index = 0;
        // What would round up to the base belongs to the next unit.
        while scaled >= self.base - 0.5 && index + 1 < self.names.len() {
            scaled /= self.base;
            index += 1;
        }
        let decimals = match scaled {
            _ if index == 0 && scaled.fract() == 0.0 => 0,
            _ if scaled < 9.995 => 2,
            _ if scaled < 99.95 => 1,
            _ => 0,
        };
        format!("{scaled:.decimals$} {}", self.names[index])
            .trim_end()
            .to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_three_digits_and_the_unit_that_fits() {
        let cases = [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 us"),
            (9_996, "10.0 us"),
            (12_345, "12.3 us"),
            (123_456, "123 us"),
            (999_600, "1.00 ms"),
            (1_500_000_000, "1.50 s"),
            (5_000_000_000_000, "5000 s"),
        ];
        for (value, text) in cases {
            assert_eq!(Unit::Nanoseconds.text(value), text);
        }
    }

    #[test]
    fn sizes_count_in_1024() {
        let cases = [
            (1023, "1023 B"),
            (1024, "1.00 KiB"),
            (1 << 20, "1.00 MiB"),
            ((1 << 30) - 1, "1.00 GiB"),
            (u64::MAX, "16777216 TiB"),
        ];
        for (value, text) in cases {
            assert_eq!(Unit::Bytes.text(value), text);
        }
    }

    #[test]
    fn rates_and_counts_read_well() {
        assert_eq!(per_second(12_345_678.0, "records"), "12.3 M records/s");
        assert_eq!(per_second(0.5, "bytes"), "0.50 bytes/s");
        assert_eq!(per_second(-1.0, "bytes"), "0 bytes/s");
        let numbers = [0, 999, 1_000, 1_234_567].map(grouped);
        assert_eq!(numbers, ["0", "999", "1,000", "1,234,567"]);
    }
}
