//! Measures a flow of your own at a fixed rate: its latency, and what checkpoints add to it.
//!
//! ```sh
//! cargo run --release -p frazil-bench --example own_flow
//! ```

use frazil::{Flow, ForEach};
use frazil_bench::measure_error::MeasureError;
use frazil_bench::{OpenLoop, Options, PairPlan, run, run_overhead};
use std::time::Duration;

const SENSORS: u64 = 10_000;

/// Keeps the highest reading of each sensor. The source gives when an event was due; the sink says
/// that it has come out.
fn highest_reading(flow: &Flow, open_loop: &OpenLoop) {
    let completed = open_loop.completed();
    let reading = |index: u64| (index % SENSORS, index.wrapping_mul(0x9e37_79b9) % 1_000);
    flow.source(open_loop.source(reading))
        .key_by(|(_due_ns, (sensor, _reading))| sensor)
        .aggregate(
            "highest",
            [0_u64; 2],
            |state, (due_ns, (_sensor, reading))| {
                *state = [*due_ns, state[1].max(*reading)];
            },
        )
        .sink(ForEach::new(move |(_sensor, state): (&u64, &[u64; 2])| {
            completed(state[0]);
        }));
}

fn main() -> Result<(), MeasureError> {
    let folder = std::env::temp_dir().join(format!("own-flow-{}", std::process::id()));
    let mut options = Options::new(100_000.0);
    options.warm_up = Duration::from_secs(3);
    options.duration = Duration::from_secs(5);
    // Every sensor once, before the clock starts.
    options.fill_events = SENSORS;
    let mut out = std::io::stdout();

    let report = run(&options, highest_reading)?;
    report.print(&mut out)?;

    let options = options.checkpoints(Duration::from_millis(250), &folder)?;
    let overhead = run_overhead(&options, PairPlan::new(true), highest_reading)?;
    overhead.print(&mut out)?;
    std::fs::remove_dir_all(&folder).map_err(MeasureError::file("remove", folder))
}
