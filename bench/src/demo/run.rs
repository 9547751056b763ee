//! The parent's side of the main job.

use super::error::DemoError;
use super::kill_run::{KillReport, run_with_kill};
use super::protocol::JobSettings;
use crate::child::{KillMoment, fresh_seed};
use crate::cli::DemoArguments;
use crate::committed_rows::read_rows;
use crate::corpus::expand::expand;
use crate::corpus::fetched::default_corpus;
use crate::corpus::size::total_bytes;
use crate::corpus::tree::append_files;
use crate::exit::Exit;
use crate::machine::Machine;
use crate::progress::Progress;
use crate::reference::{ComparisonReport, Reference};
use crate::result::{CommandResult, DemoResult, KillResult};
use crate::text::units::{Unit, grouped};
use std::env;
use std::fs;
use std::io::{self, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

/// Runs the main job and prints its report to `out`.
///
/// # Errors
///
/// [`DemoError`] if it could not be done; a wrong result is no error but [`Exit::Corrupt`].
pub fn run(arguments: &DemoArguments, out: &mut impl Write) -> Result<Exit, DemoError> {
    let folder = WorkFolder::create(&arguments.dir)?;
    let files = find_input(arguments, &folder, out)?;
    let input_bytes = total_bytes(&files)?;

    let started = Instant::now();
    let reference = Reference::of_files(&files)?;
    let rounds = arguments
        .rounds
        .unwrap_or_else(|| rounds_for(arguments.duration(), started.elapsed(), cores(arguments)));
    writeln!(
        out,
        "input: {} files, {}, {} identifiers, {} distinct; {rounds} rounds",
        grouped(files.len() as u64),
        Unit::Bytes.text(input_bytes),
        grouped(reference.record_count()),
        grouped(reference.key_count() as u64),
    )?;

    let seed = arguments.seed.unwrap_or_else(fresh_seed);
    let settings = folder.write_settings(arguments, files, rounds)?;
    let report = count(
        arguments,
        &settings,
        seed,
        input_bytes.saturating_mul(rounds.get()),
        out,
    )?;

    let comparison = compare(&folder, &reference, rounds)?;
    print_comparison(&comparison, out)?;
    let demo = DemoResult {
        input_bytes,
        rounds: rounds.get(),
        key_count: comparison.key_count,
        row_count: comparison.row_count,
        is_equal: comparison.is_equal(),
        kill: Some(kill_result(seed, &report)),
    };
    store(arguments, demo, out)?;
    Ok(if comparison.is_equal() {
        Exit::Ok
    } else {
        Exit::Corrupt
    })
}

/// The folders of one run, all below one folder of our own, which each run empties.
struct WorkFolder {
    root: PathBuf,
}

impl WorkFolder {
    fn create(directory: &Path) -> Result<Self, DemoError> {
        let folder = Self {
            root: directory.join("demo"),
        };
        let root = &folder.root;
        let remake = || {
            if root.exists() {
                fs::remove_dir_all(root)?;
            }
            fs::create_dir_all(folder.output())
        };
        remake().map_err(|source| Self::error(root, source))?;
        Ok(folder)
    }

    fn output(&self) -> PathBuf {
        self.root.join("output")
    }

    fn write_settings(
        &self,
        arguments: &DemoArguments,
        files: Vec<PathBuf>,
        rounds: NonZeroU64,
    ) -> Result<PathBuf, DemoError> {
        let settings = JobSettings {
            files,
            rounds,
            core_count: arguments.cores,
            driver: arguments.driver,
            checkpoint_every: arguments.checkpoint_every,
            checkpoint_directory: self.root.join("checkpoints"),
            output_directory: self.output(),
        };
        let path = self.root.join("settings.json");
        serde_json::to_vec(&settings)
            .map_err(io::Error::from)
            .and_then(|text| fs::write(&path, text))
            .map_err(|source| Self::error(&path, source))?;
        Ok(path)
    }

    fn error(path: &Path, source: io::Error) -> DemoError {
        DemoError::WorkFolder {
            path: path.to_path_buf(),
            source,
        }
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
    let expanded = expand(&arguments.input, io::stdin().lock(), &folder.root)?;
    if let Some(copy) = expanded.spooled {
        writeln!(
            out,
            "standard input was copied to {} to be read again",
            copy.display()
        )?;
    }
    Ok(expanded.files)
}

fn cores(arguments: &DemoArguments) -> usize {
    arguments
        .cores
        .or_else(|| thread::available_parallelism().ok())
        .map_or(1, usize::from)
}

/// How often to read the input so that the job takes about `wanted`, when one thread with a plain
/// map took `single` for it: all cores together count about as fast as so many plain maps.
fn rounds_for(wanted: Duration, single: Duration, core_count: usize) -> NonZeroU64 {
    let single_seconds = single.as_secs_f64().max(1e-6);
    let rounds = wanted.as_secs_f64() * core_count as f64 / single_seconds;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a fraction of a round is dropped"
    )]
    NonZeroU64::new(rounds as u64).unwrap_or(NonZeroU64::MIN)
}

