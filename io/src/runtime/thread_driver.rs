//! The plain driver: an ordinary thread, pinned, that parks between turns.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::thread::{self, Thread};

use super::drive::{Drive, Next, Plan};
use super::pinned::{PanicMessage, StartReport};
use super::placement::CpuId;
use super::turn::PinnedLoop;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// Pins the current thread, reports, and turns the loop until it is done or panics.
pub(super) fn run<L, F>(
    cpu: Option<CpuId>,
    start: &StartReport,
    plan: Plan<F>,
) -> Result<(), PanicMessage>
where
    F: FnOnce() -> L,
    L: PinnedLoop,
{
    if let Some(cpu) = cpu
        && !cpu.pin_current_thread()
    {
        start.failed(format!(
            "cannot pin it to {cpu}; choose one of available_cpus()"
        ));
        return Ok(());
    }
    start.running();
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    catch_unwind(AssertUnwindSafe(|| turn_until_done(plan.build(waker))))
        .map_err(|payload| PanicMessage::from_payload(payload.as_ref()))
}

fn turn_until_done<L: PinnedLoop>(mut drive: Drive<L>) {
    loop {
        match drive.step() {
            Next::Step => {}
            Next::Park(bound) => {
                thread::park_timeout(bound);
                drive.get_up();
            }
            Next::Done => return,
        }
    }
}
