//! The command `doctor`.

use super::finding::{Finding, Status};
use super::system::System;
use super::{cpu, disk, driver, memory, quota};
use crate::exit::Exit;
use crate::limits::RawDisk;
use crate::machine::Machine;
use crate::measure_error::MeasureError;
use crate::probe::cpus::cpus;
use crate::probe::hiccups::{Hiccups, floor_ns};
use crate::probe::steal::MachineTicks;
use crate::result::{SCHEMA_VERSION, write_json};
use crate::scratch::Scratch;
use crate::workspace;
use clap::Args;
use frazil::DriverChoice;
use frazil::storage::FileStorage;
use rustix::fs::statvfs;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long each CPU is looked at.
const LOOK: Duration = Duration::from_millis(200);
const CLOCK_READ_COUNT: u32 = 10_000;
const DISK_BYTES: u64 = 16 << 20;
/// Stands for standard output.
const STANDARD_OUTPUT: &str = "-";

/// The options of `doctor`.
#[derive(Clone, Debug, Args)]
pub struct DoctorArguments {
    /// File for the findings as JSON; without FILE they are printed, instead of the text
    #[arg(
        long,
        value_name = "FILE",
        num_args = 0..=1,
        default_missing_value = STANDARD_OUTPUT
    )]
    pub json: Option<PathBuf>,
    /// Folder on the disk that checkpoints would go to; a small file is written there and removed
    #[arg(long, value_name = "DIR", default_value_os_t = workspace::default_directory())]
    pub dir: PathBuf,
}

#[derive(Serialize)]
struct Stored<'a> {
    schema_version: u32,
    command: &'static str,
    machine: &'a Machine,
    /// Whether nothing failed.
    is_fit: bool,
    findings: &'a [Finding],
}

/// Looks at this machine and prints what it found, one line a finding and one a remedy.
///
/// # Errors
///
/// What keeps the findings from being written. A machine that is not fit is no error but
/// [`Exit::UnfitEnvironment`].
pub fn run(arguments: &DoctorArguments, out: &mut impl Write) -> Result<Exit, MeasureError> {
    let machine = Machine::read(&arguments.dir);
    let findings = look(&machine, &arguments.dir);
    let is_fit = findings.iter().all(|found| found.status != Status::Fail);
    let stored = Stored {
        schema_version: SCHEMA_VERSION,
        command: "doctor",
        machine: &machine,
        is_fit,
        findings: &findings,
    };
    match &arguments.json {
        Some(path) if path.as_os_str() == STANDARD_OUTPUT => {
            let text = serde_json::to_string_pretty(&stored).expect("every field has a JSON form");
            writeln!(out, "{text}")?;
        }
        path => {
            print(&machine, &findings, out)?;
            if let Some(path) = path {
                write_json(path, &stored)?;
            }
        }
    }
    Ok(if is_fit {
        Exit::Ok
    } else {
        Exit::UnfitEnvironment
    })
}

fn print(
    machine: &Machine,
    findings: &[Finding],
    out: &mut impl Write,
) -> Result<(), MeasureError> {
    writeln!(
        out,
        "is this machine fit for low latency?\n{}\n",
        machine.line()
    )?;
    for finding in findings {
        write!(out, "{}", finding.text())?;
    }
    let count = |status| {
        findings
            .iter()
            .filter(|found| found.status == status)
            .count()
    };
    let verdict = match (count(Status::Fail), count(Status::Warn)) {
        (0, 0) => "fit".to_owned(),
        (0, warnings) => format!("fit, with {warnings} things that lengthen the tail of latency"),
        (failures, _) => format!("not fit: {failures} things keep Frazil from running"),
    };
    writeln!(out, "\n{verdict}")?;
    Ok(())
}

fn look(machine: &Machine, directory: &Path) -> Vec<Finding> {
    let (system, cpus) = (System::here(), cpus());
    let chosen = frazil::choose_driver(DriverChoice::Auto);
    let named = frazil::choose_driver(DriverChoice::Glommio);
    let ticks = MachineTicks::now();
    let delay_ns = floor_ns(&Hiccups::of_all(LOOK));
    let stolen_part = MachineTicks::now().stolen_since(ticks);
    let drivers = chosen.map(|chosen| driver::driver(&chosen, &named));
    let mut findings: Vec<Finding> = drivers.into_iter().collect();
    findings.extend([
        driver::io_uring(&system, &named),
        memory::memlock(&system, getrlimit(Resource::Memlock).current, cpus.len()),
        cpu::cores(cpus),
        quota::cpu_quota(&system),
        cpu::governor(&system, cpus),
        cpu::idle_states(&system, cpus),
        cpu::smt(&system, cpus),
        cpu::isolated(&system, cpus),
        cpu::hiccups(Duration::from_secs_f64(delay_ns / 1e9), stolen_part),
        cpu::clock(&system, clock_read()),
        memory::room(&system),
        memory::huge_pages(&system),
        memory::swap(&system),
        memory::overcommit(&system),
        disk::file_system(machine, directory),
        disk::speed(&measure_disk(directory)),
        disk::free_space(free_bytes(directory)),
    ]);
    findings
}

/// What reading the clock takes, on average.
fn clock_read() -> Duration {
    let begun = Instant::now();
    for _ in 0..CLOCK_READ_COUNT {
        black_box(Instant::now());
    }
    begun.elapsed() / CLOCK_READ_COUNT
}

fn measure_disk(directory: &Path) -> Result<RawDisk, MeasureError> {
    let scratch = Scratch::new(directory, "doctor")?;
    RawDisk::of(&FileStorage::open(scratch.folder())?, DISK_BYTES)
}

fn free_bytes(directory: &Path) -> Option<u64> {
    let facts = statvfs(directory).ok()?;
    facts.f_bavail.checked_mul(facts.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_looked_at_from_all_sides() {
        let folder = tempfile::tempdir().unwrap();
        let mut out = Vec::new();
        let arguments = DoctorArguments {
            json: Some(folder.path().join("doctor.json")),
            dir: folder.path().to_path_buf(),
        };
        let exit = run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let stored = std::fs::read(folder.path().join("doctor.json")).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&stored).unwrap();
        let names = [
            "driver",
            "io_uring",
            "memlock",
            "governor",
            "SMT",
            "isolated cores",
            "huge pages",
            "clock source",
            "swap",
            "file system",
            "disk",
        ];
        let findings = json["findings"].as_array().unwrap();
        for name in names {
            assert!(text.contains(name), "{name} is missing in {text}");
            let named = findings.iter().filter(|found| found["name"] == name);
            assert_eq!(named.count(), 1, "{name}");
        }
        assert_eq!(json["is_fit"], exit == Exit::Ok);
        assert!(!folder.path().join("doctor").exists());
    }

    #[test]
    fn without_a_file_json_replaces_the_text() {
        let folder = tempfile::tempdir().unwrap();
        let arguments = DoctorArguments {
            json: Some(STANDARD_OUTPUT.into()),
            dir: folder.path().to_path_buf(),
        };
        let mut out = Vec::new();
        run(&arguments, &mut out).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["command"], "doctor");
    }

    #[test]
    fn a_folder_that_cannot_be_written_makes_the_machine_unfit() {
        let arguments = DoctorArguments {
            json: None,
            dir: "/proc/no".into(),
        };
        let mut out = Vec::new();
        let exit = run(&arguments, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(exit, Exit::UnfitEnvironment, "{text}");
        assert!(text.contains("FAIL") && text.contains("not fit"), "{text}");
    }
}
