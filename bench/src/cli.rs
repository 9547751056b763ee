//! The command line.

use crate::ablate::AblateArguments;
use crate::barriers::{Barriers, Mode};
use crate::baselines::BaselinesArguments;
use crate::checkpoint::CheckpointArguments;
use crate::compare::CompareArguments;
use crate::doctor::DoctorArguments;
use crate::exit::Exit;
use crate::idle::IdleArguments;
use crate::limits::LimitsArguments;
use crate::nexmark::NexmarkArguments;
use crate::open_loop::{LatencyArguments, OverheadArguments};
use crate::ratios::RatiosArguments;
use crate::recovery::RecoveryArguments;
use crate::state_bench::StateArguments;
use crate::throughput::ThroughputArguments;
use crate::workspace;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};
use std::ffi::OsString;
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

const SECONDS: NonZeroU32 = NonZeroU32::new(30).expect("30 is not zero");
const SECONDS_QUICK: NonZeroU32 = NonZeroU32::new(5).expect("5 is not zero");

const ABOUT: &str = "What exactly-once stream processing costs on this Linux machine";
const FIRST_STEPS: &str = "\
First steps:
  frazil-bench doctor                        is this machine fit, and what mends it
  frazil-bench                               the main job, a few minutes; then open report.html
  frazil-bench latency --rate 50000          latency with a checkpoint every second
  frazil-bench overhead --checkpoint 100ms   what checkpoints add to it
";
const EXIT_STATUS: &str = "\
Exit status:
  0  all was done and every check held
  1  the work could not be finished
  2  the result is wrong, or stored data is damaged
  3  bad arguments
  4  this machine lacks something that the command needs
  5  a compared result is worse (`compare` only)";

#[derive(Debug, Parser)]
#[command(name = "frazil-bench", version, about = ABOUT)]
#[command(args_conflicts_with_subcommands = true)]
struct CommandLine {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    demo: DemoArguments,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count every identifier of real text on all cores, with checkpoints and one real `kill -9`
    /// (default)
    ///
    /// Counts identifiers in the source text of the crates that cargo fetched to build this
    /// program, in a child process that is killed at a random moment and started again. The
    /// committed output is compared with an independent count; only if both are equal is the exit
    /// status 0. Then the same work is measured with checkpoints off and on.
    Demo(DemoArguments),
    /// Look whether this machine is fit for low latency, and say what mends it
    ///
    /// Looks at what drives the shards, the processor's clock and idle states, memory, and the
    /// disk that checkpoints go to. Each line is ok, warn (Frazil runs, with a longer tail) or
    /// FAIL, with the command that mends it. Needs no root; what a container hides counts as ok.
    /// The exit status is 4 if something failed.
    Doctor(DoctorArguments),
    /// Measure the floor of this machine: hiccups, memory, checksums, core to core, disk
    ///
    /// Without the engine: how long a core is taken away from a bare loop, how fast memory is
    /// copied and read at random, how long a hop between two cores takes, how fast the disk writes
    /// and syncs. Nothing that is built on this machine can be faster.
    Limits(LimitsArguments),
    /// Measure what a job takes that has nothing to do, and how soon it passes a barrier
    ///
    /// A job whose source gives nothing, on all cores, with each driver: CPU time of its shards and
    /// helper threads in percent of one core, then the time from the request of a checkpoint until
    /// a shard has frozen.
    Idle(IdleArguments),
    /// Measure latency at a fixed rate that does not wait for the engine
    ///
    /// Event i is due at start + i / rate, and its latency runs from then until it comes out of the
    /// sink, however late it was read. A percentile that the number of events cannot carry is not
    /// shown. Writes report.html, latency.hgrm (in us) and latency.hlog (by what was going on) into
    /// the work folder.
    Latency(LatencyArguments),
    /// Measure latency with checkpoints on and off in turn
    ///
    /// One running job, windows in turn, so that what disturbs the machine disturbs both sides.
    /// Says by what factor checkpoints lengthen p99.9 and the CPU time of an event, with the spread
    /// over the pairs. Writes report.html and both sides as .hgrm and .hlog into the work folder.
    Overhead(OverheadArguments),
    /// Find the highest rate that is sustained, per core and in all
    ///
    /// Events come at a fixed rate that does not wait for the engine; the highest rate is searched
    /// at which no backlog grows and latency stays bounded.
    Throughput(ThroughputArguments),
    /// Measure what one checkpoint is made of: freeze, capture, bytes, time to durable
    ///
    /// State is filled, a part of it changed, and a checkpoint asked for, again and again. Bytes
    /// are compared with what changed, the time with what the disk alone takes for as many bytes.
    Checkpoint(CheckpointArguments),
    /// Kill a job and measure how long it takes to come back
    ///
    /// A child process builds state, a base image and a chain of deltas, and is killed with
    /// SIGKILL. Then it is started again and again; the time from the start of the process to the
    /// first correct record is compared with reading the same files.
    Recovery(RecoveryArguments),
    /// Measure the state tables alone against a bare hash map
    ///
    /// Get, update and insert in ns, one by one and in batches, and the worst insert while the
    /// table grows; no shards, no exchange, no checkpoints.
    State(StateArguments),
    /// Measure what Frazil costs by what the machine itself can do
    ///
    /// Both sides of each ratio in turn in one process; each has a floor that must hold and a goal.
    /// All of them take about 25 minutes, or 6 with --quick; --only takes some. Writes report.html
    /// into the work folder, and with --json a file that `compare` reads.
    Ratios(RatiosArguments),
    /// Measure the same keyed count with other systems: a bare map, timely dataflow, RocksDB
    ///
    /// Same keys, same distribution, same value, in turn in one process. timely and RocksDB are
    /// there where this program was built with the features of these names.
    Baselines(BaselinesArguments),
    /// Run NEXMark queries, check each against a plain implementation, and measure it
    ///
    /// Events are made before the clock starts. Throughput is measured with and without checkpoints
    /// in turn.
    Nexmark(NexmarkArguments),
    /// Measure what each mechanism of the design is worth, with and without it in turn
    ///
    /// Prefetching, lines against pages, direct against mapped writes, huge pages, paced capture,
    /// glommio against plain threads: one line each.
    Ablate(AblateArguments),
    /// Compare two results of `ratios`, `overhead` or `demo`
    ///
    /// A ratio counts as better or worse only where chance is no good explanation: where 1 lies
    /// outside of the interval, by drawing the pairs of both files anew many times, in which the
    /// change lies with 95 % confidence. Where there are no pairs the spreads must not overlap.
    /// The exit status is 5 if one became worse.
    Compare(CompareArguments),
    /// The child process of `ratios`
    #[command(hide = true)]
    MemoryChild {
        /// Its settings, as JSON.
        settings: String,
    },
    /// The child process of `recovery`
    #[command(hide = true)]
    RecoveryChild {
        /// Its settings, as JSON.
        settings: String,
    },
    /// The child process of `demo`
    #[command(hide = true)]
    DemoChild {
        /// File with the job's settings, as JSON.
        settings: PathBuf,
    },
}

