//! What scripts rely on: every kind of end has its exit status, whatever the command.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn bench(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-bench"));
    command.args(arguments).output().unwrap()
}

fn assert_status(expected: i32, output: &Output) -> String {
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(expected), "{errors}");
    errors
}

#[test]
fn help_is_success_and_lists_the_statuses() {
    for arguments in [&["--help"][..], &["doctor", "--help"], &["compare", "-h"]] {
        let output = bench(arguments);
        assert_status(0, &output);
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(printed.contains("Exit status:"), "{printed}");
    }
}

#[test]
fn bad_arguments_are_bad_configuration() {
    for arguments in [
        &["--no-such-option"][..],
        &["latency", "--keys", "0"],
        &["ratios", "--only", "G99"],
        &["overhead", "--rate", "1", "--seconds", "1"],
    ] {
        let errors = assert_status(3, &bench(arguments));
        assert!(!errors.is_empty(), "{arguments:?}");
    }
}

#[test]
fn unreadable_files_are_failures_and_are_named() {
    let errors = assert_status(1, &bench(&["compare", "/no/such.json", "/no/such.json"]));
    assert!(errors.contains("/no/such.json"), "{errors}");
}

#[test]
fn a_folder_that_cannot_be_written_is_an_unfit_environment_for_the_doctor() {
    let output = bench(&["doctor", "--json", "--dir", "/proc/no"]);
    assert_status(4, &output);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["is_fit"], false);
}

/// Writes settings for the counting process that keeps checkpoints in `folder`.
fn settings(folder: &Path, driver: &str) -> String {
    fs::write(folder.join("input.txt"), "one two\n").unwrap();
    fs::create_dir_all(folder.join("output")).unwrap();
    let settings = serde_json::json!({
        "files": [folder.join("input.txt")],
        "rounds": 1,
        "engine": { "core_count": 1, "driver": driver, "barriers": { "mode": "aligned" } },
        "checkpoint_every": { "secs": 1, "nanos": 0 },
        "checkpoints": folder.join("checkpoints"),
        "output": folder.join("output"),
    });
    let path = folder.join("settings.json");
    fs::write(&path, settings.to_string()).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn damaged_checkpoints_are_corrupt() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), "thread");
    assert_status(0, &bench(&["demo-child", &settings]));
    let mut manifest_count = 0;
    for entry in fs::read_dir(folder.path().join("checkpoints")).unwrap() {
        let path = entry.unwrap().path();
        if path.to_str().unwrap().contains("manifest") {
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            fs::write(&path, bytes).unwrap();
            manifest_count += 1;
        }
    }
    assert!(manifest_count > 0);
    let errors = assert_status(2, &bench(&["demo-child", &settings]));
    assert!(errors.contains("checkpoints"), "{errors}");
}

#[test]
fn a_driver_that_cannot_run_here_is_an_unfit_environment() {
    let folder = tempfile::tempdir().unwrap();
    let settings = settings(folder.path(), &frazil::Driver::Glommio.to_string());
    let program = env!("CARGO_BIN_EXE_frazil-bench");
    let command = format!("ulimit -l 64 && exec '{program}' demo-child '{settings}'");
    let output = Command::new("sh").args(["-c", &command]).output().unwrap();
    let errors = assert_status(4, &output);
    assert!(errors.contains("locked-memory"), "{errors}");
}
