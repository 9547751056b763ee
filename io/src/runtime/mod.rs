//! Pinned threads that drive an opaque loop, on one of two drivers with the same results.
//!
//! A [`PinnedLoop`] does one bounded piece of work a turn and never blocks. [`spawn_pinned`] gives
//! it a thread, a CPU and a driver: glommio on `io_uring`, or a plain thread where `io_uring` is
//! not available. [`choose_driver`] finds out which, before anything is started.
//!
//! | file | says |
//! |---|---|
//! | `turn` | what a loop is and how its turns are counted |
//! | `idle` | when an idle loop spins, yields or parks, and for how long |
//! | `bell` | how a parked loop is woken without a lost wake-up |
//! | `drive` | one step of a loop: turn, idle policy, doorbell; shared by both drivers |
//! | `pinned` | starting a pinned thread and what comes back from it |
//! | `thread_driver` | waiting on a plain thread |
//! | `glommio_driver` | waiting on a glommio executor; the one file that names glommio |
//! | `executor_pool` | glommio's executors and their threads, lent to loops and never ended |
//! | `heartbeat` | the thread that frees a loop whose executor parked with work to do |
//! | `helper` | threads that keep off the CPUs of loops |
//! | `vitals` | what a loop's thread uses and waits for, for a watchdog |
//! | `placement` | the CPUs that this process may use |
//! | `preflight` | which driver can run here, and why |

mod bell;
mod drive;
mod executor_pool;
mod glommio_driver;
mod heartbeat;
mod helper;
mod idle;
mod pinned;
mod placement;
mod preflight;
mod thread_driver;
mod turn;
mod vitals;

pub use bell::Bell;
pub use heartbeat::Heartbeat;
pub use helper::{spawn_helper, work_in_the_background};
pub use pinned::{LoopSpec, PanicMessage, PinnedThread, spawn_pinned};
pub use placement::{CpuId, available_cpus};
pub use preflight::{Driver, DriverChoice, DriverDecision, choose_driver};
pub use turn::{PinnedLoop, Turn, TurnCounter};
pub use vitals::Vitals;
