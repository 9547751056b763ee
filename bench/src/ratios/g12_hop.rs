//! G12: from one shard to another, a batch of one record.

use super::hop_source::{HopSource, Hops};
use super::ratio::Ratio;
use super::setting::Setting;
use crate::interrupt::stopped_by_signals;
use crate::limits::ping_pong::half_round_trips;
use crate::measure_error::MeasureError;
use crate::pairs::{Side, measure_pairs};
use crate::probe::cpus::cpus;
use frazil::state::{KeyGroups, hash_key};
use frazil::{Cores, ForEach, Job, JobHandle};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

pub(super) fn measure(setting: &Setting) -> Result<Ratio, MeasureError> {
    if cpus().len() < 2 {
        return Ok(Ratio::none("G12", "needs two cores"));
    }
    let groups = KeyGroups::default();
    let is_remote = |key: &u64| groups.shard_of(hash_key(key), 2) == 1;
    let key = (0..).find(is_remote).expect("half of all keys are there");
    let count = setting.pick(20_000, 100_000);
    let (mut hop_count, mut driver) = (0, String::new());
    let cell = measure_pairs(setting.plan(), |side| {
        Ok::<_, MeasureError>(match side {
            Side::A => {
                // A job of its own each time: where its rings lie decides a good part.
                let hops = Hops::new(key);
                let job = start(&hops)?;
                let times = hop(&hops, count)?;
                (hop_count, driver) = (
                    times.len(),
                    format!("{:?}", job.driver().driver).to_lowercase(),
                );
                job.stop();
                job.wait()?;
                times.value_at_quantile(0.5) as f64
            }
            Side::B => half_round_trips(setting.pick(2_000, 10_000))
                .map_or(f64::NAN, |times| times.value_at_quantile(0.5) as f64 / 10.0),
        })
    })?;
    if hop_count == 0 {
        return Ok(Ratio::none("G12", "source and sink were on the same shard"));
    }
    let note = format!(
        "two shards on two cores ({driver} driver), a job each time, {count} records a side, one at a time, stamped \
         at the source and read behind the keyed update, two readings of the clock included; raw: \
         a word over two rings on the same cores, half a round trip"
    );
    Ok(Ratio::of_cell("G12", &cell, "ns", &note))
}

fn start(hops: &Hops) -> Result<JobHandle, MeasureError> {
    let job = Job::builder("hop")
        .restart(frazil::RestartStrategy::None)
        .cores(Cores::count(2))
        .state_bytes_per_shard(64 << 20)
        .build()?;
    let hops = hops.clone();
    let handle = job.start(move |flow| {
        let at_sink = hops.clone();
        flow.source(HopSource(hops.clone()))
            .key_by(|(key, _stamp)| key)
            .aggregate("stamps", 0_u64, |last, (_key, stamp)| *last = *stamp)
            .sink(ForEach::new(move |(_key, stamp): (&u64, &u64)| {
                at_sink.arrived(*stamp)
            }));
    })?;
    Ok(stopped_by_signals(handle))
}

fn hop(hops: &Hops, count: u64) -> Result<hdrhistogram::Histogram<u64>, MeasureError> {
    hops.take();
    let wanted = hops.want(count);
    let begun = Instant::now();
    while hops.seen() < wanted {
        // Both cores belong to the shards.
        thread::sleep(Duration::from_millis(20));
        if begun.elapsed() > PATIENCE {
            return Err(MeasureError::StoodStill {
                done: hops.seen(),
                expected: wanted,
                seconds: begun.elapsed().as_secs(),
            });
        }
    }
    Ok(hops.take())
}