/// The options of `demo`.
#[derive(Clone, Debug, Args)]
pub struct DemoArguments {
    /// Files or folders to count instead of the fetched crates; `-` takes standard input
    #[arg(long, value_name = "PATH", num_args = 1..)]
    pub input: Vec<PathBuf>,
    /// Shards, each with a core of its own [default: all cores]
    #[arg(long, value_name = "N")]
    pub cores: Option<NonZeroUsize>,
    /// What drives the shards
    #[arg(long, value_enum, default_value_t)]
    pub driver: Driver,
    /// About how long the counting runs; the input is read as often as that takes
    /// [default: 30, or 5 with --quick]
    #[arg(long, value_name = "S")]
    pub seconds: Option<NonZeroU32>,
    /// How often the input is read, instead of --seconds
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    pub rounds: Option<NonZeroU64>,
    /// Time between two checkpoints, as 100ms or 1s
    #[arg(long, value_name = "TIME", default_value = "100ms", value_parser = positive_duration)]
    pub checkpoint_every: Duration,
    /// How the barriers of checkpoints pass records.
    #[command(flatten)]
    pub barriers: Barriers,
    /// Decides the moment of the kill; a run prints its own [default: drawn anew]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Work folder for checkpoints and output
    #[arg(long, value_name = "DIR", default_value_os_t = workspace::default_directory())]
    pub dir: PathBuf,
    /// File for the result [default: result.json in the work folder]
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Shorter and less exact
    #[arg(long)]
    pub quick: bool,
    /// Only count and check; do not measure what checkpoints cost
    #[arg(long)]
    pub skip_overhead: bool,
}

/// What drives the shards.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// glommio where io_uring is allowed, else plain threads
    #[default]
    Auto,
    /// glommio on io_uring
    Glommio,
    /// Plain pinned threads
    Thread,
}

impl DemoArguments {
    /// About how long the counting is to run.
    #[must_use]
    pub fn duration(&self) -> Duration {
        let default = if self.quick { SECONDS_QUICK } else { SECONDS };
        Duration::from_secs(self.seconds.unwrap_or(default).get().into())
    }

    /// Where the result goes.
    #[must_use]
    pub fn result_file(&self) -> PathBuf {
        self.json
            .clone()
            .unwrap_or_else(|| self.dir.join("result.json"))
    }
}

