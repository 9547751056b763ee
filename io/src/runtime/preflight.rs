//! Which driver can run here: facts are probed, then judged by a pure function.
//!
//! The probe comes before glommio is touched, because glommio does not report what is missing:
//! where `io_uring` is blocked it panics and poisons itself for later tries, on a kernel that is
//! too old it ends the process.
#![expect(unsafe_code, reason = "rustix marks the io_uring system calls unsafe")]

use std::fmt;

use rustix::io::Errno;
use rustix::io_uring::{
    IoringOp, IoringRegisterOp, io_uring_params, io_uring_register, io_uring_setup,
};
use rustix::process::{Resource, getrlimit};
use rustix::thread::{CapabilitySet, capabilities};

use super::placement::available_cpus;
use crate::IoError;

/// What glommio demands of `RLIMIT_MEMLOCK`, for privileged users too.
///
/// A loop then locks 240 KiB of it: three rings of 16 KiB and a 64 KiB buffer registered with each.
/// All processes of a user share the limit, and what an ended loop had locked is given back late.
/// So this is also the room for one loop and its successor.
const MEMLOCK_BYTES_PER_LOOP: u64 = 512 << 10;

/// What drives a pinned loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// A glommio executor on `io_uring`.
    Glommio,
    /// A plain thread.
    Thread,
}

impl fmt::Display for Driver {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Glommio => "glommio",
            Self::Thread => "thread",
        })
    }
}

/// What the caller asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DriverChoice {
    /// glommio where it can run a loop on every available CPU, else plain threads.
    #[default]
    Auto,
    /// glommio where it can run at all, else an error. Loops that exceed the locked-memory limit
    /// together fail when they start.
    Glommio,
    /// Plain threads, always possible.
    Thread,
}

/// The outcome of the preflight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DriverDecision {
    /// The driver for all loops of this process.
    pub driver: Driver,
    /// Why, in one sentence for the start-up line.
    pub reason: String,
}

/// Finds out which driver can run here.
///
/// # Errors
/// [`IoError::DriverUnavailable`] if glommio was asked for by name and cannot run; the message
/// names the obstacle and the next step.
///
/// # Examples
/// ```
/// use frazil_io::runtime::{Driver, DriverChoice, choose_driver};
///
/// let decision = choose_driver(DriverChoice::Thread)?;
/// assert_eq!(decision.driver, Driver::Thread);
/// assert_eq!(decision.reason, "plain threads: asked for");
/// # Ok::<(), frazil_io::IoError>(())
/// ```
pub fn choose_driver(choice: DriverChoice) -> Result<DriverDecision, IoError> {
    decide(choice, &MachineFacts::probe())
}

/// What glommio's ability to run depends on.
#[derive(Clone, Copy, Debug)]
struct MachineFacts {
    io_uring: Result<(), RingObstacle>,
    /// Soft limit; `None` is unlimited.
    memlock_limit_bytes: Option<u64>,
    /// True with `CAP_IPC_LOCK`: then locked memory is not counted.
    is_memlock_uncounted: bool,
    /// Loops that the machine can usefully run.
    cpu_count: usize,
}

/// Why `io_uring` cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RingObstacle {
    /// The kernel knows the call and forbids it.
    Blocked,
    /// The kernel has no `io_uring`, or one without operations that glommio needs.
    TooOld,
    /// The call failed for another reason.
    Failed(Errno),
}

/// An obstacle to glommio, and what to do about it.
struct Obstacle {
    finding: String,
    next_step: &'static str,
}

fn decide(choice: DriverChoice, facts: &MachineFacts) -> Result<DriverDecision, IoError> {
    let threads = |why: &str| DriverDecision {
        driver: Driver::Thread,
        reason: format!("plain threads: {why}"),
    };
    match (choice, facts.obstacle(choice)) {
        (DriverChoice::Thread, _) => Ok(threads("asked for")),
        (DriverChoice::Auto | DriverChoice::Glommio, None) => Ok(DriverDecision {
            driver: Driver::Glommio,
            reason: "glommio on io_uring".to_owned(),
        }),
        (DriverChoice::Auto, Some(obstacle)) => Ok(threads(&obstacle.finding)),
        (DriverChoice::Glommio, Some(obstacle)) => Err(IoError::DriverUnavailable {
            driver: "glommio",
            reason: format!("{}; {}", obstacle.finding, obstacle.next_step),
        }),
    }
}

