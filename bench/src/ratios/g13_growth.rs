//! G13: the worst insert while the state grows.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{PairValue, Side, measure_pairs};
use crate::probe::cpus::on_cpu;
use crate::result::Spread;
use crate::state_bench::{map_growth, table_growth};
use crate::text::units::grouped;

const FROM: u64 = 1_000_000;

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    let to = setting.pick(4_000_000, 16_000_000);
    let mut means = [0.0; 2];
    let cell = measure_pairs(setting.plan(), |side| {
        on_cpu(0, || {
            let growth = match side {
                Side::A => table_growth(FROM, to)?,
                Side::B => map_growth(FROM, to),
            };
            means[usize::from(side == Side::B)] = growth.mean_ns;
            Ok::<_, MeasureError>(growth.worst_ns / 1e3)
        })
    })?;
    // A hiccup of the machine hits some runs; the least is what the insert itself takes.
    let (a, b) = (cell.side(Side::A), cell.side(Side::B));
    let note = format!(
        "{} to {} keys of 16 bytes, least of {} runs a side (largest {:.0} and {:.0} us); a mean \
         insert, clock included, {:.0} and {:.0} ns; {}{}",
        grouped(FROM),
        grouped(to),
        cell.pairs.len(),
        a.max,
        b.max,
        means[0],
        means[1],
        cell.conditions(),
        if setting.quick {
            " (the full run grows to 16 M)"
        } else {
            ""
        },
    );
    let spread = without_one(&cell.pairs);
    Ok(Ratio {
        min: spread.map(|spread| spread.min),
        max: spread.map(|spread| spread.max),
        a: Some(a.min),
        b: Some(b.min),
        pairs: cell.pairs.clone(),
        ..Ratio::of_value("G13", a.min / b.min, "us", note)
    })
}

/// The ratio of the least values, leaving out each pair once: how much hangs on a single run.
fn without_one(pairs: &[PairValue]) -> Option<Spread> {
    let least = |left_out: usize, side: fn(&PairValue) -> f64| {
        let kept = pairs.iter().enumerate().filter(|(at, _)| *at != left_out);
        kept.map(|(_, pair)| side(pair))
            .fold(f64::INFINITY, f64::min)
    };
    let ratio = |left_out| least(left_out, |pair| pair.a) / least(left_out, |pair| pair.b);
    let ratios: Vec<f64> = (0..pairs.len()).map(ratio).collect();
    (pairs.len() > 1).then(|| Spread::of(ratios))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_is_that_of_leaving_one_out() {
        let pair = |a, b| PairValue { a, b, ratio: a / b };
        let spread = without_one(&[pair(1.0, 10.0), pair(2.0, 20.0), pair(4.0, 10.0)]).unwrap();
        assert_eq!((spread.min, spread.max), (0.1, 0.2));
        assert!(without_one(&[pair(1.0, 1.0)]).is_none());
    }
}