/// Reads the command line; without a command it is [`Command::Demo`].
///
/// # Errors
///
/// What to print instead of running a command: help, the version, or a complaint.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, clap::Error> {
    let matches = definition().try_get_matches_from(arguments)?;
    let line = CommandLine::from_arg_matches(&matches)?;
    let command = line.command.unwrap_or(Command::Demo(line.demo));
    if matches!(&command, Command::Demo(demo) if demo.barriers.mode == Mode::AtLeastOnce) {
        let message = "demo checks that every record counts once: `--mode at-least-once` is no \
                       option of it\n";
        return Err(definition().error(ErrorKind::ValueValidation, message));
    }
    Ok(command)
}

/// All commands, each with what its exit status says at the end of its help.
fn definition() -> clap::Command {
    let all = CommandLine::command().after_help(format!("{FIRST_STEPS}\n{EXIT_STATUS}"));
    all.mut_subcommands(|command| command.after_help(EXIT_STATUS))
}

/// The exit status that goes with what [`parse`] wants printed.
#[must_use]
pub fn exit_of(error: &clap::Error) -> Exit {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Exit::Ok,
        _ => Exit::BadConfiguration,
    }
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(Duration::ZERO) => Err("expected more than zero, as in 100ms".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; expected a time as in 100ms or 1s")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demo(arguments: &[&str]) -> DemoArguments {
        let all = ["frazil-bench"].iter().chain(arguments).map(OsString::from);
        match parse(all) {
            Ok(Command::Demo(demo)) => demo,
            other => panic!("expected demo, found {other:?}"),
        }
    }

    #[test]
    fn definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn every_command_explains_itself_and_its_exit_status() {
        for command in definition().get_subcommands_mut() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            for exit in Exit::ALL {
                let line = format!("  {}  ", exit.status());
                assert!(help.contains(&line), "{name}: no {line:?} in {help}");
            }
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{name}: {}",
                    argument.get_id()
                );
            }
        }
    }

    #[test]
    fn demo_is_the_default_command() {
        let plain = demo(&[]);
        assert_eq!(plain.duration(), Duration::from_secs(30));
        assert_eq!(plain.checkpoint_every, Duration::from_millis(100));
        assert_eq!(plain.driver, Driver::Auto);
        assert_eq!(
            plain.result_file(),
            workspace::default_directory().join("result.json")
        );
        assert_eq!(demo(&["--quick"]).duration(), Duration::from_secs(5));
    }

    #[test]
    fn options_work_with_and_without_the_command() {
        for command in [&[][..], &["demo"][..]] {
            let options = ["--input", "a", "-", "--cores", "2", "--driver", "thread"];
            let more = [
                "--rounds",
                "3",
                "--checkpoint-every",
                "1s",
                "--seed",
                "7",
                "--dir",
                "d",
                "--mode",
                "unaligned",
                "--alignment-timeout",
                "20ms",
            ];
            let read = demo(&[command, &options, &more].concat());
            assert_eq!(read.input, [PathBuf::from("a"), "-".into()]);
            assert_eq!(read.cores.map(NonZeroUsize::get), Some(2));
            assert_eq!(read.driver, Driver::Thread);
            assert_eq!(read.rounds.map(NonZeroU64::get), Some(3));
            assert_eq!(read.checkpoint_every, Duration::from_secs(1));
            assert_eq!(read.seed, Some(7));
            assert_eq!(read.barriers.mode, Mode::Unaligned);
            let timeout = read.barriers.alignment_timeout;
            assert_eq!(timeout, Some(Duration::from_millis(20)));
            assert_eq!(read.result_file(), PathBuf::from("d/result.json"));
        }
    }

    #[test]
    fn bad_arguments_and_help_have_their_exit_status() {
        let exit = |arguments: &[&str]| {
            let all = ["frazil-bench"].iter().chain(arguments).map(OsString::from);
            exit_of(&parse(all).unwrap_err())
        };
        assert_eq!(exit(&["--cores", "0"]), Exit::BadConfiguration);
        assert_eq!(exit(&["--checkpoint-every", "0s"]), Exit::BadConfiguration);
        assert_eq!(exit(&["--mode", "at-least-once"]), Exit::BadConfiguration);
        assert_eq!(
            exit(&["--checkpoint-every", "soon"]),
            Exit::BadConfiguration
        );
        assert_eq!(
            exit(&["--rounds", "1", "--seconds", "1"]),
            Exit::BadConfiguration
        );
        assert_eq!(exit(&["nonsense"]), Exit::BadConfiguration);
        assert_eq!(exit(&["--help"]), Exit::Ok);
        assert_eq!(exit(&["--version"]), Exit::Ok);
    }
}
