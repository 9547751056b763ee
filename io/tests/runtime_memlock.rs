//! A locked-memory limit that is too small is found by the preflight, and by the start of a loop
//! that was not preceded by one. The limit belongs to the whole process, so this file holds one
//! test.

use frazil_io::IoError;
use frazil_io::runtime::{
    Bell, Driver, DriverChoice, LoopSpec, PinnedLoop, Turn, choose_driver, spawn_pinned,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

struct Never;

impl PinnedLoop for Never {
    fn turn(&mut self) -> Turn {
        panic!("no executor, no turn");
    }
}

#[test]
fn a_small_memlock_limit_means_plain_threads_and_a_refused_executor() {
    let limit = Rlimit {
        current: Some(64 << 10),
        ..getrlimit(Resource::Memlock)
    };
    setrlimit(Resource::Memlock, limit).unwrap();

    let decision = choose_driver(DriverChoice::Auto).unwrap();
    assert_eq!(decision.driver, Driver::Thread);
    assert!(
        decision.reason.starts_with("plain threads: "),
        "{}",
        decision.reason
    );
    let error = choose_driver(DriverChoice::Glommio).unwrap_err();
    assert!(
        matches!(error, IoError::DriverUnavailable { .. }),
        "{error}"
    );

    if !decision.reason.contains("locked-memory") {
        // The limit is not the only obstacle here, and without io_uring glommio cannot be tried.
        return;
    }
    let spec = LoopSpec {
        name: "never".into(),
        cpu: None,
        may_spin: false,
        bell: Bell::new(),
    };
    let error = spawn_pinned(Driver::Glommio, spec, || Never).unwrap_err();
    assert!(
        matches!(&error, IoError::Thread { name, .. } if name == "never"),
        "{error}"
    );
    assert!(error.to_string().contains("MemLockLimit"), "{error}");
}
