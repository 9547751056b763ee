//! What drives the shards, and whether io_uring may be used.

use super::finding::Finding;
use super::system::System;
use frazil::{Driver, DriverDecision, IoError};

/// The driver that a job gets if it does not choose one; `named` is what the faster one says when
/// it is asked for by name.
pub(super) fn driver(chosen: &DriverDecision, named: &Result<DriverDecision, IoError>) -> Finding {
    if chosen.driver == Driver::Glommio {
        return Finding::ok("driver", &chosen.reason);
    }
    let fix = match named {
        // It could run, though not on every core.
        Ok(_) => "ulimit -l unlimited (docker run --ulimit memlock=-1)".to_owned(),
        Err(IoError::DriverUnavailable { reason, .. }) => {
            let next_step = reason
                .split_once("; ")
                .map_or(&reason[..], |(_, step)| step);
            next_step.to_owned()
        }
        Err(other) => other.to_string(),
    };
    let found = format!("{}; same results, idle shards wake later", chosen.reason);
    Finding::warn("driver", found, fix)
}

/// Whether the kernel forbids io_uring altogether.
pub(super) fn io_uring(system: &System, named: &Result<DriverDecision, IoError>) -> Finding {
    let disabled = system.number("proc/sys/kernel/io_uring_disabled");
    match (disabled, named) {
        (_, Ok(_)) => Finding::ok("io_uring", "allowed"),
        (Some(1..), Err(_)) => Finding::warn(
            "io_uring",
            "kernel.io_uring_disabled forbids it",
            "sudo sysctl -w kernel.io_uring_disabled=0",
        ),
        (_, Err(_)) => Finding::warn(
            "io_uring",
            "refused: by a container's seccomp profile, a kernel before 5.8, or too little locked \
             memory",
            "docker run --security-opt seccomp=unconfined --ulimit memlock=-1, or a profile that \
             allows io_uring_setup, io_uring_enter and io_uring_register",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Status;
    use super::*;

    fn decision(driver: Driver, reason: &str) -> DriverDecision {
        DriverDecision {
            driver,
            reason: reason.to_owned(),
        }
    }

    fn refused() -> Result<DriverDecision, IoError> {
        Err(IoError::DriverUnavailable {
            driver: "fast",
            reason: "io_uring is blocked; allow it".to_owned(),
        })
    }

    #[test]
    fn plain_threads_are_a_warning_with_the_next_step() {
        let fast = decision(Driver::Glommio, "on io_uring");
        assert_eq!(driver(&fast, &Ok(fast.clone())).status, Status::Ok);
        let slow = decision(Driver::Thread, "plain threads: io_uring is blocked");
        let finding = driver(&slow, &refused());
        assert_eq!(finding.fix.as_deref(), Some("allow it"));
        assert!(finding.found.contains("io_uring is blocked"));
        let finding = driver(&slow, &Ok(fast));
        assert!(finding.fix.unwrap().contains("ulimit -l"));
    }

    #[test]
    fn the_kernel_setting_is_told_from_other_refusals() {
        let (_folder, system) = System::of(&[("proc/sys/kernel/io_uring_disabled", "2\n")]);
        let finding = io_uring(&system, &refused());
        assert!(finding.fix.unwrap().contains("sysctl -w"));
        let (_folder, system) = System::of(&[]);
        let finding = io_uring(&system, &refused());
        assert!(finding.fix.unwrap().contains("seccomp"));
        let allowed = Ok(decision(Driver::Glommio, ""));
        assert_eq!(io_uring(&system, &allowed).status, Status::Ok);
    }
}
