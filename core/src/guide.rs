//! Frazil in your application: start, watch, survive and end a job from your own program.
//!
//! A job is a value in your program, with threads of its own. Nothing of it is global: several jobs
//! run side by side, each with its own checkpoint directory, and leave nothing behind when they
//! end.
//!
//! # Start
//!
//! Settings, then a closure that declares the flow. It is called several times (to plan the flow,
//! on every shard, and again after a failure), so it makes its sources and sinks anew and moves
//! only what can be shared. `start` returns when the job runs; a mistake in the settings, the flow
//! or the checkpoint directory is its error.
//!
//! ```
//! use std::time::Duration;
//! use frazil::{Checkpoints, Cores, CsvFiles, Ended, Iter, Job};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! let (checkpoints, output) = (folder.path().join("checkpoints"), folder.path().join("out"));
//! let job = Job::builder("remainders")
//!     .cores(Cores::count(2))
//!     .checkpoints(Checkpoints::every(Duration::from_millis(100)).dir(checkpoints))
//!     .build()?;
//! let handle = job.start(move |flow| {
//!     flow.source(Iter::new(|split, splits| (split as u64..10_000).step_by(splits)))
//!         .key_by_value(|number| number % 7)
//!         .aggregate("count", 0u64, |count, _number| *count += 1)
//!         .emit_at_end()
//!         .sink(CsvFiles::new(&output));
//! })?;
//! assert_eq!(handle.end()?.how, Ended::Finished);
//! # Ok::<(), frazil::Error>(())
//! ```
//!
//! Your own input comes in by the trait [`Source`](crate::Source), or by a
//! [`push::channel`](crate::push::channel) that your threads fill; output goes to files, to a
//! [`ChannelSink`](crate::ChannelSink) once it is durable, to a function at once
//! ([`ForEach`](crate::ForEach)), or by the trait [`Sink`](crate::Sink) to wherever it has to go.
//!
//! # Watch
//!
//! The [`JobHandle`](crate::JobHandle) answers at any time:
//! [`statistics`](crate::JobHandle::statistics),
//! [`newest_checkpoint`](crate::JobHandle::newest_checkpoint),
//! [`checkpoint_history`](crate::JobHandle::checkpoint_history),
//! [`restarts`](crate::JobHandle::restarts). What happens is told through the crate `tracing`.
//!
//! # Survive
//!
//! When your code panics or returns an error, the job starts again by itself from its newest
//! checkpoint, in the same process; [`RestartStrategy`](crate::RestartStrategy) says when and how
//! often. When the process dies, start it again with the same settings: it goes on where the newest
//! checkpoint was made. Here the code cannot take a number the first time it comes:
//!
//! ```
//! use std::sync::Arc;
//! use std::sync::atomic::{AtomicBool, Ordering};
//! use std::time::Duration;
//! use frazil::{Checkpoints, Cores, CsvFiles, Iter, Job, RestartStrategy};
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let (checkpoints, output) = (folder.path().join("checkpoints"), folder.path().join("out"));
//! # std::panic::set_hook(Box::new(|_| ()));
//! let job = Job::builder("stumbles")
//!     .cores(Cores::count(1))
//!     .checkpoints(Checkpoints::every(Duration::from_millis(10)).dir(checkpoints))
//!     .restart(RestartStrategy::FixedDelay { restarts: 3, delay: Duration::from_millis(10) })
//!     .build()?;
//! let stumbles = Arc::new(AtomicBool::new(true));
//! let handle = job.start(move |flow| {
//!     let stumbles = Arc::clone(&stumbles);
//!     flow.source(Iter::new(|_, _| 0..1_000_u64).splits(1))
//!         .inspect(move |number| {
//!             assert!(*number != 700 || !stumbles.swap(false, Ordering::Relaxed));
//!         })
//!         .sink(CsvFiles::new(&output));
//! })?;
//! let end = handle.end()?;
//! assert_eq!(end.restarts.count, 1);
//! # let rows: usize = std::fs::read_dir(folder.path().join("out")).unwrap()
//! #     .map(|entry| entry.unwrap().path())
//! #     .filter(|path| path.extension().is_some_and(|extension| extension == "csv"))
//! #     .map(|path| std::fs::read_to_string(path).unwrap().lines().count())
//! #     .sum();
//! # assert_eq!(rows, 1_000);
//! # Ok::<(), frazil::Error>(())
//! ```
//!
//! The files hold each of the thousand numbers once. To begin with something else than the newest
//! checkpoint, say so: [`StartFrom`](crate::StartFrom), or a savepoint by
//! [`restore_from`](crate::JobBuilder::restore_from).
//!
//! # End
//!
//! | call | what is committed | a later start |
//! |---|---|---|
//! | [`wait`], [`end`] | everything, when the input has ended | has nothing to do |
//! | [`stop`], then `end` | everything up to a last checkpoint | goes on from it |
//! | [`stop_with_savepoint`] | the same | goes on from it, or elsewhere |
//! | [`drain`] | everything read so far, with final emissions | has nothing to do |
//! | [`cancel`] | what was committed before | goes on from the newest checkpoint |
//!
//! [`wait`]: crate::JobHandle::wait
//! [`end`]: crate::JobHandle::end
//! [`stop`]: crate::JobHandle::stop
//! [`stop_with_savepoint`]: crate::JobHandle::stop_with_savepoint
//! [`drain`]: crate::JobHandle::drain
//! [`cancel`]: crate::JobHandle::cancel
//!
//! A [`Stopper`](crate::Stopper) does these from another thread, for example from one that waits
//! for signals (here with the crate `signal-hook`): the first stops the job, the second cancels it.
//!
//! ```no_run
//! use signal_hook::consts::{SIGINT, SIGTERM};
//! # fn run(handle: frazil::JobHandle) -> Result<(), Box<dyn std::error::Error>> {
//! let stopper = handle.stopper();
//! let mut signals = signal_hook::iterator::Signals::new([SIGINT, SIGTERM])?;
//! std::thread::spawn(move || {
//!     let mut signals = signals.forever();
//!     signals.next();
//!     stopper.stop();
//!     signals.next();
//!     stopper.cancel();
//! });
//! let end = handle.end()?;
//! # let _ = end;
//! # Ok(())
//! # }
//! ```
//!
//! # Backpressure
//!
//! Behind a slow sink all rings are full, and a barrier that waits for its turn takes as long as
//! the records in front of it. [`CheckpointMode::Unaligned`](crate::CheckpointMode::Unaligned) lets
//! it overtake them, [`alignment_timeout`](crate::Checkpoints::alignment_timeout) once it has
//! waited so long. What was overtaken becomes part of the checkpoint, so that a start from it goes
//! on exactly once too:
//!
//! ```
//! use std::time::Duration;
//! use frazil::{Checkpoints, CheckpointSettings};
//!
//! let settings = CheckpointSettings::manual()
//!     .every(Duration::from_secs(1))
//!     .alignment_timeout(Duration::from_millis(200));
//! let checkpoints = Checkpoints::when(settings).dir("checkpoints");
//! # let _ = checkpoints;
//! ```
//!
//! [`change_checkpoints`](crate::JobHandle::change_checkpoints) sets or clears the timeout while
//! the job runs; it counts from the next checkpoint on.
//!
//! # Side by side
//!
//! Jobs share CPUs as threads do; give them different [`Cores`](crate::Cores) where latency
//! matters. Each needs a checkpoint directory of its own, which it locks.
//!
//! ```
//! use frazil::{Cores, Count, Iter, Job};
//!
//! let counts = [Count::new(), Count::new()];
//! let mut handles = Vec::new();
//! for (number, count) in counts.iter().cloned().enumerate() {
//!     let job = Job::builder(format!("job-{number}")).cores(Cores::count(1)).build()?;
//!     handles.push(job.start(move |flow| {
//!         flow.source(Iter::new(|_, _| 0..100_u64).splits(1)).sink(count.clone());
//!     })?);
//! }
//! for handle in handles {
//!     handle.wait()?;
//! }
//! assert_eq!(counts.map(|count| count.get()), [100, 100]);
//! # Ok::<(), frazil::Error>(())
//! ```
