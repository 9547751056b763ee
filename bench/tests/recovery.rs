//! `recovery` as people run it: a real child, a real `kill -9`, and nothing left behind, whether it
//! ends by itself or by Ctrl-C.

use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

fn recovery(directory: &Path, more: &[&str]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_frazil-bench"))
        .args(["recovery", "--quick", "--dir"])
        .arg(directory)
        .args(more)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts")
}

/// Processes whose command line names `directory`.
fn processes_naming(directory: &Path) -> usize {
    let name = directory.to_str().expect("a plain name");
    let processes = fs::read_dir("/proc").expect("processes").flatten();
    processes
        .filter(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            String::from_utf8_lossy(&line).contains(name)
        })
        .count()
}

fn wait_until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_killed_job_comes_back_and_the_time_is_split() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("recovery.json");
    let json_text = json.to_str().unwrap();
    let more = ["--sizes", "2MiB", "--count", "1", "--json", json_text];
    let ended = recovery(folder.path(), &more).wait_with_output().unwrap();
    let text = String::from_utf8(ended.stdout).unwrap();
    assert!(ended.status.success(), "{text}");
    assert!(
        text.contains("process start to first correct record"),
        "{text}"
    );
    let json: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let size = &json["sizes"][0];
    assert!(size["chain_bytes"].as_u64().unwrap() > 2 << 20);
    for restore in ["eager", "mapped"] {
        let modes = size["modes"].as_array().unwrap();
        let mode = modes
            .iter()
            .find(|mode| mode["restore"] == restore)
            .unwrap();
        let split = &mode["restarts"][0];
        let part = |name: &str| split[name].as_f64().unwrap();
        let parts = ["process_ms", "open_ms", "base_ms", "chain_ms", "record_ms"];
        let sum: f64 = parts.map(part).iter().sum();
        assert!((sum - part("whole_ms")).abs() < 0.01, "{split}");
    }
    assert!(!folder.path().join("recovery").exists());
}

#[test]
fn an_interrupt_leaves_no_child_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let mut parent = recovery(folder.path(), &["--sizes", "64MiB"]);
    // The parent and its child.
    wait_until("a child starts", || processes_naming(folder.path()) == 2);
    let work = folder.path().join("recovery");
    wait_until("the job has files", || work.join("1").exists());
    let id = Pid::from_raw(i32::try_from(parent.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    assert_eq!(parent.wait().unwrap().signal(), Some(2));
    wait_until("the child ends", || processes_naming(folder.path()) == 0);
    assert!(!work.exists());
}
