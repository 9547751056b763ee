//! The glommio driver: one executor a thread, one long-lived task in it.
//!
//! Five properties of glommio 0.9 shape this file:
//!
//! * If an executor's preempt timer expires between being set and the first task's turn, the
//!   executor takes that for idleness and parks with its task ready to run. Before the task was
//!   polled once, nothing can wake it again. So the timer is set so far ahead that it never
//!   expires, and the task gives way to the reactor by its own clock. What stalls remain end by the
//!   [`Heartbeat`](super::Heartbeat), for which the bell keeps a *cloned* waker while the task
//!   lives.
//! * The reactor runs only when no task is ready, so giving way means waiting, for a timer that was
//!   set at the start of the interval and has expired by then: the reactor finds it and does not
//!   sleep.
//! * A panic in a task takes its executor down half way, so panics are caught in every poll.
//! * A task alive at shutdown leaks, so the loop is dropped and its bell disarmed inside the task.
//! * An executor leaves a descriptor and memory behind, so executors are lent by a
//!   [pool](super::executor_pool) and never end.
//!
//! Whether `io_uring` works at all is for the [preflight](super::choose_driver) to say: where it
//! does not, glommio panics or even ends the process.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use glommio::timer::Timer;
use glommio::{LocalExecutor, LocalExecutorBuilder, Placement, PoolPlacement};

use super::drive::{Drive, Next, Plan};
use super::pinned::{PanicMessage, StartReport};
use super::placement::CpuId;
use super::turn::PinnedLoop;

/// Smallest registered buffer that glommio accepts; bulk data does not go through its buffers.
const IO_MEMORY_BYTES: usize = 64 << 10;

/// The executor's own preempt timer: never, on the scale of a process's pauses.
const PREEMPT_NEVER: Duration = Duration::from_secs(3600);

/// How often a busy loop gives way to the reactor; one pass costs about 10 us.
const GIVE_WAY_INTERVAL: Duration = Duration::from_millis(1);

/// Turns between two looks at the clock.
const TURN_COUNT_PER_LOOK: u32 = 16;

/// What loops run on.
pub(super) type Executor = LocalExecutor;

/// Reports, and turns the loop on the current thread's executor until it is done or panics. The
/// executor can run other loops afterwards.
pub(super) fn run<L, F>(
    executor: &Executor,
    start: &StartReport,
    plan: Plan<F>,
) -> Result<(), PanicMessage>
where
    F: FnOnce() -> L + 'static,
    L: PinnedLoop + 'static,
{
    start.running();
    executor.run(async move {
        let outcome = catch_panics(turn_until_done(plan)).await;
        outcome.map_err(|payload| PanicMessage::from_payload(payload.as_ref()))
    })
}

/// An executor for the current thread, which it pins.
pub(super) fn make_executor(cpu: Option<CpuId>) -> Result<Executor, String> {
    let placement = cpu
        .and_then(CpuId::index)
        .map_or(Placement::Unbound, Placement::Fixed);
    let builder = LocalExecutorBuilder::new(placement)
        .io_memory(IO_MEMORY_BYTES)
        .preempt_timer(PREEMPT_NEVER)
        // The default would pin the helper for blocking calls to the loop's own CPU.
        .blocking_thread_pool_placement(PoolPlacement::Unbound(1));
    let refusal = match catch_unwind(AssertUnwindSafe(|| builder.make())) {
        Ok(Ok(executor)) => return Ok(executor),
        Ok(Err(error)) => error.to_string(),
        Err(payload) => PanicMessage::from_payload(payload.as_ref()).to_string(),
    };
    Err(format!(
        "glommio gives no executor: {refusal}; raise RLIMIT_MEMLOCK and the limits of threads and \
         open files, or choose the thread driver"
    ))
}

async fn turn_until_done<L, F>(plan: Plan<F>)
where
    F: FnOnce() -> L,
    L: PinnedLoop,
{
    let waker = poll_fn(|context| Poll::Ready(context.waker().clone())).await;
    let mut drive: Drive<L> = plan.build(waker);
    loop {
        let give_way = arm_timer(GIVE_WAY_INTERVAL).await;
        let timer = match turn_until_pause(&mut drive, Instant::now() + GIVE_WAY_INTERVAL) {
            Next::Step => give_way,
            Next::Park(bound) => {
                drop(give_way);
                arm_timer(bound).await
            }
            Next::Done => return,
        };
        if timer.is_some() {
            until_woken().await;
        }
        drive.get_up();
    }
}

/// Steps until the loop wants to park, is done, or (`Next::Step`) has to give way.
fn turn_until_pause<L: PinnedLoop>(drive: &mut Drive<L>, due: Instant) -> Next {
    loop {
        for _ in 0..TURN_COUNT_PER_LOOK {
            let next = drive.step();
            if next != Next::Step {
                return next;
            }
        }
        if Instant::now() >= due {
            return Next::Step;
        }
    }
}

/// A timer that will wake this task; `None` if it has expired already.
async fn arm_timer(duration: Duration) -> Option<Timer> {
    let mut timer = Timer::new(duration);
    let is_pending =
        poll_fn(|context| Poll::Ready(Pin::new(&mut timer).poll(context).is_pending()));
    is_pending.await.then_some(timer)
}

/// Suspends the task until any wake: by a timer, by the bell or by force.
async fn until_woken() {
    let mut is_first_poll = true;
    poll_fn(|_| {
        if std::mem::take(&mut is_first_poll) {
            Poll::Pending
        } else {
            Poll::Ready(())
        }
    })
    .await;
}

/// The output of `future`, or the payload of a panic in one of its polls. What the future owned is
/// dropped while that panic unwinds.
async fn catch_panics<T>(future: impl Future<Output = T>) -> thread::Result<T> {
    let mut future = pin!(future);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(context))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(payload) => Poll::Ready(Err(payload)),
        },
    )
    .await
}
