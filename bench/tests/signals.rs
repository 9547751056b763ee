//! SIGTERM and SIGINT end a long command by the signal, with its job stopped, its children gone and
//! its files removed.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

#[test]
fn a_signal_stops_the_job_of_a_child_and_ends_both() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let input = folder.path().join("input.txt");
        fs::write(&input, "let frazil = ice(7);\n".repeat(20_000)).unwrap();
        let work = folder.path().join("work");
        let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-bench"))
            .args([
                "demo",
                "--quick",
                "--skip-overhead",
                "--seconds",
                "600",
                "--input",
            ])
            .arg(&input)
            .arg("--dir")
            .arg(&work)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(command.stderr.take().unwrap()).lines();
        let runs =
            |line: &std::io::Result<String>| line.as_ref().unwrap().contains(", checkpoint ");
        let mut lines = lines.skip_while(|line| !runs(line));
        assert!(lines.next().is_some(), "the job never ran");
        kill_process(Pid::from_child(&command), signal).unwrap();
        // The child has the same standard error: its end is the end of both.
        assert!(lines.all(|line| line.is_ok()));
        assert_eq!(command.wait().unwrap().signal(), Some(number));
    }
}
