//! A view that suits where standard error goes.

use super::lines::Lines;
use super::screen::Screen;
use super::view::View;
use crate::open_loop::Watcher;
use std::io::{self, IsTerminal};
use std::time::Instant;

/// Shows the measurement that is called `title`: on the whole screen of a terminal, else a plain
/// line every second.
pub(crate) fn watcher(title: &str) -> Watcher {
    let screen = if io::stderr().is_terminal() {
        Screen::enter().ok()
    } else {
        None
    };
    match screen {
        Some(mut screen) => {
            let mut view = View::new(title);
            Watcher::new(move |moment| {
                view.add(moment);
                screen.draw(|frame| view.draw(frame));
            })
        }
        None => {
            let mut lines = Lines::new(Box::new(io::stderr()));
            Watcher::new(move |moment| lines.add(moment, Instant::now()))
        }
    }
}