impl MachineFacts {
    fn probe() -> Self {
        let capabilities = capabilities(None);
        Self {
            io_uring: probe_io_uring(),
            memlock_limit_bytes: getrlimit(Resource::Memlock).current,
            is_memlock_uncounted: capabilities
                .is_ok_and(|sets| sets.effective.contains(CapabilitySet::IPC_LOCK)),
            cpu_count: available_cpus().len(),
        }
    }

    fn obstacle(&self, choice: DriverChoice) -> Option<Obstacle> {
        if let Err(obstacle) = self.io_uring {
            return Some(obstacle.explain());
        }
        let needed_bytes = self.memlock_needed_bytes(choice);
        let limit_bytes = self
            .memlock_limit_bytes
            .filter(|&bytes| bytes < needed_bytes)?;
        Some(Obstacle {
            finding: format!(
                "the locked-memory limit is {limit_bytes} bytes and glommio needs {needed_bytes}"
            ),
            next_step: "raise RLIMIT_MEMLOCK (`ulimit -l`, LimitMEMLOCK=, --ulimit memlock) or \
                        choose the thread driver",
        })
    }

    fn memlock_needed_bytes(&self, choice: DriverChoice) -> u64 {
        let loop_count = match choice {
            DriverChoice::Auto if !self.is_memlock_uncounted => self.cpu_count as u64,
            DriverChoice::Auto | DriverChoice::Glommio | DriverChoice::Thread => 1,
        };
        loop_count * MEMLOCK_BYTES_PER_LOOP
    }
}

impl RingObstacle {
    fn from_setup(errno: Errno) -> Self {
        match errno {
            Errno::PERM | Errno::ACCESS => Self::Blocked,
            Errno::NOSYS => Self::TooOld,
            other => Self::Failed(other),
        }
    }

    fn from_register(errno: Errno) -> Self {
        match errno {
            // Kernels before 5.6 do not know the question.
            Errno::INVAL => Self::TooOld,
            other => Self::from_setup(other),
        }
    }

    fn explain(self) -> Obstacle {
        match self {
            Self::Blocked => Obstacle {
                finding: "io_uring is blocked (seccomp or kernel.io_uring_disabled)".to_owned(),
                next_step: "allow io_uring_setup, io_uring_enter and io_uring_register in the \
                            container's seccomp profile, set kernel.io_uring_disabled=0, or choose \
                            the thread driver",
            },
            Self::TooOld => Obstacle {
                finding: "this kernel's io_uring is missing or too old".to_owned(),
                next_step: "run Linux 5.8 or newer, or choose the thread driver",
            },
            Self::Failed(errno) => Obstacle {
                finding: format!("io_uring does not work here ({errno})"),
                next_step: "choose the thread driver",
            },
        }
    }
}

