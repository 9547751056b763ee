//! Whether this machine is fit for low latency, and what mends it where it is not.
//!
//! Every check is a pure function of what was read or measured; nothing needs root. What a machine
//! or container does not show is said to be unknown and never counts against it.

mod command;
mod cpu;
mod disk;
mod driver;
mod finding;
mod memory;
mod quota;
mod system;

pub use command::{DoctorArguments, run};
pub use finding::{Finding, Status};
