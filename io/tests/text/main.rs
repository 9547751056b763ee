//! Text input: which files, which lines, which positions.

mod input;
mod lines;
mod support;
