//! Whole flows on simulated shards: one thread, any order of turns, tiny rings.

mod alignment;
mod branches;
mod doubles;
mod expiry;
mod finals;
mod list_state;
mod plan;
mod pressure;
mod shapes;
mod simulation;
mod timers;
mod walks;
