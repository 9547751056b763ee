//! The parent's side of the main job, step by step.

use super::calibration::{Calibration, calibrate};
use super::error::DemoError;
use super::kill_run::{KillReport, run_with_kill};
use super::protocol::JobSettings;
use super::verdict::{compare, write_verdict};
use crate::child::{KillMoment, fresh_seed};
use crate::cli::DemoArguments;
use crate::corpus::expand::expand;
use crate::corpus::fetched::default_corpus;
use crate::corpus::size::total_bytes;
use crate::exit::Exit;
use crate::html::of_demo;
use crate::job::EngineSettings;
use crate::machine::Machine;
use crate::overhead::{self, Lines, Measurement};
use crate::progress::{Progress, note};
use crate::reference::{ComparisonReport, Reference};
use crate::result::{CommandResult, DemoResult, KillResult};
use crate::text::units::{Unit, duration, grouped, per_second};
use crate::work_folder::WorkFolder;
use std::env;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const CALIBRATION: Duration = Duration::from_millis(1500);
const CALIBRATION_QUICK: Duration = Duration::from_millis(500);
const PAIR_COUNT: u32 = 5;
const PAIR_COUNT_QUICK: u32 = 3;
const WINDOW: Duration = Duration::from_millis(2500);
const WINDOW_QUICK: Duration = Duration::from_millis(700);

/// Runs the main job and prints its report to `out`.
///
/// # Errors
///
/// [`DemoError`] if it could not be done; a wrong result is no error but [`Exit::Corrupt`].
pub fn run(arguments: &DemoArguments, out: &mut impl Write) -> Result<Exit, DemoError> {
    let machine = Machine::read(&arguments.dir);
    let folder = WorkFolder::create(&arguments.dir)?;
    let input = Input::prepare(arguments, &folder, out)?;
    let engine = EngineSettings {
        core_count: arguments.cores,
        driver: arguments.driver,
        barriers: arguments.barriers,
    };
    let calibration = input.calibrate(arguments, engine, &folder)?;
    let rounds = arguments
        .rounds
        .unwrap_or_else(|| rounds_for(arguments.duration(), &calibration, input.byte_count));
    write_plan(
        arguments,
        &input,
        engine,
        &calibration,
        rounds,
        &machine,
        out,
    )?;

    let folders = folder.empty_job_folders("counting")?;
    let settings = JobSettings {
        files: input.files.clone(),
        rounds,
        engine,
        checkpoint_every: arguments.checkpoint_every,
        checkpoints: folders.checkpoints,
        output: folders.output.clone(),
    };
    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let killed = count(&settings, &folder, seed, input.bytes_in(rounds), out)?;
    let comparison = compare(&folders.output, &input.reference, rounds)?;
    write_verdict(&comparison, out)?;

    let mut result = CommandResult::new("demo", given_arguments(), machine);
    result.demo = Some(demo_result(&input, rounds, &comparison, seed, &killed));
    // What a wrong result costs is of no interest.
    let mut measurement = None;
    if comparison.is_equal() && !arguments.skip_overhead {
        let measured = measure_overhead(arguments, engine, &input.files, &folder, out)?;
        overhead::write_report(&measured, out)?;
        result.overhead = Some(measured.result.clone());
        measurement = Some(measured);
    }
    let path = arguments.result_file();
    result.write(&path)?;
    writeln!(out, "\nresult: {}", path.display())?;
    let (shard_count, driver) = (engine.shard_count(), &calibration.driver.reason);
    let page = of_demo(
        &killed,
        &comparison,
        measurement.as_ref(),
        shard_count,
        driver,
    );
    let report = page.write(&arguments.dir)?;
    writeln!(out, "report: {}", report.display())?;
    Ok(match comparison.is_equal() {
        true => Exit::Ok,
        false => Exit::Corrupt,
    })
}

/// What is counted, and what must come out.
struct Input {
    files: Vec<PathBuf>,
    byte_count: u64,
    reference: Reference,
}

impl Input {
    fn prepare(
        arguments: &DemoArguments,
        folder: &WorkFolder,
        out: &mut impl Write,
    ) -> Result<Self, DemoError> {
        let files = find_input(arguments, folder, out)?;
        let byte_count = total_bytes(&files)?;
        note("counting the input with a plain map, as the reference");
        let reference = Reference::of_files(&files)?;
        let of_what = match arguments.input.is_empty() {
            true => " (the source text of the crates in this build)",
            false => "",
        };
        writeln!(
            out,
            "input: {} in {} files{of_what}\n       {} identifiers (the records), {} distinct (the keys)",
            Unit::Bytes.text(byte_count),
            grouped(files.len() as u64),
            grouped(reference.record_count()),
            grouped(reference.key_count() as u64),
        )?;
        Ok(Self {
            files,
            byte_count,
            reference,
        })
    }

    fn calibrate(
        &self,
        arguments: &DemoArguments,
        engine: EngineSettings,
        folder: &WorkFolder,
    ) -> Result<Calibration, DemoError> {
        note("calibrating: one round and a little more without checkpoints");
        let window = match arguments.quick {
            true => CALIBRATION_QUICK,
            false => CALIBRATION,
        };
        calibrate(engine, &self.files, self.byte_count, window, folder)
    }

    fn bytes_in(&self, rounds: NonZeroU64) -> u64 {
        self.byte_count.saturating_mul(rounds.get())
    }
}

