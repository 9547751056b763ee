//! The terminal, taken for as long as something is shown and given back in every case.

use crate::interrupt::Guard;
use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen};
use ratatui::{Frame, Terminal};
use std::io::{self, Stderr};
use std::sync::atomic::{AtomicBool, Ordering};

/// After Ctrl-C the measurement runs on for a moment and must not draw over what follows.
static IS_GIVEN_BACK: AtomicBool = AtomicBool::new(false);

/// The other screen of the terminal on standard error. The keyboard is left alone, so that Ctrl-C
/// ends the program as always.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stderr>>,
    _guard: Guard,
}

impl Screen {
    pub(super) fn enter() -> io::Result<Self> {
        let guard = Guard::of_screen();
        IS_GIVEN_BACK.store(false, Ordering::Relaxed);
        execute!(io::stderr(), EnterAlternateScreen, Hide)?;
        Ok(Self {
            terminal: Terminal::new(CrosstermBackend::new(io::stderr()))?,
            _guard: guard,
        })
    }

    /// A terminal that went away must not end the measurement.
    pub(super) fn draw(&mut self, content: impl FnOnce(&mut Frame<'_>)) {
        if !IS_GIVEN_BACK.load(Ordering::Relaxed) {
            drop(self.terminal.draw(content));
        }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}

/// Shows the screen that was there before, with its cursor.
pub(crate) fn give_back() {
    IS_GIVEN_BACK.store(true, Ordering::Relaxed);
    drop(execute!(io::stderr(), LeaveAlternateScreen, Show));
}
