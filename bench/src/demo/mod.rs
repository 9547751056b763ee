//! The main job: count every identifier of real text on all cores, survive a real `kill -9`, and
//! be checked against an independent count.
//!
//! The parent ([`run`]) prepares the input and finds out how fast the engine is ([`calibration`]),
//! runs the job in a child process ([`counting`]) that it kills once and starts again
//! ([`kill_run`]), and compares what was committed. Parent and child share nothing but the settings
//! file, the work folder and the event lines ([`protocol`]).

pub mod calibration;
pub mod counting;
pub mod error;
pub mod kill_run;
pub mod protocol;
pub mod run;
pub mod tokenizer;
pub mod verdict;
