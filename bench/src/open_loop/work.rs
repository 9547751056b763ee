//! The work of `latency`, `overhead` and `throughput`: keyed events, one update of state each.

use super::run::{OpenLoop, Options};
use crate::barriers::Barriers;
use crate::probe::cpus::cpus;
use crate::text::units::grouped;
use crate::workload::{Distribution, Draw};
use clap::Args;
use frazil::{Flow, ForEach};
use std::num::NonZeroU64;
use std::str::FromStr;
use std::time::Duration;

/// Most state that a shard gets at least, so that small states need no care.
const STATE_BYTES_MIN: u64 = 256 << 20;

/// What the events are like.
#[derive(Clone, Debug, Args)]
pub struct WorkArguments {
    /// Distinct keys; all are in the state before the clock starts
    #[arg(long, value_name = "N", default_value = "1000000")]
    pub keys: NonZeroU64,
    /// How often each key comes: uniform, or zipf:0.99
    #[arg(long, value_name = "DIST", default_value = "uniform")]
    pub dist: Distribution,
    /// Bytes of a value, beside a key of 8
    #[arg(
        long,
        value_name = "N",
        default_value = "8",
        value_parser = ["8", "24", "56", "120", "248", "1016"]
    )]
    pub value_bytes: String,
    /// Time between two checkpoints as 100ms or 1s, or off
    #[arg(long, value_name = "TIME", default_value = "1s")]
    pub checkpoint: Interval,
    /// How the barriers of checkpoints pass records.
    #[command(flatten)]
    pub barriers: Barriers,
    /// How long the flow runs at its rate before it is measured
    #[arg(
        long,
        value_name = "TIME",
        default_value = "3s",
        value_parser = humantime::parse_duration
    )]
    pub warm_up: Duration,
}

/// Time between two checkpoints; none for `off`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interval(pub Option<Duration>);

impl FromStr for Interval {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        match humantime::parse_duration(text) {
            Ok(interval) if !interval.is_zero() => Ok(Self(Some(interval))),
            _ => Err("expected a time as in 100ms or 1s, or off".to_owned()),
        }
    }
}

impl WorkArguments {
    /// Options for this work at `rate` events a second, without checkpoints.
    pub(crate) fn options(&self, rate: f64, shard_count: usize) -> Options {
        let value_bytes: u64 = self.value_bytes.parse().expect("one of some numbers");
        let mut options = Options::new(rate);
        options.shard_count = shard_count;
        options.warm_up = self.warm_up;
        options.fill_events = self.keys.get();
        options.engine.barriers = self.barriers;
        // Pages are part full, and keys spread unevenly over shards.
        options.state_bytes_per_shard =
            (4 * self.keys.get() * (value_bytes + 8)).max(STATE_BYTES_MIN);
        options
    }

    /// In a few words.
    pub(crate) fn describe(&self, shard_count: usize) -> String {
        format!(
            "{} keys, {}, {}-byte values; layout: {shard_count} shard{} on {} cores{}",
            grouped(self.keys.get()),
            self.dist,
            self.value_bytes,
            if shard_count == 1 { "" } else { "s" },
            cpus().len(),
            if shard_count < cpus().len() {
                ", helpers beside them"
            } else {
                ", helpers have no core of their own"
            },
        )
    }

    /// About how long it takes to fill the state.
    pub(crate) fn filling(&self) -> Duration {
        let value_bytes: f64 = self.value_bytes.parse().expect("one of some numbers");
        Duration::from_secs_f64(self.keys.get() as f64 * (1e-7 + value_bytes * 3e-9) + 0.3)
    }

    pub(crate) fn flow(&self) -> impl Fn(&Flow, &OpenLoop) + Send + Sync + 'static {
        let keys = self.keys.get();
        let draw = Draw::new(keys, self.dist);
        let value_bytes = self.value_bytes.clone();
        // The first events are one of each key.
        let key_of = move |index: u64| match index.checked_sub(keys) {
            None => index,
            Some(drawn) => draw.at(drawn),
        };
        move |flow, open_loop| match &value_bytes[..] {
            "24" => last_due::<3>(flow, open_loop, key_of),
            "56" => last_due::<7>(flow, open_loop, key_of),
            "120" => last_due::<15>(flow, open_loop, key_of),
            "248" => last_due::<31>(flow, open_loop, key_of),
            "1016" => last_due::<127>(flow, open_loop, key_of),
            _ => last_due::<1>(flow, open_loop, key_of),
        }
    }
}

/// Keeps the due time of each key's last event, in the first of `WORDS` words.
fn last_due<const WORDS: usize>(
    flow: &Flow,
    open_loop: &OpenLoop,
    key_of: impl Fn(u64) -> u64 + Clone + 'static,
) where
    [u64; WORDS]: frazil::Value,
{
    let completed = open_loop.completed();
    flow.source(open_loop.source(key_of))
        .key_by(|(_due_ns, key)| key)
        .aggregate("last", [0; WORDS], |last, (due_ns, _key)| last[0] = *due_ns)
        .sink(ForEach::new(move |(_key, last): (&u64, &[u64; WORDS])| {
            completed(last[0])
        }));
}

#[cfg(test)]
impl WorkArguments {
    /// Small work.
    pub(crate) fn small(checkpoint: &str) -> Self {
        Self {
            keys: NonZeroU64::new(1_000).unwrap(),
            dist: Distribution::Zipf(0.9),
            value_bytes: "56".to_owned(),
            checkpoint: checkpoint.parse().unwrap(),
            barriers: Barriers::default(),
            warm_up: Duration::from_millis(50),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checkpoint_is_a_time_or_off() {
        assert_eq!("off".parse(), Ok(Interval(None)));
        assert_eq!("1s".parse(), Ok(Interval(Some(Duration::from_secs(1)))));
        assert!("0s".parse::<Interval>().is_err() && "soon".parse::<Interval>().is_err());
    }
}