fn find_input(
    arguments: &DemoArguments,
    folder: &WorkFolder,
    out: &mut impl Write,
) -> Result<Vec<PathBuf>, DemoError> {
    if arguments.input.is_empty() {
        return Ok(default_corpus()?);
    }
    let expanded = expand(&arguments.input, io::stdin().lock(), folder.root())?;
    if let Some(copy) = expanded.spooled {
        writeln!(
            out,
            "standard input was copied to {} to be read again",
            copy.display()
        )?;
    }
    Ok(expanded.files)
}

/// How often to read the input so that counting takes about `wanted`.
fn rounds_for(wanted: Duration, calibration: &Calibration, input_bytes: u64) -> NonZeroU64 {
    let rounds = wanted.as_secs_f64() * calibration.bytes_per_second / input_bytes as f64;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction of a round is dropped"
    )]
    NonZeroU64::new(rounds as u64).unwrap_or(NonZeroU64::MIN)
}

fn write_plan(
    arguments: &DemoArguments,
    input: &Input,
    engine: EngineSettings,
    calibration: &Calibration,
    rounds: NonZeroU64,
    machine: &Machine,
    out: &mut impl Write,
) -> io::Result<()> {
    let shards = engine.shard_count();
    let plural = if shards == 1 { "" } else { "s" };
    writeln!(
        out,
        "runs:  {shards} shard{plural}, {}",
        calibration.driver.reason
    )?;
    writeln!(
        out,
        "       {rounds} rounds of the input, {} in all (calibrated at {} without checkpoints)",
        Unit::Bytes.text(input.bytes_in(rounds)),
        per_second(calibration.identifiers_per_second, "records"),
    )?;
    writeln!(
        out,
        "       checkpoints every {} to {} ({}{})",
        duration(arguments.checkpoint_every),
        arguments.dir.display(),
        machine
            .file_system
            .as_deref()
            .unwrap_or("unknown file system"),
        if machine.is_tmpfs {
            ": memory, not a disk"
        } else {
            ""
        },
    )
}

/// Runs the job in child processes of this same program.
fn count(
    settings: &JobSettings,
    folder: &WorkFolder,
    seed: u64,
    bytes_total: u64,
    out: &mut impl Write,
) -> Result<KillReport, DemoError> {
    let text = serde_json::to_vec(settings).map_err(io::Error::from)?;
    let file = folder.write("settings.json", &text)?;
    let program = env::current_exe()?;
    let command = || {
        let mut command = Command::new(&program);
        command.arg("demo-child").arg(&file);
        command
    };
    let moment = KillMoment::from_seed(seed, settings.checkpoint_every);
    let mut progress = Progress::new(bytes_total);
    let report = run_with_kill(command, bytes_total, moment, &mut progress)?;
    progress.finish();
    writeln!(
        out,
        "\nkilled with SIGKILL after {} (--seed {seed})",
        Unit::Bytes.text(report.killed_at_bytes),
    )?;
    writeln!(
        out,
        "recovered from checkpoint {} in {:.1} ms (process start to first record), read {} again",
        report.recovered.checkpoint_number,
        report.recovered.recovery_ms,
        Unit::Bytes.text(report.replayed_bytes()),
    )?;
    Ok(report)
}

fn measure_overhead(
    arguments: &DemoArguments,
    engine: EngineSettings,
    files: &[PathBuf],
    folder: &WorkFolder,
    out: &mut impl Write,
) -> Result<Measurement, DemoError> {
    let (pair_count, window) = match arguments.quick {
        true => (PAIR_COUNT_QUICK, WINDOW_QUICK),
        false => (PAIR_COUNT, WINDOW),
    };
    let plan = overhead::Plan {
        engine,
        checkpoint_every: arguments.checkpoint_every,
        pair_count,
        window,
    };
    let lines = Lines::of_files(files)?;
    writeln!(
        out,
        "\nwhat checkpoints cost: the same flow over lines in memory ({}), {pair_count} times {} each",
        Unit::Bytes.text(lines.byte_count()),
        duration(window),
    )?;
    let mut pair_number = 0;
    overhead::measure(&plan, &lines, folder, |pair| {
        pair_number += 1;
        note(&format!(
            "pair {pair_number} of {pair_count}: checkpoints off {}, on {}",
            per_second(pair.off, "records"),
            per_second(pair.on, "records"),
        ));
    })
}

fn demo_result(
    input: &Input,
    rounds: NonZeroU64,
    comparison: &ComparisonReport,
    seed: u64,
    killed: &KillReport,
) -> DemoResult {
    DemoResult {
        input_bytes: input.byte_count,
        rounds: rounds.get(),
        key_count: comparison.key_count,
        row_count: comparison.row_count,
        is_equal: comparison.is_equal(),
        kill: Some(KillResult {
            seed,
            checkpoint_number: killed.recovered.checkpoint_number,
            recovery_ms: killed.recovered.recovery_ms,
            replayed_bytes: killed.replayed_bytes(),
        }),
    }
}

fn given_arguments() -> Vec<String> {
    let given = env::args_os().skip(1);
    given
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use frazil::{Driver, DriverDecision};

    #[test]
    fn rounds_follow_the_wanted_time_and_are_never_zero() {
        let calibration = Calibration {
            bytes_per_second: 100.0,
            identifiers_per_second: 10.0,
            driver: DriverDecision {
                driver: Driver::Thread,
                reason: String::new(),
            },
        };
        let rounds =
            |seconds, bytes| rounds_for(Duration::from_secs(seconds), &calibration, bytes).get();
        assert_eq!(rounds(30, 50), 60);
        assert_eq!(rounds(1, 1_000_000), 1);
    }
}
