//! A child process that talks to its parent in lines and can be killed at a chosen moment.
//!
//! The child writes one JSON object a line to its standard output ([`EventWriter`]). The parent
//! ([`run`]) hands each to a handler, which may ask for a SIGKILL after a delay. A kill may tear
//! the last line, so after a kill an unreadable end is no error. What the child wrote before it
//! died is handed over even after its death: `write <= death <= last event <= return of run`.

mod event_writer;
mod kill_moment;
mod run;

pub use event_writer::EventWriter;
pub use kill_moment::{KillMoment, fresh_seed};
pub use run::{ChildEnd, ChildError, Next, run};
