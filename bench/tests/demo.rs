//! The command `demo` as people run it: the built program, a real kill, and its exit status.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Text with what makes counting go wrong: bytes that are no UTF-8 next to identifiers, line ends
/// of both kinds and none, digits in front, a last line without an end, an empty file.
fn write_input(folder: &Path) -> PathBuf {
    let input = folder.join("input");
    fs::create_dir_all(input.join("inner")).unwrap();
    let mut text = Vec::new();
    for number in 0..4_000_u64 {
        let word = number * number % 7_919;
        writeln!(text, "let word_{word} = f{}(9abc, 0x1F);\r", number % 97).unwrap();
        text.extend_from_slice(b"caf\xc3\xa9 a\xffb \xe2\x82x9\n\n");
    }
    text.extend_from_slice(b"last_line_without_an_end");
    fs::write(input.join("a.txt"), &text).unwrap();
    fs::write(input.join("empty.txt"), "").unwrap();
    fs::write(input.join("inner/b.txt"), b"last_line_goes_on_here\rno\xff").unwrap();
    input
}

struct Demo {
    folder: tempfile::TempDir,
    command: Command,
}

/// About two seconds of work that is not followed by measurements.
const SHORT: [&str; 3] = ["--skip-overhead", "--seconds", "2"];

impl Demo {
    fn new(options: &[&str]) -> Self {
        Self::with_interval("20ms", options)
    }

    fn with_interval(interval: &str, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-bench"));
        command
            .args(["demo", "--quick", "--checkpoint-every", interval, "--dir"])
            .arg(folder.path())
            .args(options);
        Self { folder, command }
    }

    fn short_over_text(options: &[&str]) -> Self {
        Self::over_text(&[&SHORT, options].concat())
    }

    fn over_text(options: &[&str]) -> Self {
        Self::new(options).reading_text()
    }

    fn reading_text(mut self) -> Self {
        let input = write_input(self.folder.path());
        self.command.arg("--input").arg(input);
        self
    }

    fn output(&mut self) -> Output {
        self.command.stdin(Stdio::null()).output().unwrap()
    }

    fn assert_equal(&mut self) -> String {
        let output = self.output();
        assert_well(&output)
    }

    fn result(&self) -> serde_json::Value {
        let text = fs::read(self.folder.path().join("result.json")).unwrap();
        serde_json::from_slice(&text).unwrap()
    }
}

/// Checks that the job was killed, recovered and was right; gives what was printed.
fn assert_well(output: &Output) -> String {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{printed}\n{errors}");
    for line in [
        "killed with SIGKILL after",
        "recovered from checkpoint",
        "equal to the reference: yes",
    ] {
        assert!(
            printed.contains(line),
            "no `{line}` in\n{printed}\n{errors}"
        );
    }
    printed
}

#[test]
fn survives_kills_at_moments_of_several_seeds() {
    for seed in ["1", "2", "3", "4"] {
        let mut demo = Demo::short_over_text(&["--seed", seed]);
        let printed = demo.assert_equal();
        assert!(printed.contains(&format!("--seed {seed}")), "{printed}");
        let result = demo.result();
        assert_eq!(result["demo"]["is_equal"], true);
        assert_eq!(result["demo"]["kill"]["seed"].to_string(), seed);
    }
}

#[test]
fn survives_a_kill_on_plain_threads() {
    let printed = Demo::short_over_text(&["--driver", "thread"]).assert_equal();
    assert!(printed.contains("plain threads: asked for"), "{printed}");
}

#[test]
fn survives_a_kill_on_one_core() {
    let printed = Demo::short_over_text(&["--cores", "1"]).assert_equal();
    assert!(printed.contains("1 shard,"), "{printed}");
}

#[test]
fn counts_standard_input_after_copying_it() {
    let mut demo = Demo::new(&[&SHORT[..], &["--input", "-"]].concat());
    let text = fs::read(write_input(demo.folder.path()).join("a.txt")).unwrap();
    let pipes = demo.command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = pipes.stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(&text).unwrap();
    let printed = assert_well(&child.wait_with_output().unwrap());
    assert!(
        printed.starts_with("standard input was copied to"),
        "{printed}"
    );
}

#[test]
fn measures_what_checkpoints_cost() {
    let mut demo = Demo::over_text(&["--seconds", "1"]);
    let printed = demo.assert_equal();
    assert!(printed.contains("throughput on/off"), "{printed}");
    let overhead = &demo.result()["overhead"];
    assert_eq!(overhead["pairs"].as_array().unwrap().len(), 3);
    assert!(overhead["ratio"]["median"].as_f64().unwrap() > 0.0);
    for name in ["freeze_ns", "sync_ns", "checkpoint_ns", "checkpoint_bytes"] {
        let count = overhead["histograms"][name]["count"].as_u64();
        assert!(count.unwrap() > 0, "{name}");
    }
}

#[test]
fn unreadable_input_is_a_bad_argument_and_is_named() {
    let output = Demo::new(&["--input", "/no/such/input"]).output();
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("cannot read /no/such/input"), "{errors}");
}

#[test]
fn job_too_short_to_be_killed_is_no_proof() {
    // No checkpoint before the end, so that the moment for the kill never comes, however slow the
    // machine is.
    let mut demo = Demo::with_interval("60s", &["--rounds", "1"]).reading_text();
    let output = demo.output();
    assert_eq!(output.status.code(), Some(3));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("so no recovery was shown"), "{errors}");
}
