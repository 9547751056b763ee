//! Ctrl-C: children are killed, the terminal is given back, the files of the run are removed, and
//! the process ends by the signal.

use crate::live::give_back;
use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;

/// A folder that other threads still write to may need more than one try.
const TRY_COUNT: u32 = 5;

/// What must not outlive the process.
static OWNED: Mutex<Vec<Owned>> = Mutex::new(Vec::new());

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
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    let listen = move || {
        for signal in signals.forever() {
            clean_up(&owned());
            // The shell learns what ended the process.
            drop(emulate_default_handler(signal));
        }
    };
    thread::Builder::new()
        .name("bench-signals".to_owned())
        .spawn(listen)?;
    Ok(())
}

/// Lets this process end when the one that started it does, however that happens.
///
/// # Errors
///
/// What the system says where it cannot.
pub fn end_with_parent() -> io::Result<()> {
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

fn owned() -> MutexGuard<'static, Vec<Owned>> {
    OWNED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Children first: they write into the folders.
fn clean_up(owned: &[Owned]) {
    for entry in owned {
        if let Owned::Child(id) = entry
            && let Some(id) = i32::try_from(*id).ok().and_then(Pid::from_raw)
        {
            // One that is gone already is what is wanted.
            let _ = kill_process(id, Signal::KILL);
        }
    }
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
