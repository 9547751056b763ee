//! Threads with a glommio executor each, which loops borrow.
//!
//! An executor keeps a file descriptor and a kibibyte for ever after its end, so none ends: when
//! its loop is over, its thread waits, without any CPU time, for another one on the same CPU. The
//! pool has as many threads as loops ever ran at the same time.

use std::ffi::CString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::glommio_driver::{Executor, make_executor};
use super::pinned::PanicMessage;
use super::placement::CpuId;
use crate::IoError;

/// What a loop's thread is called while it has no loop.
const IDLE_NAME: &str = "frazil-idle";

/// Threads that wait for a loop.
static IDLE: Mutex<Vec<IdleThread>> = Mutex::new(Vec::new());

struct IdleThread {
    cpu: Option<CpuId>,
    work: Sender<Work>,
}

type Body = dyn FnOnce(&Executor) -> Result<(), PanicMessage> + Send;

struct Work {
    name: String,
    body: Box<Body>,
    /// Set before the thread can have another loop.
    is_ended: Arc<AtomicBool>,
    outcome: Sender<Result<(), PanicMessage>>,
}

/// A loop on a borrowed thread.
#[derive(Debug)]
pub(super) struct Borrowed {
    is_ended: Arc<AtomicBool>,
    outcome: Receiver<Result<(), PanicMessage>>,
}

impl Borrowed {
    /// True once the loop has ended.
    pub(super) fn is_finished(&self) -> bool {
        // Acquire: what the loop did is over for whoever sees this.
        self.is_ended.load(Ordering::Acquire)
    }

    /// Waits for the loop to end.
    pub(super) fn join(self) -> Result<(), PanicMessage> {
        let lost = |_| Err(PanicMessage::from_payload(&"the executor itself failed"));
        self.outcome.recv().unwrap_or_else(lost)
    }
}

/// Has `body` run on an executor on this CPU: an idle one, or a new one.
///
/// # Errors
/// [`IoError::Thread`] if the system refuses the thread, or glommio the executor.
pub(super) fn borrow(
    name: &str,
    cpu: Option<CpuId>,
    body: impl FnOnce(&Executor) -> Result<(), PanicMessage> + Send + 'static,
) -> Result<Borrowed, IoError> {
    let work = match take_idle(cpu) {
        Some(work) => work,
        None => start_thread(name, cpu)?,
    };
    let (sender, outcome) = channel();
    let is_ended = Arc::new(AtomicBool::new(false));
    let sent = work.send(Work {
        name: name.to_owned(),
        body: Box::new(body),
        is_ended: Arc::clone(&is_ended),
        outcome: sender,
    });
    sent.map_err(|_| IoError::Thread {
        name: name.to_owned(),
        reason: "its executor has failed; start again".to_owned(),
    })?;
    Ok(Borrowed { is_ended, outcome })
}

fn take_idle(cpu: Option<CpuId>) -> Option<Sender<Work>> {
    let mut idle = idle();
    let at = idle.iter().rposition(|thread| thread.cpu == cpu)?;
    Some(idle.swap_remove(at).work)
}

fn idle() -> MutexGuard<'static, Vec<IdleThread>> {
    // The list is changed by whole entries.
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start_thread(name: &str, cpu: Option<CpuId>) -> Result<Sender<Work>, IoError> {
    let refused = |reason: String| IoError::Thread {
        name: name.to_owned(),
        reason,
    };
    let (work, inbox) = channel();
    let (report, started) = sync_channel(1);
    let own = work.clone();
    let body = move || match make_executor(cpu) {
        Ok(executor) => {
            let _ = report.send(Ok(()));
            serve(&executor, cpu, own, &inbox);
        }
        Err(reason) => {
            let _ = report.send(Err(reason));
        }
    };
    let thread = thread::Builder::new().name(name.to_owned()).spawn(body);
    thread.map_err(|error| refused(error.to_string()))?;
    let lost = |_| Err("it ended before it ran".to_owned());
    started.recv().unwrap_or_else(lost).map_err(refused)?;
    Ok(work)
}

/// Runs loops for ever.
fn serve(executor: &Executor, cpu: Option<CpuId>, own: Sender<Work>, inbox: &Receiver<Work>) {
    while let Ok(work) = inbox.recv() {
        rename_thread(&work.name);
        let outcome = (work.body)(executor);
        rename_thread(IDLE_NAME);
        // Release: pairs with the acquire of whoever asks.
        work.is_ended.store(true, Ordering::Release);
        // Before the outcome: whoever has waited for it finds this thread idle.
        idle().push(IdleThread {
            cpu,
            work: own.clone(),
        });
        let _ = work.outcome.send(outcome);
    }
}

/// What the system shows; a name that it refuses is no reason to fail.
fn rename_thread(name: &str) {
    if let Ok(name) = CString::new(name) {
        let _ = rustix::thread::set_name(&name);
    }
}
