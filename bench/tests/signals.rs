//! SIGTERM and SIGINT end a long command by the signal, with its job stopped, its children gone and
//! its files removed.
#![expect(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::fs;
use std::io::{BufRead, BufReader, Lines};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use frazil::Checkpoints;
use rustix::process::{Pid, Signal, kill_process};

/// Starts the demo on a small input in `folder`, and waits until its child counts.
fn start_demo(folder: &Path) -> (Child, Lines<BufReader<ChildStderr>>) {
    let input = folder.join("input.txt");
    fs::write(&input, "let frazil = ice(7);\n".repeat(20_000)).unwrap();
    let options = [
        "demo",
        "--quick",
        "--skip-overhead",
        "--seconds",
        "600",
        "--input",
    ];
    let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-bench"))
        .args(options)
        .arg(&input)
        .arg("--dir")
        .arg(folder.join("work"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(command.stderr.take().unwrap()).lines();
    let runs = |line: std::io::Result<String>| line.unwrap().contains(", checkpoint ");
    assert!(lines.any(runs), "the job never ran");
    (command, lines)
}

#[test]
fn a_signal_stops_the_job_of_a_child_and_ends_both() {
    for (signal, number) in [(Signal::TERM, 15), (Signal::INT, 2)] {
        let folder = tempfile::tempdir().unwrap();
        let (mut command, mut lines) = start_demo(folder.path());
        kill_process(Pid::from_child(&command), signal).unwrap();
        // The child has the same standard error: its end is the end of both.
        assert!(lines.all(|line| line.is_ok()));
        assert_eq!(command.wait().unwrap().signal(), Some(number));
    }
}

/// The process that `parent` started.
fn child_of(parent: &Child) -> Pid {
    let parent = format!("{}", parent.id());
    let is_child = |stat: &String| {
        let behind_name = stat.rsplit_once(')').unwrap().1;
        behind_name.split_whitespace().nth(1) == Some(&parent)
    };
    let processes = fs::read_dir("/proc").unwrap().flatten();
    // Processes end meanwhile.
    let mut stats =
        processes.filter_map(|entry| fs::read_to_string(entry.path().join("stat")).ok());
    let child = stats.find(is_child).expect("it runs a child");
    let id: i32 = child.split(' ').next().unwrap().parse().unwrap();
    Pid::from_raw(id).unwrap()
}

#[test]
fn a_second_signal_cancels_what_does_not_stop() {
    let folder = tempfile::tempdir().unwrap();
    let (mut command, mut lines) = start_demo(folder.path());
    // It cannot make its last checkpoint, nor hear of any signal but the one that kills.
    kill_process(child_of(&command), Signal::STOP).unwrap();
    let parent = Pid::from_child(&command);
    kill_process(parent, Signal::INT).unwrap();
    let stops = |line: std::io::Result<String>| line.unwrap().contains("a second signal cancels");
    assert!(lines.any(stops), "the first signal was not heard");
    kill_process(parent, Signal::INT).unwrap();
    let rest: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line == "canceling"), "{rest:?}");
    assert_eq!(command.wait().unwrap().signal(), Some(2));
    let left = fs::read_dir(folder.path().join("work")).unwrap();
    let left: Vec<_> = left.flatten().map(|entry| entry.path()).collect();
    assert!(left.iter().all(|path| !path.is_dir()), "{left:?}");
}

#[test]
fn sigterm_stops_after_a_last_checkpoint_from_which_a_later_start_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name| folder.path().join(name);
    fs::write(path("input.txt"), "one two\n".repeat(1_000)).unwrap();
    fs::create_dir_all(path("output")).unwrap();
    // No checkpoint but the last one, and no end within a test's time.
    let settings = serde_json::json!({
        "files": [path("input.txt")],
        "rounds": 1_000_000_000,
        "engine": { "core_count": 1, "driver": "thread", "barriers": { "mode": "aligned" } },
        "checkpoint_every": { "secs": 100_000, "nanos": 0 },
        "checkpoints": path("checkpoints"),
        "output": path("output"),
    });
    fs::write(path("settings.json"), settings.to_string()).unwrap();
    let start = || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_frazil-bench"));
        command.arg("demo-child").arg(path("settings.json"));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let events = BufReader::new(child.stdout.take().unwrap()).lines();
        (child, events)
    };
    for starts in 1..=2 {
        let (mut child, mut events) = start();
        let mut before = Vec::new();
        let runs = events.any(|event| {
            before.push(event.unwrap());
            before
                .last()
                .is_some_and(|event| event.contains("progress"))
        });
        assert!(runs, "{before:?}");
        let recovered = before.iter().any(|event| event.contains("recovered"));
        assert_eq!(recovered, starts == 2, "{before:?}");
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        assert!(events.all(|event| event.is_ok()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        let stored = Checkpoints::manual().dir(path("checkpoints")).stored();
        let stored = stored.unwrap().checkpoints;
        assert_eq!(stored.len(), starts, "{stored:?}");
        assert!(stored.iter().all(|checkpoint| !checkpoint.finished));
    }
}
