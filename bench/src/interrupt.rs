//! SIGINT and SIGTERM: jobs stop after a last checkpoint, in this process and in its children, the
//! terminal is given back, the files of the run are removed, and the process ends by the signal. A
//! second signal, or patience that has run out, cancels jobs and kills children.
//!
//! A terminal sends Ctrl-C to children as well. They leave it to their parent, which passes every
//! signal on to them as SIGTERM, so that one key press is one signal.

use crate::live::give_back;
use frazil::{JobHandle, Stopper};
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A folder that other threads still write to may need more than one try.
const TRY_COUNT: u32 = 5;

/// How long jobs and children may take to stop.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long canceled jobs may take to end: they wait for no disk.
const CANCEL_PATIENCE: Duration = Duration::from_secs(1);
/// Between two looks at them.
const LOOK_PAUSE: Duration = Duration::from_millis(20);

/// What must not outlive the process.
static OWNED: Mutex<Vec<Owned>> = Mutex::new(Vec::new());

/// Jobs of this process, over or not.
static JOBS: Mutex<Vec<Stopper>> = Mutex::new(Vec::new());

/// True from the first signal on.
static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Signals of the terminal are the parent's to pass on.
static IS_CHILD: AtomicBool = AtomicBool::new(false);

#[derive(Debug, PartialEq, Eq)]
enum Owned {
    Folder(PathBuf),
    Child(u32),
    Screen,
}

/// Begins to listen for SIGINT and SIGTERM.
///
/// # Errors
///
/// What keeps the handler from being installed.
pub fn install() -> io::Result<()> {
    let signals = Signals::new([SIGINT, SIGTERM])?;
    thread::Builder::new()
        .name("bench-signals".to_owned())
        .spawn(move || listen(signals))?;
    Ok(())
}

fn listen(mut signals: Signals) {
    let is_ours = |signal: &i32| *signal != SIGINT || !IS_CHILD.load(Ordering::Relaxed);
    let Some(signal) = signals.forever().find(is_ours) else {
        return;
    };
    IS_INTERRUPTED.store(true, Ordering::SeqCst);
    say("stopping after a last checkpoint; a second signal cancels");
    signal_children(Signal::TERM);
    jobs().iter().for_each(Stopper::stop);
    let is_stopped = wait_until(PATIENCE, || {
        signals.pending().any(|signal| is_ours(&signal))
    });
    if !is_stopped {
        say("canceling");
        signal_children(Signal::TERM);
        jobs().iter().for_each(Stopper::cancel);
        wait_until(CANCEL_PATIENCE, || false);
    }
    clean_up(&owned());
    // The shell learns what ended the process.
    drop(emulate_default_handler(signal));
}

/// Says something to whoever sent the signal: a child leaves it to its parent, and what has the
/// whole screen shows it by ending.
fn say(line: &str) {
    let has_screen = owned().contains(&Owned::Screen);
    if !has_screen && !IS_CHILD.load(Ordering::Relaxed) {
        eprintln!("{line}");
    }
}

/// Waits until no job runs and no child is left; false if that took too long or is to be given up.
fn wait_until(patience: Duration, mut gives_up: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    loop {
        let has_children = owned().iter().any(|entry| matches!(entry, Owned::Child(_)));
        if !has_children && jobs().iter().all(Stopper::is_over) {
            return true;
        }
        // A signal that came first counts, however late it is seen.
        if gives_up() || begun.elapsed() >= patience {
            return false;
        }
        thread::sleep(LOOK_PAUSE);
    }
}

/// Lets a signal stop this job.
#[must_use]
pub fn stopped_by_signals(handle: JobHandle) -> JobHandle {
    let mut jobs = jobs();
    jobs.retain(|job| !job.is_over());
    jobs.push(handle.stopper());
    // Read with the list locked: the listener stops what it finds there, or sees this.
    if IS_INTERRUPTED.load(Ordering::SeqCst) {
        handle.stop();
    }
    drop(jobs);
    handle
}

/// To be called before the process ends by itself, or says why a job has ended: does not return
/// once a signal has come, since the listener then ends the process.
pub fn wait_if_interrupted() {
    while IS_INTERRUPTED.load(Ordering::SeqCst) {
        thread::park();
    }
}

/// Lets this process end when the one that started it does, however that happens, and leaves
/// Ctrl-C to that one.
///
/// # Errors
///
/// What the system says where it cannot.
pub fn end_with_parent() -> io::Result<()> {
    IS_CHILD.store(true, Ordering::Relaxed);
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Something that is taken away on Ctrl-C while this lives.
#[derive(Debug)]
#[must_use = "only what is held is taken away"]
pub struct Guard(Owned);

impl Guard {
    /// The folder is removed with all that is in it.
    pub fn of_folder(path: &Path) -> Self {
        Self::new(|| Owned::Folder(path.to_path_buf()))
    }

    /// The child process is killed.
    pub fn of_child(id: u32) -> Self {
        Self::new(|| Owned::Child(id))
    }

    /// The terminal shows again what it showed before.
    pub(crate) fn of_screen() -> Self {
        Self::new(|| Owned::Screen)
    }

    fn new(make: impl Fn() -> Owned) -> Self {
        owned().push(make());
        Self(make())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        let mut owned = owned();
        if let Some(at) = owned.iter().position(|entry| *entry == self.0) {
            owned.swap_remove(at);
        }
    }
}

fn jobs() -> MutexGuard<'static, Vec<Stopper>> {
    JOBS.lock().unwrap_or_else(PoisonError::into_inner)
}

fn owned() -> MutexGuard<'static, Vec<Owned>> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

fn signal_children(signal: Signal) {
    send(signal, &owned());
}

fn send(signal: Signal, owned: &[Owned]) {
    for entry in owned {
        if let Owned::Child(id) = entry
            && let Some(id) = i32::try_from(*id).ok().and_then(Pid::from_raw)
        {
            // One that is gone already is what is wanted.
            let _ = kill_process(id, signal);
        }
    }
}

/// Children first: they write into the folders.
fn clean_up(owned: &[Owned]) {
    send(Signal::KILL, owned);
    if owned.contains(&Owned::Screen) {
        give_back();
    }
    for entry in owned {
        if let Owned::Folder(path) = entry {
            let removed = |_| fs::remove_dir_all(path).is_ok() || !path.exists();
            let _ = (0..TRY_COUNT).any(removed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn folders_and_children_are_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let (owned, other) = (folder.path().join("owned"), folder.path().join("other"));
        for path in [&owned, &other] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "x").unwrap();
        }
        let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
        clean_up(&[Owned::Folder(owned.clone()), Owned::Child(child.id())]);
        assert!(!owned.exists() && other.exists());
        assert_eq!(child.wait().unwrap().code(), None);
    }

    #[test]
    fn what_is_guarded_is_owned_as_long_as_its_guard_lives() {
        let is_owned = || owned().contains(&Owned::Folder("/no/such".into()));
        let guard = Guard::of_folder(Path::new("/no/such"));
        assert!(is_owned());
        drop(guard);
        assert!(!is_owned());
    }
}