/// Sets up a small ring, asks it for its newest operation, and closes it.
fn probe_io_uring() -> Result<(), RingObstacle> {
    const ENTRY_COUNT: u32 = 4;
    // RECV is the newest operation that glommio's own start-up check demands.
    const OPERATION_NEEDED: u8 = IoringOp::Recv as u8;

    let mut parameters = io_uring_params::default();
    // SAFETY: the parameters are zero, so ATTACH_WQ, for which `wq_fd` would matter, is not set.
    let ring = unsafe { io_uring_setup(ENTRY_COUNT, &mut parameters) }
        .map_err(RingObstacle::from_setup)?;

    // The header of the kernel's `io_uring_probe`; its first byte becomes the newest operation.
    // Asked for no operations in detail, the kernel reads and writes these 16 bytes and no more.
    let mut header = [0_u8; 16];
    // SAFETY: `header` is writable, zero as the kernel demands, lives through the call, and has the
    // length that the kernel derives from the count 0.
    unsafe {
        io_uring_register(
            &ring,
            IoringRegisterOp::RegisterProbe,
            header.as_mut_ptr().cast(),
            0,
        )
    }
    .map_err(RingObstacle::from_register)?;
    if header[0] < OPERATION_NEEDED {
        Err(RingObstacle::TooOld)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: MachineFacts = MachineFacts {
        io_uring: Ok(()),
        memlock_limit_bytes: None,
        is_memlock_uncounted: false,
        cpu_count: 8,
    };
    const BLOCKED: MachineFacts = MachineFacts {
        io_uring: Err(RingObstacle::Blocked),
        ..GOOD
    };
    const OLD: MachineFacts = MachineFacts {
        io_uring: Err(RingObstacle::TooOld),
        ..GOOD
    };
    const SMALL_MEMLOCK: MachineFacts = MachineFacts {
        memlock_limit_bytes: Some(64 << 10),
        is_memlock_uncounted: true,
        ..GOOD
    };

    fn unavailable_text(facts: &MachineFacts) -> String {
        let error = decide(DriverChoice::Glommio, facts).unwrap_err();
        assert!(matches!(
            error,
            IoError::DriverUnavailable {
                driver: "glommio",
                ..
            }
        ));
        error.to_string()
    }

    #[test]
    fn takes_glommio_where_nothing_is_in_its_way() {
        for choice in [DriverChoice::Auto, DriverChoice::Glommio] {
            let decision = decide(choice, &GOOD).unwrap();
            assert_eq!(decision.driver, Driver::Glommio);
            assert_eq!(decision.reason, "glommio on io_uring");
        }
    }

    #[test]
    fn takes_plain_threads_and_says_why_where_io_uring_is_blocked() {
        let decision = decide(DriverChoice::Auto, &BLOCKED).unwrap();
        assert_eq!(decision.driver, Driver::Thread);
        assert_eq!(
            decision.reason,
            "plain threads: io_uring is blocked (seccomp or kernel.io_uring_disabled)"
        );
    }

    #[test]
    fn takes_plain_threads_and_says_why_where_the_memlock_limit_is_small() {
        let decision = decide(DriverChoice::Auto, &SMALL_MEMLOCK).unwrap();
        assert_eq!(decision.driver, Driver::Thread);
        assert!(decision.reason.contains("65536"), "{}", decision.reason);
        assert!(decision.reason.contains("524288"), "{}", decision.reason);
    }

    #[test]
    fn the_memlock_limit_must_cover_a_loop_on_every_cpu_where_it_is_counted() {
        let eight_loops_bytes = 8 * MEMLOCK_BYTES_PER_LOOP;
        let driver = |bytes, is_memlock_uncounted| {
            let facts = MachineFacts {
                memlock_limit_bytes: Some(bytes),
                is_memlock_uncounted,
                ..GOOD
            };
            decide(DriverChoice::Auto, &facts).unwrap().driver
        };
        assert_eq!(driver(eight_loops_bytes, false), Driver::Glommio);
        assert_eq!(driver(eight_loops_bytes - 1, false), Driver::Thread);
        assert_eq!(driver(MEMLOCK_BYTES_PER_LOOP, true), Driver::Glommio);
        assert_eq!(driver(MEMLOCK_BYTES_PER_LOOP - 1, true), Driver::Thread);
    }

    #[test]
    fn glommio_by_name_asks_for_the_memory_of_one_loop() {
        let limit = Some(MEMLOCK_BYTES_PER_LOOP);
        let facts = MachineFacts {
            memlock_limit_bytes: limit,
            ..GOOD
        };
        assert_eq!(
            decide(DriverChoice::Glommio, &facts).unwrap().driver,
            Driver::Glommio
        );
    }

    #[test]
    fn glommio_by_name_fails_with_the_next_step() {
        assert!(unavailable_text(&BLOCKED).contains("seccomp profile"));
        assert!(unavailable_text(&OLD).contains("Linux 5.8 or newer"));
        assert!(unavailable_text(&SMALL_MEMLOCK).contains("raise RLIMIT_MEMLOCK"));
    }

    #[test]
    fn threads_by_name_always_work() {
        for facts in [GOOD, BLOCKED, OLD, SMALL_MEMLOCK] {
            let decision = decide(DriverChoice::Thread, &facts).unwrap();
            assert_eq!(decision.driver, Driver::Thread);
        }
    }

    #[test]
    fn refusals_of_the_kernel_are_told_apart() {
        assert_eq!(RingObstacle::from_setup(Errno::PERM), RingObstacle::Blocked);
        assert_eq!(RingObstacle::from_setup(Errno::NOSYS), RingObstacle::TooOld);
        assert_eq!(
            RingObstacle::from_register(Errno::INVAL),
            RingObstacle::TooOld
        );
        let full = RingObstacle::from_setup(Errno::NFILE);
        assert_eq!(full, RingObstacle::Failed(Errno::NFILE));
    }
}
