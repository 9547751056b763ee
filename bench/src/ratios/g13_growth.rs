//! G13: the worst insert while the state grows.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::cpus::on_cpu;
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
    Ok(Ratio {
        a: Some(a.min),
        b: Some(b.min),
        pairs: cell.pairs.clone(),
        ..Ratio::of_value("G13", a.min / b.min, "us", note)
    })
}
