//! G1 and G2: the whole flow on one shard against a bare map, by CPU time of the thread that does
//! the work.

use super::ratio::Ratio;
use super::setting::Setting;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::cpus::on_cpu;
use crate::probe::huge_pages::are_for_all;
use crate::probe::threads::own_cpu_ns;
use crate::state_bench::{MapSide, Operation};
use crate::text::units::grouped;
use crate::workload::{Engine, JobSpec, KeyedJob, Keys, RecordBytes};
use std::time::Duration;

pub(super) fn measure(setting: &Setting, id: &str, key_count: u64) -> Result<Ratio, MeasureError> {
    let keys = Keys::new(key_count);
    let mut map = MapSide::populated(keys);
    let job = KeyedJob::start(&JobSpec {
        keys,
        record_bytes: RecordBytes::Sixteen,
        checkpoints: None,
        engine: Engine::default(),
    })?;
    let window = setting.window();
    let mut helper_part: f64 = 0.0;
    let cell = measure_pairs(setting.plan(), |side| {
        Ok::<_, MeasureError>(match side {
            Side::A => {
                let window = job.run_for(window)?;
                helper_part =
                    helper_part.max(window.helpers.cpu_ns as f64 / window.shards.cpu_ns as f64);
                window.rate_by_cpu()
            }
            Side::B => bare_rate(&mut map, window),
        })
    })?;
    let note = format!(
        "{} uniform keys, 16-byte records, one shard on the first core ({} driver), the map on \
         the same core in turn, {} huge pages; events per CPU second of the shard thread \
         (schedstat), helpers used {:.2} % beside it",
        grouped(key_count),
        job.driver(),
        if are_for_all() {
            "both with"
        } else {
            "the map WITHOUT"
        },
        helper_part * 100.0
    );
    job.stop()?;
    Ok(Ratio::of_cell(id, &cell, "events per CPU second", &note))
}

fn bare_rate(map: &mut MapSide, window: Duration) -> f64 {
    on_cpu(0, || {
        let before = own_cpu_ns();
        let done = map.run_for(Operation::Update, window);
        done as f64 * 1e9 / (own_cpu_ns() - before).max(1) as f64
    })
}