/// Runs the job in child processes of this same program.
fn count(
    arguments: &DemoArguments,
    settings: &Path,
    seed: u64,
    bytes_total: u64,
    out: &mut impl Write,
) -> Result<KillReport, DemoError> {
    let program = env::current_exe()?;
    let command = || {
        let mut command = Command::new(&program);
        command.arg("demo-child").arg(settings);
        command
    };
    let moment = KillMoment::from_seed(seed, arguments.checkpoint_every);
    let mut progress = Progress::new(bytes_total);
    let report = run_with_kill(command, bytes_total, moment, &mut progress)?;
    progress.finish();
    writeln!(
        out,
        "killed with SIGKILL (--seed {seed}), recovered from checkpoint {} in {:.1} ms, \
         read {} again",
        report.recovered.checkpoint_number,
        report.recovered.recovery_ms,
        Unit::Bytes.text(report.recovered.replayed_bytes),
    )?;
    Ok(report)
}

fn compare(
    folder: &WorkFolder,
    reference: &Reference,
    rounds: NonZeroU64,
) -> Result<ComparisonReport, DemoError> {
    let is_csv = |path: &Path| path.extension().is_some_and(|extension| extension == "csv");
    let mut committed = Vec::new();
    append_files(&folder.output(), is_csv, &mut committed)?;
    let mut comparison = reference.compare(rounds.get());
    for file in committed {
        read_rows(&file, |identifier, count| {
            comparison.add_row(identifier, count)
        })?;
    }
    Ok(comparison.finish())
}

fn print_comparison(comparison: &ComparisonReport, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "committed: {} keys, {} rows",
        grouped(comparison.key_count),
        grouped(comparison.row_count),
    )?;
    let answer = if comparison.is_equal() { "yes" } else { "no" };
    writeln!(out, "equal to the reference: {answer}")?;
    for difference in &comparison.differences {
        writeln!(out, "  {difference}")?;
    }
    let unlisted = comparison.difference_count - comparison.differences.len() as u64;
    if unlisted > 0 {
        writeln!(out, "  and {} more", grouped(unlisted))?;
    }
    Ok(())
}

fn store(
    arguments: &DemoArguments,
    demo: DemoResult,
    out: &mut impl Write,
) -> Result<(), DemoError> {
    let given = env::args_os()
        .skip(1)
        .map(|argument| argument.to_string_lossy().into_owned());
    let machine = Machine::read(&arguments.dir);
    let mut result = CommandResult::new("demo", given.collect(), machine);
    result.demo = Some(demo);
    let path = arguments.result_file();
    result.write(&path)?;
    writeln!(out, "result: {}", path.display())?;
    Ok(())
}

fn kill_result(seed: u64, report: &KillReport) -> KillResult {
    KillResult {
        seed,
        checkpoint_number: report.recovered.checkpoint_number,
        recovery_ms: report.recovered.recovery_ms,
        replayed_bytes: report.recovered.replayed_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_follow_the_wanted_time_and_are_never_zero() {
        let second = Duration::from_secs(1);
        assert_eq!(rounds_for(30 * second, second, 2).get(), 60);
        assert_eq!(rounds_for(second, 30 * second, 2).get(), 1);
        assert!(rounds_for(second, Duration::ZERO, 1).get() > 1);
    }

    #[test]
    fn new_run_empties_its_own_folder_only() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("mine");
        fs::write(&other, "x").unwrap();
        let work = WorkFolder::create(folder.path()).unwrap();
        fs::write(work.output().join("old.csv"), "x").unwrap();
        let work = WorkFolder::create(folder.path()).unwrap();
        assert_eq!(fs::read_dir(work.output()).unwrap().count(), 0);
        assert!(other.is_file());
    }

    #[test]
    fn committed_files_are_compared_with_the_reference() {
        let folder = tempfile::tempdir().unwrap();
        let work = WorkFolder::create(folder.path()).unwrap();
        fs::write(work.output().join("1.csv"), "a,1\na,2\n").unwrap();
        fs::write(work.output().join("2.csv"), "a,2\n").unwrap();
        fs::write(work.output().join("3.csv.pending"), "a,9\n").unwrap();
        let mut reference = Reference::default();
        reference.add_text(b"a");

        let report = compare(&work, &reference, NonZeroU64::new(2).unwrap()).unwrap();
        let mut out = Vec::new();
        print_comparison(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "committed: 1 keys, 3 rows\nequal to the reference: yes\n"
        );

        let report = compare(&work, &reference, NonZeroU64::MIN).unwrap();
        let mut out = Vec::new();
        print_comparison(&report, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("reference: no\n  repeated row") || text.contains("unexpected row"));
    }
}
