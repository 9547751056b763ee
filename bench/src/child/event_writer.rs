//! The child's side: events as JSON lines.

use serde::Serialize;
use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

/// Writes events to the parent; threads may share it.
///
/// ```
/// use frazil_bench::child::EventWriter;
///
/// let writer = EventWriter::new(Vec::new());
/// writer.send(&("rows", 4))?;
/// assert_eq!(writer.into_inner(), b"[\"rows\",4]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct EventWriter<W> {
    out: Mutex<W>,
}

impl<W: Write> EventWriter<W> {
    /// Writes to `out`; in a child that is its standard output.
    pub const fn new(out: W) -> Self {
        Self {
            out: Mutex::new(out),
        }
    }

    /// Sends one event as one line, in one write.
    ///
    /// # Errors
    ///
    /// What the pipe says; a broken pipe means that the parent is gone, and that the child should
    /// end too.
    pub fn send<E: Serialize>(&self, event: &E) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&line)?;
        out.flush()
    }

    /// Ends the writing and gives the destination back.
    pub fn into_inner(self) -> W {
        self.out
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
